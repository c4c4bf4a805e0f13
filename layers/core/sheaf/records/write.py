"""The only writer of entity rows. Each function is one atomic write; the stream tells everybody else."""

from collections.abc import Mapping
from typing import Any

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import NotFound, PreconditionFailed, Unavailable
from sheaf.entity.names import SYSTEM_FIELDS
from sheaf.entity.registry import EntityType
from sheaf.records.rows import Row, Stamp, from_item, to_item
from sheaf.store import keys, table
from sheaf.store.table import ConditionFailed, Item, Write

_TRIES = 5  # of a write without If-Match that meets another writer


def create(caller: Caller, entity: EntityType, body: object, *, row_id: str | None = None, stamp: Stamp | None = None) -> Row:
    """Write a new row; raises ValidationFailed or TooLarge.

    With `row_id` (and `stamp`) a second try of the same row finds the first one and returns it.
    """
    return create_checked(caller, entity, entity.checked(body), row_id=row_id, stamp=stamp)


def create_checked(
    caller: Caller, entity: EntityType, fields: Mapping[str, Any], *, row_id: str | None = None, stamp: Stamp | None = None
) -> Row:
    """`create` for fields that `EntityType.checked` has returned."""
    at_ms = now_ms()
    made_id = row_id or ids.new(entity.prefix, at_ms)
    key = keys.record(caller, entity.path, made_id)
    item = to_item(caller, entity, fields, row_id=made_id, version=1, created=iso(at_ms), at_ms=at_ms, stamp=stamp)
    try:
        table.put(config().records_table, key, item, condition="attribute_not_exists(#pk)")
    except ConditionFailed as failure:
        if failure.old is None or not (_is_ours(failure.old, item) or _is_stamped(failure.old, stamp)):
            raise Unavailable("The row could not be written; try again") from None
        return Row(made_id, failure.old["v"], failure.old["d"])
    return Row(made_id, 1, item["d"])


def replace(caller: Caller, entity: EntityType, row_id: str, body: object, version: int | None) -> Row:
    """PUT: the body is the whole row. `version` is the one that If-Match demands."""
    fields = entity.checked(body)
    return _change(caller, entity, row_id, version, lambda _: fields)


def patch(caller: Caller, entity: EntityType, row_id: str, body: object, version: int | None) -> Row:
    """PATCH: the body's fields replace the row's; the result is checked as a whole."""

    def merged(old: Mapping[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in old.items() if name in entity.model.model_fields}
        return entity.checked({**kept, **body} if isinstance(body, dict) else body)

    return _change(caller, entity, row_id, version, merged)


def delete(caller: Caller, entity: EntityType, row_id: str, version: int | None) -> Row:
    """Move the row to the trash, one version up."""
    for _ in range(_TRIES):
        old = _current(caller, entity, row_id, version)
        at_ms = now_ms()
        document = {name: value for name, value in from_item(old).document.items() if name not in SYSTEM_FIELDS}
        created = from_item(old).document["createdAt"]
        item = to_item(caller, entity, document, row_id=row_id, version=old["v"] + 1, created=created, at_ms=at_ms, previous=old)
        gone = {name: value for name, value in item.items() if name not in entity.indexes.values()}
        try:
            table.commit([
                Write(config().records_table, "delete", keys.record(caller, entity.path, row_id),
                      condition="#v = :version", values={"version": old["v"]}),
                Write(config().records_table, "put", keys.trash(caller, entity.path, row_id), item=gone),
            ])  # fmt: skip
        except ConditionFailed:
            continue
        return Row(row_id, item["v"], item["d"])
    raise Unavailable("Other writers keep changing this row; try again")


def _change(caller: Caller, entity: EntityType, row_id: str, version: int | None, change: Any) -> Row:
    for _ in range(_TRIES):
        old = _current(caller, entity, row_id, version)
        document = from_item(old).document
        item = to_item(
            caller, entity, change(document), row_id=row_id, version=old["v"] + 1,
            created=document["createdAt"], at_ms=now_ms(), previous=old,
        )  # fmt: skip
        try:
            table.put(config().records_table, keys.record(caller, entity.path, row_id), item,
                      condition="#v = :version", values={"version": old["v"]})  # fmt: skip
        except ConditionFailed as failure:
            if not (failure.old and _is_ours(failure.old, item)):
                continue  # without If-Match the change applies to whatever is there now
        return Row(row_id, item["v"], item["d"])
    raise Unavailable("Other writers keep changing this row; try again")


def _current(caller: Caller, entity: EntityType, row_id: str, version: int | None) -> Item:
    old = None
    if ids.is_id(row_id, entity.prefix):
        old = table.get(config().records_table, keys.record(caller, entity.path, row_id))
    if old is None:
        raise NotFound(f"There is no {entity.word} {row_id[:80]!r}")
    if version is not None and old["v"] != version:
        raise PreconditionFailed(f"The {entity.word} is at version {old['v']}, not {version}", headers={"ETag": f'"{old["v"]}"'})
    return old


def _is_ours(old: Item, item: Item) -> bool:
    """Whether a write that was refused had in fact come through: its answer was lost and the client library sent it again."""
    return (old["d"], old["a"], old["q"], old["u"]) == (item["d"], item["a"], item["q"], item["u"])


def _is_stamped(old: Item, stamp: Stamp | None) -> bool:
    return stamp is not None and (old.get("j"), old.get("n")) == (stamp.job, stamp.index)
