"""The caller: the one object that carries a proven tenant through the code.

Only `access` makes one from a credential, and only the consumers make one from a record's own key.
"""

from dataclasses import dataclass
from typing import Literal

from sheaf.entity.names import Role


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, for which tenant, in which request."""

    tenant: str
    principal: str  # usr_…, key_… or, for a worker, the name of its function
    role: Role
    request_id: str
    kind: Literal["user", "key", "worker"] = "user"
    session: str | None = None  # of a user
    until: int | None = None  # second of the epoch at which an API key's credential ends
    scopes: frozenset[str] | None = None  # of an API key that may do less than its role; None for no such bound
    address: str | None = None  # from which the request came


def worker(tenant: str, name: str, request_id: str) -> Caller:
    """A function of the back that works for `tenant`, which it read from a record's own key."""
    return Caller(tenant, name, "admin", request_id, "worker")
