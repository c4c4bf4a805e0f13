"""The caller as such: who one is, and what one may."""

from collections.abc import Mapping
from typing import Any

from sheaf.access import roles, tenants
from sheaf.access.caller import Caller
from sheaf.base.errors import PermissionDenied, ValidationFailed
from sheaf.entity import registry
from sheaf.entity.body import object_of
from sheaf.entity.names import ACCESS
from sheaf.features.accounts import people
from sheaf.records import write
from sheaf.records.options import Options
from sheaf.store.table import Item


def show(caller: Caller, tenant: Item) -> dict[str, Any]:
    """The caller: a user with the profile, or an API key; the role, the tenant, the session."""
    known = tenants.shown(tenant)
    shown: dict[str, Any] = {
        "kind": caller.kind,
        "role": caller.role,
        "tenant": {name: known[name] for name in ("id", "name", "tier")},
    }
    if caller.kind == "user":
        return {**shown, "user": people.view(people.profile(caller, caller.principal)), "session": caller.session}
    return {**shown, "apiKey": {"id": caller.principal, "scopes": sorted(caller.scopes) if caller.scopes else None}}


def change(caller: Caller, body: object, options: Options) -> dict[str, Any]:
    """Change the caller's own `{"name"?, "avatar"?}`; raises ValidationFailed, PermissionDenied for an API key."""
    if caller.kind != "user":
        raise PermissionDenied("An API key has no profile")
    fields = object_of(body, "name", "avatar")
    if not fields:
        raise ValidationFailed.naming({"": "must hold name or avatar"})
    row = write.patch(caller, registry.find("users"), caller.principal, fields, options)
    return people.view(row.document)


def permissions(caller: Caller) -> dict[str, Any]:
    """Every permission that the caller holds, those of the entities by entity."""
    fixed = [permission for permission, least in roles.FIXED.items()
             if roles.allows(caller.role, least) and roles.covers(caller.scopes, permission)]  # fmt: skip
    return {
        "role": caller.role,
        "scopes": sorted(caller.scopes) if caller.scopes is not None else None,
        "permissions": sorted(fixed),
        "entities": {path: _of_entity(caller, path) for path in registry.paths()},
    }


def _of_entity(caller: Caller, path: str) -> list[str]:
    model = registry.find(path).model
    held: Mapping[str, bool] = {action: roles.may(caller, f"{path}:{action}", model.access) for action in ACCESS}
    return [action for action, holds in held.items() if holds and (model.writable or action in ("read", "export"))]
