"""What each role may do. A route names one permission; without one it does not start."""

from typing import Literal

from sheaf.access.caller import Caller, Role
from sheaf.base.errors import PermissionDenied

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
