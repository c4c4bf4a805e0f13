"""Restores: planned first, then confirmed by one person and approved by another, and undone if need be.

planning → planned → confirmed → running → done, or incomplete where its job was stopped. A confirmation is bound to the very
differences that were shown.
"""

import hmac
from collections.abc import Mapping
from itertools import islice
from typing import Any

from pydantic_core import from_json

from sheaf.access.caller import Caller
from sheaf.access.persons import person_of
from sheaf.base import ids
from sheaf.base.bounds import LINK_SECONDS, RESTORE_SECONDS, RESTORES_DAYS
from sheaf.base.clock import iso, now, now_ms
from sheaf.base.config import config
from sheaf.base.errors import Conflict, InvalidCursor, NotFound, PermissionDenied, ValidationFailed
from sheaf.entity.body import object_of
from sheaf.entity.moments import moment_of
from sheaf.features.backups import stored
from sheaf.jobs import machine
from sheaf.records import notes
from sheaf.records.once import Once, put_once
from sheaf.store import blobs, keys, table
from sheaf.store.secrets import signing_secret
from sheaf.store.table import ConditionFailed, Item, Write

_ACCEPTED_MS = 60_000  # after which a plan whose job is not there will never have one


def ask(caller: Caller, body: object, once: Once | None) -> dict[str, Any]:
    """`{"backup", "to"?, "webhooks"?}` plans a restore; `{"restore", "confirmation"}` confirms a planned one.

    `to`: a moment since the backup, its own without. Raises ValidationFailed, NotFound, Conflict, DamagedBackup.
    """
    fields = object_of(body, "backup", "to", "webhooks", "restore", "confirmation")
    if "restore" in fields or "confirmation" in fields:
        if {"backup", "to", "webhooks"} & fields.keys():
            raise ValidationFailed.naming({"restore": "is for a confirmation, which takes nothing but confirmation beside it"})
        return confirm(caller, str(fields.get("restore")), fields.get("confirmation"))
    return _plan(caller, fields, once)


def _plan(caller: Caller, fields: Mapping[str, Any], once: Once | None) -> dict[str, Any]:
    if once and (first := once.found()):
        return show(caller, first["restore"])
    wrong: dict[str, str] = {}
    if not isinstance(fields.get("backup"), str):
        wrong["backup"] = "is required, the id of a backup"
    if not isinstance(fields.get("webhooks", False), bool):
        wrong["webhooks"] = "must be true or false"
    at_ms = None
    if "to" in fields:
        try:
            at_ms = moment_of(fields["to"])
        except ValueError as error:
            wrong["to"] = str(error)
    if wrong:
        raise ValidationFailed.naming(wrong)
    backup = stored.complete(caller, fields["backup"])
    at_ms = backup["at_ms"] if at_ms is None else at_ms
    if not backup["at_ms"] <= at_ms <= now_ms():
        raise ValidationFailed.naming({"to": f"must be from {iso(backup['at_ms'])}, when the backup was made, until now"})
    restore_id, job_id = ids.new("rst"), machine.new_id()
    item: Item = {"backup": backup["sk"], "at_ms": at_ms, "wh": 1 if fields.get("webhooks") else None, "st": "planning",
                  "plan": job_id, "a": caller.principal, "u": now_ms(), "ttl": now() + RESTORES_DAYS * 86_400}  # fmt: skip
    told = {"backup": backup["sk"], "to": iso(at_ms), "webhooks": bool(fields.get("webhooks"))}
    put = Write(config().control_table, "put", keys.restore(caller, restore_id), item=item, condition="attribute_not_exists(#pk)")
    if first := put_once([put, notes.note(caller, "restore.planned", restore_id, told)], once, restore=restore_id):
        return show(caller, first["restore"])
    plan = {"restore": restore_id, "backup": backup["sk"], "at_ms": at_ms}
    machine.accept(caller, "plan", job_id=job_id, entity=backup.get("entity", "*"), chunks=1, total=0, plan=plan)
    return show(caller, restore_id)


def confirm(caller: Caller, restore_id: str, confirmation: object) -> dict[str, Any]:
    """One person confirms what was planned; raises NotFound, Conflict, ValidationFailed."""
    item = find(caller, restore_id)
    if item["st"] == "confirmed" and item["cp"] == person_of(caller):
        return show(caller, restore_id)
    _require(item, "planned", "confirmed")
    _require_confirmation(caller, item, confirmation)
    _move(caller, item, "planned", {"st": "confirmed", "cp": person_of(caller), "ca": caller.principal}, "restore.confirmed")
    return show(caller, restore_id)


def approve(caller: Caller, restore_id: str, body: object) -> dict[str, Any]:
    """Another person approves `{"confirmation"}`, and the restore begins.

    Raises NotFound, Conflict, ValidationFailed, and PermissionDenied for the one who has confirmed it.
    """
    item = find(caller, restore_id)
    if item["st"] in ("done", "incomplete"):
        return show(caller, restore_id)
    if item["st"] == "running":
        begin(caller, item)  # whoever approved it may have died before
        return show(caller, restore_id)
    _require(item, "confirmed", "approved")
    if item["cp"] == person_of(caller):
        raise PermissionDenied("Another person than the one who has confirmed this restore has to approve it")
    _require_confirmation(caller, item, object_of(body, "confirmation").get("confirmation"))
    job_id = machine.new_id()
    _move(caller, item, "confirmed", {"st": "running", "pa": caller.principal, "job": job_id}, "restore.approved")
    begin(caller, find(caller, restore_id))
    return show(caller, restore_id)


def begin(caller: Caller, item: Item) -> None:
    """Accept the job of an approved restore; a second time it is the same one."""
    plan = {"restore": item["sk"], "steps": item["steps"]}
    machine.accept(caller, "restore", job_id=item["job"], entity="*", chunks=1, total=0, plan=plan)


def undo(caller: Caller, restore_id: str) -> dict[str, Any]:
    """Take a restore back, but for rows that were changed since; raises NotFound, Conflict."""
    item = find(caller, restore_id)
    if "undo" not in item or _has_failed(caller, item["undo"]):
        if item["st"] not in ("done", "incomplete"):
            _require(item, "done", "undone")
        _move(caller, item, item["st"], {"undo": machine.new_id()}, "restore.undone")
        item = find(caller, restore_id)
    plan = {"restore": restore_id, "steps": item["steps"], "back": 1}
    machine.accept(caller, "restore", job_id=item["undo"], entity="*", chunks=1, total=0, plan=plan)
    return show(caller, restore_id)


def find(caller: Caller, restore_id: str) -> Item:
    """A restore's row; raises NotFound."""
    item = table.get(config().control_table, keys.restore(caller, restore_id)) if ids.is_id(restore_id, "rst") else None
    if item is None or table.is_over(item):
        raise NotFound(f"There is no restore {restore_id[:80]!r}")
    return item


def show(caller: Caller, restore_id: str) -> dict[str, Any]:
    """One restore; raises NotFound."""
    return _shown(caller, find(caller, restore_id))


def listing(caller: Caller, limit: int, cursor: str) -> tuple[list[dict[str, Any]], str | None]:
    """A page of restores, the newest first, and where the next one begins; raises InvalidCursor."""
    if cursor and not ids.is_id(cursor, "rst"):
        raise InvalidCursor("The cursor is damaged; start again without it")
    found = table.query(config().control_table, keys.restore(caller, "").pk, after=cursor, newest_first=True, page=limit + 1)
    items = list(islice(found, limit + 1))
    return [_shown(caller, item) for item in items[:limit]], items[limit - 1]["sk"] if len(items) > limit else None


def settle(caller: Caller, restore_id: str, before: str, values: Mapping[str, Any]) -> None:
    """What a job adds to its restore when it ends; nothing where that is there already."""
    try:
        table.update(config().control_table, keys.restore(caller, restore_id), table.setting(values), condition="#st = :was",
                     values={**values, "was": before})  # fmt: skip
    except ConditionFailed:
        return


def _shown(caller: Caller, item: Item) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": item["sk"],
        "backup": item["backup"],
        "to": iso(item["at_ms"]),
        "webhooks": "wh" in item,
        "status": _status(caller, item),
        "planJob": item["plan"],
        "job": item.get("job"),
        "undoJob": item.get("undo"),
        "changes": from_json(item["counts"]) if "counts" in item else None,
        "outcome": from_json(item["done"]) if "done" in item else None,
        "askedBy": item["a"],
        "confirmedBy": item.get("ca"),
        "approvedBy": item.get("pa"),
        "createdAt": iso(item["u"]),
    }
    if item["st"] in ("planned", "confirmed"):
        until = now() + RESTORE_SECONDS
        headers = {"ResponseContentDisposition": f'attachment; filename="{item["sk"]}-differences.ndjson"'}
        url = blobs.get_link(
            config().jobs_bucket, keys.job_object(caller, item["plan"], "differences.ndjson"), LINK_SECONDS, headers
        )
        shown |= {
            "differencesUrl": url,
            "confirmation": _confirmation(caller, item, until),
            "confirmationExpiresAt": iso(until * 1000),
        }
    return shown


def _status(caller: Caller, item: Item) -> str:
    """As it stands; a plan whose job has failed is none."""
    if item["st"] != "planning":
        return str(item["st"])
    try:
        return "failed" if _has_failed(caller, item["plan"]) else "planning"
    except NotFound:  # whoever asked for it may have died before
        return "planning" if now_ms() - item["u"] < _ACCEPTED_MS else "failed"


def _has_failed(caller: Caller, job_id: str) -> bool:
    return machine.find(caller, job_id)["st"] in ("failed", "cancelled")


def _require(item: Item, status: str, what: str) -> None:
    if item["st"] != status:
        raise Conflict(f"The restore is {item['st']}; it can be {what} when it is {status}")


def _move(caller: Caller, item: Item, before: str, values: Item, action: str) -> None:
    write = Write(config().control_table, "update", keys.restore(caller, item["sk"]), expression=table.setting(values),
                  condition="#st = :was AND " + ("#undo = :undone" if "undo" in item else "attribute_not_exists(#undo)"),
                  values={**values, "was": before, "undone": item.get("undo")})  # fmt: skip
    try:
        put_once([write, notes.note(caller, action, item["sk"])], None)
    except ConditionFailed:
        raise Conflict("Somebody else has changed this restore just now") from None


def _confirmation(caller: Caller, item: Item, until: int) -> str:
    said = f"{caller.tenant}\0{item['sk']}\0{item['sha']}\0{until}"
    return f"{until}.{hmac.digest(signing_secret().derived('restore'), said.encode(), 'sha256').hex()}"


def _require_confirmation(caller: Caller, item: Item, given: object) -> None:
    text = given.partition(".")[0] if isinstance(given, str) and given.isascii() else ""
    until = int(text) if text.isdigit() and len(text) < 12 else 0
    if until <= now() or not hmac.compare_digest(_confirmation(caller, item, until), str(given)):
        raise ValidationFailed.naming({"confirmation": "is wrong or late; GET the restore for another one"})
