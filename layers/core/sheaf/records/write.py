"""The only writer of entity rows. Each function is one atomic write; the stream tells everybody else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sheaf.access import roles
from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import TRASH_DAYS
from sheaf.base.clock import iso, now, now_ms
from sheaf.base.config import config
from sheaf.base.errors import Conflict, NotFound, PreconditionFailed, PreconditionRequired, Unavailable
from sheaf.entity.hooks import Change, Verb
from sheaf.entity.registry import EntityType
from sheaf.records import events, read, relations, versions
from sheaf.records.commit import TRIES, AlongFailed, KeyTaken, Mark, RowMoved, commit, marks
from sheaf.records.events import Event
from sheaf.records.options import PLAIN, Options
from sheaf.records.relations import Beside
from sheaf.records.rows import Row, Stamp, fields_of, from_item, in_trash, is_stamped, to_item
from sheaf.store import keys, table
from sheaf.store.table import Item, Write

Fields = dict[str, Any]
Edit = Callable[[Fields, Change], Fields]

_FRESH = "attribute_not_exists(#pk)"
_SAME = "#v = :version"


class Unchanged(Exception):
    """The row says all of it already; `row` is the row as it stands."""

    def __init__(self, row: Row) -> None:
        super().__init__("nothing would change")
        self.row = row


@dataclass(frozen=True, slots=True)
class Planned:
    """A write that is worked out and not done yet. `item` is the row's new one, `marks` those of its fields."""

    row: Row
    item: Item
    writes: list[Write]
    marks: list[Mark]

    @property
    def pointer(self) -> dict[str, str | int]:
        """What the record of a request keeps of it."""
        return {"row": self.row.id, "v": self.row.version}


def create(caller: Caller, entity: EntityType, body: object, options: Options = PLAIN, *, row_id: str | None = None,
           stamp: Stamp | None = None) -> Row:  # fmt: skip
    """Write a new row; raises ValidationFailed, TooLarge or NotUnique.

    With `row_id` (and `stamp`) a second try of the same row finds the first one and returns it.
    """
    return _once(
        caller, entity, options,
        lambda: create_checked(caller, entity, checked(caller, entity, body), options, row_id=row_id, stamp=stamp),
    )  # fmt: skip


def checked(caller: Caller, entity: EntityType, body: object) -> Fields:
    """The fields of a new row, computed ones included; raises ValidationFailed with one message per field."""
    return entity.created(body, _change(caller, "created", now_ms()))


def create_checked(caller: Caller, entity: EntityType, fields: Fields, options: Options = PLAIN, *, row_id: str | None = None,
                   stamp: Stamp | None = None) -> Row:  # fmt: skip
    """`create` for fields that `checked` has returned."""
    planned = plan_create(caller, entity, fields, row_id=row_id, stamp=stamp)
    try:
        commit(planned.writes, planned.marks, options, planned.pointer)
    except RowMoved as moved:
        if moved.old is None or not (is_ours(moved.old, planned.item) or (stamp and is_stamped(moved.old, stamp))):
            raise Unavailable("The row could not be written; try again") from None
        return from_item(moved.old)
    return planned.row


def plan_create(caller: Caller, entity: EntityType, fields: Fields, *, row_id: str | None = None,
                stamp: Stamp | None = None, beside: Beside | None = None) -> Planned:  # fmt: skip
    """The writes of a new row with fields that `checked` has returned; raises ValidationFailed, TooLarge.

    `beside`: what the same transaction does to the rows that this one points to.
    """
    relations.check(caller, entity, fields, beside=beside)
    at_ms = now_ms()
    made_id = row_id or ids.new(entity.prefix, at_ms)
    item = to_item(caller, entity, fields, row_id=made_id, version=1, at_ms=at_ms, stamp=stamp)
    put = Write(config().records_table, "put", keys.record(caller, entity.path, made_id), item=item, condition=_FRESH)
    return Planned(Row(made_id, 1, item["d"]), item, [put], marks(caller, entity, made_id, None, fields))


def replace(caller: Caller, entity: EntityType, row_id: str, body: object, options: Options = PLAIN) -> Row:
    """PUT: the body is the whole row."""
    return _edit(caller, entity, row_id, options, _replacing(entity, body))


def plan_replace(caller: Caller, entity: EntityType, row_id: str, body: object, options: Options = PLAIN, *,
                 beside: Beside | None = None) -> Planned:  # fmt: skip
    """The writes of `replace` for the row as it stands; `beside` as in `plan_create`."""
    return _plan_edit(caller, entity, row_id, options, _replacing(entity, body), stamp=None, beside=beside)


def patch(caller: Caller, entity: EntityType, row_id: str, body: object, options: Options = PLAIN, *,
          stamp: Stamp | None = None) -> Row:  # fmt: skip
    """PATCH: the body is laid over the row (RFC 7396); the result is checked as a whole."""
    return _edit(caller, entity, row_id, options, _patching(entity, body), stamp=stamp)


def plan_patch(caller: Caller, entity: EntityType, row_id: str, body: object, options: Options = PLAIN, *,
               stamp: Stamp | None = None, beside: Beside | None = None) -> Planned:  # fmt: skip
    """The writes of `patch` for the row as it stands; `beside` as in `plan_create`."""
    return _plan_edit(caller, entity, row_id, options, _patching(entity, body), stamp=stamp, beside=beside)


def revert(caller: Caller, entity: EntityType, row_id: str, version: int, options: Options = PLAIN, *,
           stamp: Stamp | None = None) -> Row:  # fmt: skip
    """Write the row anew as it was at a version; raises NotFound where that is not known."""
    return _edit(caller, entity, row_id, options, _earlier(caller, entity, row_id, version), stamp=stamp)


def plan_revert(caller: Caller, entity: EntityType, row_id: str, version: int, options: Options = PLAIN, *,
                beside: Beside | None = None) -> Planned:  # fmt: skip
    """The writes of `revert` for the row as it stands; `beside` as in `plan_create`."""
    return _plan_edit(caller, entity, row_id, options, _earlier(caller, entity, row_id, version), stamp=None, beside=beside)


def put_back(caller: Caller, entity: EntityType, row_id: str, fields: Fields, options: Options = PLAIN, *,
             stamp: Stamp | None = None, beside: Beside | None = None) -> Row:  # fmt: skip
    """Make a row what it was, fixed and hidden fields included; raises what `patch` raises."""
    return _edit_row(caller, entity, row_id, options, lambda _, change: entity.overwritten(fields, change), stamp=stamp,
                     beside=beside)  # fmt: skip


def make_again(caller: Caller, entity: EntityType, row_id: str, fields: Fields, last: Event, *,
               stamp: Stamp | None = None, beside: Beside | None = None) -> Row:  # fmt: skip
    """Write a row anew of which nothing but its log is left, one version above its `last` change."""
    checked_fields = entity.overwritten(fields, _change(caller, "created", now_ms()))
    at_ms = now_ms()
    item = to_item(caller, entity, checked_fields, row_id=row_id, version=last.sequence + 1, at_ms=at_ms,
                   previous={"u": last.at_ms}, stamp=stamp)  # fmt: skip
    relations.check(caller, entity, checked_fields, beside=beside)
    put = Write(config().records_table, "put", keys.record(caller, entity.path, row_id), item=item, condition=_FRESH)
    row = Row(row_id, item["v"], item["d"])
    try:
        commit([put], marks(caller, entity, row_id, None, checked_fields), PLAIN, {"row": row_id, "v": item["v"]})
    except RowMoved as moved:
        if moved.old is None or not (is_ours(moved.old, item) or (stamp and is_stamped(moved.old, stamp))):
            raise Conflict(f"The {entity.word} was made again by somebody else just now") from None
        return from_item(moved.old)
    return row


def _replacing(entity: EntityType, body: object) -> Edit:
    return lambda old, change: entity.replaced(old, body, change)


def _patching(entity: EntityType, body: object) -> Edit:
    return lambda old, change: entity.patched(old, body, change)


def _earlier(caller: Caller, entity: EntityType, row_id: str, version: int) -> Edit:
    def earlier(old: Fields, change: Change) -> Fields:
        then = old if old["version"] == version else versions.at_version(caller, entity, None, row_id, version)
        if then is None:
            raise NotFound(f"Version {version} of {entity.word} {row_id[:80]!r} is not known")
        return entity.reverted(old, then, change)

    return earlier


def delete(caller: Caller, entity: EntityType, row_id: str, options: Options = PLAIN, *, stamp: Stamp | None = None) -> Row:
    """Move the row to the trash, one version up; it can be restored for TRASH_DAYS."""
    return _once(caller, entity, options, lambda: _delete(caller, entity, row_id, options, stamp))


def _delete(caller: Caller, entity: EntityType, row_id: str, options: Options, stamp: Stamp | None) -> Row:
    for _ in range(TRIES):
        planned = plan_delete(caller, entity, row_id, options, stamp=stamp)
        try:
            commit(planned.writes, planned.marks, options, planned.pointer)
        except RowMoved:
            continue
        return planned.row
    raise Unavailable("Other writers keep changing this row; try again")


def plan_delete(caller: Caller, entity: EntityType, row_id: str, options: Options = PLAIN, *,
                stamp: Stamp | None = None) -> Planned:  # fmt: skip
    """The writes of `delete` for the row as it stands."""
    old, fields = _current(caller, entity, row_id, options)
    _require_version(entity, old, options)
    item = to_item(caller, entity, _own(entity, fields), row_id=row_id, version=old["v"] + 1, at_ms=now_ms(), previous=old,
                   stamp=stamp)  # fmt: skip
    gone = in_trash(entity, item, now() + TRASH_DAYS * 86_400)
    writes = [
        Write(config().records_table, "delete", keys.record(caller, entity.path, row_id),
              condition=_SAME, values={"version": old["v"]}),
        Write(config().records_table, "put", keys.trash(caller, entity.path, row_id), item=gone),
    ]  # fmt: skip
    return Planned(Row(row_id, item["v"], item["d"]), item, writes, marks(caller, entity, row_id, fields, None))


def restore(caller: Caller, entity: EntityType, row_id: str, options: Options = PLAIN, *, stamp: Stamp | None = None) -> Row:
    """Take the row out of the trash, one version up; raises NotFound, Conflict where it is not deleted, NotUnique."""
    return _once(caller, entity, options, lambda: _restore(caller, entity, row_id, options, stamp))


def _restore(caller: Caller, entity: EntityType, row_id: str, options: Options, stamp: Stamp | None) -> Row:
    planned = plan_restore(caller, entity, row_id, options, stamp=stamp)
    try:
        commit(planned.writes, planned.marks, options, planned.pointer)
    except RowMoved:
        raise Conflict(f"The {entity.word} was restored or changed by somebody else just now") from None
    return planned.row


def plan_restore(caller: Caller, entity: EntityType, row_id: str, options: Options = PLAIN, *,
                 stamp: Stamp | None = None) -> Planned:  # fmt: skip
    """The writes of `restore` for the row as it stands in the trash."""
    live, trash = keys.record(caller, entity.path, row_id), keys.trash(caller, entity.path, row_id)
    found = table.get_many(config().records_table, [live, trash]) if ids.is_id(row_id, entity.prefix) else {}
    if live in found:
        raise Conflict(f"The {entity.word} is not deleted")
    old = found.get(trash)
    if old is None or old["ttl"] < now():
        raise NotFound(f"There is no deleted {entity.word} {row_id[:80]!r}")
    known = fields_of(old)
    roles.require_owner(caller, entity.model.owner, known, "restore")
    _demand_version(caller, entity, old, options)
    _require_version(entity, old, options)
    fields = _own(entity, known)
    item = to_item(caller, entity, fields, row_id=row_id, version=old["v"] + 1, at_ms=now_ms(), previous=old, stamp=stamp)
    writes = [
        Write(config().records_table, "delete", trash, condition=_SAME, values={"version": old["v"]}),
        Write(config().records_table, "put", live, item=item, condition=_FRESH),
    ]
    moved = marks(caller, entity, row_id, None, fields, restoring=True)
    return Planned(Row(row_id, item["v"], item["d"]), item, writes, moved)


def replayed(caller: Caller, entity: EntityType, record: Item) -> Row:
    """The answer of the request that came first: the version of the row that it made."""
    row_id, version = record["row"], record["v"]
    live, trash = keys.record(caller, entity.path, row_id), keys.trash(caller, entity.path, row_id)
    for item in table.get_many(config().records_table, [live, trash]).values():
        if item["v"] == version:
            return from_item(item)
    event = events.load(caller, row_id, version)
    if event is None:
        raise Unavailable("The first answer to this Idempotency-Key is still being recorded; try again")
    return Row(row_id, version, event.data)


def _edit(caller: Caller, entity: EntityType, row_id: str, options: Options, edit: Edit, *,
          stamp: Stamp | None = None) -> Row:  # fmt: skip
    return _once(caller, entity, options, lambda: _edit_row(caller, entity, row_id, options, edit, stamp=stamp))


def _edit_row(caller: Caller, entity: EntityType, row_id: str, options: Options, edit: Edit, *,
              stamp: Stamp | None, beside: Beside | None = None) -> Row:  # fmt: skip
    for _ in range(TRIES):
        planned = _plan_edit(caller, entity, row_id, options, edit, stamp=stamp, beside=beside)
        try:
            commit(planned.writes, planned.marks, options, planned.pointer)
        except RowMoved as moved:
            if not (moved.old and is_ours(moved.old, planned.item)):
                continue  # without If-Match the change applies to whatever is there now
        return planned.row
    raise Unavailable("Other writers keep changing this row; try again")


def _plan_edit(caller: Caller, entity: EntityType, row_id: str, options: Options, edit: Edit, *,
               stamp: Stamp | None, beside: Beside | None = None) -> Planned:  # fmt: skip
    old, before = _current(caller, entity, row_id, options)
    at_ms = now_ms()
    fields = _edited(caller, entity, old, options, partial(_applied, caller, edit, at_ms), current=before)
    if options.changed and fields == _own(entity, before):
        raise Unchanged(from_item(old))
    relations.check(caller, entity, fields, before, beside=beside)
    item = to_item(caller, entity, fields, row_id=row_id, version=old["v"] + 1, at_ms=at_ms, previous=old, stamp=stamp)
    put = Write(config().records_table, "put", keys.record(caller, entity.path, row_id), item=item,
                condition=_SAME, values={"version": old["v"]})  # fmt: skip
    return Planned(Row(row_id, item["v"], item["d"]), item, [put], marks(caller, entity, row_id, before, fields))


def _applied(caller: Caller, edit: Edit, at_ms: int, base: Fields) -> Fields:
    return edit(base, _change(caller, "updated", at_ms, base))


def _edited(caller: Caller, entity: EntityType, old: Item, options: Options, edit: Callable[[Fields], Fields], *,
            current: Fields) -> Fields:  # fmt: skip
    """The edited fields on top of what is there; raises PreconditionFailed where If-Match does not allow it."""
    if options.versions is None or old["v"] in options.versions:
        return edit(current)
    # A worker knows what to do about a stale version; only a client is told the whole story.
    wanted = max(options.versions, default=0)
    base = None if caller.kind == "worker" else versions.at_version(caller, entity, old, old["sk"], wanted)
    if base is None:
        raise _stale(entity, old, options, {})
    yours = edit({**current, **base})
    compared = versions.comparison(entity, base, {**base, **yours}, current)
    if not options.merge or any(each["conflict"] for each in compared.values()):
        raise _stale(entity, old, options, {"diff": compared})
    mine = {name: each["yours"] for name, each in compared.items() if each["yours"] != each["base"] and name not in entity.fixed}
    # Nobody sees a hidden field: what the request says of it stands.
    mine |= {name: yours[name] for name in entity.hidden if yours.get(name) != current.get(name)}
    return entity.overlaid(current, mine, _change(caller, "updated", now_ms(), current))


def _current(caller: Caller, entity: EntityType, row_id: str, options: Options) -> tuple[Item, Fields]:
    """The row that is to be changed, and its fields; raises what forbids the change."""
    old = read.item(caller, entity, row_id)
    fields = fields_of(old)
    roles.require_owner(caller, entity.model.owner, fields, "edit")
    _demand_version(caller, entity, old, options)
    return old, fields


def _demand_version(caller: Caller, entity: EntityType, old: Item, options: Options) -> None:
    if entity.model.versioned and options.versions is None and caller.kind != "worker":
        raise PreconditionRequired(f"A {entity.word} is only changed with If-Match; send the version that ETag gave you",
                                   headers={"ETag": f'"{old["v"]}"'})  # fmt: skip


def _require_version(entity: EntityType, old: Item, options: Options) -> None:
    if options.versions is not None and old["v"] not in options.versions:
        raise _stale(entity, old, options, {})


def _stale(entity: EntityType, old: Item, options: Options, extra: Mapping[str, Any]) -> PreconditionFailed:
    asked = ", ".join(map(str, sorted(options.versions or ()))) or "none that can match"
    return PreconditionFailed(f"The {entity.word} is at version {old['v']}, not {asked}", headers={"ETag": f'"{old["v"]}"'},
                              extra={"currentVersion": old["v"], **extra})  # fmt: skip


def change_of(caller: Caller, verb: Verb) -> Change:
    """A change that happens now, for a row that was not there."""
    return _change(caller, verb, now_ms())


def _change(caller: Caller, verb: Verb, at_ms: int, before: Fields | None = None) -> Change:
    return Change(verb, caller.principal, iso(at_ms), before)


def _own(entity: EntityType, fields: Fields) -> Fields:
    """The entity's own fields, as far as it still declares them."""
    return {name: value for name, value in fields.items() if name in entity.model.model_fields}


def _once(caller: Caller, entity: EntityType, options: Options, work: Callable[[], Row]) -> Row:
    """Do the work unless an earlier request under the same key has; its twin may also win while the work is under way."""
    if options.once is None:
        return work()
    if first := options.once.found():
        return replayed(caller, entity, first)
    try:
        return work()
    except (KeyTaken, AlongFailed, NotFound, Conflict, PreconditionFailed) as refusal:
        if first := options.once.found():
            return replayed(caller, entity, first)
        if isinstance(refusal, KeyTaken):
            raise Unavailable("The Idempotency-Key has just expired; try again") from None
        raise


def is_ours(old: Item, item: Item) -> bool:
    """Whether a write that was refused had in fact come through: its answer was lost and the client library sent it again."""
    return (old["d"], old["a"], old["q"], old["u"]) == (item["d"], item["a"], item["q"], item["u"])
