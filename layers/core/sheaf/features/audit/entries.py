"""The entries of the audit log as admins read them: newest first, by who, what, on which and when."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic_core import from_json

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import AUDIT_DAYS_LOOKED_AT, AUDIT_LOOKED_AT
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import InvalidCursor, InvalidParameter
from sheaf.entity import event_types
from sheaf.entity.moments import span_of
from sheaf.records import days
from sheaf.records.days import DAY_MS
from sheaf.records.events import NOTES
from sheaf.store import keys, table
from sheaf.store.keys import Key, Scope
from sheaf.store.table import Item

FILTERS = ("user", "action", "entity", "target", "from", "to")
COLUMNS = ("id", "at", "action", "entity", "target", "actor", "actorType", "address", "requestId", "before", "after")
_READ = 100
_ACTORS = {"usr": "user", "key": "key", "hok": "hook"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which entries: empty for any, from `low_ms` on and before `high_ms`."""

    user: str = ""
    actions: frozenset[str] = frozenset()  # task.created, task.*
    entity: str = ""
    target: str = ""
    low_ms: int = 0
    high_ms: int = 0

    def holds(self, item: Item) -> bool:
        """Whether an entry is one of them."""
        types = (item["ty"], *item.get("al", ()))
        return (
            (not self.user or item["a"] == self.user)
            and (not self.actions or any(event_types.covers(self.actions, type_) for type_ in types))
            and (not self.entity or item["pa"] == self.entity)
            and (not self.target or self.target in (item.get("tg"), keys.changed_row(item["pk"])))
        )


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of entries, and the cursor of the next one."""

    entries: list[dict[str, Any]]
    next_cursor: str | None


def read(scope: Scope, asked: Mapping[str, Any]) -> Asked:
    """The filters of a list or an export: `user`, `action` (several by commas, `task.*`), `entity`, `target`, `from`, `to`.

    Raises InvalidParameter.
    """
    wrong = {name[:80]: f"is not a parameter here; {', '.join(FILTERS)} are" for name in asked if name not in FILTERS}
    wrong |= {name: "must be a text" for name, value in asked.items() if name in FILTERS and not isinstance(value, str)}
    times = span_of(asked, wrong)
    if wrong:
        raise InvalidParameter.naming(wrong)
    born = ids.time_of(scope.tenant)  # nothing is older than its tenant
    return Asked(
        asked.get("user", ""),
        frozenset(filter(None, (each.strip() for each in asked.get("action", "").split(",")))),
        asked.get("entity", ""),
        asked.get("target", ""),
        max(born, times.get("from", born)),
        min(times.get("to", now_ms() + 1), now_ms() + 1),  # nothing is younger than now
    )


def listing(caller: Caller, asked: Asked, limit: int, cursor: str) -> Listed:
    """A page of entries, the newest first. One of few matches among many entries may be short; its cursor leads on.

    Raises InvalidCursor.
    """
    if cursor and not ids.is_id(cursor, "evt"):
        raise InvalidCursor("The cursor is damaged; start again without it")
    newest = min(asked.high_ms - 1, ids.time_of(cursor)) if cursor else asked.high_ms - 1
    found: list[Item] = []
    looked, place = 0, cursor
    lowest, highest = ids.lowest("evt", asked.low_ms), ids.lowest("evt", asked.high_ms)
    for passed, day_ms in enumerate(range(newest // DAY_MS * DAY_MS, asked.low_ms // DAY_MS * DAY_MS - 1, -DAY_MS)):
        if passed == AUDIT_DAYS_LOOKED_AT:
            return _listed(found, place)
        of_day = days.of_day(caller, day_ms, lowest, min(place, highest) if place else highest, newest_first=True)
        for event_id, item in _recorded(of_day):
            if event_id == cursor:
                continue
            if looked == AUDIT_LOOKED_AT:
                return _listed(found, place)
            looked, place = looked + 1, event_id
            if asked.holds(item):
                found.append(item)
            if len(found) > limit:
                return _listed(found[:limit], found[limit - 1]["id"])
        place = ids.lowest("evt", day_ms)
    return _listed(found, None)


def _listed(found: list[Item], following: str | None) -> Listed:
    return Listed(list(map(shown, found)), following)


def oldest_first(scope: Scope, asked: Asked, after: str) -> Iterator[tuple[str, Item | None]]:
    """The ids behind one, in order, each with its entry; None for what does not fit."""
    for event_id, item in _recorded(days.changes(scope, asked.low_ms, asked.high_ms, after)):
        yield event_id, item if asked.holds(item) else None


def shown(item: Item) -> dict[str, Any]:
    """An entry as it is answered. What was erased is not there any more: `erased` names it."""
    before = from_json(item["b"]) if item.get("b") else None
    erased = sorted(from_json(item.get("cm", "{}")).keys() - from_json(item.get("sl", "{}")).keys())
    return {
        "id": item["id"],
        "at": iso(item["u"]),
        "action": item["ty"],
        "entity": None if item["pa"] == NOTES else item["pa"],
        "target": item.get("tg") or keys.changed_row(item["pk"]),
        "actor": item["a"],
        "actorType": _ACTORS.get(item["a"].partition("_")[0], "system"),
        "address": item.get("ip"),
        "requestId": item["q"],
        "before": None if item["ty"].endswith(".created") else before,
        "after": None if item["ty"].endswith(".deleted") else from_json(item["d"]),
        **({"erased": erased} if erased else {}),
    }


def _recorded(changes: Iterator[tuple[str, Key]]) -> Iterator[tuple[str, Item]]:
    """The entries of those changes that have a place in the log: only they are part of it."""
    while some := list(islice(changes, _READ)):
        rows = table.get_many(config().events_table, [key for _, key in some])
        for event_id, key in some:
            item = rows.get(key)
            if item is not None and "track" in item:
                yield event_id, item
