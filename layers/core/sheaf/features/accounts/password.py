"""Passwords that are forgotten, set anew or changed. Whoever sets one ends the sessions that the former one had opened."""

from sheaf.access import passwords, sessions, tenants, tries
from sheaf.access.caller import Caller
from sheaf.base.config import config
from sheaf.base.errors import InvalidLink, InvalidToken, PermissionDenied, ValidationFailed
from sheaf.entity.body import object_of
from sheaf.features.accounts import letters, people
from sheaf.records.commit import AlongFailed
from sheaf.store import keys, table
from sheaf.store.table import ConditionFailed, Write


def reset(body: object, request_id: str) -> None:
    """Set the password of `{"token", "password"}` from a mail; every session ends. Raises InvalidLink, ValidationFailed."""
    fields = object_of(body, "token", "password")
    letter = letters.read(fields.get("token"), "reset")
    if complaint := passwords.complaint(fields.get("password"), email=letter["email"], name=""):
        raise ValidationFailed("Validation failed", fields={"password": complaint})
    mailbox = keys.mailbox_of(letter["pk"])
    account, _ = letters.look_up(mailbox)
    if account is None or "used" in letter:
        raise InvalidLink("The token is damaged, expired or used")
    scope = tenants.setup(account["tn"], request_id)
    writes = [letters.use(letter, account["us"]), _set(mailbox, passwords.hashed(fields["password"]))]
    known = people.role_of(scope, account["us"])
    try:
        if known and known[0] == "pending":
            # Who reads the mail owns the address.
            people.change(scope, account["us"], {"status": "active", "emailVerified": True}, along=writes)
        else:
            table.commit([*writes, sessions.ending(scope, account["us"])])
    except (AlongFailed, ConditionFailed):
        raise InvalidLink("The token is damaged, expired or used") from None
    tries.clear_login(mailbox)


def change(caller: Caller, body: object) -> None:
    """Change the caller's own password by `{"currentPassword", "password"}`; the other sessions end.

    Raises ValidationFailed, RateLimited, PermissionDenied for an API key.
    """
    if caller.kind != "user":
        raise PermissionDenied("An API key has no password")
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
    account = table.get(config().control_table, keys.account(mailbox))
    if account is None or not passwords.matches(account.get("hash"), str(current)):
        raise ValidationFailed("Validation failed", fields={"currentPassword": "is wrong"})
    tries.clear_login(mailbox)
    try:
        table.commit([
            _set(mailbox, passwords.hashed(fields["password"])), sessions.ending(caller, caller.principal, caller.session)
        ])  # fmt: skip
    except ConditionFailed:
        raise InvalidToken from None  # the session has ended meanwhile


def _set(mailbox: str, made: str) -> Write:
    return Write(config().control_table, "update", keys.account(mailbox), expression="SET #hash = :made",
                 condition="attribute_exists(#pk)", values={"made": made})  # fmt: skip
