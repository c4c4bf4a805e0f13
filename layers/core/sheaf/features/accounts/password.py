"""Passwords that are forgotten, set anew or changed. Whoever sets one ends the sessions that the former one had opened."""

from collections.abc import Mapping
from typing import Any

from sheaf.access import passwords, sessions, tenants, tries
from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.clock import now_ms
from sheaf.base.config import config
from sheaf.base.errors import Conflict, InvalidLink, InvalidToken, NotFound, PermissionDenied, ValidationFailed
from sheaf.entity.body import object_of
from sheaf.features.accounts import letters, people
from sheaf.records import notes
from sheaf.records.commit import AlongFailed
from sheaf.records.once import Once, put_once
from sheaf.store import keys, table
from sheaf.store.table import ConditionFailed, Item, Write


def reset(body: object, request_id: str) -> None:
    """Set the password of `{"token", "password"}` from a mail; every session ends. Raises InvalidLink, ValidationFailed."""
    fields = object_of(body, "token", "password")
    letter = letters.read(fields.get("token"), "reset", "welcome")
    if complaint := passwords.complaint(fields.get("password"), email=letter["email"], name=""):
        raise ValidationFailed("Validation failed", fields={"password": complaint})
    if "used" in letter:
        _require_same(letter, fields["password"])
        return
    made = passwords.hashed(fields["password"])
    try:
        (_begin if letter["kind"] == "welcome" else _renew)(letter, made, request_id)
    except (AlongFailed, ConditionFailed, NotFound):
        raise InvalidLink from None
    tries.clear_login(keys.mailbox_of(letter["pk"]))


def _begin(letter: Item, made: str, request_id: str) -> None:
    """The first password of somebody who was added: who reads the mail owns the address."""
    scope = tenants.setup(letter["tn"], request_id)

    def opened(person: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"emailVerified": True, **({"status": "active"} if person["status"] == "pending" else {})}

    along = [letters.use(letter, letter["us"]), people.open_account(scope, letter["us"], letter["email"], made)]
    people.change(scope, letter["us"], opened, along=along)


def _renew(letter: Item, made: str, request_id: str) -> None:
    mailbox = keys.mailbox_of(letter["pk"])
    account = table.get(config().control_table, keys.account(mailbox))
    if account is None or account.get("set", 0) > ids.time_of(letter["sk"]):
        raise InvalidLink  # a password was set after this letter was asked for
    scope = tenants.setup(account["tn"], request_id)
    noted = notes.note(scope, "password.reset", account["us"])
    table.commit([letters.use(letter, account["us"]), _set(mailbox, account, made), sessions.ending(scope, account["us"]), noted])


def _require_same(letter: Item, password: str) -> None:
    """A letter that was used says the same again to whoever says the same; raises InvalidLink."""
    account = table.get(config().control_table, keys.account(keys.mailbox_of(letter["pk"])))
    if account is None or account["us"] != letter["used"] or not passwords.matches(account["hash"], password):
        raise InvalidLink


def change(caller: Caller, body: object, once: Once | None) -> None:
    """Change the caller's own password by `{"currentPassword", "password"}`; the other sessions end.

    Raises ValidationFailed, RateLimited, PermissionDenied for an API key.
    """
    if caller.kind != "user":
        raise PermissionDenied("An API key has no password")
    if once and once.found():
        return
    fields = object_of(body, "currentPassword", "password")
    current = fields.get("currentPassword")
    profile = people.profile(caller, caller.principal)
    wrong = {} if isinstance(current, str) and 0 < len(current) <= 254 else {"currentPassword": "is required, a string"}
    if complaint := passwords.complaint(fields.get("password"), email=profile["email"], name=profile["name"]):
        wrong["password"] = complaint
    if wrong:
        raise ValidationFailed("Validation failed", fields=wrong)
    mailbox = keys.mailbox(profile["email"])
    tries.admit_login(mailbox)
    account = people.account_of(caller.principal, profile["email"])
    if account is None or not passwords.matches(account["hash"], str(current)):
        raise ValidationFailed("Validation failed", fields={"currentPassword": "is wrong"})
    tries.clear_login(mailbox)
    made = passwords.hashed(fields["password"])
    try:
        put_once(
            [_set(mailbox, account, made), sessions.ending(caller, caller.principal, caller.session),
             notes.note(caller, "password.changed", caller.principal)], once, user=caller.principal)  # fmt: skip
    except ConditionFailed as failure:
        if failure.position == 0:
            raise Conflict("The password was changed elsewhere just now") from None
        raise InvalidToken from None  # the session has ended meanwhile


def _set(mailbox: str, account: Item, made: str) -> Write:
    return Write(config().control_table, "update", keys.account(mailbox), expression="SET #hash = :made, #set = :now",
                 condition="#hash = :was", values={"made": made, "was": account["hash"], "now": now_ms()})  # fmt: skip
