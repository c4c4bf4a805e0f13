"""NDJSON: one JSON value a line, UTF-8, `\\n`."""

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic_core import from_json, to_json


def dump(values: Iterable[Any]) -> bytes:
    """One line a value."""
    return b"".join(to_json(value) + b"\n" for value in values)


def load(data: bytes) -> Iterator[Any]:
    """The values of `data`; raises ValueError on a line that is not JSON."""
    return (from_json(line) for line in data.split(b"\n") if line)
