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
    """One event for one subscription, and the positions before and behind it."""

    subscription: Subscription
    event: Event
    before: Position
    behind: Position


def text(type_: str, **members: Any) -> str:
    """A message of one type."""
    return to_json({"type": type_, **{name: value for name, value in members.items() if value is not None}}).decode()


def events(scope: Scope, found: Sequence[Entry], name: str | None = None) -> Iterable[str]:
    """Messages that hold events, in their order: as many in one as fit, those under older names each in one of its own.

    The cursor of a message is behind its last event, where all subscriptions of the socket have got that. `name`: they are for
    one subscription only, which catches up.
    """
    parts: list[str] = []
    size, cursor = 0, ""

    def several() -> str:
        told = f'"id":{to_json(name).decode()},' if name is not None else ""
        return f'{{"type":"events",{told}"cursor":"{cursor}","events":[{",".join(parts)}]}}'

    for number, entry in enumerate(found, 1):
        is_last = number == len(found) or found[number].event.id != entry.event.id
        colon = entry.subscription.colons
        part = "" if colon else _part(entry)
        if parts and (colon or size + len(part.encode()) > SOCKET_FRAME_BYTES):
            yield several()
            parts, size = [], 0
        cursor = cursors.text_of(scope, entry.behind if is_last else entry.before)
        if colon:
            yield _colon(entry, cursor)
            continue
        parts.append(part)
        size += len(part.encode())
    if parts:
        yield several()


def presence(topic: str, *, joined: Iterable[str] = (), left: Iterable[str] = (), members: Iterable[str] | None = None) -> str:
    """Who has come to a topic and who has gone, or who is there."""
    shown: Mapping[str, Any] = {"topic": topic, "joined": sorted(joined) or None, "left": sorted(left) or None,
                                "members": sorted(members) if members is not None else None}  # fmt: skip
    return text("presence", **shown)


def _part(entry: Entry) -> str:
    name = to_json(entry.subscription.name).decode()
    return f'{{"id":{name},"event":{wanted.rendered(entry.event, entry.subscription.wanted.fields)}}}'


def _colon(entry: Entry, cursor: str) -> str:
    event = to_json(entry.event.type.replace(".", ":", 1)).decode()
    data = wanted.data_of(entry.event, entry.subscription.wanted.fields)
    more = to_json({"id": entry.event.id, "sequence": entry.event.sequence, "cursor": cursor}).decode()
    return f'{{"event":{event},"data":{data},{more[1:]}'
