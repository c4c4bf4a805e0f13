"""What a route does, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sheaf.describe.schemas import Schema

Example = Any
Operations = Mapping[tuple[str, str], "Operation"]


@dataclass(frozen=True, slots=True)
class Operation:
    """A route: `answers` map a status to the schema of its body (None for no body), `errors` are its own further ones."""

    summary: str
    tag: str
    answers: Mapping[int, Schema | None]
    body: Schema | None = None
    example: Example = None
    query: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()
    error: str = "Error"  # the schema of an error in the route's own shape
    write: bool = False  # takes an Idempotency-Key
    versioned: bool = False  # takes If-Match
    headers: tuple[str, ...] = field(default=())
    form: Schema | None = None  # a body of multipart/form-data
    files: tuple[str, ...] = ()  # media types of a file that can be the body instead
