"""Does one thing to many rows, each on its own. Doing it again after a death in the middle gives the same result.

Every row that is written carries a stamp: the seed of its request or job and its index there. Whoever runs the same items
again looks for the stamps first, and leaves alone what an earlier try wrote, whatever its owner did to it since.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.errors import (
    Conflict,
    NotFound,
    NotUnique,
    PreconditionFailed,
    PreconditionRequired,
    SheafError,
    Unavailable,
    ValidationFailed,
)
from sheaf.entity.registry import EntityType
from sheaf.features.bulk.request import Verb
from sheaf.records import read, write
from sheaf.records.options import Options
from sheaf.records.rows import Row, Stamp, is_stamped, stamped
from sheaf.store.table import Item

Made = Literal["created", "updated", "deleted", "restored", "skipped"]

_THREADS = 16  # waiting for the table dominates
_TRIES = 5  # of an upsert that meets another one, and of looking for a version that is still being recorded
PAUSE = 0.4  # seconds between them


@dataclass(frozen=True, slots=True)
class Line:
    """One item: its index among the others, what it says, and its number in the file that it stands in (None without one).

    `wrong`: what is known to be wrong with it before anything is tried.
    """

    index: int
    item: Any
    number: int | None = None
    wrong: SheafError | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """What is done to every row. `seed` and `at_ms` fix the ids of new rows; `dry`: find out, write nothing.

    `fields` makes the fields of a row of what a line says; it may raise a SheafError.
    """

    verb: Verb | Literal["revert"]
    seed: str
    at_ms: int
    key: str = ""
    dry: bool = False
    fields: Callable[[Any], Any] = lambda item: item


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item: a row, or the error. `why` says why a row was left alone."""

    line: Line
    made: Made | None
    row: Row | None = None
    error: SheafError | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """One run of the engine."""

    caller: Caller
    entity: EntityType
    operation: Operation
    again: bool
    earlier: Mapping[str, Item] = field(default_factory=dict)
    aims: Mapping[int, Sequence[str]] = field(default_factory=dict)  # the rows that each line can have written

    def stamp(self, line: Line) -> Stamp:
        """What a row that the line has written carries."""
        return Stamp(self.operation.seed, line.index)

    def row_id(self, line: Line) -> str:
        """The id of the row that the line makes."""
        return ids.numbered(self.entity.prefix, self.operation.at_ms, self.operation.seed, line.index)

    def written(self, line: Line, row_id: str) -> Row | None:
        """The row as an earlier try wrote it."""
        item = self.earlier.get(row_id)
        return stamped(item) if item is not None and is_stamped(item, self.stamp(line)) else None


def run(caller: Caller, entity: EntityType, operation: Operation, lines: Sequence[Line], *,
        again: bool, all_results: bool) -> list[Outcome]:  # fmt: skip
    """The outcome of every line, in their order.

    `again`: an earlier try may have written some. With `all_results` trouble with one row is that row's result; without,
    trouble that is not the row's own (503) is raised, and the whole run is to be tried again.
    """
    batch = _batch(caller, entity, operation, lines, again=again)

    def attempt(line: Line) -> Outcome:
        try:
            if line.wrong:
                raise line.wrong
            return _VERBS[operation.verb](batch, line)
        except SheafError as error:
            if error.status >= 500 and not all_results:
                raise
            return Outcome(line, None, error=error)

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(attempt, lines))


def reckon(caller: Caller, entity: EntityType, operation: Operation, lines: Sequence[Line]) -> list[Outcome]:
    """Those outcomes that an earlier try has brought about; nothing is written."""
    batch = _batch(caller, entity, operation, lines, again=True)
    found = []
    for line in lines:
        for row_id in batch.aims[line.index]:
            if row := batch.written(line, row_id):
                found.append(Outcome(line, _made_by(batch, line, row), row))
                break
    return found


def _batch(caller: Caller, entity: EntityType, operation: Operation, lines: Sequence[Line], *, again: bool) -> Batch:
    batch = Batch(caller, entity, operation, again)
    if not again or operation.dry:
        return batch
    # Threads, since an upsert has to ask for the holder of each key.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_THREADS) as threads:
        aims = dict(zip((line.index for line in lines), threads.map(partial(_aims, batch), lines), strict=True))
    wanted = [row_id for found in aims.values() for row_id in found if ids.is_id(row_id, entity.prefix)]
    return Batch(caller, entity, operation, again, read.living_or_dead(caller, entity, wanted), aims)


def _aims(batch: Batch, line: Line) -> list[str]:
    """The rows that a line can have written: those that it names, or that hold its key, and the one that it would make."""
    verb, key = batch.operation.verb, batch.operation.key
    named = [_id_of(batch, line)] if verb in ("update", "delete", "revert") else [batch.row_id(line)]
    if verb == "upsert":
        try:
            fields = batch.operation.fields(line.item)
        except SheafError:
            return named  # said when the item is tried
        value = fields.get(key) if isinstance(fields, dict) else None
        if value is not None and (held := read.holder(batch.caller, batch.entity, key, batch.entity.normal(key, value))):
            named.append(held)
    return named


def _id_of(batch: Batch, line: Line) -> str:
    """The id that an item names, empty where it names none."""
    try:
        item = batch.operation.fields(line.item)
    except SheafError:
        return ""  # said when the item is tried
    return item["id"] if isinstance(item, dict) and isinstance(item.get("id"), str) else ""


def _create(batch: Batch, line: Line) -> Outcome:
    row_id = batch.row_id(line)
    if row_id in batch.earlier:
        # By an earlier try; whatever became of it since is its owner's.
        return Outcome(line, "created", stamped(batch.earlier[row_id]))
    fields, key = write.checked(batch.caller, batch.entity, batch.operation.fields(line.item)), batch.operation.key
    if not key or fields[key] is None:
        return Outcome(line, "created", _written(batch, line, fields))
    for _ in range(_TRIES):
        try:
            if held := read.holder(batch.caller, batch.entity, key, fields[key]):
                return Outcome(line, "skipped", read.one(batch.caller, batch.entity, held), why="is there already")
            return Outcome(line, "created", _written(batch, line, fields))
        except NotUnique as error:
            if key not in error.fields:
                raise
        except NotFound:
            pass  # the row went away between our two looks
        time.sleep(PAUSE / 4)  # another row of the same key has just come: look at it
    raise Unavailable("Other writers keep changing this row; try again")


def _update(batch: Batch, line: Line) -> Outcome:
    row_id, version, fields = addressed(batch, line)
    if not fields:
        raise ValidationFailed.naming({"": "holds nothing to change"})
    if row := batch.written(line, row_id):
        return Outcome(line, "updated", row)
    return _patched(batch, line, row_id, fields, version)


def _upsert(batch: Batch, line: Line) -> Outcome:
    if row := batch.written(line, batch.row_id(line)):
        return Outcome(line, "created", row)
    key, fields = batch.operation.key, batch.operation.fields(line.item)
    if not isinstance(fields, dict) or fields.get(key) is None:
        raise ValidationFailed.naming({key: "is required to find the row"})
    wanted = {name: value for name, value in fields.items() if name not in ("id", "version")}
    value = batch.entity.normal(key, wanted[key])
    for _ in range(_TRIES):
        try:
            if held := read.holder(batch.caller, batch.entity, key, value):
                if row := batch.written(line, held):
                    return Outcome(line, "updated", row)
                return _patched(batch, line, held, wanted, fields.get("version"))
            return Outcome(line, "created", _written(batch, line, write.checked(batch.caller, batch.entity, wanted)))
        except NotUnique as error:
            if key not in error.fields:
                raise
        except NotFound:
            pass  # the row went away, or another one came, between our look and our write
        time.sleep(PAUSE / 4)
    raise Unavailable("Other writers keep changing this row; try again")


def _delete(batch: Batch, line: Line) -> Outcome:
    row_id, version, _ = addressed(batch, line)
    if row := batch.written(line, row_id):
        return Outcome(line, "deleted", row)
    options = Options(versions(batch, version), dry=batch.operation.dry)
    return Outcome(line, "deleted", write.delete(batch.caller, batch.entity, row_id, options, stamp=batch.stamp(line)))


def _revert(batch: Batch, line: Line) -> Outcome:
    """Undo what a job did to a row, unless somebody has changed the row since."""
    row_id, made, version = line.item["id"], line.item["outcome"], line.item["version"]
    if row := batch.written(line, row_id):
        return Outcome(line, _made_by(batch, line, row), row)
    options, stamp = Options(frozenset({version}), dry=batch.operation.dry), batch.stamp(line)
    caller, entity = batch.caller, batch.entity
    try:
        if made == "deleted":
            return Outcome(line, "restored", write.restore(caller, entity, row_id, options, stamp=stamp))
        if made == "updated":
            return Outcome(line, "updated", _reverted(batch, line, row_id, version, options))
        return Outcome(line, "deleted", write.delete(caller, entity, row_id, options, stamp=stamp))
    except PreconditionFailed:
        return Outcome(line, "skipped", Row(row_id, version, "{}"), why="was edited since")
    except Conflict as error:
        if isinstance(error, NotUnique):
            raise  # its value has gone to another row: that is a failure, and no choice of its owner's
        return Outcome(line, "skipped", Row(row_id, version, "{}"), why="was restored since")
    except NotFound:
        if made == "deleted":
            raise  # the time in which it could be restored is over
        return Outcome(line, "skipped", Row(row_id, version, "{}"), why="was deleted since")


def _reverted(batch: Batch, line: Line, row_id: str, version: int, options: Options) -> Row:
    for attempt in range(_TRIES):
        current = read.one(batch.caller, batch.entity, row_id)  # NotFound here means the row, below the version
        if current.version != version:
            raise PreconditionFailed("The row was edited since")
        try:
            return write.revert(batch.caller, batch.entity, row_id, version - 1, options, stamp=batch.stamp(line))
        except NotFound:
            if attempt == _TRIES - 1:
                raise ValidationFailed.naming({"": "what it was before is not known any more"}) from None
            time.sleep(PAUSE)  # a change is recorded a moment after it is made
    raise AssertionError("unreachable")


def _written(batch: Batch, line: Line, fields: dict[str, Any]) -> Row:
    return write.create_checked(batch.caller, batch.entity, fields, Options(dry=batch.operation.dry),
                                row_id=batch.row_id(line), stamp=batch.stamp(line))  # fmt: skip


def _patched(batch: Batch, line: Line, row_id: str, fields: Mapping[str, Any], version: Any) -> Outcome:
    options = Options(versions(batch, version), dry=batch.operation.dry, changed=True)
    try:
        return Outcome(line, "updated", write.patch(batch.caller, batch.entity, row_id, fields, options, stamp=batch.stamp(line)))
    except write.Unchanged as same:
        return Outcome(line, "skipped", same.row, why="says so already")


def addressed(batch: Batch, line: Line) -> tuple[str, Any, dict[str, Any]]:
    """The id, the version and the other fields of an item."""
    item = batch.operation.fields(line.item)
    if not isinstance(item, dict) or not isinstance(item.get("id"), str):
        raise ValidationFailed.naming(
            {"id": "is required" if not isinstance(item, dict) or "id" not in item else "must be a string"}
        )
    return item["id"], item.get("version"), {name: value for name, value in item.items() if name not in ("id", "version")}


def versions(batch: Batch, version: Any) -> frozenset[int] | None:
    """The version that a row must have; raises PreconditionRequired where its entity wants one, ValidationFailed."""
    if version is None:
        if batch.entity.model.versioned:
            raise PreconditionRequired(
                f"A {batch.entity.word} is only changed with its version", fields={"version": "is required"}
            )
        return None
    if isinstance(version, str) and version.isdecimal() and len(version) < 16:
        version = int(version)  # from the cell of a table
    if not isinstance(version, int) or isinstance(version, bool):
        raise ValidationFailed.naming({"version": "must be a whole number"})
    return frozenset({version})


def _made_by(batch: Batch, line: Line, row: Row) -> Made:
    """What an earlier try did to the row that carries the line's stamp."""
    match batch.operation.verb:
        case "create" | "upsert":
            return "created" if row.id == batch.row_id(line) else "updated"
        case "update":
            return "updated"
        case "delete":
            return "deleted"
    undone: dict[str, Made] = {"deleted": "restored", "updated": "updated"}
    return undone.get(line.item["outcome"], "deleted")


_VERBS: Mapping[str, Callable[[Batch, Line], Outcome]] = {
    "create": _create,
    "update": _update,
    "upsert": _upsert,
    "delete": _delete,
    "revert": _revert,
}
