"""Which source serves a query, what is left to check on its rows, and what it may cost."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sheaf.base import ids
from sheaf.base.bounds import ORDER_CHARACTERS, SCANNED_BYTES, SCANNED_ROWS
from sheaf.base.errors import IndexRequired
from sheaf.entity import kinds, words
from sheaf.entity.filters import Group, Test, index_value, matches, only_tests, tests_of
from sheaf.entity.query import NEWEST_FIRST, Sort
from sheaf.entity.registry import EntityType
from sheaf.records import searching
from sheaf.records.rows import Row
from sheaf.records.sources import ByIds, ByOrder, ByValue, Candidates, Partition, Source, order_span
from sheaf.store import keys
from sheaf.store.keys import Scope
from sheaf.store.table import Span

_LAST = "\U0010ffff"  # sorts after every other character


@dataclass(frozen=True, slots=True)
class Wanted:
    """The rows that are asked for, and their order."""

    condition: Group
    sort: tuple[Sort, ...] = NEWEST_FIRST
    search: tuple[str, ...] = ()
    trash: bool = False


@dataclass(slots=True)
class Budget:
    """What is left of the rows, and of their characters, that a request may read."""

    rows: int = field(default_factory=lambda: SCANNED_ROWS)
    size: int = field(default_factory=lambda: SCANNED_BYTES)


@dataclass(frozen=True, slots=True)
class Plan:
    """A source, and what the caller of `rows` must do to what it yields."""

    entity: EntityType
    wanted: Wanted
    source: Source
    in_order: bool  # the source yields the wanted order
    exact: bool  # the source yields nothing that does not match
    served: bool  # by an index or a key, so that the cost follows the answer and not the table

    def rows(self, after: str, batch: int, *, bounded: bool = True, budget: Budget | None = None) -> Candidates:
        """Every candidate's position with its row, None where it does not match.

        Raises IndexRequired over the scan budget, one of its own or what others have left of theirs; a job, which reads step by
        step, goes without one (`bounded=False`).
        """
        left = budget or Budget()
        for position, row in self.source.rows(after, batch):
            left.rows -= 1
            left.size -= len(row.text) if row else 0
            if bounded and (left.rows < 0 or left.size < 0):
                raise self.refusal(f"it reads more than {SCANNED_ROWS:,} rows or {SCANNED_BYTES >> 20} MiB")
            yield position, row if row is not None and self._matches(row) else None

    def refusal(self, reason: str) -> IndexRequired:
        """The error that says what would serve the query."""
        line = index_line(self.entity, self.wanted)
        advice = f"add to {self.entity.model.__name__}: {line}" if line else "narrow the filter"
        return IndexRequired(f"No index serves this query and {reason}; {advice}", extra={"index": line} if line else None)

    def _matches(self, row: Row) -> bool:
        if not self.wanted.condition.parts and not self.wanted.search:
            return True
        document = row.document
        return matches(document, self.wanted.condition) and words.found(self.entity, document, self.wanted.search)


def plan(scope: Scope, entity: EntityType, wanted: Wanted) -> Plan:
    """The cheapest source for the rows that are wanted."""
    tests = tests_of(wanted.condition)
    descending = wanted.sort[0][1]
    by_time = wanted.sort[0][0] == "id"
    alone = only_tests(wanted.condition) and not wanted.search

    def made(source: Source, used: list[Test], *, in_order: bool, served: bool = True) -> Plan:
        return Plan(entity, wanted, source, in_order, alone and used == tests, served)

    if wanted.trash:
        source: Source = Partition(Span(keys.trash(scope, entity.path, "").pk), descending)
        # What has expired is still there for a while, so places are no rows here.
        return replace(made(source, [], in_order=by_time, served=alone and not tests and by_time), exact=False)
    if named := next((test for test in tests if test.field == "id" and test.operator in ("eq", "in")), None):
        asked = [each for each in _values(named) if ids.is_id(each, entity.prefix)]
        return made(ByIds(scope, entity, _sorted(asked, descending), descending), [], in_order=by_time)
    if wanted.search:
        matched = searching.ids_of(scope, entity, wanted.search)
        return made(ByIds(scope, entity, _sorted(matched, descending), descending), [], in_order=by_time)
    if equal := next((test for test in tests if test.field in entity.indexes and test.operator in ("eq", "in")), None):
        return made(ByValue(scope, entity, _value_spans(scope, entity, equal), descending), [equal], in_order=by_time)
    ordered = wanted.sort[0][0] if wanted.sort[0][0] in entity.orders else ""
    ranged = next((test.field for test in tests if test.field in entity.orders and _range([test], test.field)), "")
    if field := ordered or (ranged if by_time else ""):
        span, used = _order_span(scope, entity, field, tests)
        source = ByOrder(scope, entity, field, span, descending)
        return made(source, used, in_order=bool(ordered) and (len(wanted.sort) == 1 or wanted.sort[1:] == (("id", descending),)))
    span, used = _time_span(scope, entity, tests)
    residual = [test for test in tests if test not in used]
    return made(Partition(span, descending), used, in_order=by_time,
                served=by_time and not residual and alone)  # fmt: skip


def index_line(entity: EntityType, wanted: Wanted) -> str:
    """The declaration that would serve the query, where one would."""
    for test in tests_of(wanted.condition):
        if test.operator in ("eq", "in") and test.field in entity.kinds.keys() - entity.indexes.keys() - kinds.SYSTEM.keys():
            return f"{test.field} = field(…, index=True)"
    name = wanted.sort[0][0]
    if name not in (*entity.orders, *kinds.SYSTEM):
        return f"{name} = field(…, sort=True)"
    for test in tests_of(wanted.condition):
        if _range([test], test.field) and test.field not in (*entity.orders, *kinds.SYSTEM):
            return f"{test.field} = field(…, sort=True)"
    return ""


def _values(test: Test) -> list[Any]:
    return list(dict.fromkeys(test.value)) if test.operator == "in" else [test.value]


def _sorted(found: Any, descending: bool) -> list[str]:
    return sorted(set(found), reverse=descending)


def _value_spans(scope: Scope, entity: EntityType, test: Test) -> list[Span]:
    slot = entity.indexes[test.field]
    texts = dict.fromkeys(index_value(test.kind, value) for value in _values(test))
    return [Span(keys.index(scope, entity.path, test.field, text), slot) for text in texts] or [Span("@nothing", slot)]


def _order_span(scope: Scope, entity: EntityType, field: str, tests: list[Test]) -> tuple[Span, list[Test]]:
    used = _range(tests, field)
    low = high = ""
    for test in used:
        first, last = _edges(test)
        low = max(low, first) if first else low
        high = min(high, last) if high and last else high or last
    if low and high and low > high:
        # Nothing lies between: one place, and the rows there are checked.
        return order_span(scope, entity, field, high, high), []
    # An open edge of `gt` and `lt` is included in the span, so those two are checked on the rows.
    return order_span(scope, entity, field, low, high), [each for each in used if each.operator not in ("gt", "lt")]


def _edges(test: Test) -> tuple[str, str]:
    """The first and last sort key that a comparison allows; an empty one is open."""
    asked = test.value if test.operator == "between" else [test.value]
    # No row holds a longer text (the declaration says so), and a key may not.
    values = [kinds.ordered_text(test.kind, each[: ORDER_CHARACTERS + 1] if isinstance(each, str) else each) for each in asked]
    first, last = keys.place(values[0], ""), keys.place(values[-1], _LAST)
    of_kind = values[0][0]  # null and values of other types stand before and after, under another first character
    match test.operator:
        case "eq" | "between":
            return first, last
        case "startswith":
            return values[0], f"{values[0]}{_LAST}"
        case "ge" | "gt":
            return first, f"{of_kind}{_LAST}"
    return of_kind, last


def _range(tests: list[Test], field: str) -> list[Test]:
    return [test for test in tests
            if test.field == field and test.operator in ("eq", "lt", "le", "gt", "ge", "between", "startswith")]  # fmt: skip


def _time_span(scope: Scope, entity: EntityType, tests: list[Test]) -> tuple[Span, list[Test]]:
    """The ids whose time the comparisons of `createdAt` allow: an id begins with its time. They are checked on the rows too."""
    used = [test for test in tests if test.field == "createdAt" and test.operator in ("lt", "le", "gt", "ge", "between")]
    low = high = ""
    for test in used:
        values = test.value if test.operator == "between" else [test.value]
        if test.operator in ("gt", "ge", "between"):
            low = max(low, ids.lowest(entity.prefix, _ms(values[0], after=test.operator == "gt")))
        if test.operator in ("lt", "le", "between"):
            last = ids.lowest(entity.prefix, _ms(values[-1], after=test.operator != "lt"))
            high = min(high, last) if high else last
    if low and high and low > high:
        low = high
    return Span(keys.record(scope, entity.path, "").pk, low=low, high=high), used


def _ms(text: str, *, after: bool) -> int:
    """The first whole millisecond at or (`after`) behind a time; ids know no finer time."""
    moment = datetime.fromisoformat(f"{text}+00:00")
    whole = int(moment.replace(microsecond=0).timestamp()) * 1000 + moment.microsecond // 1000
    ms = whole + 1 if after or moment.microsecond % 1000 else whole
    return max(0, min(ms, (1 << 47) - 1))
