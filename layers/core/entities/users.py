"""Users: the profiles of a tenant's members. Their credentials stand elsewhere, so the API only reads them here."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from sheaf import Change, Email, Entity, Trimmed, field


class User(Entity, prefix="usr", writable=False, events=("verified",)):
    name: Trimmed = field(min_length=2, max_length=50, search=True, sort=True, personal=True)
    email: Email = field(index=True, unique=True, search=True, personal=True)
    role: Literal["user", "moderator", "admin"] = field("user", index=True)
    status: Literal["active", "suspended", "banned", "pending"] = field("active", index=True)
    emailVerified: bool = False
    avatar: str | None = field(None, max_length=2_000, pattern=r"^https://", personal=True)

    @classmethod
    def also(cls, change: Change, row: Mapping[str, Any]) -> Iterable[str]:
        """A user is verified when their address is, at birth or later."""
        if row["emailVerified"] and not (change.before or {}).get("emailVerified"):
            yield "verified"
