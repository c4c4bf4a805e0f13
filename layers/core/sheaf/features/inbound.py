"""Inbound hooks: an address that another service may post rows to, such as Zapier. Whoever has it may add rows of one entity.

The address carries the tenant and is signed, so a body says nothing about whose it is; deleting the hook ends it.
"""

from collections.abc import Iterator
from typing import Any

from sheaf.access import limits, roles, tenants, tokens
from sheaf.access.caller import Caller, worker
from sheaf.base import ids
from sheaf.base.bounds import INBOUND_HOOKS
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import InvalidLink, NotFound, TenantMismatch, ValidationFailed
from sheaf.entity import registry
from sheaf.entity.body import object_of
from sheaf.entity.registry import EntityType
from sheaf.records import notes, roster
from sheaf.records.once import Once
from sheaf.records.options import Options
from sheaf.records.rows import Row
from sheaf.store import keys, table
from sheaf.store.table import Item

PER_WINDOW = 120  # posts to one address of a hook
_KIND = "inbound hooks"
PER_ADDRESS = 1_000  # posts from one source address, to whichever hooks: services send for many tenants from few addresses


def register(caller: Caller, body: object, once: Once | None = None) -> dict[str, Any]:
    """Make a hook: `{"entity": "leads", "name"?}`; raises ValidationFailed, PermissionDenied, Conflict."""
    if once and (first := once.found()):
        return show(caller, first["hook"])
    asked = object_of(body, "entity", "name")
    wrong: dict[str, str] = {}
    path, name = asked.get("entity"), asked.get("name", "")
    if not isinstance(path, str) or path not in registry.paths() or not registry.find(path).model.writable:
        wrong["entity"] = "must be the path of an entity that can be written, such as leads"
    if not isinstance(name, str) or len(name) > 100:
        wrong["name"] = "must be a text of at most 100 characters"
    if wrong:
        raise ValidationFailed.naming(wrong)
    entity = registry.find(str(path))
    # Whoever has the address may add rows, so nobody makes one who may not.
    needed = f"{path}:create"
    roles.require(caller, needed, roles.least_of(needed, entity.model.access))
    hook_id = ids.new("hok")
    item: Item = {"entity": path, "name": name, "at": iso(now_ms()), "a": caller.principal}
    noted = notes.note(caller, "inbound_hook.created", hook_id, {"entity": path, "name": name})
    if first := roster.join(
        caller, _KIND, keys.inbound(caller, hook_id), item, once, most=INBOUND_HOOKS, noted=noted, hook=hook_id
    ):
        return show(caller, first["hook"])
    return _shown(caller, {"sk": hook_id, **item})


def listing(caller: Caller) -> list[dict[str, Any]]:
    """The tenant's hooks, oldest first."""
    return [_shown(caller, item) for item in _of_tenant(caller)]


def show(caller: Caller, hook_id: str) -> dict[str, Any]:
    """One hook; raises NotFound."""
    return _shown(caller, _find(caller, hook_id))


def remove(caller: Caller, hook_id: str, once: Once | None = None) -> None:
    """End a hook; raises NotFound."""
    if once and once.found():
        return
    before = _find(caller, hook_id)
    noted = notes.note(caller, "inbound_hook.removed", hook_id, before={name: before[name] for name in ("entity", "name")})
    roster.leave(caller, _KIND, keys.inbound(caller, hook_id), once, noted=noted, hook=hook_id)


def opened(token: str, request_id: str) -> tuple[Caller, EntityType]:
    """For whom and of what an address takes rows, one of which the tenant is charged for; raises InvalidLink, RateLimited."""
    hook_id, place = tokens.read_mail_token(token, "hok")
    caller = worker(f"tnt_{place}", hook_id, request_id)
    tenant = tenants.believed(caller)
    if tenant is None or tenant["st"] != "active":
        raise InvalidLink("The hook was removed")
    try:
        entity = registry.find(_find(caller, hook_id)["entity"])
    except NotFound:
        raise InvalidLink("The hook was removed") from None
    limits.spend_key(keys.hook(caller, hook_id), PER_WINDOW)
    limits.spend_quota(caller, tenant["tier"])
    return caller, entity


def take(caller: Caller, entity: EntityType, body: object, once: Once | None) -> Row:
    """Add a row: `{"lead_data": {…}, "tenant_id"?}`, `{"data": {…}}` or its fields; raises ValidationFailed, TenantMismatch."""
    from sheaf.records import write  # which those that make hooks do without

    asked = object_of(body)
    named = asked.get("tenant_id")
    if named is not None and named != caller.tenant:
        raise TenantMismatch("tenant_id is not the tenant of this address")
    wrapped = next((asked[name] for name in (f"{entity.word}_data", "data") if isinstance(asked.get(name), dict)), None)
    fields = wrapped if wrapped is not None else {name: value for name, value in asked.items() if name != "tenant_id"}
    return write.create(caller, entity, fields, Options(once=once))


def _find(caller: Caller, hook_id: str) -> Item:
    item = table.get(config().control_table, keys.inbound(caller, hook_id)) if ids.is_id(hook_id, "hok") else None
    if item is None:
        raise NotFound(f"There is no inbound hook {hook_id[:80]!r}")
    return item


def _of_tenant(caller: Caller) -> Iterator[Item]:
    return table.query(config().control_table, keys.inbound(caller, "").pk)


def _shown(caller: Caller, item: Item) -> dict[str, Any]:
    """Who may only read hooks is not told the address, with which one could write."""
    token = tokens.mail_token(item["sk"], caller.tenant.removeprefix("tnt_"))
    return {
        "id": item["sk"],
        "entity": item["entity"],
        "name": item["name"],
        "path": f"/v1/hooks/{token}" if roles.may(caller, "webhooks:write", {}) else None,
        "createdAt": item["at"],
    }
