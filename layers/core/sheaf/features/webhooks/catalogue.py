"""Whether a webhook has asked for an event."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.base import ids
from sheaf.base.clock import now_ms
from sheaf.base.errors import InvalidParameter
from sheaf.base.log import log
from sheaf.entity import event_types, filters, registry
from sheaf.records.events import NOTES, Event
from sheaf.store.keys import Scope
from sheaf.store.table import Item


def imagined(scope: Scope, type_: str, data: Mapping[str, Any]) -> Event:
    """An event that has not happened, to be held against what a webhook asks for."""
    entity = registry.of_word(type_.partition(".")[0])
    return Event(tenant=scope.tenant, path=entity.path if entity else "events", id="", type=type_, row="", sequence=1,
                 previous=None, at_ms=now_ms(), actor="", request_id="", data=to_json(data).decode(), before=None)  # fmt: skip


def is_told(event: Event) -> bool:
    """Whether webhooks may be told of an event: no notes, no quiet ones, no rows that only their owners see."""
    return event.path not in (*registry.PRIVATE, NOTES) and not event.quiet


def wants(webhook: Item, event: Event) -> bool | None:
    """Whether the webhook had asked for the event when it happened; None where that is not known any more.

    What it asks for may change: each event is held to what was asked for at its own time. After many changes the first terms are
    forgotten, and a filter may name a field that a later installation has not.
    """
    asked = next((each for each in reversed(webhook["asked"]) if each["from"] <= event.at_ms), None)
    if asked is None:
        return None if event.at_ms >= ids.time_of(webhook["sk"]) else False
    try:
        return fits(asked, event)
    except InvalidParameter as error:
        log.warning("a filter is not understood any more", extra={"webhook": webhook["sk"], "why": error.message})
        return None


def fits(asked: Mapping[str, Any], event: Event) -> bool:
    """Whether an event is among those that `{"events", "filter"}` asks for. Raises InvalidParameter where the filter is wrong."""
    if not event_types.covers(asked["events"], event.type):
        return False
    if not asked.get("filter"):
        return True
    entity = registry.known(event.path)
    if entity is None:
        return False
    condition = filters.from_json(entity, from_json(asked["filter"]), event.at_ms)
    return filters.matches(event.document, condition)
