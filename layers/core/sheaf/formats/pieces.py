"""Bytes that arrive piece by piece, read as a file and line by line, with a bound on every line."""

import io
from collections.abc import Iterable, Iterator

from sheaf.base.bounds import IMPORT_LINE_BYTES
from sheaf.base.errors import UnreadableFile


class Pieces(io.RawIOBase):
    """A raw stream over pieces, for io.BufferedReader and io.TextIOWrapper."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It is for reading."""
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]  # of any buffer, these two do
        """As io.RawIOBase."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, each with its `\\n`; raises UnreadableFile for one that is too long."""
    source = io.BufferedReader(Pieces(pieces), 1 << 16)
    number = 0
    while line := source.readline(IMPORT_LINE_BYTES + 1):
        number += 1
        if len(line) > IMPORT_LINE_BYTES:
            raise UnreadableFile.at(number, f"is longer than {IMPORT_LINE_BYTES:,} bytes")
        yield line
