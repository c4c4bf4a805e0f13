"""Invitations to a tenant. Inviting an address that is known elsewhere answers and mails like any other."""

from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

from sheaf.access import roles, tenants, tokens
from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import INVITATION_SECONDS
from sheaf.base.clock import iso, now, now_ms
from sheaf.base.config import config
from sheaf.base.errors import Conflict, InvalidCursor, InvalidLink, NotFound
from sheaf.entity import registry
from sheaf.entity.body import object_of
from sheaf.entity.hooks import Change
from sheaf.features.accounts.letters import is_admitted, link, look_up
from sheaf.records import notes, read
from sheaf.records.once import Once, put_once
from sheaf.store import keys, table
from sheaf.store.table import ConditionFailed, Item, Write

_KEPT_SECONDS = 30 * 24 * 3600  # after it has expired


def invite(caller: Caller, body: object, once: Once | None) -> dict[str, Any]:
    """Invite `{"email", "role"?}`; raises ValidationFailed, Conflict where the address is a member's already."""
    if once and (first := once.found()):
        return shown(find(caller, first["invitation"]))
    put, key = inviting(caller, caller.principal, body)
    told = {"email": put.item["email"], "role": put.item["role"]}
    first = put_once([put, notes.note(caller, "invitation.created", key.sk, told, personal=("email",))], once, invitation=key.sk)
    return shown(find(caller, first["invitation"] if first else key.sk))


def inviting(scope: Caller, by: str, body: object) -> tuple[Write, keys.Key]:
    """The write that invites, to go along with others, and its key; raises as `invite`."""
    fields = object_of(body, "email", "role")
    users = registry.find("users")
    checked = users.created({"name": "Invited", **fields}, Change("created", by, "", None))
    roles.require_grant(scope, checked["role"])
    if read.holder(scope, users, "email", checked["email"]):
        raise Conflict("This address belongs to a member already", fields={"email": "is a member"})
    until = now() + INVITATION_SECONDS
    item = {"email": checked["email"], "role": checked["role"], "st": "open", "by": by, "at": iso(now_ms()),
            "exp": until, "ttl": until + _KEPT_SECONDS}  # fmt: skip
    key = keys.invitation(scope, ids.new("inv"))
    return Write(config().control_table, "put", key, item=item), key


def listing(caller: Caller, limit: int, after: str) -> tuple[list[dict[str, Any]], str | None]:
    """A page of the tenant's invitations, the newest first, and where the next one begins."""
    if after and not ids.is_id(after, "inv"):
        raise InvalidCursor("The cursor is damaged; start again without it")
    found = table.query(config().control_table, keys.invitation(caller, "").pk, after=after, newest_first=True, page=limit + 1)
    items = list(islice(found, limit + 1))
    return [shown(item) for item in items[:limit]], items[limit - 1]["sk"] if len(items) > limit else None


def find(caller: Caller, invitation_id: str) -> Item:
    """One invitation; raises NotFound."""
    known = ids.is_id(invitation_id, "inv")
    item = table.get(config().control_table, keys.invitation(caller, invitation_id)) if known else None
    if item is None:
        raise NotFound(f"There is no invitation {invitation_id[:80]!r}")
    return item


def revoke(caller: Caller, invitation_id: str, once: Once | None) -> None:
    """Take an invitation back; raises NotFound, Conflict where it was accepted."""
    item = find(caller, invitation_id)
    try:
        put_once([_revoking(item), notes.note(caller, "invitation.revoked", item["sk"])], once, invitation=item["sk"])
    except ConditionFailed:
        raise Conflict("The invitation was accepted already") from None


def revoke_all(caller: Caller, email: str) -> None:
    """Take back every open invitation to an address."""
    for item in table.query(config().control_table, keys.invitation(caller, "").pk):
        if item["email"] == email and item["st"] == "open":
            with suppress(ConditionFailed):  # it was accepted meanwhile
                table.commit([_revoking(item), notes.note(caller, "invitation.revoked", item["sk"])])


def _revoking(item: Item) -> Write:
    return Write(config().control_table, "update", keys.Key(item["pk"], item["sk"]), expression="SET #st = :revoked",
                 condition="#st IN (:open, :revoked)", values={"open": "open", "revoked": "revoked"})  # fmt: skip


def find_open(token: object) -> Item | None:
    """The open invitation of a mail's token, or None."""
    try:
        invitation_id, place = tokens.read_mail_token(token, "inv")
    except InvalidLink:
        return None
    item = table.get(config().control_table, keys.invitation(tenants.setup(f"tnt_{place}"), invitation_id))
    return item if item and item["st"] == "open" and item["exp"] > now() else None


def tenant_of(item: Item) -> str:
    """The tenant that invites."""
    return keys.tenant_of(item["pk"])


def accept(item: Item, user_id: str) -> Write:
    """The write that uses an open invitation up."""
    key = keys.Key(item["pk"], item["sk"])
    return Write(config().control_table, "update", key, expression="SET #st = :accepted, #us = :user", condition="#st = :open",
                 values={"accepted": "accepted", "open": "open", "user": user_id})  # fmt: skip


def message(item: Item) -> Mapping[str, str]:
    """The message that has an invitation sent."""
    return {"tenant": keys.tenant_of(item["pk"]), "id": item["sk"], "invitation": item["sk"]}


def compose(caller: Caller, invitation_id: str) -> Mapping[str, Any] | None:
    """The mail of an invitation, or None where it is not open any more."""
    item = find(caller, invitation_id)
    tenant = tenants.find(caller)
    if item["st"] != "open" or item["exp"] <= now() or tenant is None:
        return None
    account, _ = look_up(keys.mailbox(item["email"]))
    if "dropped" in item or not is_admitted(item, keys.letters_sent(keys.mailbox(item["email"]), caller.tenant)):
        return None
    token = tokens.mail_token(item["sk"], caller.tenant.removeprefix("tnt_"))
    text = (
        f"{tenant['name']} has invited you, but this address has an account elsewhere already, and it can have one only.\n"
        "Ask to be invited with another address.\n"
        if account
        else f"{tenant['name']} has invited you. Register with this address and this invitation\n"
        f"(good for {INVITATION_SECONDS // 86_400} days):\n\n{link('join', token)}\n"
    )
    return {"id": item["sk"], "to": item["email"], "subject": f"Invitation to {tenant['name']}", "text": text, "replyTo": None}


def shown(item: Item) -> dict[str, Any]:
    """An invitation as it is answered."""
    status = item["st"]
    if status == "open":
        status = "expired" if item["exp"] <= now() else "unsent" if "dropped" in item else "open"
    return {"id": item["sk"], "email": item["email"], "role": item["role"], "status": status,
            "invitedBy": item["by"], "createdAt": item["at"], "expiresAt": iso(item["exp"] * 1000)}  # fmt: skip
