"""Many rows in one request: up to a hundred at once, more as a job."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import BODY_BYTES, BULK_ERRORS, BULK_INLINE_ITEMS, BULK_ITEMS, CHUNK_ROWS
from sheaf.base.config import config
from sheaf.base.errors import SheafError, TooLarge, ValidationFailed
from sheaf.entity.registry import EntityType, find
from sheaf.formats import ndjson
from sheaf.jobs import machine
from sheaf.jobs.runner import Result, Task
from sheaf.jobs.shapes import Chunks
from sheaf.records import read, write
from sheaf.records.once import Once
from sheaf.records.rows import Row, Stamp
from sheaf.store import blobs, keys
from sheaf.store.table import Item

_THREADS = 16  # waiting for the table dominates
_MEMORY_BYTES = 200_000  # half of what an item of the table may hold


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """The items of a request and how to treat the invalid ones."""

    items: list[Any]
    skip_invalid: bool
    return_failures: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item: a row, or the error."""

    index: int
    item: Any
    row: Row | None
    error: SheafError | None


def parse(body: object) -> BulkRequest:
    """Read `{"items": […], "options": {"skipInvalid", "returnFailures"}}` or a bare array.

    A bare array reports item by item; the other form refuses the whole request unless `skipInvalid` is true.
    """
    if isinstance(body, list):
        return _bounded(BulkRequest(body, skip_invalid=True, return_failures=True))
    if not isinstance(body, dict):
        raise ValidationFailed(
            "The body must be an array of items or an object with items", fields={"": "must be an array or an object"}
        )
    wrong = {name: "is not known here" for name in body if name not in ("items", "options")}
    items, options = body.get("items"), body.get("options", {})
    if not isinstance(items, list):
        wrong["items"] = "is required" if items is None else "must be an array"
    if not isinstance(options, dict):
        wrong["options"] = "must be an object"
    else:
        wrong |= {f"options.{name}": "is not known here" for name in options if name not in ("skipInvalid", "returnFailures")}
        wrong |= {f"options.{name}": "must be true or false" for name, value in options.items() if not isinstance(value, bool)}
    if wrong:
        raise ValidationFailed("The bulk request is malformed", fields=wrong)
    return _bounded(BulkRequest(items or [], options.get("skipInvalid", False), options.get("returnFailures", False)))


def run_inline(caller: Caller, entity: EntityType, request: BulkRequest, once: Once | None = None) -> list[Outcome]:
    """Create the items now (at most BULK_INLINE_ITEMS), in order of their index; raises ValidationFailed as `parse` says.

    With `once` the rows have ids that the request's Idempotency-Key fixes: a second run finds what the first has written.
    """
    _refuse_invalid(caller, entity, request)
    numbered = list(enumerate(request.items))
    if once is None:
        # What is written stays written, so trouble with one item is that item's result and not the whole answer.
        return _create_all(numbered, lambda _, item: write.create(caller, entity, item), all_results=True)
    claim = once.claim(ids.new("blk"))
    if "done" in claim:
        return _remembered(caller, entity, claim, numbered)
    create = _creator(caller, entity, claim["seed"], claim["at"], numbered, again=once.replayed)
    outcomes = _create_all(numbered, create, all_results=True)
    once.complete(_memory(outcomes))
    return outcomes


def accept(caller: Caller, entity: EntityType, request: BulkRequest, once: Once | None = None) -> Item:
    """Put the items down as a job."""
    if once and (first := once.found()):
        return machine.find(caller, first["job"])
    _refuse_invalid(caller, entity, request)
    job_id = machine.new_id()
    parts = [ndjson.dump(request.items[start : start + CHUNK_ROWS]) for start in range(0, len(request.items), CHUNK_ROWS)]
    blobs.put(config().jobs_bucket, keys.job_object(caller, job_id, "input.ndjson"), b"".join(parts), "application/x-ndjson")
    edges = [0, *accumulate(len(part) for part in parts)]
    return machine.accept(caller, "bulk", job_id=job_id, entity=entity.path, chunks=len(parts), total=len(request.items),
                          plan={"edges": to_json(edges).decode()}, once=once)  # fmt: skip


def is_inline(request: BulkRequest) -> bool:
    """Whether the request is answered at once."""
    return len(request.items) <= BULK_INLINE_ITEMS


def summary(entity: EntityType, outcomes: Sequence[Outcome], *, return_failures: bool) -> dict[str, Any]:
    """Both views of the outcomes that clients know: `items` with `failures`, and `results` with a status each."""
    title = next(iter(entity.model.model_fields))
    made = [outcome for outcome in outcomes if outcome.row]
    failed = [outcome for outcome in outcomes if outcome.error]
    shown: dict[str, Any] = {
        "created": len(made),
        "failed": len(failed),
        "items": [{"id": each.row.id, title: each.row.document[title]} for each in made if each.row],
        "results": [_result(outcome, title) for outcome in outcomes],
    }
    if return_failures:
        small = sum(len(to_json(outcome.item)) for outcome in failed) <= BODY_BYTES  # an answer has 6 MB
        shown["failures"] = [failure(outcome) if small else {**failure(outcome), "item": None} for outcome in failed]
    return shown


def failure(outcome: Outcome) -> dict[str, Any]:
    """An item that was not written, and why."""
    assert outcome.error is not None
    return {"index": outcome.index, "item": outcome.item, "error": outcome.error.message, "code": outcome.error.code,
            "errors": outcome.error.fields}  # fmt: skip


class BulkWork(Chunks):
    """The chunks of a bulk job: CHUNK_ROWS items each, by their place in the input file."""

    def run(self, task: Task) -> Result:
        """Create the rows of one chunk under ids that only this job can make."""
        job_id, entity = task.job["sk"], find(task.job["entity"])
        edges: list[int] = from_json(task.job["edges"])
        data = blobs.get(config().jobs_bucket, keys.job_object(task.caller, job_id, "input.ndjson"),
                         edges[task.number], edges[task.number + 1] - 1)  # fmt: skip
        numbered = list(enumerate(ndjson.load(data), task.number * CHUNK_ROWS))
        create = _creator(task.caller, entity, job_id, ids.time_of(job_id), numbered, again=task.again)
        outcomes = _create_all(numbered, create, all_results=False)
        failed = [failure(outcome) for outcome in outcomes if outcome.error]
        if failed:
            blobs.put(
                config().jobs_bucket, _errors_key(task.caller, job_id, task.number), ndjson.dump(failed), "application/x-ndjson"
            )
        return {"created": len(outcomes) - len(failed), "failed": len(failed)}

    def finalise(self, caller: Caller, job: Item, done: Sequence[Item]) -> Result:
        """Join the failures of all chunks into errors.ndjson."""
        bucket = config().jobs_bucket
        parts = [blobs.get(bucket, _errors_key(caller, job["sk"], int(chunk["sk"]))) for chunk in done if chunk["failed"]]
        if parts:
            blobs.put(bucket, keys.job_object(caller, job["sk"], "errors.ndjson"), b"".join(parts), "application/x-ndjson")
        return {}


def _bounded(request: BulkRequest) -> BulkRequest:
    if not request.items:
        raise ValidationFailed("There are no items", fields={"items": "must not be empty"})
    if len(request.items) > BULK_ITEMS:
        raise TooLarge(f"{len(request.items):,} items; {BULK_ITEMS:,} is the most")
    return request


def _creator(caller: Caller, entity: EntityType, seed: str, at_ms: int, numbered: Sequence[tuple[int, Any]], *,
             again: bool) -> Callable[[int, Any], Row]:  # fmt: skip
    """A function that creates item n of a job under an id that only this job can make, and finds what an earlier try wrote."""
    row_ids = {index: ids.numbered(entity.prefix, at_ms, seed, index) for index, _ in numbered}
    written = read.ever_written(caller, entity, list(row_ids.values())) if again else set()

    def create(index: int, item: Any) -> Row:
        fields = write.checked(caller, entity, item)
        if row_ids[index] in written:
            # By an earlier try; whatever became of it since is its owner's.
            return Row(row_ids[index], 1, to_json(fields).decode())
        return write.create_checked(caller, entity, fields, row_id=row_ids[index], stamp=Stamp(seed, index))

    return create


def _memory(outcomes: Sequence[Outcome]) -> str:
    """The failures of a bulk, as JSON, for whoever sends it again; what was made follows from the ids."""
    errors = {str(each.index): each.error for each in outcomes if each.error}
    text = to_json({index: [error.message, error.code, error.fields] for index, error in errors.items()}).decode()
    if len(text) > _MEMORY_BYTES:
        text = to_json({index: [error.message[:500], error.code, {}] for index, error in errors.items()}).decode()
    return text


def _remembered(caller: Caller, entity: EntityType, claim: Item, numbered: Sequence[tuple[int, Any]]) -> list[Outcome]:
    """The outcomes of a bulk that was done before: nothing is tried again."""
    failed: dict[str, Any] = from_json(claim["done"])
    outcomes = []
    for index, item in numbered:
        if str(index) in failed:
            message, code, fields = failed[str(index)]
            error = SheafError(message, fields=fields)
            error.code = code
            outcomes.append(Outcome(index, item, None, error))
        else:
            row_id = ids.numbered(entity.prefix, claim["at"], claim["seed"], index)
            outcomes.append(Outcome(index, item, Row(row_id, 1, to_json(write.checked(caller, entity, item)).decode()), None))
    return outcomes


def _refuse_invalid(caller: Caller, entity: EntityType, request: BulkRequest) -> None:
    if request.skip_invalid:
        return
    wrong: dict[str, str] = {}
    for index, item in enumerate(request.items):
        try:
            write.checked(caller, entity, item)
        except ValidationFailed as error:
            wrong |= {f"items.{index}.{path}".rstrip("."): text for path, text in error.fields.items()}
        if len(wrong) >= BULK_ERRORS:
            break
    if wrong:
        raise ValidationFailed("Some items are invalid, so nothing was written; skipInvalid writes the others", fields=wrong)


def _create_all(numbered: Iterable[tuple[int, Any]], create: Callable[[int, Any], Row], *, all_results: bool) -> list[Outcome]:
    def attempt(pair: tuple[int, Any]) -> Outcome:
        index, item = pair
        try:
            return Outcome(index, item, create(index, item), None)
        except SheafError as error:
            if error.status >= 500 and not all_results:
                raise  # the table's trouble is not the item's: the whole chunk comes again
            return Outcome(index, item, None, error)

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(attempt, numbered))


def _result(outcome: Outcome, title: str) -> Mapping[str, Any]:
    if outcome.row:
        return {"index": outcome.index, "id": outcome.row.id, title: outcome.row.document[title], "status": "created"}
    assert outcome.error is not None
    return {"index": outcome.index, "status": "failed", "error": outcome.error.message, "errors": outcome.error.fields}


def _errors_key(caller: Caller, job_id: str, number: int) -> str:
    return keys.job_object(caller, job_id, f"errors-{number:06d}.ndjson")
