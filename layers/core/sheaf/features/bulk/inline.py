"""Bulk requests that are answered at once: at most BULK_INLINE_ITEMS items, or one transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import BODY_BYTES, BULK_ERRORS
from sheaf.base.clock import now_ms
from sheaf.base.errors import SheafError, ValidationFailed
from sheaf.entity.registry import EntityType
from sheaf.features.bulk import atomic, engine
from sheaf.features.bulk.engine import Line, Made, Operation, Outcome
from sheaf.features.bulk.request import BulkRequest
from sheaf.records import write
from sheaf.records.once import Once
from sheaf.records.rows import Row
from sheaf.store.table import Item

_MEMORY_BYTES = 200_000  # half of what an item of the table may hold
_HTTP: dict[Made, int] = {"created": 201, "updated": 200, "deleted": 200, "restored": 200, "skipped": 200}


def run(caller: Caller, entity: EntityType, request: BulkRequest, once: Once | None = None) -> list[Outcome]:
    """The outcome of every item, in their order; raises ValidationFailed as `parse` says, and what `atomic` raises.

    With `once` the rows have ids that the request's Idempotency-Key fixes: a second run finds what the first has written.
    """
    refuse_invalid(caller, entity, request)
    lines = numbered(entity, request)
    claim: Item = once.claim(ids.new("blk")) if once else {"seed": ids.new("blk"), "at": now_ms()}
    operation = Operation(request.verb, claim["seed"], claim["at"], request.key, request.dry, request.fields)
    if "done" in claim:
        return _remembered(entity, claim["done"], lines)
    again = once is not None and once.replayed
    if request.atomic:
        outcomes = _atomically(caller, entity, operation, lines, once, again=again)
    else:
        # What is written stays written, so trouble with one item is that item's result and not the whole answer.
        outcomes = engine.run(caller, entity, operation, lines, again=again, all_results=True)
    if once:
        once.complete(_memory(entity, outcomes))
    return outcomes


def numbered(entity: EntityType, request: BulkRequest) -> list[Line]:
    """The items as lines; one that names a row which another item names already is known to be wrong."""
    twins = Twins(entity, request.verb, request.key)
    return [Line(index, item, wrong=twins.complaint(item, index)) for index, item in enumerate(request.items)]


class Twins:
    """Finds items that are about the same row: two of them at once would have no order."""

    def __init__(self, entity: EntityType, verb: str, key: str) -> None:
        self._entity = entity
        self._name = "id" if verb in ("update", "delete") else key
        self._seen: dict[Any, int] = {}

    def complaint(self, item: Any, place: int, what: str = "item") -> ValidationFailed | None:
        """What is wrong with an item, by its place among the others."""
        value = item.get(self._name) if self._name and isinstance(item, dict) else None
        if not isinstance(value, str | int):
            return None
        first = self._seen.setdefault(self._entity.normal(self._name, value), place)
        return None if first == place else ValidationFailed.naming({self._name: f"stands in {what} {first} already"})


def summary(entity: EntityType, request: BulkRequest, outcomes: Sequence[Outcome], *, statuses: bool) -> dict[str, Any]:
    """All views of the outcomes that clients know: counts, `items` with `failures`, and `results` with a status each.

    `statuses`: each result has the HTTP status that it would have had alone.
    """
    title = _title(entity)
    failed = [outcome for outcome in outcomes if outcome.error]
    shown: dict[str, Any] = {}
    for made in {"create": ("created",), "update": ("updated",), "upsert": ("created", "updated"),
                 "delete": ("deleted",)}[request.verb]:  # fmt: skip
        shown[made] = sum(1 for outcome in outcomes if outcome.made == made)
    if skipped := sum(1 for outcome in outcomes if outcome.made == "skipped"):
        shown["skipped"] = skipped
    shown["failed"] = len(failed)
    shown["items"] = [_named(outcome.row, title) for outcome in outcomes if outcome.row and outcome.made != "skipped"]
    shown["results"] = [_result(outcome, title, statuses=statuses) for outcome in outcomes]
    if request.dry:
        shown["dryRun"] = True
    if request.return_failures:
        small = sum(len(to_json(outcome.line.item)) for outcome in failed) <= BODY_BYTES  # an answer has 6 MB
        shown["failures"] = [failure(outcome) if small else {**failure(outcome), "item": None} for outcome in failed]
    return shown


def failure(outcome: Outcome) -> dict[str, Any]:
    """An item that was not written, and why."""
    assert outcome.error is not None
    return {"index": outcome.line.index, "item": outcome.line.item, "error": outcome.error.message, "code": outcome.error.code,
            "errors": outcome.error.fields}  # fmt: skip


def refuse_invalid(caller: Caller, entity: EntityType, request: BulkRequest) -> None:
    """Raise ValidationFailed for the invalid rows of a request that wants none of them skipped."""
    if request.skip_invalid or request.verb not in ("create", "upsert"):
        return
    wrong: dict[str, str] = {}
    for index, item in enumerate(request.items):
        wrong |= {
            f"items.{index}.{path}".rstrip("."): text for path, text in complaints(caller, entity, item, request.verb).items()
        }
        if len(wrong) >= BULK_ERRORS:
            break
    if wrong:
        raise ValidationFailed("Some items are invalid, so nothing was written; skipInvalid writes the others", fields=wrong)


def complaints(caller: Caller, entity: EntityType, item: Any, verb: str) -> Mapping[str, str]:
    """What is wrong with a row before anything is read. One of an upsert may be a part, so that is told when it is written."""
    if verb == "upsert" and isinstance(item, dict):
        return {}
    try:
        write.checked(caller, entity, item)
    except ValidationFailed as error:
        return error.fields
    return {}


def _atomically(caller: Caller, entity: EntityType, operation: Operation, lines: Sequence[Line], once: Once | None, *,
                again: bool) -> list[Outcome]:  # fmt: skip
    if again:
        done = engine.reckon(caller, entity, operation, lines)
        if done:
            # All or nothing: where one row carries our stamp, an earlier try has written all that it had to.
            return atomic.completed(caller, entity, operation, lines, done)
    try:
        return atomic.run(caller, entity, operation, lines)
    except SheafError:
        if once:
            once.release()  # nothing was written, so the request may be mended and sent again
        raise


def _memory(entity: EntityType, outcomes: Sequence[Outcome]) -> str:
    """What became of the items, as JSON, for whoever sends them again."""

    title = _title(entity)

    def told(outcome: Outcome, size: int | None) -> list[Any]:
        if outcome.row and outcome.made:
            shown = _named(outcome.row, title).get(title)
            return [outcome.made, outcome.row.id, outcome.row.version, outcome.why, shown]
        assert outcome.error is not None
        error = outcome.error
        return [None, error.message[:size], error.code, error.fields if size is None else {}, error.status]

    text = to_json([told(each, None) for each in outcomes]).decode()
    return text if len(text) <= _MEMORY_BYTES else to_json([told(each, 500) for each in outcomes]).decode()


def _remembered(entity: EntityType, memory: str, lines: Sequence[Line]) -> list[Outcome]:
    """The outcomes of a bulk that was done before: nothing is tried again."""
    kept: list[list[Any]] = from_json(memory)
    title = _title(entity)
    outcomes = []
    for line, (made, *rest) in zip(lines, kept, strict=True):
        if made:
            row_id, version, why, shown = rest
            outcomes.append(Outcome(line, made, Row(row_id, version, to_json({"id": row_id, title: shown}).decode()), why=why))
            continue
        message, code, fields, status = rest
        error = SheafError(message, fields=fields)
        error.code, error.status = code, status
        outcomes.append(Outcome(line, None, error=error))
    return outcomes


def _title(entity: EntityType) -> str:
    """The field by which answers call a row: its first one."""
    return next(iter(entity.model.model_fields))


def _named(row: Row, title: str) -> dict[str, Any]:
    return {"id": row.id, **({title: document[title]} if title in (document := row.document) else {})}


def _result(outcome: Outcome, title: str, *, statuses: bool) -> Mapping[str, Any]:
    index = {"index": outcome.line.index}
    if outcome.row and outcome.made:
        status = {"httpStatus": _HTTP[outcome.made]} if statuses else {}
        why = {"reason": outcome.why} if outcome.why else {}
        return {**index, **_named(outcome.row, title), "status": outcome.made, "version": outcome.row.version, **status, **why}
    assert outcome.error is not None
    named = outcome.line.item.get("id") if isinstance(outcome.line.item, dict) else None
    whose = {"id": named[:80]} if isinstance(named, str) else {}
    status = {"httpStatus": outcome.error.status} if statuses else {}
    return {**index, **whose, "status": "failed", "error": outcome.error.message, "code": outcome.error.code,
            "errors": outcome.error.fields, **status}  # fmt: skip
