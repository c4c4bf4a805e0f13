"""Tenants: a tenant's own admins read and steer theirs; the operators, admins of the tenant that owns the installation, all."""

import hmac
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sheaf.access import limits, networks, operators, tenants
from sheaf.access.caller import Caller
from sheaf.access.limits import PER_WINDOW
from sheaf.base import ids
from sheaf.base.clock import now, now_ms
from sheaf.base.config import config
from sheaf.base.errors import InvalidCursor, NotFound, ValidationFailed
from sheaf.entity import registry
from sheaf.entity.body import object_of
from sheaf.entity.filters import EVERYTHING
from sheaf.entity.names import Role
from sheaf.features.accounts.invitations import inviting
from sheaf.jobs import machine
from sheaf.jobs.machine import Status
from sheaf.jobs.runner import Result, Task
from sheaf.jobs.shapes import Steps
from sheaf.records import notes, write
from sheaf.records.once import Once, put_once
from sheaf.records.page import candidates
from sheaf.store import keys, table
from sheaf.store.secrets import signing_secret
from sheaf.store.table import ConditionFailed, Item, Write

_WRITE = "tenants:write"
_RESET_SECONDS = 300  # how long a confirmation is good
_RESET_ROWS = 200  # rows of one step
_KEPT = ("users",)  # a reset leaves people


def create(caller: Caller, body: object, once: Once | None) -> dict[str, Any]:
    """An operator makes a tenant of `{"name", "tier"?, "adminEmail"?}`, its first admin invited by a mail.

    Raises PermissionDenied, ValidationFailed.
    """
    operators.require(caller, _WRITE)
    fields = object_of(body, "name", "tier", "adminEmail")
    wrong = _wrong({"tier": "free", **fields}, required=("name",))
    if wrong:
        raise ValidationFailed.naming(wrong)
    made = tenants.setup(ids.new("tnt"), caller.request_id)
    writes = tenants.writes(made, fields["name"].strip(), fields.get("tier", "free"))
    if "adminEmail" in fields:
        try:
            writes.append(inviting(made, caller.principal, {"email": fields["adminEmail"], "role": "admin"})[0])
        except ValidationFailed as error:
            raise ValidationFailed.naming({"adminEmail": error.fields.get("email", "is wrong")}) from None
    told = {"name": fields["name"].strip(), "tier": fields.get("tier", "free")}
    # Both sides: the operators did it, and it is the first thing that the tenant's own log tells.
    writes += [notes.note(caller, "tenant.created", made.tenant, told), notes.note(made, "tenant.created", made.tenant, told)]
    found = put_once(writes, once, tenant=made.tenant)
    return tenants.shown(_found(tenants.setup(found["tenant"]) if found else made), "user")


def listing(caller: Caller, limit: int, after: str) -> tuple[list[dict[str, Any]], str | None]:
    """An operator's page of tenants, by age, and where the next one begins; raises PermissionDenied."""
    operators.require(caller, "tenants:read")
    if after and not ids.is_id(after, "tnt"):
        raise InvalidCursor("The cursor is damaged; start again without it")
    listed = table.query(config().control_table, keys.tenants(), after=after, page=limit + 1)
    names = [item["sk"] for _, item in zip(range(limit + 1), listed, strict=False)]
    wanted = {name: keys.tenant(tenants.setup(name)) for name in names[:limit]}
    rows = table.get_many(config().control_table, list(wanted.values()))
    shown = [tenants.shown(rows[key], "user") for key in wanted.values() if key in rows]
    return shown, names[limit - 1] if len(names) > limit else None


def show(caller: Caller, tenant_id: str) -> dict[str, Any]:
    """The caller's own tenant, or any for an operator; raises NotFound."""
    scope = _scope(caller, tenant_id, "tenants:read")
    return tenants.shown(_found(scope), _sees(caller, scope))


def change(caller: Caller, tenant_id: str, body: object, address: str) -> dict[str, Any]:
    """Change `{"name"?, "adminIps"?}`, and for operators `tier` and `status`; raises ValidationFailed, PermissionDenied."""
    fields = object_of(body, "name", "adminIps", "tier", "status")
    scope = _scope(caller, tenant_id)
    if {"tier", "status"} & fields.keys():
        operators.require(caller, _WRITE)
    wrong = _wrong(fields)
    if scope.tenant != caller.tenant:
        wrong |= dict.fromkeys(sorted({"name", "adminIps"} & fields.keys()), "is the tenant's own")
    elif fields.get("status") == "disabled":
        wrong["status"] = "would shut out everybody who could undo it"
    values: dict[str, Any] = {"name": fields["name"].strip()} if "name" in fields and not wrong else {}
    values |= {"tier": fields["tier"]} if "tier" in fields else {}
    values |= {"st": fields["status"]} if "status" in fields else {}
    if "adminIps" in fields:
        allowed, complaint = networks.read(fields["adminIps"])
        if complaint:
            wrong["adminIps"] = complaint
        elif allowed and scope.tenant == caller.tenant and not networks.holds(allowed, address):
            wrong["adminIps"] = f"does not hold {address}, from which you are asking: you would shut yourself out"
        values["ips"] = allowed or None
    if not fields:
        wrong[""] = "must hold name, adminIps, tier or status"
    if wrong:
        raise ValidationFailed.naming(wrong)
    _update(caller, scope, values)
    tenants.forget()
    return tenants.shown(_found(scope), _sees(caller, scope))


def reset(caller: Caller, tenant_id: str, body: object, once: Once | None) -> dict[str, Any] | Item:
    """First a confirmation, then with it a job that moves every row but users and uploads to the trash. Not in production.

    Raises NotFound in production and for another tenant, ValidationFailed for a confirmation that is wrong or late.
    """
    if config().stage == "prod" or tenant_id != caller.tenant:
        raise NotFound("There is nothing here")
    if once and (first := once.found()):
        return machine.find(caller, first["job"])
    given = object_of(body, "confirmation").get("confirmation")
    if given is None:
        until = now() + _RESET_SECONDS
        return {"confirmation": _confirmation(caller, until), "expiresIn": _RESET_SECONDS}
    until_text = given.partition(".")[0] if isinstance(given, str) and given.isascii() else ""
    until = int(until_text) if until_text.isdigit() and len(until_text) < 12 else 0
    if until <= now() or not hmac.compare_digest(_confirmation(caller, until), str(given)):
        raise ValidationFailed.naming({"confirmation": "is wrong or late; ask for another one without it"})
    plan = {"at_ms": now_ms()}
    return machine.accept(caller, "reset", job_id=machine.new_id(), entity="*", chunks=1, total=0, plan=plan, once=once)


class ResetWork(Steps):
    """The steps of a reset. Each begins where rows are left, so a step that comes twice finds what the first one left."""

    def run(self, task: Task) -> Result:
        """Move up to _RESET_ROWS rows to the trash."""
        deleted = 0
        for path in registry.paths():
            if path in _KEPT:
                continue
            entity = registry.find(path)
            for row_id, _ in candidates(task.caller, entity, EVERYTHING, "", _RESET_ROWS):
                if deleted == _RESET_ROWS:
                    return {"deleted": deleted, "rows": deleted, "more": 1}
                if ids.time_of(row_id) > task.job["at_ms"]:
                    continue  # made after the reset was asked for
                try:
                    write.delete(task.caller, entity, row_id)
                except NotFound:
                    continue  # somebody else has deleted it
                deleted += 1
        return {"deleted": deleted, "rows": deleted, "more": 0}

    def finalise(self, caller: Caller, job: Item, done: Sequence[Item], status: Status) -> Result:
        """Nothing is left to do."""
        return {}


def refill(caller: Caller, tenant_id: str) -> dict[str, Any]:
    """An operator gives a tenant its quota of this window back; raises NotFound, PermissionDenied."""
    operators.require(caller, _WRITE)
    scope = _scope(caller, tenant_id)
    _found(scope)
    table.commit([notes.note(caller, "rate_limit.reset", tenant_id)])
    limits.refill(keys.quota(scope))
    return {"tenant": tenant_id, "reset": True}


def _scope(caller: Caller, tenant_id: str, permission: str = _WRITE) -> Caller:
    """The tenant of a path as a scope; raises NotFound for another one's unless the caller is an operator."""
    if tenant_id == caller.tenant:
        return caller
    if ids.is_id(tenant_id, "tnt") and operators.includes(caller, permission):
        return tenants.setup(tenant_id, caller.request_id)
    raise _missing(tenant_id)


def _sees(caller: Caller, scope: Caller) -> Role:
    """As whom the caller sees a tenant: operators see of another one no more than its users do."""
    return caller.role if scope.tenant == caller.tenant else "user"


def _found(scope: Caller) -> Item:
    row = tenants.find(scope)
    if row is None:
        raise _missing(scope.tenant)
    return row


def _missing(tenant_id: str) -> NotFound:
    return NotFound(f"There is no tenant {tenant_id[:80]!r}")


def _update(caller: Caller, scope: Caller, values: dict[str, Any]) -> None:
    before = tenants.shown(_found(scope))
    after = before | {name: values[short] for name, short in (("name", "name"), ("tier", "tier"), ("status", "st"))
                      if short in values} | ({"adminIps": sorted(values["ips"] or ())} if "ips" in values else {})  # fmt: skip
    changed = Write(config().control_table, "update", keys.tenant(scope), expression=table.setting(values),
                    condition="attribute_exists(#pk)", values=values)  # fmt: skip
    # An operator's change of another tenant stands in that tenant's log, and in the operators' own.
    logs = [replace(caller, tenant=scope.tenant), *([caller] if scope.tenant != caller.tenant else [])]
    try:
        put_once([changed, *(notes.note(log, "tenant.updated", scope.tenant, after, before=before) for log in logs)], None)
    except ConditionFailed:
        raise _missing(scope.tenant) from None


def _wrong(fields: dict[str, Any], required: Sequence[str] = ()) -> dict[str, str]:
    wrong: dict[str, str] = {}
    if ("name" in fields or "name" in required) and not tenants.is_name(fields.get("name")):
        wrong["name"] = tenants.NAME_RULE
    if "tier" in fields and fields["tier"] not in tuple(PER_WINDOW):
        wrong["tier"] = f"must be one of {', '.join(PER_WINDOW)}"
    if "status" in fields and fields["status"] not in ("active", "disabled"):
        wrong["status"] = "must be active or disabled"
    return wrong


def _confirmation(caller: Caller, until: int) -> str:
    said = f"{caller.tenant}\0{caller.principal}\0{until}"
    return f"{until}.{hmac.digest(signing_secret().derived('tenant-reset'), said.encode(), 'sha256').hex()}"
