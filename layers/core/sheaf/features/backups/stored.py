"""Backups: what there is of a tenant, where it lies, and what it holds."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, Literal

from pydantic_core import from_json, to_json

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import BACKUP_ROWS, BACKUPS, LINK_SECONDS
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import Conflict, InvalidCursor, InvalidParameter, NotFound, ValidationFailed
from sheaf.entity import registry
from sheaf.entity.body import object_of
from sheaf.entity.moments import span_of
from sheaf.jobs import machine
from sheaf.records import notes
from sheaf.records.once import Once, put_once
from sheaf.store import blobs, keys, table
from sheaf.store.keys import Scope
from sheaf.store.table import ConditionFailed, Item, Span, Write

Kind = Literal["tenant", "entity", "record"]
_FIELDS = ("name", "scope", "entity", "ids")


def create(caller: Caller, body: object, once: Once | None) -> dict[str, Any]:
    """Begin a backup: `{"name"?, "scope"?: "tenant", "entity"?: "tasks", "ids"?: ["tsk_…"]}`, without more of the whole tenant.

    Raises ValidationFailed, Conflict where the tenant has BACKUPS.
    """
    if once and (first := once.found()):
        return show(caller, first["backup"])
    return _begin(caller, read(body), once, scheduled="")


def begin_scheduled(scope: Caller, name: str, due_ms: int) -> None:
    """The backup that a schedule asks for at a time; a second time it is the same one. Raises Conflict, TooManyJobs."""
    backup_id = ids.derived("bak", due_ms, f"{scope.tenant}:{due_ms}")
    known = table.get(config().control_table, keys.backup(scope, backup_id))
    if known is None:
        try:
            _begin(scope, {"name": name, "scope": "tenant"}, None, scheduled=backup_id)
            return
        except ConditionFailed:  # another run was faster
            known = find(scope, backup_id)
    _work(scope, known)


def read(body: object) -> dict[str, Any]:
    """What a backup is asked for, every mistake named; raises ValidationFailed."""
    fields = object_of(body, *_FIELDS)
    wrong: dict[str, str] = {}
    scope = fields.get("scope", "record" if "ids" in fields else "entity" if "entity" in fields else "tenant")
    if scope not in ("tenant", "entity", "record"):
        wrong["scope"] = "must be tenant, entity or record"
    name = fields.get("name", "")
    if not isinstance(name, str) or len(name) > 100:
        wrong["name"] = "must be a text of at most 100 characters"
    path, wanted = fields.get("entity"), fields.get("ids")
    if scope in ("entity", "record") and path not in registry.paths():
        wrong["entity"] = f"must be one of {', '.join(registry.paths())}"
    if scope == "tenant" and path is not None:
        wrong["entity"] = "is for the scopes entity and record"
    if scope == "record":
        if (
            not isinstance(wanted, list)
            or not 1 <= len(wanted) <= BACKUP_ROWS
            or not all(isinstance(each, str) for each in wanted)
        ):
            wrong["ids"] = f"must be a list of 1 to {BACKUP_ROWS} ids"
    elif wanted is not None:
        wrong["ids"] = "is for the scope record"
    if wrong:
        raise ValidationFailed.naming(wrong)
    return {
        "name": name,
        "scope": scope,
        **({"entity": path} if path else {}),
        **({"ids": sorted(set(wanted))} if wanted else {}),
    }


def find(scope: Scope, backup_id: str) -> Item:
    """A backup's row; raises NotFound."""
    item = table.get(config().control_table, keys.backup(scope, backup_id)) if ids.is_id(backup_id, "bak") else None
    if item is None or "gone" in item:
        raise NotFound(f"There is no backup {backup_id[:80]!r}")
    return item


def complete(scope: Scope, backup_id: str) -> Item:
    """A backup that is there, whole; raises NotFound, Conflict."""
    item = find(scope, backup_id)
    if "sha256" not in item:
        raise Conflict(f"The backup is {_status(scope, item)}; it can be used when it has succeeded")
    return item


def show(caller: Caller, backup_id: str) -> dict[str, Any]:
    """One backup; raises NotFound."""
    return shown(caller, find(caller, backup_id))


def listing(caller: Caller, asked: Mapping[str, str], limit: int, cursor: str) -> tuple[list[dict[str, Any]], str | None]:
    """A page of backups, the newest first, of a time (`from`, `to`), and where the next one begins; raises InvalidParameter."""
    wrong = {name[:80]: "is not a parameter here; from, to, limit and cursor are" for name in asked if name not in ("from", "to")}
    times = span_of(asked, wrong)
    if wrong:
        raise InvalidParameter.naming(wrong)
    if cursor and not ids.is_id(cursor, "bak"):
        raise InvalidCursor("The cursor is damaged; start again without it")
    span = Span(keys.backup(caller, "").pk, low=ids.lowest("bak", times["from"]) if "from" in times else "",
                high=ids.lowest("bak", times["to"]) if "to" in times else "")  # fmt: skip
    found = table.query(config().control_table, span, after=cursor, newest_first=True, page=limit + 1)
    items = list(islice((item for item in found if "gone" not in item), limit + 1))
    return [shown(caller, item) for item in items[:limit]], items[limit - 1]["sk"] if len(items) > limit else None


def download(caller: Caller, backup_id: str) -> dict[str, Any]:
    """Links to everything that a backup is: its manifest and its parts. Raises NotFound, Conflict."""
    item = complete(caller, backup_id)
    manifest = from_json(blobs.get(config().backups_bucket, keys.backup_object(caller, backup_id, "manifest.json")))
    names = ["manifest.json", *(part["name"] for part in manifest["parts"])]
    links = [{"name": name, "url": _link(caller, backup_id, name)} for name in names]
    table.commit([notes.note(caller, "backup.downloaded", backup_id)])
    return {"id": backup_id, "sha256": item["sha256"], "expiresAt": iso(now_ms() + LINK_SECONDS * 1000), "files": links}


def remove(caller: Caller, backup_id: str, once: Once | None) -> None:
    """Delete a backup: first nobody finds it, then its files go, and its row last: who comes again goes on. Raises NotFound."""
    key = keys.backup(caller, backup_id)
    item = table.get(config().control_table, key) if ids.is_id(backup_id, "bak") else None
    if item is None:
        if once and once.found():
            return
        raise NotFound(f"There is no backup {backup_id[:80]!r}")
    if "gone" not in item:
        gone = Write(config().control_table, "update", key, expression="SET #gone = :one",
                     condition="attribute_exists(#pk) AND attribute_not_exists(#gone)", values={"one": 1})  # fmt: skip
        noted = notes.note(caller, "backup.deleted", backup_id, before={"name": item["name"], "scope": item["scope"]})
        with suppress(ConditionFailed):  # somebody else was faster
            put_once([gone, noted], once, backup=backup_id)
    purge(caller, backup_id)
    table.take(config().control_table, key)


def purge(scope: Scope, backup_id: str) -> None:
    """Take away every version of every file of a backup."""
    for name in list(blobs.names(config().backups_bucket, keys.backup_object(scope, backup_id, ""))):
        blobs.purge(config().backups_bucket, name)


def of_schedule(scope: Scope) -> Iterator[Item]:
    """The backups that the schedule has asked for, the newest first."""
    found = table.query(config().control_table, keys.backup(scope, "").pk, newest_first=True)
    return (item for item in found if item.get("auto") and "gone" not in item)


def has_failed(scope: Scope, item: Item) -> bool:
    """Whether a backup will never be there."""
    return _status(scope, item) in ("failed", "cancelled")


def shown(caller: Caller, item: Item) -> dict[str, Any]:
    """A backup as it is answered."""
    return {
        "id": item["sk"],
        "name": item["name"],
        "scope": item["scope"],
        "entity": item.get("entity"),
        "status": _status(caller, item),
        "job": item["job"],
        "at": iso(item["at_ms"]),
        "rows": item.get("rows"),
        "bytes": item.get("bytes"),
        "sha256": item.get("sha256"),
        "scheduled": bool(item.get("auto")),
        "createdBy": item["a"],
        "createdAt": iso(ids.time_of(item["sk"])),
    }


def _begin(caller: Caller, asked: dict[str, Any], once: Once | None, *, scheduled: str) -> dict[str, Any]:
    kept = table.count(config().control_table, Span(keys.backup(caller, "").pk), reads=1)
    if kept is None or kept >= BACKUPS:
        raise Conflict(f"This tenant has {BACKUPS} backups, which is the most; delete some")
    backup_id, job_id, at_ms = scheduled or ids.new("bak"), machine.new_id(), now_ms()
    item: Item = {"name": asked["name"], "scope": asked["scope"], "entity": asked.get("entity"), "job": job_id, "at_ms": at_ms,
                  "a": caller.principal, "auto": 1 if scheduled else None,
                  "ids": to_json(asked["ids"]).decode() if "ids" in asked else None}  # fmt: skip
    # The row first: a backup whose job is never accepted shows as failed and can be deleted, a job without a row would not.
    told = {name: value for name, value in asked.items() if name != "ids"}
    new = "attribute_not_exists(#pk)"
    writes = [Write(config().control_table, "put", keys.backup(caller, backup_id), item=item, condition=new),
              notes.note(caller, "backup.created", backup_id, told)]  # fmt: skip
    if first := put_once(writes, once, backup=backup_id):
        return show(caller, first["backup"])
    _work(caller, {"sk": backup_id, **item})
    return show(caller, backup_id)


def _work(caller: Caller, item: Item) -> None:
    """Accept the job of a backup; a second time it is the same one."""
    plan = {"backup": item["sk"], "at_ms": item["at_ms"], "ids": item.get("ids")}
    machine.accept(caller, "backup", job_id=item["job"], entity=item.get("entity") or "*", chunks=1, total=0, plan=plan)


def _status(scope: Any, item: Item) -> str:
    if "sha256" in item:
        return "succeeded"
    try:
        return str(machine.find(scope, item["job"])["st"])
    except NotFound:
        return "failed"


def _link(caller: Caller, backup_id: str, name: str) -> str:
    headers = {"ResponseContentDisposition": f'attachment; filename="{backup_id}-{name}"'}
    return blobs.get_link(config().backups_bucket, keys.backup_object(caller, backup_id, name), LINK_SECONDS, headers)
