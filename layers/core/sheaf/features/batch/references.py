"""References from one request of a batch to the answer of another: `@{a.body.id}`, `@{a.headers.etag}`, `@{a.status}`.

A text that is one reference and nothing else becomes the value itself, of whatever type; within a text it must be a text,
a number or a truth value. `@@{` stands for `@{`. A list's places count from 0: `@{a.body.0.id}`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import to_json

from sheaf.base.errors import TooLarge, ValidationFailed

Answers = Mapping[str, Mapping[str, Any]]  # by id: {"status", "headers", "body"}

_REFERENCE = re.compile(
    r"@@\{|@\{(?:(?P<id>[\w-]{1,64})\.(?P<path>(?:status|body|headers)(?:\.[^.{}]{1,200}){0,20})\})?", re.ASCII
)


def named(value: Any) -> Iterator[str]:
    """The ids that a value refers to, at any depth; raises ValueError for what begins as a reference and is none."""
    for text in _texts(value):
        for found in _REFERENCE.finditer(text):
            if found["id"]:
                yield found["id"]
            elif not found[0].startswith("@@"):
                raise ValueError(f"has a reference that cannot be read at {text[found.start() : found.start() + 60]!r}; "
                                 "they are written @{id.body.field}, and @@{ stands for @{ itself")  # fmt: skip


def is_free(text: str) -> bool:
    """Whether a text has no reference."""
    return "@{" not in text


class Resolver:
    """Puts values for references, `most` bytes of them at most: a body may refer to one long answer a thousand times."""

    def __init__(self, answers: Answers, most: int) -> None:
        self._answers = answers
        self._most = self._left = most

    def value(self, value: Any) -> Any:
        """The value with what its references stand for; raises ValidationFailed for one that stands for nothing, TooLarge."""
        if isinstance(value, str):
            whole = _REFERENCE.fullmatch(value)
            if whole is None or not whole["id"]:
                return self.text(value)
            found = self._looked_up(whole)
            self._take(len(found) if isinstance(found, str) else len(to_json(found)))
            return found
        if isinstance(value, dict):
            return {name: self.value(each) for name, each in value.items()}
        return [self.value(each) for each in value] if isinstance(value, list) else value

    def text(self, text: str) -> str:
        """A text with what its references stand for; raises as `value`, also for what cannot stand within a text."""
        return _REFERENCE.sub(self._put, text)

    def _put(self, found: re.Match[str]) -> str:
        if not found["id"]:
            return found[0].removeprefix("@")
        value = self._looked_up(found)
        if not isinstance(value, str | int | float):
            raise ValidationFailed(f"{found[0]} is no text, number or truth value, so it cannot stand within a text")
        told = value if isinstance(value, str) else to_json(value).decode()
        self._take(len(told))
        return told

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise TooLarge(f"Its references stand for more than {self._most:,} bytes")

    def _looked_up(self, found: re.Match[str]) -> Any:
        value: Any = self._answers.get(found["id"])
        for part in found["path"].split("."):
            if isinstance(value, Mapping) and part in value:
                value = value[part]
            elif isinstance(value, list) and part.isascii() and part.isdigit() and len(part) < 6 and int(part) < len(value):
                value = value[int(part)]
            else:
                raise ValidationFailed(f"{found[0]}: the answer to {found['id']!r} has no {part[:80]!r} there")
        return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
