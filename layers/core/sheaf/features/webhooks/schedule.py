"""When a failed delivery is tried again, and who remembers it: SQS up to its longest delay, the list of what is due beyond."""

from hashlib import sha256
from math import ceil

from sheaf.base.bounds import RETRY_AFTER_SECONDS
from sheaf.base.clock import now, now_ms
from sheaf.base.config import config
from sheaf.features.webhooks import hints
from sheaf.features.webhooks.hints import Hint
from sheaf.features.webhooks.ledger import Attempt
from sheaf.records.events import Event
from sheaf.store import keys
from sheaf.store.keys import Scope
from sheaf.store.table import Write

QUEUE_SECONDS = 900  # the longest delay of a message (SQS quotas)
_SWEEP_SECONDS = 60  # what an entry of the list waits at most after its time
_JITTER = 0.2  # so that what failed together does not come back together


def next_ms(webhook_id: str, event: Event, attempt: Attempt) -> int | None:
    """The moment of the next attempt after one that failed; None where it was the last.

    The template's pauses, each up to 20 % shorter or longer (the same for whoever asks), or what the receiver asks for if that
    is longer.
    """
    pauses = config().webhook_retry_seconds
    if attempt.number > len(pauses):
        return None
    drawn = int.from_bytes(sha256(f"{webhook_id}:{event.id}:{attempt.number}".encode()).digest()[:4], "big") / 0xFFFFFFFF
    planned = pauses[attempt.number - 1]
    low, high = planned * (1 - _JITTER), planned * (1 + _JITTER)
    if high > QUEUE_SECONDS:
        high -= _SWEEP_SECONDS
    pause = round(low + drawn * (high - low))  # whole seconds, as a queue delays
    return now_ms() + max(pause, min(attempt.pause or 0, RETRY_AFTER_SECONDS)) * 1000


def wake(scope: Scope, webhook_id: str, hint: Hint, due_ms: int) -> list[Write]:
    """Let the sender look at a lane at `due_ms`: by a message that is sent now, or by the writes that are returned."""
    seconds = ceil((due_ms - now_ms()) / 1000)
    if seconds <= QUEUE_SECONDS:
        hints.send(scope, webhook_id, [hint], delay=max(0, seconds))
        return []
    key = keys.due_lane(scope, webhook_id, hint.row, due_ms)
    return [Write(config().events_table, "put", key, item={"ttl": now() + seconds + 30 * 86_400})]
