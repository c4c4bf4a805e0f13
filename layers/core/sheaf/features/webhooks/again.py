"""Events that are to be sent to a webhook once more: kept beside the row's lane until they were."""

from collections.abc import Iterator
from dataclasses import dataclass

from sheaf.base.bounds import DELIVERY_DAYS
from sheaf.base.clock import now
from sheaf.base.config import config
from sheaf.records import events
from sheaf.records.events import PARTS, Event
from sheaf.store import keys, table
from sheaf.store.keys import Key, Scope
from sheaf.store.table import Item


@dataclass(frozen=True, slots=True)
class Wish:
    """An event that is to be sent once more, if it was not since `asked_ms`; `is_of_person`: by somebody who looks at it now."""

    key: Key
    event: Event
    asked_ms: int
    is_of_person: bool


def item_of(webhook_id: str, event: Event, at_ms: int, *, of_person: bool) -> tuple[Key, Item]:
    """What says so."""
    item = {"ev": event.id, "u": at_ms, "by": of_person, "ttl": now() + DELIVERY_DAYS * 86_400}
    return keys.again(event, webhook_id, event.row, event.place), item


def waiting(scope: Scope, webhook_id: str, row_id: str) -> Iterator[Wish]:
    """The events of a row that are to be sent once more, in order."""
    partition = keys.again(scope, webhook_id, row_id, 0).pk
    for item in table.query(config().events_table, partition):
        event = event_at(scope, row_id, int(item["sk"]))
        if event is None:
            table.take(config().events_table, Key(item["pk"], item["sk"]))  # it was removed meanwhile
        else:
            yield Wish(Key(item["pk"], item["sk"]), event, item["u"], item["by"])


def event_at(scope: Scope, row_id: str, place: int) -> Event | None:
    """The event at a place of a row."""
    change = events.load(scope, row_id, place // PARTS)
    return change.at(place) if change else None


def take(key: Key) -> None:
    """An event was sent, or will not be."""
    table.take(config().events_table, key)
