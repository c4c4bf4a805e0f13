"""References from one request of a batch to the answer of another: `@{a.body.id}`, `@{a.headers.etag}`, `@{a.status}`.

A text that is one reference and nothing else becomes the value itself, of whatever type; within a text it must be a text,
a number or a truth value. `@@{` stands for `@{`. A list's places count from 0: `@{a.body.0.id}`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic_core import to_json

from sheaf.base.errors import ValidationFailed

Answers = Mapping[str, Mapping[str, Any]]  # by id: {"status", "headers", "body"}

_REFERENCE = re.compile(r"@@\{|@\{(?:(?P<id>[\w-]{1,64})\.(?P<path>(?:status|body|headers)(?:\.[^.{}]{1,200}){0,20})\})?")


def named(value: Any) -> Iterator[str]:
    """The ids that a value refers to, at any depth; raises ValueError for what begins as a reference and is none."""
    for text in _texts(value):
        for found in _REFERENCE.finditer(text):
            if found["id"]:
                yield found["id"]
            elif not found[0].startswith("@@"):
                raise ValueError(f"has a reference that cannot be read at {text[found.start() : found.start() + 60]!r}; "
                                 "they are written @{id.body.field}, and @@{ stands for @{ itself")  # fmt: skip


def resolved(value: Any, answers: Answers) -> Any:
    """The value with what its references stand for; raises ValidationFailed for one that stands for nothing."""
    if isinstance(value, str):
        whole = _REFERENCE.fullmatch(value)
        return _looked_up(whole, answers) if whole and whole["id"] else text_of(value, answers)
    if isinstance(value, dict):
        return {name: resolved(each, answers) for name, each in value.items()}
    return [resolved(each, answers) for each in value] if isinstance(value, list) else value


def text_of(text: str, answers: Answers, spelt: Callable[[str], str] = str) -> str:
    """A text with what its references stand for, each of them `spelt`; raises ValidationFailed."""

    def put(found: re.Match[str]) -> str:
        if not found["id"]:
            return found[0].removeprefix("@")
        value = _looked_up(found, answers)
        if not isinstance(value, str | int | float):
            raise ValidationFailed(f"{found[0]} is no text, number or truth value, so it cannot stand within a text")
        return spelt(value if isinstance(value, str) else to_json(value).decode())

    return _REFERENCE.sub(put, text)


def is_free(text: str) -> bool:
    """Whether a text has no reference."""
    return "@{" not in text


def _looked_up(found: re.Match[str], answers: Answers) -> Any:
    value: Any = answers.get(found["id"])
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
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
