"""A person: the profile row, the credentials, the principal. They are made and changed together, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from sheaf.access.caller import Caller
from sheaf.base.config import config
from sheaf.base.errors import Conflict, LastAdmin, NotFound, PreconditionFailed, Unavailable
from sheaf.entity import registry
from sheaf.entity.names import Role
from sheaf.records import read, write
from sheaf.records.commit import AlongFailed
from sheaf.records.options import Options
from sheaf.records.rows import Row, Stamp, fields_of
from sheaf.store import keys, table
from sheaf.store.table import Write

Status = Literal["active", "suspended", "banned", "pending"]
_TRIES = 5
_FRESH = "attribute_not_exists(#pk)"


class KnownAddress(Exception):
    """The address has an account somewhere in this installation. Who asks is never told."""


def create(scope: Caller, user_id: str, fields: Mapping[str, Any], password_hash: str | None, *, first: bool = False,
           along: Sequence[Write] = ()) -> Row:  # fmt: skip
    """A new person of the tenant; `first` where the tenant is made along with them.

    Raises KnownAddress, NotUnique, and AlongFailed for one of `along`, which come first.
    """
    users = registry.find("users")
    checked = write.checked(scope, users, dict(fields))
    account = {"tn": scope.tenant, "us": user_id, "hash": password_hash}
    principal = {"st": checked["status"], "role": checked["role"], "ss": {}, "w": 0, "n": 0}
    counted = [] if first else _counted(scope, None, checked)
    writes = (
        *along,
        Write(config().control_table, "put", keys.account(keys.mailbox(checked["email"])), item=account, condition=_FRESH),
        Write(config().limits_table, "put", keys.principal(scope, user_id), item=principal, condition=_FRESH),
        *counted,
    )
    try:
        return write.create_checked(scope, users, checked, Options(along=writes), row_id=user_id)
    except AlongFailed as failure:
        if failure.number == len(along):
            raise KnownAddress from None
        raise


def change(caller: Caller, user_id: str, wanted: Mapping[str, Any], *, along: Sequence[Write] = (),
           stamp: Stamp | None = None) -> Row:  # fmt: skip
    """Another role, status or name for a person. Whoever is not active any more has no session either, in the same moment.

    Raises NotFound, ValidationFailed, LastAdmin, and AlongFailed for one of `along`.
    """
    users, acting = registry.find("users"), replace(caller, kind="worker")  # who knows what to do about a stale version
    for _ in range(_TRIES):
        item = read.item(caller, users, user_id)
        before = fields_of(item)
        after = {**before, **wanted}
        writes = (*along, _principal(caller, user_id, before, after), *_counted(caller, before, after))
        options = Options(versions=frozenset({item["v"]}), along=writes)
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


def remove(caller: Caller, user_id: str) -> Row:
    """Take a person out of the tenant: the profile goes to the trash, the credentials and sessions end, the address is free."""
    users, acting = registry.find("users"), replace(caller, kind="worker")
    for _ in range(_TRIES):
        item = read.item(caller, users, user_id)
        before = fields_of(item)
        writes = (
            Write(config().control_table, "delete", keys.account(keys.mailbox(before["email"]))),
            Write(config().limits_table, "delete", keys.principal(caller, user_id)),
            *_counted(caller, before, None),
        )
        try:
            return write.delete(acting, users, user_id, Options(versions=frozenset({item["v"]}), along=writes))
        except PreconditionFailed:
            continue
        except AlongFailed:
            raise LastAdmin("A tenant keeps at least one active admin") from None
    raise Unavailable("Other writers keep changing this user; try again")


def profile(scope: Caller, user_id: str) -> dict[str, Any]:
    """A person's profile; raises NotFound."""
    return read.one(scope, registry.find("users"), user_id).document


def view(document: Mapping[str, Any]) -> dict[str, Any]:
    """A person as logins and `me` show them."""
    return {name: document.get(name) for name in ("id", "name", "email", "role", "avatar", "emailVerified")}


def email_of(scope: Caller, user_id: str) -> str:
    """The address of a person; raises NotFound."""
    found = profile(scope, user_id).get("email")
    if not isinstance(found, str):
        raise NotFound(f"There is no user {user_id[:80]!r}")
    return found


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


def role_of(scope: Caller, user_id: str) -> tuple[Status, Role] | None:
    """The status and role of a principal as they count now; None where there is none."""
    row = table.get(config().limits_table, keys.principal(scope, user_id))
    return (row["st"], row["role"]) if row else None
