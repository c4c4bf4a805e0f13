"""The tenant's own row: its name, tier and state, who may do what only admins may from where, how many admins it has."""

import time
from typing import Any

from sheaf.access.caller import Caller
from sheaf.access.limits import Tier
from sheaf.base import ids
from sheaf.base.bounds import TENANT_NAME_CHARACTERS
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import InvalidToken
from sheaf.base.text import is_line
from sheaf.entity.names import Role
from sheaf.store import keys, table
from sheaf.store.keys import Scope
from sheaf.store.table import Item, Write

NAME_RULE = "must have {} to {} characters and no line break".format(*TENANT_NAME_CHARACTERS)
_SECONDS = 1.0  # how long a tenant's tier and state may be believed
_seen: dict[str, tuple[float, Item]] = {}
_FRESH = "attribute_not_exists(#pk)"


def setup(tenant: str, request_id: str | None = None) -> Caller:
    """The worker that sets a tenant up."""
    return Caller(tenant, "setup", "admin", request_id or ids.new("req"), "worker")


def writes(scope: Scope, name: str, tier: Tier, admins: int = 0) -> list[Write]:
    """The writes that make a tenant with so many admins; they join whatever is made with it."""
    item = {"name": name, "tier": tier, "st": "active", "ad": admins, "at": iso(now_ms())}
    control = config().control_table
    return [
        Write(control, "put", keys.tenant(scope), item=item, condition=_FRESH),
        Write(control, "put", keys.listed_tenant(scope), item={"at": item["at"]}),
    ]


def create(name: str, tier: Tier) -> Caller:
    """A new tenant; the caller to set it up with."""
    made = setup(ids.new("tnt"))
    table.commit(writes(made, name, tier))
    return made


def find(scope: Scope) -> Item | None:
    """The tenant's row as it stands."""
    return table.get(config().control_table, keys.tenant(scope))


def believed(scope: Scope) -> Item | None:
    """The tenant's row, at most a second old; raises InvalidToken for what cannot be a tenant."""
    if not ids.is_id(scope.tenant, "tnt"):
        raise InvalidToken
    cached = _seen.get(scope.tenant)
    if cached and time.monotonic() - cached[0] < _SECONDS:
        return cached[1]
    started = time.monotonic()
    found = find(scope)
    if found:
        if len(_seen) > 1_000:
            _seen.clear()
        _seen[scope.tenant] = (started, found)
    return found


def forget() -> None:
    """Believe nothing that was seen earlier."""
    _seen.clear()


def is_name(text: object) -> bool:
    """Whether a tenant may be called this (NAME_RULE)."""
    low, high = TENANT_NAME_CHARACTERS
    return isinstance(text, str) and low <= len(text.strip()) <= high and is_line(text.strip())


def shown(row: Item, role: Role = "admin") -> dict[str, Any]:
    """A tenant as it is answered; only admins see from where they may work."""
    bound = {"adminIps": sorted(row["ips"]) if "ips" in row else None} if role == "admin" else {}
    return {
        "id": keys.tenant_of(row["pk"]),
        "name": row["name"],
        "tier": row["tier"],
        "status": row["st"],
        **bound,
        "createdAt": row["at"],
    }
