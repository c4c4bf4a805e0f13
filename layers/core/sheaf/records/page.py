"""Pages of rows: full until the end, whatever the filter, and totals that are exact."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sheaf.access.caller import Caller
from sheaf.base.clock import now_ms
from sheaf.entity.filters import Condition, Group
from sheaf.entity.pages import open_cursor, seal_cursor
from sheaf.entity.query import NEWEST_FIRST, Query, position_of, sort_key
from sheaf.entity.registry import EntityType
from sheaf.records.plan import Budget, Plan, Wanted, plan
from sheaf.records.rows import Row
from sheaf.store.secrets import signing_secret

_SCAN_BATCH = 500  # rows a read where most of them may not match

Positioned = tuple[Any, Row]  # a text of the source's own order, or a list of values where the rows are sorted here


@dataclass(frozen=True, slots=True)
class Page:
    """A page, the cursor of the next one where there is one, and the total where it was asked for."""

    rows: list[Row]
    next_cursor: str | None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """Rows in a row of a list, and whether there are more behind them in the direction that was asked for."""

    found: list[Positioned]
    more: bool
    total: int | None
    scope: str
    at_ms: int

    @property
    def rows(self) -> list[Row]:
        """The rows without their places."""
        return [row for _, row in self.found]

    def cursor(self, number: int) -> str:
        """The cursor that stands at one of the rows."""
        return seal_cursor(_key(), self.scope, [self.found[number][0], self.at_ms])


def page(caller: Caller, query: Query, also: tuple[Condition, ...] = (), *, strict: bool = False) -> Page:
    """The page that `query` asks for, of rows that satisfy `also` too; raises what `window` raises."""
    found = window(caller, query, also, strict=strict)
    return Page(found.rows, found.cursor(-1) if found.more else None, found.total)


def window(caller: Caller, query: Query, also: tuple[Condition, ...] = (), *, strict: bool = False,
           backwards: bool = False, budget: Budget | None = None) -> Window:  # fmt: skip
    """The rows that `query` asks for: those behind its cursor or, `backwards`, those before it, always in the list's order.

    Raises InvalidCursor, or IndexRequired where no index serves the query and it is over the scan budget (or `strict`). Several
    lists may share a `budget`.
    """
    scope = f"{caller.tenant}\0{query.entity.path}\0{query.identity}"
    after, at_ms = _opened(scope, query.cursor)
    sort = tuple((name, not down) for name, down in query.sort) if backwards else query.sort
    wanted = Wanted(Group("and", (*query.condition(at_ms).parts, *also)), sort, query.search, query.trash)
    chosen = plan(caller, query.entity, wanted)
    if strict and not chosen.served:
        raise chosen.refusal("strict handling is asked for")
    skip = (query.page - 1) * query.limit if query.page else 0
    total = None
    if chosen.in_order and (chosen.exact or not query.total):
        if query.total and (total := chosen.source.count()) is None:
            raise chosen.refusal("there are too many rows to count")
        found = list(islice(_streamed(chosen, after, skip, query.limit, budget), query.limit + 1))
    else:
        found, total = _collected(chosen, after, skip, query.limit + 1, budget)
    more = len(found) > query.limit
    kept = found[: query.limit]
    return Window(kept[::-1] if backwards else kept, more, total if query.total else None, scope, at_ms)


def count(caller: Caller, query: Query, budget: Budget | None = None) -> int:
    """How many rows a list has; raises IndexRequired where that takes too long to find out."""
    chosen = plan(caller, query.entity, Wanted(query.condition(now_ms()), query.sort, query.search, query.trash))
    return total(chosen, budget)


def candidates(caller: Caller, entity: EntityType, condition: Group, after: str, batch: int) -> Iterator[tuple[str, Row | None]]:
    """Every candidate's id with its row, newest first from `after` (exclusive); None where the row does not match.

    It has no scan budget: jobs use it, which read a whole table step by step.
    """
    return plan(caller, entity, Wanted(condition, NEWEST_FIRST)).rows(after, batch, bounded=False)


def walk(caller: Caller, entity: EntityType, wanted: Wanted, after: str, batch: int) -> Iterator[tuple[str, Row | None]] | None:
    """Every candidate's place and row in the wanted order, from a place on; None where no source yields that order.

    It has no scan budget, as `candidates`.
    """
    chosen = plan(caller, entity, wanted)
    return chosen.rows(after, batch, bounded=False) if chosen.in_order else None


def sorted_rows(caller: Caller, entity: EntityType, wanted: Wanted, most: int) -> list[Row]:
    """The wanted rows, put in order here; raises IndexRequired for more than `most`."""
    chosen = plan(caller, entity, wanted)
    found: list[Row] = []
    for _, row in chosen.rows("", _SCAN_BATCH, bounded=False):
        if row is not None:
            found.append(row)
        if len(found) > most:
            raise chosen.refusal(f"it has more than {most:,} rows to sort")
    return sorted(found, key=lambda row: sort_key(entity, wanted.sort, position_of(wanted.sort, row.id, row.document)))


def total(chosen: Plan, budget: Budget | None = None) -> int:
    """How many rows match; raises IndexRequired where that takes too long to find out."""
    found = chosen.source.count() if chosen.exact else sum(1 for _, row in chosen.rows("", _SCAN_BATCH, budget=budget) if row)
    if found is None:
        raise chosen.refusal("there are too many rows to count")
    return found


def _opened(scope: str, cursor: str | None) -> tuple[Any, int]:
    if cursor is None:
        return "", now_ms()
    position, at_ms = open_cursor(_key(), scope, cursor)
    return position, at_ms


def _streamed(chosen: Plan, after: str, skip: int, limit: int, budget: Budget | None) -> Iterator[Positioned]:
    if skip and chosen.exact:
        # Nothing but places is read on the way to a later page.
        after = next(islice(chosen.source.positions(), skip - 1, None), "")
        if not after:
            return
        skip = 0
    batch = limit + 1 if chosen.exact else _SCAN_BATCH
    matching = ((place, row) for place, row in chosen.rows(after, batch, budget=budget) if row)
    yield from islice(matching, skip, None)


def _collected(chosen: Plan, after: Any, skip: int, count: int, budget: Budget | None) -> tuple[list[Positioned], int]:
    """All matching rows are looked at: to sort them, or to count them."""
    matching = ((place, row) for place, row in chosen.rows("", _SCAN_BATCH, budget=budget) if row)
    if chosen.in_order:
        everything = list(matching)
        down = chosen.wanted.sort[0][1]
        rest = [each for each in everything if not after or (each[0] < after if down else each[0] > after)]
        return rest[skip : skip + count], len(everything)
    entity, sort = chosen.entity, chosen.wanted.sort
    places = [(position_of(sort, row.id, row.document), row) for _, row in matching]
    start = sort_key(entity, sort, after) if after else None
    keyed = ((sort_key(entity, sort, place), place, row) for place, row in places)
    rest_keyed = (each for each in keyed if start is None or start < each[0])
    smallest = heapq.nsmallest(skip + count, rest_keyed, key=lambda each: each[0])
    return [(place, row) for _, place, row in smallest[skip:]], len(places)


def _key() -> bytes:
    return signing_secret().derived("cursor")
