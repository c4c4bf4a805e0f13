"""NDJSON: one JSON value a line, UTF-8, `\\n`."""

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.base.errors import InvalidJson, UnreadableFile
from sheaf.formats import pieces, strict_json


def dump(values: Iterable[Any]) -> bytes:
    """One line a value."""
    return b"".join(to_json(value) + b"\n" for value in values)


def load(data: bytes) -> Iterator[Any]:
    """The values of `data`, which we have written ourselves; raises ValueError on a line that is not JSON."""
    return (from_json(line) for line in data.split(b"\n") if line)


def records(source: Iterable[bytes]) -> Iterator[tuple[int, Any]]:
    """The values of somebody's file, each with the number of its line; raises UnreadableFile."""
    for number, line in enumerate(pieces.lines(source), 1):
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not text.strip():
            continue
        try:
            yield number, strict_json.parse(text)
        except InvalidJson as error:
            raise UnreadableFile.at(number, error.message.replace("The body is", "is").replace("The body ", "")) from None
