"""ZIP archives written from front to end, in flat memory: the same members are the same bytes, whoever writes them again."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

Write = Callable[[bytes], Any]


class Archive:
    """An archive whose bytes go to `write`; it is whole once its block is left."""

    def __init__(self, write: Write, at_ms: int) -> None:
        self._zip = ZipFile(_Sink(write), "w", ZIP_DEFLATED)
        self._at = time.gmtime(at_ms / 1000)[:6]

    @contextmanager
    def member(self, name: str) -> Iterator[Write]:
        """Add a member: what it gives takes the content piece by piece."""
        info = ZipInfo(name, self._at)
        info.compress_type = ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        with self._zip.open(info, "w", force_zip64=True) as member:
            yield member.write

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._zip.close()


class _Sink(io.RawIOBase):
    """A file that can do nothing but take bytes, for which zipfile writes the sizes behind each member."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._write(bytes(data))
        return len(data)
