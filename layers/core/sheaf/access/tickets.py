"""One-time tickets, for callers that cannot send headers (EventSource, WebSocket): good once, for TICKET_SECONDS."""

from dataclasses import dataclass
from typing import Any

from sheaf.access import tokens
from sheaf.access.caller import Caller
from sheaf.base.bounds import TICKET_SECONDS
from sheaf.base.clock import iso, now
from sheaf.base.config import config
from sheaf.base.errors import InvalidToken
from sheaf.store import keys, table


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


def redeem(ticket: str) -> Redeemed:
    """Whom the ticket stands for, which ends it; raises InvalidToken."""
    scope = Redeemed(tokens.tenant_of_ticket(ticket), "", None)
    found = table.take(config().limits_table, keys.ticket(scope, tokens.digest(ticket)))
    if found is None or found["ttl"] < now():
        raise InvalidToken
    return Redeemed(scope.tenant, found["p"], found.get("s"))
