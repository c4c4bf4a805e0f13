"""All items or none, in one transaction."""

import time
from collections.abc import Sequence

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.errors import SheafError, Unavailable, ValidationFailed
from sheaf.entity.registry import EntityType
from sheaf.features.bulk.engine import PAUSE, Batch, Line, Made, Operation, Outcome, addressed, versions
from sheaf.records import read, write
from sheaf.records.commit import TRIES, RowMoved
from sheaf.records.options import Options
from sheaf.records.rows import Row, Stamp, from_item
from sheaf.records.together import Blamed, commit_all
from sheaf.records.write import Planned, Unchanged
from sheaf.store.table import Item

Step = tuple[Made, Planned | Row]  # a write, or a row that needs none


def run(caller: Caller, entity: EntityType, operation: Operation, lines: Sequence[Line]) -> list[Outcome]:
    """The outcomes of all items. The first error is the request's, its fields under `items.N`, and nothing is written.

    Raises TooLarge where the rows with their marks take more than a transaction has.
    """
    for _ in range(TRIES):
        steps = [_planned(caller, entity, operation, line) for line in lines]
        planned = [(plan, line) for (_, plan), line in zip(steps, lines, strict=True) if isinstance(plan, Planned)]
        try:
            if planned:
                commit_all([plan for plan, _ in planned], Options(dry=operation.dry), {})
        except RowMoved:
            time.sleep(PAUSE / 10)
            continue  # another writer came between our look and the transaction: look again
        except Blamed as blamed:
            raise _about(planned[blamed.place][1], blamed.error) from None
        return [_outcome(line, step) for line, step in zip(lines, steps, strict=True)]
    raise Unavailable("Other writers keep changing these rows; try again")


def completed(caller: Caller, entity: EntityType, operation: Operation, lines: Sequence[Line],
              done: Sequence[Outcome]) -> list[Outcome]:  # fmt: skip
    """The outcomes where an earlier try got through: rows that carry no stamp of ours needed no change."""
    known = {each.line.index: each for each in done}
    return [known.get(line.index) or _untouched(caller, entity, operation, line) for line in lines]


def _untouched(caller: Caller, entity: EntityType, operation: Operation, line: Line) -> Outcome:
    item = operation.fields(line.item)
    if operation.key:
        row_id = read.holder(caller, entity, operation.key, entity.normal(operation.key, item[operation.key])) or ""
    else:
        row_id = item["id"]
    found: dict[str, Item] = read.living_or_dead(caller, entity, [row_id]) if ids.is_id(row_id, entity.prefix) else {}
    row = from_item(found[row_id]) if row_id in found else Row(row_id, 0, "{}")
    return Outcome(line, "skipped", row, why="is there already" if operation.verb == "create" else "says so already")


def _planned(caller: Caller, entity: EntityType, operation: Operation, line: Line) -> Step:
    try:
        if line.wrong:
            raise line.wrong
        return _step(Batch(caller, entity, operation, False), line)
    except Unavailable:
        raise
    except SheafError as error:
        raise _about(line, error) from None


def _step(batch: Batch, line: Line) -> Step:
    caller, entity, operation, stamp = batch.caller, batch.entity, batch.operation, batch.stamp(line)
    match operation.verb:
        case "update":
            row_id, version, fields = addressed(batch, line)
            return _change(batch, row_id, fields, version, stamp)
        case "delete":
            row_id, version, _ = addressed(batch, line)
            options = Options(versions(batch, version))
            return "deleted", write.plan_delete(caller, entity, row_id, options, stamp=stamp)
    fields = operation.fields(line.item)
    version = fields.get("version") if isinstance(fields, dict) else None
    if operation.verb == "upsert" and isinstance(fields, dict):
        fields = {name: value for name, value in fields.items() if name not in ("id", "version")}
    if operation.key and isinstance(fields, dict):
        if fields.get(operation.key) is None:
            raise ValidationFailed.naming({operation.key: "is required to find the row"})
        held = read.holder(caller, entity, operation.key, entity.normal(operation.key, fields[operation.key]))
        if held and operation.verb == "upsert":
            return _change(batch, held, fields, version, stamp)
        if held:
            return "skipped", read.one(caller, entity, held)
    return "created", write.plan_create(
        caller, entity, write.checked(caller, entity, fields), row_id=batch.row_id(line), stamp=stamp
    )


def _change(batch: Batch, row_id: str, fields: object, version: object, stamp: Stamp) -> Step:
    options = Options(versions(batch, version), changed=True)
    try:
        return "updated", write.plan_patch(batch.caller, batch.entity, row_id, fields, options, stamp=stamp)
    except Unchanged as same:
        return "skipped", same.row


def _about(line: Line, error: SheafError) -> SheafError:
    error.fields = {
        f"items.{line.index}.{name}".rstrip("."): text for name, text in (error.fields or {"": error.message}).items()
    }
    error.message = f"Item {line.index}: {error.message}; nothing was written"
    return error


def _outcome(line: Line, step: Step) -> Outcome:
    made, plan = step
    row = plan.row if isinstance(plan, Planned) else plan
    return Outcome(line, made, row, why="says so already" if made == "skipped" else "")
