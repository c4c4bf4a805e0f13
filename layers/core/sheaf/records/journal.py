"""The event log of a tenant: every event in one of TRACKS tracks, each with numbers that have no gap.

The change row of an event and its number are written in one transaction with the head of its track. So a reader who follows the
numbers misses nothing, however many shards of a stream write at once and whichever of them is late; and since the index that
lists a track may be a moment behind, a reader stops where a number is not there yet.

A position is a number for each track: `Event.place` of what was read last, with the number in the place of the version.
"""

import heapq
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from sheaf.base.bounds import EVENT_DAYS, EVENTS_BYTES, EVENTS_LOOKED_AT
from sheaf.base.clock import iso, now
from sheaf.base.config import config
from sheaf.base.log import log
from sheaf.records import events
from sheaf.records.events import PARTS, Event
from sheaf.store import keys, table
from sheaf.store.keys import TRACKS, Key, Scope
from sheaf.store.table import ConditionFailed, Contended, Item, Span, Write

Position = tuple[int, ...]

_TOGETHER = 90  # change rows of one transaction, which has 100 actions
_TOGETHER_BYTES = 3_000_000  # of their documents; a transaction may have 4 MB
_TRIES = 25
_READ = 100  # places read at once, at most
_LEAST = 20  # and at least
_INDEXED = 1_000  # places of the index that a reader of the whole log asks for at once; they have some 300 bytes each
_START = PARTS - 1  # the place behind number 0, which no event has
_heads: dict[Key, Item] = {}


class TooEarly(Exception):
    """The event before this one of the same row is not stored yet."""


@dataclass(frozen=True, slots=True)
class Heads:
    """How far the log has come, and where what is still kept of it begins."""

    position: Position
    oldest: Position

    def holds(self, after: Position) -> bool:
        """Whether everything behind a position is still there; a position that the log has not reached is none of it."""
        pairs = zip(after, self.oldest, self.position, strict=True)
        return all(least <= place <= most for place, least, most in pairs)


@dataclass(frozen=True, slots=True)
class Page:
    """Events, each with the position right behind it; where to go on, and whether there is more."""

    found: list[tuple[Event, Position]]
    position: Position
    more: bool


# ---- writing ----


def append(found: Iterable[Event], *, patient: bool = True) -> set[str]:
    """Store events, each once; the ids of those that are there now.

    One whose predecessor on the same row is not there yet is left out where `patient`: the events of a row have rising numbers.
    Raises Contended where too many write at once.
    """
    tracks: dict[tuple[str, int], list[Event]] = defaultdict(list)
    ready = _in_order(list(found), patient)
    for event in ready:
        tracks[event.tenant, keys.track_of(event.row)].append(event)
    for (_, number), several in tracks.items():
        for together in _parts(several):
            _append(number, together)
    return {event.id for event in ready}


def store(event: Event, *, patient: bool = True) -> None:
    """Store one event; the second time nothing happens. Raises TooEarly."""
    if not append([event], patient=patient):
        raise TooEarly(f"{event.previous} of {event.row} is not stored yet")


def _in_order(found: list[Event], patient: bool) -> list[Event]:
    """The events whose predecessors are stored, or are among them."""
    here = {(event.tenant, event.row, event.sequence) for event in found}
    wanted = {_before(event) for event in found
              if event.previous and (event.tenant, event.row, event.sequence - 1) not in here}  # fmt: skip
    missing = wanted - table.get_many(config().events_table, list(wanted), names=("pk", "sk")).keys()
    ready: list[Event] = []
    late: set[str] = set()
    for event in found:
        if event.row in late or (_before(event) in missing and patient):
            late.add(event.row)
            continue
        if _before(event) in missing:
            log.warning("an event goes before the one before it", extra={"event": event.id, "previous": event.previous})
        ready.append(event)
    return ready


def _before(event: Event) -> Key:
    return keys.change(event, event.row, event.sequence - 1)


def _parts(found: list[Event]) -> Iterator[list[Event]]:
    """The events in groups that fit into one transaction."""
    group: list[Event] = []
    size = 0
    for event in found:
        takes = len(event.data.encode()) + len((event.before or "").encode())
        if group and (len(group) == _TOGETHER or size + takes > _TOGETHER_BYTES):
            yield group
            group, size = [], 0
        group.append(event)
        size += takes
    if group:
        yield group


def _append(number: int, found: list[Event]) -> None:
    scope, place = found[0], keys.track(found[0], number)
    rows = dict(map(events.row_of, found))
    head = _heads.get(place) or table.get(config().events_table, place)
    for attempt in range(1, _TRIES + 1):
        following = _following(head, len(rows))
        first = following["n"] - len(rows) + 1
        numbered = [_numbered(scope, number, key, item, at) for at, (key, item) in enumerate(rows.items(), first)]
        try:
            table.commit([_raised(place, head, following), *numbered])
        except (ConditionFailed, Contended):
            time.sleep(random.uniform(0, 0.01) * attempt)  # noqa: S311  # spreads writers, keeps no secret
            there = table.get_many(config().events_table, [place, *rows])
            head = there.get(place)
            rows = {key: item for key, item in rows.items() if key not in there}
            if rows:
                continue
            following = head or following
        if len(_heads) > 10_000:
            _heads.clear()
        _heads[place] = following
        return
    raise Contended("Too many write the event log of this tenant at once; try again")


def _following(head: Item | None, count: int) -> Item:
    """The head of a track after `count` more events: the last number, and the first one of each of the days that are kept."""
    number = head["n"] if head else 0
    today, kept = _day(0), _day(EVENT_DAYS + 1)
    days = {day: first for day, first in (head["days"] if head else {}).items() if day >= kept}
    return {"n": number + count, "days": {today: number + 1, **days}}


def _raised(place: Key, head: Item | None, following: Item) -> Write:
    condition, values = ("#n = :seen", {"seen": head["n"]}) if head else ("attribute_not_exists(#pk)", {})
    return Write(config().events_table, "put", place, item=following, condition=condition, values=values)


def _numbered(scope: Scope, track: int, key: Key, item: Item, number: int) -> Write:
    placed = {**item, "track": keys.tracked(scope, track), "nr": keys.on_track(number)}
    return Write(config().events_table, "put", key, item=placed, condition="attribute_not_exists(#pk)")


def _day(back: int) -> str:
    return iso((now() - back * 86_400) * 1000)[:10]


def forget() -> None:
    """Forget the heads that this process has seen."""
    _heads.clear()


# ---- reading ----


def heads(scope: Scope) -> Heads:
    """How far the log of a tenant has come, as it stands (one consistent read)."""
    found = {int(item["sk"]): item for item in table.query(config().events_table, keys.tracks(scope))}
    kept = _day(EVENT_DAYS)
    position, oldest = [], []
    for number in range(TRACKS):
        head = found.get(number, {"n": 0, "days": {}})
        firsts = [first for day, first in head["days"].items() if day >= kept]
        position.append(_behind(head["n"]))
        oldest.append(_behind(min(firsts, default=head["n"] + 1) - 1))
    return Heads(tuple(position), tuple(oldest))


def read(scope: Scope, after: Position, until: Heads, *, wanted: Callable[[Item], bool], fits: Callable[[Event], bool],
         limit: int) -> Page:  # fmt: skip
    """At most `limit` events behind a position, oldest first: in the order of their tracks, and of time between those.

    `wanted` looks at what the index says of a change (`pa` its path, `ty` its type, `al` further types), `fits` at one event.
    A page that has looked at EVENTS_LOOKED_AT changes ends there, with `more`, whatever it has found.
    """
    places, size, looked_at = list(after), 0, EVENTS_LOOKED_AT
    found: list[tuple[Event, Position]] = []
    together = min(_READ, max(_LEAST, 2 * limit))  # a small page reads little, unless little of it fits
    source = heapq.merge(*_tracks(scope, after, until, together))
    while chosen := list(islice(source, min(together, looked_at))):
        looked_at, together = looked_at - len(chosen), _READ
        rows = [key for *_, key, item in chosen if wanted(item)]
        changes = table.get_many(config().events_table, rows)
        for _, _, track, number, key, _ in chosen:
            for event in _unread(scope, key, changes.get(key), number, places[track]):
                takes = len(event.data) + 300
                if fits(event):
                    if len(found) == limit or (found and size + takes > EVENTS_BYTES):
                        return Page(found, tuple(places), True)
                    size += takes
                    places[track] = number * PARTS + event.part
                    found.append((event, tuple(places)))
            places[track] = _behind(number)
            if found and found[-1][1][track] // PARTS == number:
                found[-1] = (found[-1][0], tuple(places))
        if looked_at <= 0:
            return Page(found, tuple(places), tuple(places) != until.position)
    return Page(found, tuple(places), False)


def _tracks(scope: Scope, after: Position, until: Heads, page: int) -> Iterator[Iterator[tuple[int, str, int, int, Key, Item]]]:
    for track, (place, head) in enumerate(zip(after, until.position, strict=True)):
        if place < head:
            yield _track(scope, track, place, head, page)


def _track(scope: Scope, track: int, place: int, head: int, page: int) -> Iterator[tuple[int, str, int, int, Key, Item]]:
    """The places of one track behind a place, up to its head, without a gap."""
    for number, item in _numbers(scope, track, (place + 1) // PARTS, head // PARTS, page):
        yield item["u"], item["id"], track, number, Key(item["pk"], item["sk"]), item


def _numbers(scope: Scope, track: int, first: int, last: int, page: int) -> Iterator[tuple[int, Item]]:
    """What the index says of the changes of one track from a number to another, without a gap."""
    expected = first
    for item in _indexed(scope, track, first, last, page):
        number = int(item["nr"])
        if number > expected:
            return  # the index has not come that far
        if number == expected:
            yield number, item
            expected += 1


def _indexed(scope: Scope, track: int, first: int, last: int, page: int) -> Iterator[Item]:
    span = Span(keys.tracked(scope, track), index="track", sort="nr", low=keys.on_track(first), high=keys.on_track(last))
    return table.query(config().events_table, span, page=page)


# ---- the whole of it, for the audit log ----


def numbers(scope: Scope) -> tuple[int, ...]:
    """The number of the last change of each track."""
    return tuple(place // PARTS for place in heads(scope).position)


def changes(scope: Scope, track: int, after: int, until: int, limit: int) -> Iterator[Item]:
    """At most `limit` change rows of a track behind a number, without a gap, up to another number."""
    found = (item for _, item in islice(_numbers(scope, track, after + 1, until, min(limit, _INDEXED)), limit))
    for item in _whole(found):
        if item is None:
            return  # the index knows what is not there any more: whoever checks the log finds that
        yield item


def all_changes(scope: Scope, track: int, after: int, until: int) -> Iterator[Item]:
    """The change rows of a track behind a number up to another one as they are there, in order, gaps and doubles included."""
    return (item for item in _whole(_indexed(scope, track, after + 1, until, _INDEXED)) if item is not None)


def _whole(found: Iterable[Item]) -> Iterator[Item | None]:
    source = iter(found)
    while some := [Key(item["pk"], item["sk"]) for item in islice(source, _READ)]:
        rows = table.get_many(config().events_table, some)
        yield from map(rows.get, some)


def _unread(scope: Scope, key: Key, change: Item | None, number: int, place: int) -> Iterator[Event]:
    """The events of a change that lie behind a place of its track."""
    if change is None:
        return
    for event in events.from_item(scope, keys.changed_row(key.pk), change).all:
        if number * PARTS + event.part > place:
            yield event


def _behind(number: int) -> int:
    """The place behind all events of a change."""
    return number * PARTS + _START
