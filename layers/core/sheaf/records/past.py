"""Rows as they were at a moment: what lies in the tables now, taken back by the change log.

The log of a row has every version since it was made, each with its moment, so the version at a moment is the newest one that is
not younger. A change is in the log a moment after it was made: until then Unavailable is raised, for whoever asks to come again.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from pydantic_core import from_json

from sheaf.base.config import config
from sheaf.base.errors import Unavailable
from sheaf.records import events
from sheaf.records.events import Event
from sheaf.store import keys, table
from sheaf.store.keys import Scope
from sheaf.store.table import Item, Span

_PAGE = 500  # rows that are read together


class Then(NamedTuple):
    """A row at a moment: its version and its fields, those that are hidden included as far as they are known."""

    version: int
    fields: Mapping[str, Any]


def at(scope: Scope, item: Item, at_ms: int) -> Then | None:
    """What a row was at a moment, by its item as it is now, live or in the trash; None where it was not there."""
    hidden = from_json(item["h"]) if "h" in item else {}
    if item["u"] <= at_ms:
        return None if keys.is_trash(item["pk"]) else Then(item["v"], {**from_json(item["d"]), **hidden})
    found = _newest(scope, item["sk"], at_ms, item["v"])
    return _of(found, hidden)


def of_log(scope: Scope, row_id: str, at_ms: int) -> Then | None:
    """The same of a row of which nothing but its log is left."""
    return _of(_newest(scope, row_id, at_ms, None), {})


def last(scope: Scope, row_id: str) -> Event | None:
    """The newest change of a row that its log has."""
    return next(events.back(scope, row_id, page=1), None)


def _newest(scope: Scope, row_id: str, at_ms: int, version: int | None) -> Event | None:
    """The newest change that is not younger than a moment; `version`: the row's own, of which the log may not know yet."""
    following = version
    for event in _back(scope, row_id):
        if following is not None and event.sequence < following - 1:
            break  # there is a gap that is being filled
        if event.at_ms <= at_ms:
            return event
        following = event.sequence
    if following not in (None, 1):
        raise Unavailable(f"The changes of {row_id} are still being recorded; try again")
    return None


def _back(scope: Scope, row_id: str) -> Iterator[Event]:
    return events.back(scope, row_id, page=20)


def _of(event: Event | None, hidden: Mapping[str, Any]) -> Then | None:
    return None if event is None or event.verb == "deleted" else Then(event.sequence, {**event.document, **hidden})


def items(scope: Scope, path: str, after: str) -> Iterator[Item]:
    """Every row of an entity behind an id, those in the trash among them, in the order of their ids."""
    living, dead = keys.record(scope, path, "").pk, keys.trash(scope, path, "").pk
    while True:
        page = list(islice(table.query(config().records_table, living, after=after, page=_PAGE, names=("sk",)), _PAGE))
        high = page[-1]["sk"] if len(page) == _PAGE else ""
        found: dict[str, Item] = {}
        # A row that moves from one partition to the other between two reads is in one of the three.
        for pk in (dead, living, dead):
            for item in table.query(config().records_table, Span(pk, high=high), after=after, page=_PAGE):
                known = found.get(item["sk"])
                if known is None or known["v"] < item["v"]:
                    found[item["sk"]] = item
        yield from (found[row_id] for row_id in sorted(found))
        if not high:
            return
        after = high
