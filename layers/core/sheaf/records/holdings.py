"""What moves with a row beside the row: the files that it holds, and of a file what it takes of the tenant's room.

Both are counters of the tenant, moved in the transaction that moves the row, so that they are right whatever dies or runs twice.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sheaf.access import tenants
from sheaf.access.caller import Caller
from sheaf.base.bounds import STORAGE_ENTERPRISE_BYTES, STORAGE_FREE_BYTES, STORAGE_PRO_BYTES, UPLOADS_PENDING
from sheaf.base.config import config
from sheaf.base.errors import InUse, SheafError, StorageFull, TooManyUploads, ValidationFailed
from sheaf.entity import registry
from sheaf.entity.names import LIVE
from sheaf.entity.registry import EntityType
from sheaf.store import keys, table
from sheaf.store.table import Item, Write

Fields = Mapping[str, Any]
Refusal = Callable[[Item | None], SheafError]
Held = tuple[str, Write, Refusal | None]  # as records.commit.Mark

_QUOTAS = {"free": STORAGE_FREE_BYTES, "pro": STORAGE_PRO_BYTES, "enterprise": STORAGE_ENTERPRISE_BYTES}
_TAKES_ROOM = (*LIVE, "ready")


def moved(caller: Caller, entity: EntityType, row_id: str, before: Fields | None, after: Fields | None, *,
          restoring: bool = False) -> list[Held]:  # fmt: skip
    """The writes for a row that goes from one version to the next; None where there is none, or is none any more.

    `restoring`: it comes back from the trash, if need be without a hold on files that were deleted meanwhile.
    """
    found = list(_of_fields(caller, entity, before or {}, after or {}, restoring)) if entity.attached else []
    if entity.path == registry.FILES:
        found += _of_file(caller, row_id, before or {}, after or {})
    return found


def require_room(caller: Caller, size: int) -> None:
    """Raise StorageFull or TooManyUploads where a file of this size cannot be announced now."""
    item = table.get(config().limits_table, keys.storage(caller)) or {}
    most = quota(caller)
    if item.get("b", 0) + size > most:
        raise _full(most)
    if item.get("n", 0) >= UPLOADS_PENDING:
        raise _too_many()


def quota(caller: Caller) -> int:
    """The bytes that the tenant's files may take."""
    return _QUOTAS[(tenants.believed(caller) or {"tier": "free"})["tier"]]


def _of_fields(caller: Caller, entity: EntityType, before: Fields, after: Fields, restoring: bool) -> Iterator[Held]:
    old, new = _files(entity, before), _files(entity, after)
    for file_id in sorted({*old, *new}):
        step = len(new.get(file_id, ())) - len(old.get(file_id, ()))
        if step == 0:
            continue
        name = (new.get(file_id) or old[file_id])[0]
        write = Write(config().limits_table, "update", keys.held_file(caller, file_id), expression="ADD #n :step",
                      condition="attribute_exists(#pk)", values={"step": step})  # fmt: skip
        yield name, write, _gone(name, file_id) if step > 0 and not restoring else None


def _gone(name: str, file_id: str) -> Refusal:
    return lambda _: ValidationFailed.naming({name: f"the file {file_id[:80]!r} has just been deleted"})


def _files(entity: EntityType, fields: Fields) -> dict[str, list[str]]:
    """The files that a row holds, each with the fields that it stands in."""
    found: dict[str, list[str]] = {}
    for name in entity.attached:
        value = fields.get(name)
        for file_id, times in Counter(value if isinstance(value, list) else [value] if value else []).items():
            found.setdefault(file_id, []).extend([name] * times)
    return found


def _of_file(caller: Caller, file_id: str, before: Fields, after: Fields) -> Iterator[Held]:
    was, becomes = before.get("status"), after.get("status")
    size = int((after or before)["size"])
    room = size * ((becomes in _TAKES_ROOM) - (was in _TAKES_ROOM))
    waiting = (becomes in LIVE) - (was in LIVE)
    if room or waiting:
        yield room_for(caller, room, waiting)
    key = keys.held_file(caller, file_id)
    if becomes == "ready" and was != "ready":
        yield "status", Write(config().limits_table, "put", key, item={"n": 0}), None
    elif was == "ready" and becomes != "ready":
        yield "status", Write(config().limits_table, "delete", key, condition="attribute_not_exists(#pk) OR #n <= :none",
                              values={"none": 0}), _in_use  # fmt: skip


def room_for(caller: Caller, room: int, waiting: int) -> Held:
    """The write that takes so many bytes more of the tenant's room, for so many files more; raises StorageFull."""
    key, values = keys.storage(caller), {"room": room, "waiting": waiting}
    adding = "ADD #b :room, #n :waiting"
    if room <= 0 and waiting <= 0:
        return "size", Write(config().limits_table, "update", key, expression=adding, values=values), None
    most = quota(caller)
    if room > most:
        raise _full(most)
    condition = "(attribute_not_exists(#b) OR #b <= :left) AND (attribute_not_exists(#n) OR #n <= :pending)"
    bounds = values | {"left": most - room, "pending": UPLOADS_PENDING - waiting}
    write = Write(config().limits_table, "update", key, expression=adding, condition=condition, values=bounds)
    return "size", write, lambda old: _full(most) if old is None or old["b"] > most - room else _too_many()


def _in_use(_: Item | None) -> SheafError:
    return InUse("Rows hold this file; it can be deleted once they have let it go")


def _full(most: int) -> SheafError:
    return StorageFull(f"The files of this tenant may take {most:,} bytes, and this one does not fit any more",
                       extra={"quotaBytes": most})  # fmt: skip


def _too_many() -> SheafError:
    return TooManyUploads(f"{UPLOADS_PENDING} announced files of this tenant have not arrived yet; send or delete some first",
                          headers={"Retry-After": "60"})  # fmt: skip
