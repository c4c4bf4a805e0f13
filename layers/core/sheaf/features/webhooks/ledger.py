"""What has become of each event on its way to each webhook: one row a delivery, with its newest attempts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sheaf.base.bounds import DELIVERY_ATTEMPTS, DELIVERY_DAYS
from sheaf.base.clock import iso, now, now_ms
from sheaf.base.config import config
from sheaf.features.webhooks.hints import Hint
from sheaf.records.events import Event
from sheaf.store import keys, table
from sheaf.store.keys import Scope
from sheaf.store.table import Item, Write

Status = Literal["pending", "delivered", "dead"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of the receiver and how it ended, or why there was none (`reason` without a status)."""

    number: int
    at_ms: int
    millis: int
    status: int | None = None
    reason: str | None = None  # None where it went well
    answer: str = ""  # the beginning of what the receiver said
    pause: int | None = None  # seconds that it asked to be left alone for

    @property
    def went_well(self) -> bool:
        """Whether the receiver has taken the event."""
        return self.reason is None

    def row(self, next_ms: int | None = None) -> Item:
        """The attempt in its delivery's row."""
        found = {"no": self.number, "at": self.at_ms, "ms": self.millis, "code": self.status, "why": self.reason,
                 "text": self.answer or None, "next": next_ms}  # fmt: skip
        return {name: value for name, value in found.items() if value is not None}


def find(webhook_id: str, event: Event) -> Item | None:
    """The delivery of an event."""
    return table.get(config().events_table, keys.delivery(event, webhook_id, event.id))


def find_many(scope: Scope, webhook_id: str, event_ids: Sequence[str]) -> dict[str, Item]:
    """The deliveries of events, by their ids, of those that have one."""
    found = {keys.delivery(scope, webhook_id, event_id): event_id for event_id in event_ids}
    return {found[key]: item for key, item in table.get_many(config().events_table, list(found)).items()}


def delivered(webhook_id: str, event: Event, attempt: Attempt | None, *, was_troubled: bool) -> None:
    """Note that the receiver has taken the event; without an attempt, that it had taken it before."""
    values: Item = {"st": "delivered", "next": None, "why": None, "wait": None, "was": None}
    table.commit([_update(webhook_id, event, [attempt.row()] if attempt else [], values)])
    if was_troubled:
        table.take(config().events_table, keys.troubled(event, webhook_id, event.id))


def failed(webhook_id: str, event: Event, attempt: Attempt, next_ms: int) -> list[Write]:
    """The writes that note an attempt which failed and when the next one is."""
    values: Item = {"st": "pending", "next": next_ms, "why": None, "wait": None}
    return _noted(webhook_id, event, [attempt.row(next_ms)], values)


def dead(webhook_id: str, event: Event, attempt: Attempt | None, reason: str) -> None:
    """Note that nothing more is tried, and why."""
    rows = [attempt.row()] if attempt else []
    table.commit(_noted(webhook_id, event, rows, {"st": "dead", "why": reason, "next": None, "wait": None, "was": None}))


def held_back(scope: Scope, webhook_id: str, hint: Hint, *, behind: str = "", until_ms: int = 0) -> None:
    """Note that an event waits for one before it of the same row, or for a time, unless more is known of it already."""
    item = {"ty": hint.event_type, "row": hint.row, "pl": hint.place, "at": hint.at_ms, "st": "pending",
            "ttl": now() + DELIVERY_DAYS * 86_400, **({"wait": behind} if behind else {"next": until_ms})}  # fmt: skip
    if table.put_new(config().events_table, keys.delivery(scope, webhook_id, hint.event_id), item):
        mark = {"st": "pending", "ttl": item["ttl"]}
        table.put_new(config().events_table, keys.troubled(scope, webhook_id, hint.event_id), mark)


def asked_again(webhook_id: str, event: Event) -> None:
    """Note that an event is to be sent once more, by a person."""
    before = (find(webhook_id, event) or {}).get("st")
    values: Item = {"st": "pending", "next": now_ms(), "why": None, "wait": None}
    table.commit(_noted(webhook_id, event, [], values | ({"was": before} if before in ("delivered", "dead") else {})))


def shorten(webhook_id: str, event: Event, item: Item | None) -> None:
    """Forget the oldest of many attempts, before one is added: a delivery may be sent once more again and again."""
    log = (item or {}).get("log", [])
    if len(log) >= DELIVERY_ATTEMPTS:
        kept = log[1 - DELIVERY_ATTEMPTS :]
        key = keys.delivery(event, webhook_id, event.id)
        table.update(config().events_table, key, "SET #log = :kept", condition="attribute_exists(#pk)", values={"kept": kept})


def _row(event: Event) -> Item:
    return {"ty": event.type, "row": event.row, "pl": event.place, "at": event.at_ms, "q": event.request_id,
            "ttl": now() + DELIVERY_DAYS * 86_400}  # fmt: skip


def _noted(webhook_id: str, event: Event, attempts: Sequence[Item], values: Item) -> list[Write]:
    trouble = {"st": values["st"], "ttl": now() + DELIVERY_DAYS * 86_400}
    mark = Write(config().events_table, "put", keys.troubled(event, webhook_id, event.id), item=trouble)
    return [_update(webhook_id, event, attempts, values), mark]


def _update(webhook_id: str, event: Event, attempts: Sequence[Item], values: Item) -> Write:
    """Add attempts to the delivery's row, which need not be there yet."""
    everything = {**_row(event), "up": now_ms(), **values}
    known = {name: value for name, value in everything.items() if value is not None}
    sets = [f"#{name} = :{name}" for name in known]
    if attempts:
        sets.append("#log = list_append(if_not_exists(#log, :none), :attempts)")
        known |= {"none": [], "attempts": list(attempts)}
    gone = ", ".join(f"#{name}" for name, value in everything.items() if value is None)
    key = keys.delivery(event, webhook_id, event.id)
    return Write(config().events_table, "update", key, expression=f"SET {', '.join(sets)} REMOVE {gone}", values=known)


def shown(webhook_id: str, item: Item) -> dict[str, Any]:
    """A delivery as it is answered, its attempts oldest first."""
    log = item.get("log", [])
    return {
        "eventId": item["sk"],
        "eventType": item["ty"],
        "webhookId": webhook_id,
        "rowId": item["row"],
        "status": item["st"],
        "reason": item.get("why"),
        "waitsFor": item.get("wait"),
        "attemptCount": log[-1]["no"] if log else 0,
        "nextAttemptAt": _moment(item.get("next")),
        "eventAt": iso(item["at"]),
        "updatedAt": iso(item["up"] if "up" in item else item["at"]),
        "attempts": [_shown_attempt(each) for each in log],
    }


def _shown_attempt(each: Item) -> dict[str, Any]:
    good = "why" not in each
    return {
        "attempt": each["no"],
        "status": "succeeded" if good else "failed",
        "statusCode": each.get("code"),
        "error": each.get("why"),
        "response": each.get("text"),
        "durationMs": each["ms"],
        "createdAt": iso(each["at"]),
        "nextAttemptAt": _moment(each.get("next")),
    }


def _moment(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso(at_ms)
