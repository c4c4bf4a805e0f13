"""What sockets are sent, as JSON texts. docs/realtime.md shows each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from sheaf.base.bounds import SOCKET_FRAME_BYTES
from sheaf.features.realtime import cursors, wanted
from sheaf.features.realtime.subscriptions import Subscription
from sheaf.records.events import Event
from sheaf.records.journal import Position
from sheaf.store.keys import Scope


@dataclass(frozen=True, slots=True)
class Entry:
    """One event for one subscription, and the position behind it."""

    subscription: Subscription
    event: Event
    position: Position


def text(type_: str, **members: Any) -> str:
    """A message of one type."""
    return to_json({"type": type_, **{name: value for name, value in members.items() if value is not None}}).decode()


def events(scope: Scope, found: Sequence[Entry]) -> Iterable[str]:
    """Messages that hold events, in their order: as many in one as fit, those under older names each in one of its own."""
    parts: list[str] = []
    size, last = 0, None
    for entry in found:
        if entry.subscription.colons:
            if parts and last:
                yield _several(scope, parts, last)
                parts, size = [], 0
            yield _colon(scope, entry)
            continue
        part = _part(entry)
        takes = len(part.encode())
        if parts and last and size + takes > SOCKET_FRAME_BYTES:
            yield _several(scope, parts, last)
            parts, size = [], 0
        parts.append(part)
        size, last = size + takes, entry.position
    if parts and last:
        yield _several(scope, parts, last)


def presence(topic: str, *, joined: Iterable[str] = (), left: Iterable[str] = (), members: Iterable[str] | None = None) -> str:
    """Who has come to a topic and who has gone, or who is there."""
    shown: Mapping[str, Any] = {"topic": topic, "joined": sorted(joined) or None, "left": sorted(left) or None,
                                "members": sorted(members) if members is not None else None}  # fmt: skip
    return text("presence", **shown)


def _part(entry: Entry) -> str:
    name = to_json(entry.subscription.name).decode()
    return f'{{"id":{name},"event":{wanted.rendered(entry.event, entry.subscription.wanted.fields)}}}'


def _several(scope: Scope, parts: Sequence[str], position: Position) -> str:
    return f'{{"type":"events","cursor":"{cursors.text_of(scope, position)}","events":[{",".join(parts)}]}}'


def _colon(scope: Scope, entry: Entry) -> str:
    event = to_json(entry.event.type.replace(".", ":", 1)).decode()
    data = wanted.data_of(entry.event, entry.subscription.wanted.fields)
    return f'{{"event":{event},"data":{data},"cursor":"{cursors.text_of(scope, entry.position)}"}}'
