"""A person: the profile row, the credentials, the principal. They are made and changed together, in one transaction."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

from sheaf.access.caller import Caller
from sheaf.base.config import config
from sheaf.base.errors import Conflict, LastAdmin, NotFound, PreconditionFailed, Unavailable
from sheaf.entity import registry
from sheaf.records import read, write
from sheaf.records.commit import AlongFailed
from sheaf.records.once import Once
from sheaf.records.options import Options
from sheaf.records.rows import Row, Stamp, fields_of, from_item
from sheaf.store import keys, table
from sheaf.store.table import Item, Write

Status = Literal["active", "suspended", "banned", "pending"]
Decision = Callable[[Mapping[str, Any]], Mapping[str, Any]]
_TRIES = 5
_FRESH = "attribute_not_exists(#pk)"


class KnownAddress(Exception):
    """The address has an account somewhere in this installation. Who asks is never told."""


def create(scope: Caller, user_id: str, fields: Mapping[str, Any], password_hash: str | None, *, first: bool = False,
           along: Sequence[Write] = (), once: Once | None = None) -> Row:  # fmt: skip
    """A new person of the tenant; `first` where the tenant is made along with them.

    Without a password there is no account yet, and so nothing that could meet one elsewhere: `open_account` makes it.
    Raises KnownAddress, NotUnique, and AlongFailed for one of `along`, which come first.
    """
    users = registry.find("users")
    checked = write.checked(scope, users, dict(fields))
    account = [open_account(scope, user_id, checked["email"], password_hash)] if password_hash else []
    principal = {"st": checked["status"], "role": checked["role"], "ss": {}, "w": 0, "n": 0}
    counted = [] if first else _counted(scope, None, checked)
    writes = (
        *along,
        *account,
        Write(config().limits_table, "put", keys.principal(scope, user_id), item=principal, condition=_FRESH),
        *counted,
    )
    try:
        return write.create(scope, users, dict(fields), Options(along=writes, once=once), row_id=user_id)
    except AlongFailed as failure:
        if account and failure.number == len(along):
            raise KnownAddress from None
        raise


def open_account(scope: Caller, user_id: str, email: str, password_hash: str) -> Write:
    """The write that gives a person's address an account, unless it has one."""
    item = {"tn": scope.tenant, "us": user_id, "hash": password_hash}
    return Write(config().control_table, "put", keys.account(keys.mailbox(email)), item=item, condition=_FRESH)


def account_of(user_id: str, email: str) -> Item | None:
    """The account of a person, or None: the address may have one that is somebody else's, in another tenant."""
    found = table.get(config().control_table, keys.account(keys.mailbox(email)))
    return found if found and found["us"] == user_id else None


def change(caller: Caller, user_id: str, decide: Decision, *, along: Sequence[Write] = (), once: Once | None = None,
           stamp: Stamp | None = None) -> Row:  # fmt: skip
    """What `decide` makes of a person as it stands: another role, status or name, or nothing.

    Whoever is not active any more has no session either, in the same moment. Raises what `decide` raises, NotFound,
    ValidationFailed, LastAdmin, and AlongFailed for one of `along`.
    """
    users, acting = registry.find("users"), replace(caller, kind="worker")  # who knows what to do about a stale version
    for _ in range(_TRIES):
        item = read.item(caller, users, user_id)
        before = fields_of(item)
        wanted = decide(before)
        after = {**before, **wanted}
        if after == before and not along:
            return from_item(item)  # a change that comes again
        writes = (*along, _principal(caller, user_id, before, after), *_counted(caller, before, after))
        options = Options(versions=frozenset({item["v"]}), along=writes, once=once)
        try:
            return write.patch(acting, users, user_id, dict(wanted), options, stamp=stamp)
        except PreconditionFailed:
            continue  # somebody else changed the person meanwhile
        except AlongFailed as failure:
            if failure.number < len(along):
                raise
            if failure.number > len(along):
                raise LastAdmin("A tenant keeps at least one active admin") from None
            raise Conflict("This user has no credentials") from None
    raise Unavailable("Other writers keep changing this user; try again")


def remove(caller: Caller, user_id: str, once: Once | None) -> Row:
    """Take a person out of the tenant: the profile goes to the trash, the credentials and sessions end, the address is free."""
    users, acting = registry.find("users"), replace(caller, kind="worker")
    for _ in range(_TRIES):
        item = read.item(caller, users, user_id)
        before = fields_of(item)
        mine = account_of(user_id, before["email"])
        writes = (
            Write(config().limits_table, "delete", keys.principal(caller, user_id)),
            *([Write(config().control_table, "delete", keys.account(keys.mailbox(before["email"])), condition="#us = :user",
                     values={"user": user_id})] if mine else []),
            *_counted(caller, before, None),
        )  # fmt: skip
        try:
            return write.delete(acting, users, user_id, Options(versions=frozenset({item["v"]}), along=writes, once=once))
        except PreconditionFailed:
            continue
        except AlongFailed as failure:
            if mine and failure.number == 1:
                continue  # the account has gone meanwhile
            raise LastAdmin("A tenant keeps at least one active admin") from None
    raise Unavailable("Other writers keep changing this user; try again")


def forget(caller: Caller, user_id: str) -> None:
    """`remove` for whoever asks for it once more: nothing where the person is gone."""
    with suppress(NotFound):
        remove(caller, user_id, None)


def profile(scope: Caller, user_id: str) -> dict[str, Any]:
    """A person's profile; raises NotFound."""
    return read.one(scope, registry.find("users"), user_id).document


def view(document: Mapping[str, Any]) -> dict[str, Any]:
    """A person as logins and `me` show them."""
    return {name: document.get(name) for name in ("id", "name", "email", "role", "avatar", "emailVerified")}


def _principal(scope: Caller, user_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Write:
    ended = after["status"] != "active" and before["status"] == "active"
    return Write(config().limits_table, "update", keys.principal(scope, user_id),
                 expression="SET #st = :status, #role = :role" + (", #ss = :none" if ended else ""),
                 condition="attribute_exists(#pk)",
                 values={"status": after["status"], "role": after["role"], "none": {} if ended else None})  # fmt: skip


def _counted(scope: Caller, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[Write]:
    """The write that counts the tenant's active admins, where their number changes; it refuses to count to zero."""
    was, now = _is_admin(before), _is_admin(after)
    if was == now:
        return []
    return [Write(config().control_table, "update", keys.tenant(scope), expression="ADD #ad :step",
                  condition="#ad > :one" if was else "attribute_exists(#pk)",
                  values={"step": -1 if was else 1, "one": 1 if was else None})]  # fmt: skip


def _is_admin(person: Mapping[str, Any] | None) -> bool:
    return person is not None and (person["role"], person["status"]) == ("admin", "active")


def status_of(scope: Caller, user_id: str) -> Status | None:
    """The status of a principal as it counts now; None where there is none."""
    row = table.get(config().limits_table, keys.principal(scope, user_id))
    return row["st"] if row else None
