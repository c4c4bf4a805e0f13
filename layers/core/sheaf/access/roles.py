"""What each role may do. A route names one permission; without one it does not start."""

from collections.abc import Mapping
from typing import Any, Literal

from sheaf.access.caller import Caller, Role
from sheaf.base.errors import NotOwner, PermissionDenied

Permission = Literal[
    "records:read",
    "records:write",
    "bulk:write",
    "exports:create",
    "jobs:read",
    "uploads:read",
    "uploads:write",
    "webhooks:read",
    "webhooks:write",
    "health:read",
]

_USER: frozenset[Permission] = frozenset({"records:read", "records:write", "jobs:read", "uploads:read", "uploads:write"})
_MODERATOR: frozenset[Permission] = _USER | {"bulk:write", "exports:create"}
_ADMIN: frozenset[Permission] = _MODERATOR | {"webhooks:read", "webhooks:write", "health:read"}
_GRANTS: dict[Role, frozenset[Permission]] = {"user": _USER, "moderator": _MODERATOR, "admin": _ADMIN}


def allows(role: Role, permission: Permission) -> bool:
    """Whether the role holds the permission."""
    return permission in _GRANTS[role]


def require(caller: Caller, permission: Permission) -> None:
    """Raise PermissionDenied unless the caller holds the permission."""
    if not allows(caller.role, permission):
        raise PermissionDenied(f"This needs the permission {permission}, which the role {caller.role} does not have")


def owns(caller: Caller, owner: str | None, row: Mapping[str, Any]) -> bool:
    """Whether the caller may change a row: its owner, a moderator, an admin, anyone where the entity has no owner field."""
    return owner is None or row.get(owner) == caller.principal or caller.role in ("moderator", "admin")


def require_owner(caller: Caller, owner: str | None, row: Mapping[str, Any], verb: str) -> None:
    """Raise NotOwner unless the caller may change the row."""
    if not owns(caller, owner, row):
        raise NotOwner(f"You can only {verb} your own rows")
