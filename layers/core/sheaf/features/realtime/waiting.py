"""Reading the event log, and waiting for what is not there yet."""

import time
from collections.abc import Callable
from dataclasses import replace

from sheaf.access import guard
from sheaf.access.guard import Named, Present
from sheaf.base.bounds import EVENTS_WAIT_SECONDS
from sheaf.base.errors import InvalidToken
from sheaf.features.realtime import sight
from sheaf.features.realtime import wanted as wants
from sheaf.features.realtime.wanted import Wanted
from sheaf.records import journal
from sheaf.records.events import Event
from sheaf.records.journal import Heads, Page, Position

_QUICK_SECONDS = 2.0  # at first it is looked for often, as what one has just done oneself arrives soon
_LONGEST = float(EVENTS_WAIT_SECONDS)
_PAUSES = (0.1, 0.25)  # between two looks, at first and later


def page(who: Present, wanted: Wanted, after: Position, until: Heads, *, limit: int, seconds: float = 0) -> Page:
    """Events behind a position, as soon as there is one or the time is over.

    Raises InvalidToken where the caller would not be let in any more after a wait.
    """
    hinted, fits = wants.seen_by(who, wanted)
    started, seconds, has_slept = time.monotonic(), min(seconds, _LONGEST), False
    found = Page([], after, False)
    while True:
        if found.position != until.position:
            found = journal.read(who.caller, found.position, until, wanted=hinted, fits=fits, limit=limit)
            if found.found or (found.more and seconds == 0):
                return _again(who, found, fits) if has_slept else found
        waited = time.monotonic() - started
        if waited >= seconds:
            return found
        if not found.more:
            time.sleep(min(_PAUSES[waited > _QUICK_SECONDS], seconds - waited))
            has_slept = True
        until = journal.heads(who.caller)


def _again(who: Present, found: Page, fits: Callable[[Event], bool]) -> Page:
    """What the caller may see as things stand now."""
    named = Named(who.caller.tenant, who.principal, who.caller.session, who.address)
    present = guard.living(who.caller, [named], who.caller.request_id).get(named)
    if present is None:
        raise InvalidToken
    seen = [(event, position) for event, position in found.found if fits(event) and sight.sees(present, event)]
    return replace(found, found=seen)
