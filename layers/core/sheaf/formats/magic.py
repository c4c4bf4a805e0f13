"""What a file is, by its content and not by its name: looked at as it streams by, so that its size does not matter.

A type is recognised by its first bytes. A file that is a second thing as well (an archive behind a picture, a script inside
one, a page that calls itself text) is refused, since somebody will one day open it as that.
"""

import codecs
import re
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
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f]")
_WIDE = (b"\xff\xfe", b"\xfe\xff")
# What begins a program or an archive, and no text: DOS and Windows, Linux, macOS, Java, a script, gzip, RAR, 7z, CAB.
_PROGRAMS = (b"MZ\x90\0", b"MZ\0", b"\x7fELF", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe",
             b"\xca\xfe\xba\xbe", b"#!", b"\x1f\x8b", b"Rar!", b"7z\xbc\xaf", b"MSCF")  # fmt: skip
# How a page begins for a browser that is not told better (https://mimesniff.spec.whatwg.org, 7.1), and what servers run.
_PAGES = tuple(f"<{tag}".encode() for tag in (
    "!doctype", "html", "head", "script", "iframe", "h1", "div", "font", "table", "style", "title", "body", "svg", "?xml",
    "?php", "!--", "%", "a ", "a>", "b>", "br", "p>", "p "))  # fmt: skip
# What no picture holds, in lower case. Six bytes at least: shorter ones stand in the noise of large pictures by chance.
_INSIDE = (b"<script", b"<?php ", b"<?php\n", b"<?php\r", b"<html>", b"<html ", b"<!doctype html", b"<svg xmlns", b"<svg on",
           b"<iframe", b"rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c")  # fmt: skip
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
        self._words = ""  # the first ones of a UTF-16 text
        self._decoder: codecs.IncrementalDecoder | None = None
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
        elif self._declared in _TEXT:
            self._read(piece)

    def objection(self) -> str | None:
        """Why the file is not of the declared type, None where it is."""
        if self._declared in _TEXT and not self._wrong:
            self._read(b"", final=True)
        declared, head = self._declared, self._head
        foreign = not agrees(declared, head) or _is_foreign(self._words.encode("utf-8", "replace"))
        wrong = "its first bytes are those of something else" if foreign else None
        wrong = wrong or self._wrong or self._second()
        if wrong:
            return f"The content is not {declared}: {wrong}"
        return None

    def _read(self, piece: bytes, *, final: bool = False) -> None:
        wide = self._declared == CSV and self._head[:2] in _WIDE  # spreadsheets still write UTF-16
        if self._decoder is None:
            if len(self._head) < 2 and not final:
                self._rest += piece  # too little to tell
                return
            self._decoder = codecs.getincrementaldecoder("utf-16" if wide else "utf-8")()
            piece, self._rest = self._rest + piece, b""
        if self._declared == CSV and not wide:  # and Latin-1, too
            self._wrong = "it holds control characters" if piece.translate(None, _CONTROL) != piece else ""
            return
        try:
            text = self._decoder.decode(piece, final)
        except UnicodeDecodeError:
            self._wrong = "it is not UTF-16" if wide else "it is not UTF-8"
            return
        if _CONTROLS.search(text):
            self._wrong = "it holds control characters"
        if wide:
            self._words = (self._words + text)[:64]

    def _second(self) -> str | None:
        """What else the file is, or what it lacks at its end."""
        declared, head, tail = self._declared, self._head, self._tail
        if declared in _ARCHIVES:
            begins, entries = _archive(tail, self.size)
            if begins != 0:
                return "the archive has no end, or more than one beginning"
            whole = declared != XLSX or (b"[Content_Types].xml" in entries and b"xl/workbook" in entries)
            return None if whole else "the archive holds no workbook"
        if _has_archive(tail):
            return "it is an archive as well"
        if declared != "application/pdf" and declared not in _TEXT and b"%PDF-" in head[:_PDF_WITHIN]:
            return "it is a PDF as well"
        match declared:
            case "image/png" if not tail.rstrip(b"\0\r\n").endswith(b"IEND\xaeB`\x82"):
                return "the picture has no end, or something stands behind it"
            case "image/gif" if not tail.rstrip(b"\0").endswith(b";"):
                return "the picture has no end, or something stands behind it"
            case "image/webp" if not 0 <= self.size - 8 - unpack_from("<I", head.ljust(12, b"\0"), 4)[0] <= 1:
                return "the picture has no end, or something stands behind it"
            case "application/pdf" if (
                not 0 <= len(tail.rstrip(b"\0\r\n")) - tail.rfind(b"%%EOF") <= _PDF_WITHIN or b"%%EOF" not in tail
            ):
                return "the document has no end, or something stands behind it"
            case "application/json" if tail.rstrip()[-1:] not in (b"}", b"]"):
                return "it has no end"
        return None


def agrees(declared: str, head: bytes) -> bool:
    """Whether a file that begins with `head` (4 KB are enough) can be of the declared type."""
    if declared == "image/webp":
        return head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    if declared == CSV and not _is_text(head):  # spreadsheets still write other encodings than UTF-8
        return head[:2] in _WIDE or not (_is_foreign(head) or head.translate(None, _CONTROL) != head)
    if declared in _TEXT:
        return _is_text(head) and (declared != JSON or head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["))
    if declared == "application/pdf":
        head = head.lstrip(b"\xef\xbb\xbf \t\r\n\0")  # which readers pass over
    return any(head[at : at + len(mark)] == mark for at, mark in _HEADS.get(declared, ()))


def _archive(tail: bytes, size: int) -> tuple[int | None, bytes]:
    """Where in a file with this `tail` a ZIP archive begins, and its list of files; None where the file does not end as one.

    Its end record ends the file, with a comment; the list of files stands right before it (APPNOTE.TXT, 4.3.16), or before
    the records of ZIP64, which hold the true numbers of a large one (4.3.14, 4.3.15).
    """
    at = tail.rfind(_END_OF_ZIP)
    if at < 0 or at + 22 > len(tail) or at + 22 + unpack_from("<H", tail, at + 20)[0] != len(tail):
        return None, b""
    listed, begins = unpack_from("<II", tail, at + 12)
    large = tail.rfind(b"PK\x06\x06", 0, at)
    if tail[max(0, at - 20) :].startswith(b"PK\x06\x07") and large >= 0 and large + 56 <= at:
        listed, begins = unpack_from("<QQ", tail, large + 40)
        at = large
    return size - len(tail) + at - listed - begins, tail[max(0, at - listed) : at]


def _has_archive(tail: bytes) -> bool:
    """Whether readers would find a ZIP archive at this end of a file: they look for its end record, whatever follows."""
    at = len(tail)
    while (at := tail.rfind(_END_OF_ZIP, 0, at)) >= 0:
        if at + 22 > len(tail):
            continue
        entries, listed = unpack_from("<HI", tail, at + 10)
        place = at - listed
        if (listed == 0 and entries == 0) or (
            listed >= 46 * entries > 0 and (place < 0 or tail[place : place + 4] == b"PK\x01\x02")
        ):
            return True
    return False


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
