"""What a file is, by its first bytes and not by its name."""

_HEADS: dict[str, tuple[tuple[int, bytes], ...]] = {
    "image/png": ((0, b"\x89PNG\r\n\x1a\n"),),
    "image/jpeg": ((0, b"\xff\xd8\xff"),),
    "image/gif": ((0, b"GIF87a"), (0, b"GIF89a")),
    "application/pdf": ((0, b"%PDF-"),),
    "application/zip": ((0, b"PK\x03\x04"), (0, b"PK\x05\x06")),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ((0, b"PK\x03\x04"),),
    "video/mp4": ((4, b"ftyp"),),
}
_TEXT = frozenset({"text/plain", "text/csv", "application/json", "application/x-ndjson"})
_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\r\f")

TYPES = frozenset(_HEADS) | _TEXT | {"image/webp"}
"""The types that can be recognised, and so uploaded."""


def agrees(declared: str, head: bytes) -> bool:
    """Whether a file that begins with `head` (4 KB are enough) can be of the declared type."""
    if declared == "image/webp":
        return head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    if declared == "text/csv" and not _is_text(head):  # spreadsheets still write other encodings than UTF-8
        return head[:2] in (b"\xff\xfe", b"\xfe\xff") or not (_is_binary(head) or _CONTROL.intersection(head))
    if declared in _TEXT:
        return _is_text(head) and (declared != "application/json" or head.lstrip()[:1] in (b"{", b"["))
    return any(head[at : at + len(mark)] == mark for at, mark in _HEADS.get(declared, ()))


def _is_binary(head: bytes) -> bool:
    return any(head[at : at + len(mark)] == mark for heads in _HEADS.values() for at, mark in heads)


def _is_text(head: bytes) -> bool:
    if b"\0" in head or _is_binary(head):
        return False
    for cut in range(4):  # the head may end inside a character
        try:
            head[: len(head) - cut].decode()
        except UnicodeDecodeError:
            continue
        return True
    return False
