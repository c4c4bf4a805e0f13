"""What a file is, by its content and not by its name: looked at as it streams by, so that its size does not matter.

A type is recognised by its first bytes. A file that is a second thing as well (an archive behind a picture, a script inside
one, a page that calls itself text) is refused, since somebody will one day open it as that.
"""

import codecs
from hashlib import sha256
from struct import unpack_from

from sheaf.formats.media import CSV, JSON, NDJSON, XLSX

_HEADS: dict[str, tuple[tuple[int, bytes], ...]] = {
    "image/png": ((0, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),),
    "image/jpeg": ((0, b"\xff\xd8\xff"),),
    "image/gif": ((0, b"GIF87a"), (0, b"GIF89a")),
    "application/pdf": ((0, b"%PDF-"),),
    "application/zip": ((0, b"PK\x03\x04"), (0, b"PK\x05\x06")),
    XLSX: ((0, b"PK\x03\x04"),),
    "video/mp4": ((4, b"ftyp"),),
}
_TEXT = frozenset({"text/plain", CSV, JSON, NDJSON})
_ARCHIVES = frozenset({"application/zip", XLSX})
_CONTROL = bytes(range(9)) + b"\x0b" + bytes(range(14, 32))
# What begins a program or an archive, and no text: DOS and Windows, Linux, macOS, Java, a script, gzip, RAR, 7z, CAB.
_PROGRAMS = (b"MZ\x90\0", b"MZ\0", b"\x7fELF", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe",
             b"\xca\xfe\xba\xbe", b"#!", b"\x1f\x8b", b"Rar!", b"7z\xbc\xaf", b"MSCF")  # fmt: skip
# How a page begins for a browser that is not told better (https://mimesniff.spec.whatwg.org, 7.1), and what servers run.
_PAGES = tuple(f"<{tag}".encode() for tag in (
    "!doctype", "html", "head", "script", "iframe", "h1", "div", "font", "table", "style", "title", "body", "svg", "?xml",
    "?php", "!--", "%", "a ", "a>", "b>", "br", "p>", "p "))  # fmt: skip
_INSIDE = (b"<script", b"<?php", b"<html", b"<!doctype html", b"<svg", b"<iframe")  # no picture holds these
_END_OF_ZIP = b"PK\x05\x06"
_HEAD_BYTES, _TAIL_BYTES = 4_096, 128 * 1024  # the end of an archive is found in its last 64 KB
_PDF_WITHIN = 1_024  # readers take a PDF that begins this late

TYPES = frozenset(_HEADS) | _TEXT | {"image/webp"}
"""The types that can be recognised, and so uploaded."""
IMAGES = frozenset(each for each in TYPES if each.startswith("image/"))


class Inspector:
    """Takes a whole file in pieces; afterwards it knows its `size`, its `sha256`, and whether it is what it was said to be."""

    def __init__(self, declared: str) -> None:
        self.size = 0
        self._declared = declared
        self._digest = sha256()
        self._head, self._tail = b"", b""
        self._wrong = ""  # what a piece was found to hold
        self._decoder = codecs.getincrementaldecoder("utf-8")() if declared in _TEXT else None
        self._rest = b""

    @property
    def sha256(self) -> str:
        """The digest, in hexadecimal digits."""
        return self._digest.hexdigest()

    def feed(self, piece: bytes) -> None:
        """Take the next piece."""
        self.size += len(piece)
        self._digest.update(piece)
        if len(self._head) < _HEAD_BYTES:
            self._head += piece[: _HEAD_BYTES - len(self._head)]
        self._tail = (self._tail + piece[-_TAIL_BYTES:])[-_TAIL_BYTES:]
        if self._wrong:
            return
        if self._declared in IMAGES:
            window = self._rest + piece.lower()
            self._wrong = "it holds a page or a script as well" if any(mark in window for mark in _INSIDE) else ""
            self._rest = window[-16:]
        elif self._decoder:
            self._read(piece)

    def objection(self) -> str | None:
        """Why the file is not of the declared type, None where it is."""
        if self._decoder and not self._wrong:
            self._read(b"", final=True)
        declared, head = self._declared, self._head
        wrong = None if agrees(declared, head) else "its first bytes are those of something else"
        wrong = wrong or self._wrong or self._second()
        if wrong:
            return f"The content is not {declared}: {wrong}"
        return None

    def _read(self, piece: bytes, *, final: bool = False) -> None:
        if self._declared == CSV and self._head[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return  # spreadsheets still write UTF-16
        if piece.translate(None, _CONTROL) != piece:
            self._wrong = "it holds control characters"
        elif self._decoder and self._declared != CSV:  # they write Latin-1, too
            try:
                self._decoder.decode(piece, final)
            except UnicodeDecodeError:
                self._wrong = "it is not UTF-8"

    def _second(self) -> str | None:
        """What else the file is, or what it lacks at its end."""
        declared, head, tail = self._declared, self._head, self._tail
        begins, entries = _archive(tail, self.size)
        if declared in _ARCHIVES:
            if begins != 0:
                return "the archive has no end, or more than one beginning"
            whole = declared != XLSX or (b"[Content_Types].xml" in entries and b"xl/workbook" in entries)
            return None if whole else "the archive holds no workbook"
        if begins is not None:
            return "it is an archive as well"
        if declared != "application/pdf" and declared not in _TEXT and b"%PDF-" in head[:_PDF_WITHIN]:
            return "it is a PDF as well"
        match declared:
            case "image/png" if b"IEND\xaeB`\x82" not in tail:
                return "the picture has no end"
            case "image/gif" if not tail.rstrip(b"\0").endswith(b";"):
                return "the picture has no end, or something stands behind it"
            case "image/webp" if not 0 <= self.size - 8 - unpack_from("<I", head.ljust(12, b"\0"), 4)[0] <= 1:
                return "the picture has no end, or something stands behind it"
            case "application/pdf" if b"%%EOF" not in tail:
                return "the document has no end"
            case "application/json" if tail.rstrip()[-1:] not in (b"}", b"]"):
                return "it has no end"
        return None


def agrees(declared: str, head: bytes) -> bool:
    """Whether a file that begins with `head` (4 KB are enough) can be of the declared type."""
    if declared == "image/webp":
        return head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    if declared == CSV and not _is_text(head):  # spreadsheets still write other encodings than UTF-8
        return head[:2] in (b"\xff\xfe", b"\xfe\xff") or not (_is_foreign(head) or head.translate(None, _CONTROL) != head)
    if declared in _TEXT:
        return _is_text(head) and (declared != JSON or head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["))
    return any(head[at : at + len(mark)] == mark for at, mark in _HEADS.get(declared, ()))


def _archive(tail: bytes, size: int) -> tuple[int | None, bytes]:
    """Where in a file with this `tail` a ZIP archive begins, and its list of files; None where there is no archive.

    Its end record ends the file, with a comment; the list of files stands right before it (APPNOTE.TXT, 4.3.16). Readers
    find an archive also where something else stands before it.
    """
    at = tail.rfind(_END_OF_ZIP)
    if at < 0 or at + 22 > len(tail) or at + 22 + unpack_from("<H", tail, at + 20)[0] != len(tail):
        return None, b""
    listed, begins = unpack_from("<II", tail, at + 12)
    if 0xFFFFFFFF in (listed, begins):
        return 0, b""  # its true numbers are elsewhere (ZIP64)
    return size - len(tail) + at - listed - begins, tail[max(0, at - listed) : at]


def _is_foreign(head: bytes) -> bool:
    known = any(head[at : at + len(mark)] == mark for heads in _HEADS.values() for at, mark in heads)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n\f")[:32].lower()
    return known or head.startswith(_PROGRAMS) or text.startswith(_PAGES)


def _is_text(head: bytes) -> bool:
    if b"\0" in head or _is_foreign(head):
        return False
    for cut in range(4):  # the head may end inside a character
        try:
            head[: len(head) - cut].decode()
        except UnicodeDecodeError:
            continue
        return True
    return False
