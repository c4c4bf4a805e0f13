"""The records of a batch or a segment: the rule they keep, and the object in S3 that holds them, a line each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.access.caller import Caller
from sheaf.base.bounds import AUDIENCE_PAGE, BULK_ERRORS
from sheaf.base.config import config
from sheaf.base.errors import TooLarge, ValidationFailed
from sheaf.formats import ndjson
from sheaf.store import blobs, keys

RULE = ("business_email", "personal_email", "email", "domain", "company_domain")
_RECORD_BYTES = 65_536
_ANSWER_BYTES = 4_000_000  # of a page, so that an answer fits Lambda's 6 MB


@dataclass(frozen=True, slots=True)
class Kept:
    """What was written: how many records, and where each AUDIENCE_PAGE of them begin."""

    rows: int
    edges: list[int]


@dataclass(frozen=True, slots=True)
class Window:
    """A page of records, and the number of the record with which the next one begins."""

    records: list[Any]
    following: int | None


def complaint(record: object) -> str:
    """What is wrong with a record, empty where nothing is."""
    if not isinstance(record, dict):
        return "must be an object"
    if not any(isinstance(record.get(name), str) and record[name].strip() for name in RULE):
        return f"needs at least one of {', '.join(RULE)}"
    if (size := len(to_json(record))) > _RECORD_BYTES:
        return f"is {size:,} bytes; {_RECORD_BYTES:,} is the most"
    return ""


def require_good(found: Iterable[tuple[Any, object]], where: str = "records.{}") -> None:
    """Raise ValidationFailed for records (each with its place) that break the rule, TooLarge for too many of them."""
    wrong: dict[str, str] = {}
    for count, (place, record) in enumerate(found, 1):
        if count > config().max_batch_size:
            raise TooLarge(f"A batch has at most {config().max_batch_size:,} records (MAX_BATCH_SIZE)")
        if text := complaint(record):
            wrong[where.format(place)] = text
        if len(wrong) == BULK_ERRORS:
            break
    if wrong:
        raise ValidationFailed.naming(wrong)


def keep(caller: Caller, row_id: str, found: Iterable[object]) -> Kept:
    """Write the records of a row's object."""
    edges, rows = [0], 0
    with blobs.Writer(config().uploads_bucket, keys.audience_object(caller, row_id), "application/x-ndjson") as writer:
        for rows, record in enumerate(found, 1):
            writer.write(ndjson.dump([record]))
            if rows % AUDIENCE_PAGE == 0:
                edges.append(writer.size)
        if edges[-1] != writer.size:
            edges.append(writer.size)
    return Kept(rows, edges)


def window(caller: Caller, row_id: str, edges: list[int], start: int, limit: int) -> Window:
    """The records from number `start` on, at most `limit` and as many as fit an answer."""
    found: list[Any] = []
    size = 0
    for number, text in _lines_from(caller, row_id, edges, start):
        size += len(text) + text.count(b'"') + text.count(b"\\")
        if len(found) == limit or (found and size > _ANSWER_BYTES):
            return Window(found, number)
        found.append(from_json(text))
    return Window(found, None)


def every(caller: Caller, row_id: str, edges: list[int]) -> Iterator[Any]:
    """All records."""
    return (from_json(text) for _, text in _lines_from(caller, row_id, edges, 0))


def remove(caller: Caller, row_id: str) -> None:
    """Remove the object of a row."""
    blobs.delete(config().uploads_bucket, keys.audience_object(caller, row_id))


def _lines_from(caller: Caller, row_id: str, edges: list[int], start: int) -> Iterator[tuple[int, bytes]]:
    first = start // AUDIENCE_PAGE
    key = keys.audience_object(caller, row_id)
    for page in range(first, len(edges) - 1):
        lines = blobs.get(config().uploads_bucket, key, edges[page], edges[page + 1] - 1).splitlines()
        skip = start - page * AUDIENCE_PAGE if page == first else 0
        yield from enumerate(islice(lines, skip, None), page * AUDIENCE_PAGE + skip)
