"""Tenants, their users and keys, and login."""

from dataclasses import dataclass
from typing import Any

from sheaf.access import tokens
from sheaf.access.caller import Caller, Role
from sheaf.access.limits import Tier
from sheaf.base import ids
from sheaf.base.bounds import PASSWORD_CHARACTERS, SESSIONS, TOKEN_SECONDS
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import TenantDisabled, Unauthenticated, Unavailable, ValidationFailed
from sheaf.store import keys, table
from sheaf.store.table import ConditionFailed, Item, Write

# A hash of random bytes: an unknown address costs the same work as a known one with a wrong password.
_DUMMY_HASH = "$argon2id$v=19$m=19456,t=2,p=1$A0negQNOirBT6S1rtvVZqw$juatDXt3V1DQ9l/B3mRGqomdY+k30R6XWeX/1FLoGxc"


@dataclass(frozen=True, slots=True)
class Account:
    """A user's credentials' owner."""

    tenant: str
    user: str
    email: str
    name: str
    role: Role


def create_tenant(name: str, tier: Tier) -> Caller:
    """A new tenant; the caller to set it up with."""
    tenant = ids.new("tnt")
    setup = Caller(tenant, "setup", "admin", ids.new("req"), "worker")
    item = {"name": name, "tier": tier, "st": "active", "at": iso(now_ms())}
    table.put(config().control_table, keys.tenant(setup), item, condition="attribute_not_exists(#pk)")
    return setup


def create_account(setup: Caller, user_id: str, *, name: str, email: str, password: str, role: Role) -> Account:
    """Credentials for a user whose profile row exists; raises ValidationFailed for a bad password or a taken address."""
    low, high = PASSWORD_CHARACTERS
    if not low <= len(password) <= high:
        raise ValidationFailed("The password has the wrong length", fields={"password": f"must have {low} to {high} characters"})
    settings = config()
    account: Item = {
        "tn": setup.tenant,
        "us": user_id,
        "email": email.lower(),
        "name": name,
        "role": role,
        "hash": _hasher().hash(password),
    }
    principal: Item = {"st": "active", "role": role, "w": 0, "n": 0}
    fresh = "attribute_not_exists(#pk)"
    try:
        table.commit([
            Write(settings.control_table, "put", keys.email(email), item=account, condition=fresh),
            Write(settings.limits_table, "put", keys.principal(setup, user_id), item=principal, condition=fresh),
        ])  # fmt: skip
    except ConditionFailed:
        raise ValidationFailed("The account exists", fields={"email": "is taken"}) from None
    return Account(setup.tenant, user_id, email.lower(), name, role)


def create_api_key(setup: Caller, role: Role) -> str:
    """A new API key of the tenant, in clear: the only time it can be seen."""
    api_key = tokens.new_api_key(setup.tenant)
    item = {"st": "active", "role": role, "w": 0, "n": 0}
    table.put(config().limits_table, keys.principal(setup, tokens.key_id(api_key)), item, condition="attribute_not_exists(#pk)")
    return api_key


def login(email: str, password: str, request_id: str) -> dict[str, Any]:
    """A token and the user for a right pair; raises Unauthenticated, with the same work and words for every wrong one."""
    from argon2.exceptions import VerificationError

    found = table.get(config().control_table, keys.email(email))
    try:
        _hasher().verify(found["hash"] if found else _DUMMY_HASH, password)
    except VerificationError:
        found = None
    if found is None:
        raise Unauthenticated("Invalid email or password")
    caller = Caller(found["tn"], found["us"], found["role"], request_id)
    tenant = table.get(config().control_table, keys.tenant(caller))
    if tenant is None or tenant["st"] != "active":
        raise TenantDisabled("This tenant is disabled")
    token = tokens.issue(caller.tenant, caller.principal, _open_session(caller))
    user = {"id": found["us"], "name": found["name"], "email": found["email"], "role": found["role"]}
    return {"token": token, "tokenType": "Bearer", "expiresIn": TOKEN_SECONDS, "user": user}


def _open_session(caller: Caller) -> str:
    """Add a session to the principal's row; the oldest one ends where there are too many."""
    key, limits = keys.principal(caller, caller.principal), config().limits_table
    session = ids.new("ses")
    for _ in range(10):
        row = table.get(limits, key)
        if row is None or row["st"] != "active":
            raise Unauthenticated("Invalid email or password")
        before: set[str] = row.get("ss", set())
        live = {*sorted(before)[-(SESSIONS - 1) :], session}
        same = "#ss = :before" if before else "attribute_not_exists(#ss)"
        try:
            table.update(limits, key, "SET #ss = :live", condition=f"#st = :active AND {same}",
                         values={"live": live, "active": "active", "before": before or None})  # fmt: skip
        except ConditionFailed:
            continue  # another login of the same user came between
        return session
    raise Unavailable("Too many logins at once; try again")


def _hasher() -> Any:
    from argon2 import PasswordHasher

    # OWASP Password Storage Cheat Sheet: Argon2id, 19 MiB, two passes, one lane.
    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
