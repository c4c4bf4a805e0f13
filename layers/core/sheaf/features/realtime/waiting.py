"""Reading the event log, and waiting for what is not there yet."""

import time

from sheaf.access.caller import Caller
from sheaf.base.bounds import EVENTS_WAIT_SECONDS
from sheaf.features.realtime import wanted as wants
from sheaf.features.realtime.wanted import Wanted
from sheaf.records import journal
from sheaf.records.journal import Heads, Page, Position

_QUICK_SECONDS = 2.0  # at first it is looked for often, as what one has just done oneself arrives soon
_LONGEST = float(EVENTS_WAIT_SECONDS)
_PAUSES = (0.1, 0.25)  # between two looks, at first and later


def page(caller: Caller, wanted: Wanted, after: Position, until: Heads, *, limit: int, seconds: float = 0) -> Page:
    """Events behind a position, as soon as there is one or the time is over."""
    hinted, fits = wants.seen_by(caller, wanted)
    started, seconds = time.monotonic(), min(seconds, _LONGEST)
    found = Page([], after, False)
    while True:
        if found.position != until.position:
            found = journal.read(caller, found.position, until, wanted=hinted, fits=fits, limit=limit)
            if found.found or (found.more and seconds == 0):
                return found
        waited = time.monotonic() - started
        if waited >= seconds:
            return found
        if not found.more:
            time.sleep(min(_PAUSES[waited > _QUICK_SECONDS], seconds - waited))
        until = journal.heads(caller)
