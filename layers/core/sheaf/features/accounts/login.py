"""Login, refresh and logout."""

import time
from typing import Any

from sheaf.access import passwords, sessions, tenants, tokens, tries
from sheaf.access.caller import Caller
from sheaf.access.sessions import Device, Grant
from sheaf.base.bounds import LOGIN_STEP_MS
from sheaf.base.config import config
from sheaf.base.errors import (
    AccountSuspended,
    EmailNotVerified,
    InvalidToken,
    NotFound,
    PermissionDenied,
    TenantDisabled,
    Unauthenticated,
    ValidationFailed,
)
from sheaf.entity.body import object_of
from sheaf.features.accounts import letters, people
from sheaf.records import notes
from sheaf.records.once import Once, put_once
from sheaf.store import keys, table
from sheaf.store.table import ConditionFailed, Item

WRONG = "Invalid email or password"
_BOTH: tuple[tokens.Use, tokens.Use] = ("at+jwt", "session+jwt")


def read(body: object) -> tuple[str, str, bool]:
    """`{"email", "password", "rememberMe"?}`; raises ValidationFailed."""
    fields = object_of(body, "email", "password", "rememberMe")
    wrong = {name: "is required, a string" for name in ("email", "password")
             if not isinstance(fields.get(name), str) or not 0 < len(fields[name]) <= 254}  # fmt: skip
    if not isinstance(fields.get("rememberMe", False), bool):
        wrong["rememberMe"] = "must be true or false"
    if wrong:
        raise ValidationFailed("Email and password are required", fields=wrong)
    return fields["email"].strip().lower(), fields["password"], fields.get("rememberMe", False)


def login(email: str, password: str, device: Device, request_id: str) -> tuple[Grant, str, dict[str, Any]]:
    """A grant, its tenant and the user for a right pair.

    Raises Unauthenticated, with the same work and words for every wrong pair, RateLimited, and what only somebody who knows
    the password is told: EmailNotVerified, AccountSuspended, TenantDisabled.
    """
    started = time.monotonic()
    mailbox = keys.mailbox(email)
    tries.admit_login(mailbox)
    account, found = letters.look_up(mailbox)
    waiting = letters.newest(found, "register")
    # Both are looked at in any case, so that a registration of one's own tells nothing about an account of somebody else.
    right, chosen = (passwords.matches(each["hash"] if each else None, password) for each in (account, waiting))
    if account is None or not right:
        _wait_for_step(started)
        if chosen:
            raise EmailNotVerified("Please verify your email before logging in")
        raise Unauthenticated(WRONG)
    tries.clear_login(mailbox)
    scope = Caller(account["tn"], account["us"], "user", request_id, address=device.address)
    _require_active(scope)
    if passwords.is_dated(account["hash"]):
        _renew_hash(mailbox, account, passwords.hashed(password))
    try:
        told = {"device": sessions.device_name(device.agent)}
        grant = sessions.begin(scope, account["us"], device, lambda session: notes.note(scope, "session.created", session, told))
    except InvalidToken:
        raise AccountSuspended("This account is suspended") from None
    return grant, scope.tenant, people.view(people.profile(scope, account["us"]))


def refresh(text: object, device: Device) -> Grant:
    """The next pair of tokens; raises InvalidToken, TenantDisabled, ValidationFailed."""
    if not isinstance(text, str):
        raise ValidationFailed.naming({"refreshToken": "is required, a string"})
    return sessions.refresh(text, device, _require_tenant)


def renew(cookie: str, device: Device) -> tuple[str, str]:
    """A new access token and a new value for the cookie of a session; raises InvalidToken, TenantDisabled."""
    claims = tokens.read(cookie, "session+jwt")
    _require_tenant(claims)
    until = sessions.renew(claims, claims.user, claims.session, device)
    access, again = (tokens.issue(claims.tenant, claims.user, claims.session, use, until=until) for use in _BOTH)
    return access, again


def logout(caller: Caller) -> None:
    """End the caller's session; raises PermissionDenied for an API key, which has none."""
    if caller.session is None:
        raise PermissionDenied("An API key has no session; it ends by being revoked")
    end(caller, caller.session, None)


def end(caller: Caller, session: str, once: Once | None) -> None:
    """End one of the caller's sessions; raises NotFound where it is not live."""
    if once and once.found():
        return
    try:
        put_once([sessions.ending_one(caller, caller.principal, session), notes.note(caller, "session.ended", session)], once,
                 session=session)  # fmt: skip
    except ConditionFailed:
        raise NotFound(f"There is no session {session!r}") from None
    sessions.drop(caller, caller.principal, session)


def end_all(caller: Caller, keep: str | None) -> int:
    """End every session of the caller but `keep`; how many there were. Raises InvalidToken where `keep` is not live."""
    table.commit([notes.note(caller, "session.all_ended", caller.principal, {"except": keep})])
    return sessions.end_all(caller, caller.principal, keep)


def _wait_for_step(started: float) -> None:
    """Refused logins end on steps of time, so that the moments a found account takes to read do not show."""
    step = LOGIN_STEP_MS / 1000
    time.sleep(step - (time.monotonic() - started) % step)


def _require_active(scope: Caller) -> None:
    _require_tenant(scope)
    status = people.status_of(scope, scope.principal)
    if status in (None, "suspended", "banned"):
        raise AccountSuspended("This account is suspended")
    if status == "pending":
        raise EmailNotVerified("Please verify your email before logging in")


def _require_tenant(scope: keys.Scope) -> None:
    tenant = tenants.find(scope)
    if tenant is None or tenant["st"] != "active":
        raise TenantDisabled("This tenant is disabled")


def _renew_hash(mailbox: str, account: Item, made: str) -> None:
    try:
        table.update(config().control_table, keys.account(mailbox), "SET #hash = :made", condition="#hash = :was",
                     values={"made": made, "was": account["hash"]})  # fmt: skip
    except ConditionFailed:
        return  # another password was set meanwhile
