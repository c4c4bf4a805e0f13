"""Messages to the sender: that lanes of one webhook have news.

They are only hints: doubling or mixing them up changes nothing (lanes.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sheaf.base.bounds import DELIVERY_LANES
from sheaf.base.config import config
from sheaf.records.events import Event
from sheaf.store import queues
from sheaf.store.keys import Scope


@dataclass(frozen=True, slots=True)
class Hint:
    """News of one lane: its row, and the event that is the news. `again`: the mark of a wish that events be sent once more."""

    row: str
    place: int = 0
    event_id: str = ""
    event_type: str = ""
    at_ms: int = 0
    again: str = ""
    timer: bool = False  # the time has come that a lane has waited for
    tries: int = 0  # how often the sender has failed at it
    slot: int = 0  # the millisecond at which one delivery is kept free for it under a rate limit
    rate: int = 0  # that limit, a second
    noted: bool = False  # its delivery is listed as one that waits

    def message(self) -> dict[str, Any]:
        """As it travels."""
        found = {"r": self.row, "p": self.place, "e": self.event_id, "t": self.event_type, "u": self.at_ms, "a": self.again,
                 "d": self.timer, "n": self.tries, "s": self.slot, "k": self.rate, "w": self.noted}  # fmt: skip
        return {name: value for name, value in found.items() if value}

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> "Hint":
        """And back."""
        return cls(message["r"], message.get("p", 0), message.get("e", ""), message.get("t", ""), message.get("u", 0),
                   message.get("a", ""), message.get("d", False), message.get("n", 0), message.get("s", 0),
                   message.get("k", 0), message.get("w", False))  # fmt: skip


def of_event(event: Event) -> Hint:
    """The news that there is an event."""
    return Hint(event.row, event.place, event.id, event.type, event.at_ms)


def send(scope: Scope, webhook_id: str, found: Sequence[Hint], *, delay: int = 0, slow: bool = False) -> None:
    """Tell the sender, DELIVERY_LANES hints a message, after `delay` seconds (at most 900); raises SendFailed.

    `slow`: by the queue of receivers that take their time, which has its own invocations, so that the others need not wait.
    """
    rows = [hint.message() for hint in found]
    messages = [
        {"tenant": scope.tenant, "webhook": webhook_id, "slow": slow, "rows": rows[start : start + DELIVERY_LANES]}
        for start in range(0, len(rows), DELIVERY_LANES)
    ]
    # Fair queues: a message group is a webhook, and none of them has to wait for the messages of another.
    url = config().slow_deliveries_queue_url if slow else config().deliveries_queue_url
    queues.send(url, messages, delay=delay, group=webhook_id)
