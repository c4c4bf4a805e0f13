"""A job's lines as they lie in S3: the input, cut into chunks, and what became of every line.

`input.ndjson` has a line an item: its index, its number in the file and what it says. `part-N` has the outcomes of chunk N.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.access.caller import Caller
from sheaf.base.bounds import CHUNK_BYTES, CHUNK_ROWS
from sheaf.base.config import config
from sheaf.features.bulk.engine import Line, Outcome
from sheaf.formats import ndjson
from sheaf.store import blobs, keys
from sheaf.store.table import Item

_TYPE = "application/x-ndjson"


class InputWriter:
    """Writes the input; `edges` are the places between the chunks."""

    def __init__(self, caller: Caller, job_id: str) -> None:
        self._writer = blobs.Writer(config().jobs_bucket, keys.job_object(caller, job_id, "input.ndjson"), _TYPE)
        self.edges = [0]
        self.starts = [0]  # the index of each chunk's first item
        self.count = 0

    def add(self, number: int | None, item: Any, wrong: str = "") -> None:
        """One more item; `wrong` says what is known to be wrong with it."""
        self._writer.write(to_json([self.count, number, item, *([wrong] if wrong else [])]) + b"\n")
        self.count += 1
        if self.count - self.starts[-1] == CHUNK_ROWS or self._writer.size - self.edges[-1] > CHUNK_BYTES:
            self.edges.append(self._writer.size)
            self.starts.append(self.count)

    def __enter__(self) -> "InputWriter":
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        if self.edges[-1] != self._writer.size:
            self.edges.append(self._writer.size)
        self._writer.__exit__(kind, *rest)


def of_chunk(caller: Caller, job_id: str, edges: list[int], number: int) -> list[Line]:
    """The items of chunk `number`, from 1 on."""
    data = blobs.get(config().jobs_bucket, keys.job_object(caller, job_id, "input.ndjson"), edges[number - 1], edges[number] - 1)
    return [Line(each[0], each[2], each[1], _twin(each[3]) if len(each) > 3 else None) for each in ndjson.load(data)]


def put_part(caller: Caller, job_id: str, number: int, outcomes: list[Outcome]) -> None:
    """Keep what became of a chunk."""
    blobs.put(config().jobs_bucket, _part(caller, job_id, number), ndjson.dump(map(_told, outcomes)), _TYPE)


def part(caller: Caller, job_id: str, number: int) -> dict[int, dict[str, Any]]:
    """What became of a chunk, by index."""
    return {each["index"]: each for each in ndjson.load(blobs.get(config().jobs_bucket, _part(caller, job_id, number)))}


def walk(caller: Caller, job: Item, done: Mapping[int, Item]) -> Iterator[tuple[Line, dict[str, Any] | None]]:
    """Every line of a job with what became of it, None where nothing did. `done`: its chunks' rows by number."""
    from concurrent.futures import ThreadPoolExecutor

    edges: list[int] = from_json(done[0].get("edges", "[0]"))
    numbers = range(1, len(edges))

    def load(number: int) -> tuple[list[Line], dict[int, dict[str, Any]]]:
        told = part(caller, job["sk"], number) if "parted" in done.get(number, {}) else {}
        return of_chunk(caller, job["sk"], edges, number), told

    with ThreadPoolExecutor(_AHEAD) as threads:
        for start in range(0, len(numbers), _AHEAD):
            for found, told in threads.map(load, numbers[start : start + _AHEAD]):
                yield from ((line, told.get(line.index)) for line in found)


_AHEAD = 8  # chunks that are read at a time


def _told(outcome: Outcome) -> dict[str, Any]:
    place = {"index": outcome.line.index, "row": outcome.line.number}
    if outcome.row and outcome.made:
        why = {"reason": outcome.why} if outcome.why else {}
        return {**place, "id": outcome.row.id, "outcome": outcome.made, "version": outcome.row.version, **why}
    assert outcome.error is not None
    return {
        **place,
        "outcome": "failed",
        "error": outcome.error.message,
        "code": outcome.error.code,
        "errors": outcome.error.fields,
    }


def _twin(wrong: str) -> Any:
    from sheaf.base.errors import ValidationFailed

    name, _, text = wrong.partition(": ")
    return ValidationFailed.naming({name: text})


def _part(caller: Caller, job_id: str, number: int) -> str:
    return keys.job_object(caller, job_id, f"part-{number:06d}.ndjson")
