"""Deliveries as their tenant sees them: listed, filtered, and summed up for one webhook."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import DELIVERY_DAYS, SCANNED_ROWS
from sheaf.base.clock import iso, now, now_ms
from sheaf.base.config import config
from sheaf.base.errors import InvalidCursor, InvalidParameter, NotFound
from sheaf.entity.moments import span_of
from sheaf.features.webhooks import endpoints, health, ledger
from sheaf.records import events
from sheaf.records.events import PARTS, Event
from sheaf.store import keys, table
from sheaf.store.table import Item, Span

_STATUSES = ("pending", "delivered", "dead")
_FILTERS = ("status", "type", "from", "to")
_READ = 2_000  # deliveries that one page may look at
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of deliveries, newest event first, and the cursor of the next one."""

    deliveries: list[dict[str, Any]]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class _Asked:
    """The filters of a list."""

    status: str | None
    types: frozenset[str] | None
    low: str
    high: str

    def holds(self, item: Item) -> bool:
        return (
            item["ttl"] > now()
            and (self.status is None or item["st"] == self.status)
            and (self.types is None or item["ty"] in self.types)
        )


def listing(caller: Caller, webhook_id: str, asked: Mapping[str, str], limit: int, cursor: str | None) -> Listed:
    """A page of a webhook's deliveries: `status` pending, delivered or dead, `type` of events, `from` and `to` of their times.

    A page of few matches among many deliveries may be short; its cursor leads on. Raises NotFound, InvalidParameter,
    InvalidCursor.
    """
    endpoints.find(caller, webhook_id)
    wanted = _read(asked)
    if cursor and not ids.is_id(cursor, "evt"):
        raise InvalidCursor("The cursor is damaged; start again without it")
    found: list[Item] = []
    for read, (event_id, item) in enumerate(_candidates(caller, webhook_id, wanted, cursor or ""), 1):
        if item is not None and wanted.holds(item):
            found.append(item)
        if len(found) > limit:
            return Listed([ledger.shown(webhook_id, each) for each in found[:limit]], found[limit - 1]["sk"])
        if read == _READ:
            return Listed([ledger.shown(webhook_id, each) for each in found], event_id)
    return Listed([ledger.shown(webhook_id, each) for each in found], None)


def show(caller: Caller, webhook_id: str, event_id: str) -> dict[str, Any]:
    """One delivery with its attempts; raises NotFound."""
    return ledger.shown(webhook_id, find(caller, webhook_id, event_id))


def find(caller: Caller, webhook_id: str, event_id: str) -> Item:
    """The row of one delivery; raises NotFound."""
    endpoints.find(caller, webhook_id)
    key = keys.delivery(caller, webhook_id, event_id)
    item = table.get(config().events_table, key) if ids.is_id(event_id, "evt") else None
    if item is None or table.is_over(item):
        raise NotFound(f"There is no delivery of {event_id[:80]!r} to this webhook")
    return item


def attempts(caller: Caller, webhook_id: str, limit: int) -> list[dict[str, Any]]:
    """The attempts of the newest deliveries of one webhook; raises NotFound."""
    found: list[dict[str, Any]] = []
    for delivery in listing(caller, webhook_id, {}, limit, None).deliveries:
        about = {"eventId": delivery["eventId"], "eventType": delivery["eventType"]}
        found += [about | attempt for attempt in reversed(delivery["attempts"])]
    return sorted(found, key=lambda each: str(each["createdAt"]), reverse=True)[:limit]


def stats(caller: Caller, webhook_id: str, asked: Mapping[str, str]) -> dict[str, Any]:
    """What became of the events of a time (`from`, `to`, the last day without them) and how long the receiver took.

    `complete` is false where there were more deliveries than one request may read; the newest are counted. Raises NotFound,
    InvalidParameter.
    """
    webhook = endpoints.show(caller, webhook_id)
    wanted = _read(asked, ("from", "to"), span_ms=_DAY_MS)
    counts, millis, tried, read = dict.fromkeys(_STATUSES, 0), [], 0, 0
    span = Span(keys.delivery(caller, webhook_id, "").pk, low=wanted.low, high=wanted.high)
    for read, item in enumerate(table.query(config().events_table, span, newest_first=True, page=1_000), 1):
        counts[item["st"]] += 1
        tried += len(item.get("log", []))
        millis += [each["ms"] for each in item.get("log", []) if "code" in each]
        if read == SCANNED_ROWS:
            break
    millis.sort()
    ended = counts["delivered"] + counts["dead"]
    return {
        "webhookId": webhook_id,
        "from": iso(ids.time_of(wanted.low)),
        "to": iso(ids.time_of(wanted.high)) if wanted.high else iso(now_ms()),
        "complete": read < SCANNED_ROWS,
        "deliveries": {"total": sum(counts.values()), **counts},
        "attempts": tried,
        "successRate": round(counts["delivered"] / ended, 4) if ended else None,
        "durationMs": {"median": millis[len(millis) // 2], "p95": millis[len(millis) * 95 // 100]} if millis else None,
        "consecutiveFailures": (health.of(caller, webhook_id) or {}).get("fails", 0),
        "failingSince": webhook["failingSince"],
        "disablesAt": webhook["disablesAt"],
    }


def troubled_since(caller: Caller, webhook_id: str, low: str, high: str, after: str) -> Iterator[Item]:
    """The marks of deliveries that wait, fail or are dead, the oldest event first."""
    span = Span(keys.troubled(caller, webhook_id, "").pk, low=low, high=high)
    return table.query(config().events_table, span, after=after)


def dead_of(caller: Caller, webhook_id: str, marks: Sequence[Item]) -> dict[str, Event]:
    """The events among them that have failed for good and are still kept, by their ids."""
    found = ledger.find_many(caller, webhook_id, [mark["sk"] for mark in marks if mark["st"] == "dead"])
    dead = {event_id: item for event_id, item in found.items() if item["st"] == "dead"}
    places = {event_id: (item["row"], int(item["pl"])) for event_id, item in dead.items()}
    stored = events.load_many(caller, [(row, place // PARTS) for row, place in places.values()])
    changes = {event_id: (stored.get((row, place // PARTS)), place) for event_id, (row, place) in places.items()}
    return {event_id: event for event_id, (change, place) in changes.items() if change and (event := change.at(place))}


def _candidates(caller: Caller, webhook_id: str, wanted: _Asked, after: str) -> Iterator[tuple[str, Item | None]]:
    """The deliveries that may fit, newest first; those that fail or are dead are listed by themselves."""
    troubled = wanted.status in ("pending", "dead")
    pk = (keys.troubled if troubled else keys.delivery)(caller, webhook_id, "").pk
    for item in table.query(config().events_table, Span(pk, low=wanted.low, high=wanted.high), after=after, newest_first=True):
        if not troubled:
            yield item["sk"], item
        elif item["st"] == wanted.status:
            yield item["sk"], table.get(config().events_table, keys.delivery(caller, webhook_id, item["sk"]))
        else:
            yield item["sk"], None


def _read(asked: Mapping[str, str], known: tuple[str, ...] = _FILTERS, span_ms: int = DELIVERY_DAYS * _DAY_MS) -> _Asked:
    """The filters; without `from`, those of the last `span_ms` before `to`."""
    wrong = {name[:80]: f"is not a parameter here; {', '.join(known)} are" for name in asked if name not in known}
    if asked.get("status", "pending") not in _STATUSES:
        wrong["status"] = f"must be {', '.join(_STATUSES[:-1])} or {_STATUSES[-1]}"
    times = span_of(asked, wrong)
    if wrong:
        raise InvalidParameter.naming(wrong)
    low = times.get("from", times.get("to", now_ms()) - span_ms)
    return _Asked(
        asked.get("status"),
        frozenset(asked["type"].split(",")) if "type" in asked else None,
        ids.lowest("evt", max(now_ms() - DELIVERY_DAYS * _DAY_MS, low)),
        ids.lowest("evt", times["to"]) if "to" in times else "",
    )
