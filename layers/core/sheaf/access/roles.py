"""What each role may do.

A permission is `<resource>:<action>`: `tasks:update`, `webhooks:read`. A route names one, `<entity>:read` where the entity
stands in its path; without one it does not start. Each permission has a least role, and the roles above may too; a tuple
of roles means exactly those. An entity may say its own (`access=` of its class). An API key may have scopes, which
only ever take away: `tasks:read`, `tasks:*`, `*:read` or `*`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sheaf.access.caller import Caller
from sheaf.base.errors import NotOwner, PermissionDenied
from sheaf.entity.names import ACCESS, ROLES, Action, Least, Role

FIXED: Mapping[str, Least] = {
    "batch:run": "user",
    "graphql:run": "user",
    "jobs:read": "user",
    "jobs:write": "user",
    "audience:read": "user",
    "audience:write": "user",
    "data:export": "moderator",
    "uploads:read": "user",
    "uploads:write": "user",
    "me:read": "user",
    "me:write": "user",
    "sessions:read": "user",
    "sessions:end": "user",
    "tickets:create": "user",
    "rate-limits:read": "user",
    "tenant:read": "user",
    "event-types:read": "user",
    "events:read": "user",
    "events:publish": "admin",
    "channels:read": "user",
    "channels:publish": "user",
    "graphql:write": "admin",
    "webhooks:read": "admin",
    "webhooks:write": "admin",
    "health:read": "admin",
    "features:read": "user",
    "features:write": "admin",
    "queues:read": "admin",
    "queues:redrive": "admin",
    "cache:read": "admin",
    "cache:clear": "admin",
    "backups:read": "admin",
    "backups:write": "admin",
    "backups:restore": "admin",
    "privacy:erase": "admin",
    "metrics:read": "admin",
    "audit:read": "admin",
    "audit:export": "admin",
    "rate-limits:reset": "admin",
    "api-keys:read": "admin",
    "api-keys:write": "admin",
    "members:read": "admin",
    "members:write": "admin",
    "tenant:write": "admin",
    "tenant:reset": "admin",
    "tenants:read": "admin",  # of the tenant that owns the installation
    "tenants:write": "admin",
}
UNSCOPED = ("batch:run", "graphql:run")  # of doors behind which every request is looked at by itself: no scope is needed
ENTITY = "<entity>"  # stands for the entity of a route's path
_SCOPE = re.compile(r"\*|[a-z][a-z0-9_-]{0,62}:\*|(?:\*|[a-z][a-z0-9_-]{0,62}):[a-z]{1,20}")


def known(permission: str) -> bool:
    """Whether a route may name this permission."""
    resource, _, action = permission.partition(":")
    return permission in FIXED or (bool(resource) and action in ACCESS)


def least_of(permission: str, own: Mapping[Action, Least]) -> Least:
    """The least role for a permission; `own` is what the entity says of its actions."""
    if permission in FIXED:
        return FIXED[permission]
    action: Action = permission.partition(":")[2]  # type: ignore[assignment]  # `known` has looked at it
    return own.get(action, ACCESS[action])


def may(caller: Caller, permission: str, own: Mapping[Action, Least]) -> bool:
    """Whether the caller holds the permission."""
    return allows(caller.role, least_of(permission, own)) and covers(caller.scopes, permission)


def allows(role: Role, least: Least) -> bool:
    """Whether the role is enough."""
    return role in least if isinstance(least, tuple) else ROLES.index(role) >= ROLES.index(least)


def is_for_admins(least: Least) -> bool:
    """Whether only admins may."""
    return least in ("admin", ("admin",))


def covers(scopes: Iterable[str] | None, permission: str) -> bool:
    """Whether an API key of these scopes may; one without scopes may whatever its role may."""
    if scopes is None or permission in UNSCOPED:
        return True
    resource, _, action = permission.partition(":")
    return not {"*", permission, f"{resource}:*", f"*:{action}"}.isdisjoint(scopes)


def is_scope(text: str) -> bool:
    """Whether an API key may have this scope."""
    return _SCOPE.fullmatch(text) is not None


def require_grant(caller: Caller, role: str) -> None:
    """Raise PermissionDenied where the caller may not give somebody this role: a key with scopes gives no more than `user`."""
    if caller.scopes is not None and "*" not in caller.scopes and role != "user":
        raise PermissionDenied("An API key with scopes cannot make anybody a moderator or an admin")


def require(caller: Caller, permission: str, least: Least) -> None:
    """Raise PermissionDenied unless the caller holds the permission."""
    if not allows(caller.role, least):
        raise _denied(caller, permission, f"the role {caller.role} does not have", least)
    if not covers(caller.scopes, permission):
        raise _denied(caller, permission, "the scopes of this API key do not cover", least)


def _denied(caller: Caller, permission: str, why: str, least: Least) -> PermissionDenied:
    # What there is beyond their own role is nothing that plain users are told.
    if caller.kind == "user" and caller.role == "user":
        return PermissionDenied("Your role does not allow this")
    wanted = " or ".join(least) if isinstance(least, tuple) else least
    return PermissionDenied(
        f"This needs the permission {permission}, which {why}", extra={"missing": permission, "requiredRole": wanted}
    )


def owns(caller: Caller, owner: str | None, row: Mapping[str, Any]) -> bool:
    """Whether the caller may change a row: its owner, a moderator, an admin, anyone where the entity has no owner field."""
    return owner is None or row.get(owner) == caller.principal or caller.role in ("moderator", "admin")


def require_owner(caller: Caller, owner: str | None, row: Mapping[str, Any], verb: str) -> None:
    """Raise NotOwner unless the caller may change the row."""
    if not owns(caller, owner, row):
        raise NotOwner(f"You can only {verb} your own rows")
