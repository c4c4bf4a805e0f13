"""One-time tickets, for callers that cannot send headers (EventSource, WebSocket): good once, for TICKET_SECONDS.

An EventSource asks again and again under one address. So the ticket that has opened a stream goes on being good for it, with a
`Last-Event-ID` that only this stream was sent: what logs and histories know of an address opens nothing.
"""

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

from sheaf.access import tokens
from sheaf.access.caller import Caller
from sheaf.base.bounds import STREAM_TICKET_SECONDS, TICKET_SECONDS
from sheaf.base.clock import iso, now
from sheaf.base.config import config
from sheaf.base.errors import InvalidToken
from sheaf.store import keys, table
from sheaf.store.secrets import signing_secret
from sheaf.store.table import ConditionFailed, Write


@dataclass(frozen=True, slots=True)
class Redeemed:
    """Whom a ticket stands for. `tenant` makes it a scope."""

    tenant: str
    principal: str  # the name of the principal's row
    session: str | None


def issue(caller: Caller, principal: str) -> dict[str, Any]:
    """A ticket that stands for the caller, whose row is named `principal`."""
    ticket, until = tokens.new_ticket(caller.tenant), now() + TICKET_SECONDS
    item = {"p": principal, "s": caller.session, "ttl": until}
    table.put(config().limits_table, keys.ticket(caller, tokens.digest(ticket)), item)
    return {"ticket": ticket, "expiresAt": iso(until * 1000), "expiresIn": TICKET_SECONDS}


def continuation(ticket: str) -> str:
    """What the client of a stream that this ticket has opened sends back with each further request; 22 characters."""
    mac = hmac.digest(signing_secret().derived("stream-ticket"), ticket.encode(), "sha256")
    return urlsafe_b64encode(mac[:16]).rstrip(b"=").decode()


def redeem_for_stream(ticket: str, continued: str) -> Redeemed:
    """Whom the ticket stands for: at its first use, or with its `continuation` for STREAM_TICKET_SECONDS; raises InvalidToken."""
    scope = Redeemed(tokens.tenant_of_ticket(ticket), "", None)
    key = keys.ticket(scope, tokens.digest(ticket))
    if continued:
        if not hmac.compare_digest(continued.encode(), continuation(ticket).encode()):
            raise InvalidToken
        found = table.get(config().limits_table, key)
        if found is None or "used" not in found or found["ttl"] < now():
            raise InvalidToken
        return Redeemed(scope.tenant, found["p"], found.get("s"))
    values = {"used": now(), "ttl": now() + STREAM_TICKET_SECONDS, "now": now()}
    fresh = "attribute_exists(#pk) AND attribute_not_exists(#used) AND #ttl >= :now"
    try:
        found = table.update(config().limits_table, key, "SET #used = :used, #ttl = :ttl", condition=fresh, values=values)
    except ConditionFailed:
        raise InvalidToken from None
    return Redeemed(scope.tenant, found["p"], found.get("s"))


def redeem(ticket: str) -> Redeemed:
    """Whom the ticket stands for, which ends it; raises InvalidToken."""
    scope = Redeemed(tokens.tenant_of_ticket(ticket), "", None)
    key = keys.ticket(scope, tokens.digest(ticket))
    found = table.get(config().limits_table, key)
    if found is None or found["ttl"] < now():
        raise InvalidToken
    fresh = "attribute_exists(#pk) AND attribute_not_exists(#used)"  # one that has opened a stream is left to it
    try:
        table.commit([Write(config().limits_table, "delete", key, condition=fresh)])
    except ConditionFailed:
        raise InvalidToken from None
    return Redeemed(scope.tenant, found["p"], found.get("s"))
