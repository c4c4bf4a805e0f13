"""One write as one commit: the row, its marks of uniqueness and the request's record, all or nothing."""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from sheaf.access.caller import Caller
from sheaf.base.config import config
from sheaf.base.errors import NotUnique, Unavailable
from sheaf.entity.filters import index_value
from sheaf.entity.registry import EntityType
from sheaf.records import holdings
from sheaf.records.options import Options
from sheaf.store import keys, table
from sheaf.store.table import ConditionFailed, Contended, Write

TRIES = 5  # of a write that meets another writer


class RowMoved(Exception):
    """A row is not as it was when it was read; `old` is what was found, `position` its place among the rows' writes."""

    def __init__(self, failure: ConditionFailed) -> None:
        super().__init__("the row has moved")
        self.old = failure.old
        self.position = failure.position


class AlongFailed(Exception):
    """The condition of a write that was to go along did not hold: `number` of Options.along; `old` is what was found."""

    def __init__(self, failure: ConditionFailed, number: int) -> None:
        super().__init__("a write that was to go along was refused")
        self.old = failure.old
        self.number = number


class KeyTaken(Exception):
    """Another request with the same Idempotency-Key has committed."""


class Mark(NamedTuple):
    """A write that belongs to a value of a row's field. `refusal`: what it means that its condition does not hold.

    Without one the row goes without the mark, unless it was to be put: then the value is taken.
    """

    field: str
    write: Write
    refusal: holdings.Refusal | None = None


def commit(rows: Sequence[Write], marks: Sequence[Mark], options: Options, pointer: Mapping[str, str | int]) -> None:
    """Write `rows` (the first one's condition is the row's), their `marks` and the request's record.

    Raises RowMoved, AlongFailed, NotUnique, KeyTaken, Unavailable, and the refusal of a mark.
    """
    record = [options.once.record(**pointer)] if options.once and not options.dry else []
    left, before_marks = list(marks), len(rows) + len(options.along)
    for attempt in range(TRIES + len(left)):
        writes = [*rows, *options.along, *(mark.write for mark in left), *record]
        try:
            (table.check if options.dry else table.commit)(writes)
        except Contended:
            # Meeting another transaction says nothing about this one: it may pass a moment later.
            time.sleep(random.uniform(0.01, 0.04) * (attempt % TRIES + 1))  # noqa: S311  # spreads writers, keeps no secret
            continue
        except ConditionFailed as failure:
            if failure.position < len(rows):
                raise RowMoved(failure) from None
            if failure.position < before_marks:
                raise AlongFailed(failure, failure.position - len(rows)) from None
            if record and failure.position == len(writes) - 1:
                raise KeyTaken from None
            field, mark, refusal = left.pop(failure.position - before_marks)
            if refusal is not None:
                raise refusal(failure.old) from None
            if mark.kind != "put":
                continue  # the row is older than the rule: it never had this mark, and another row has it now
            taken = NotUnique(f"{field}: is taken by another row", fields={field: "is taken by another row"})
            taken.key = mark.key
            raise taken from None
        return
    raise Unavailable("Other writers keep changing this row; try again")


def marks_of_all(found: Sequence[Mark]) -> list[Mark]:
    """The marks of several rows of one transaction, which touches an item once: steps of one counter are added up."""
    steps: dict[keys.Key, Mark] = {}
    others = []
    for mark in found:
        if "step" not in mark.write.values:
            others.append(mark)
            continue
        before = steps.get(mark.write.key)
        step = mark.write.values["step"] + (before.write.values["step"] if before else 0)
        refusal = mark.refusal or (before.refusal if before else None)
        steps[mark.write.key] = Mark(mark.field, replace(mark.write, values={"step": step}), refusal)
    return [*others, *(mark for mark in steps.values() if mark.write.values["step"])]


def marks(caller: Caller, entity: EntityType, row_id: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None,
          *, restoring: bool = False) -> list[Mark]:  # fmt: skip
    """The writes that move the marks of a row's fields, unique ones and files, from one version to the next."""
    found = [Mark(*held) for held in holdings.moved(caller, entity, row_id, before, after, restoring=restoring)]
    for name in entity.uniques:
        old = _mark(caller, entity, name, (before or {}).get(name))
        new = _mark(caller, entity, name, (after or {}).get(name))
        if old == new:
            continue
        mine = {"row": row_id}
        if new is not None:
            found.append(Mark(name, Write(config().records_table, "put", new, item={"r": row_id},
                                          condition="attribute_not_exists(#pk) OR #r = :row", values=mine)))  # fmt: skip
        if old is not None:
            found.append(Mark(name, Write(config().records_table, "delete", old,
                                          condition="attribute_not_exists(#pk) OR #r = :row", values=mine)))  # fmt: skip
    return found


def _mark(caller: Caller, entity: EntityType, name: str, value: Any) -> keys.Key | None:
    return None if value is None else keys.unique(caller, entity.path, name, index_value(entity.kinds.get(name), value))
