"""Where the candidates of a list come from: each source yields (position, row) in one order, from a position on.

The row is None where an index entry is a moment behind its row; whoever asks checks the row against the filter again.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from sheaf.base.bounds import COUNTED_READS
from sheaf.base.config import config
from sheaf.entity.registry import EntityType
from sheaf.records.rows import Row, from_item, order_attribute, order_key
from sheaf.store import keys, table
from sheaf.store.keys import Key, Scope
from sheaf.store.table import Item, Span

Candidates = Iterator[tuple[str, Row | None]]


class Source(Protocol):
    """Candidates of a list."""

    def rows(self, after: str, batch: int) -> Candidates:
        """The candidates after a position, `batch` of them a read."""
        ...

    def positions(self) -> Iterator[str]:
        """All positions in order, without their rows."""
        ...

    def count(self) -> int | None:
        """How many candidates there are; None where that would take too long."""
        ...


@dataclass(frozen=True, slots=True)
class Partition:
    """All rows by id, or those of a span of ids."""

    span: Span
    descending: bool

    def rows(self, after: str, batch: int) -> Candidates:
        """As Source."""
        for item in table.query(config().records_table, self.span, after=after, newest_first=self.descending, page=batch):
            # DynamoDB removes what has expired a day or two late.
            yield item["sk"], None if table.is_over(item) else from_item(item)

    def positions(self) -> Iterator[str]:
        """As Source."""
        found = table.query(config().records_table, self.span, newest_first=self.descending, page=1_000_000, names=["sk"])
        return (item["sk"] for item in found)

    def count(self) -> int | None:
        """As Source."""
        return table.count(config().records_table, self.span, COUNTED_READS)


@dataclass(frozen=True, slots=True)
class ByValue:
    """Rows by one or several values of an indexed field, in the order of their ids."""

    scope: Scope
    entity: EntityType
    spans: Sequence[Span]
    descending: bool

    def rows(self, after: str, batch: int) -> Candidates:
        """As Source."""
        yield from _fetched(self.scope, self.entity, ((each, each) for each in self._ids(after, batch)), batch)

    def positions(self) -> Iterator[str]:
        """As Source."""
        return self._ids("", 1_000_000)

    def count(self) -> int | None:
        """As Source."""
        counts = [table.count(config().records_table, span, COUNTED_READS // len(self.spans)) for span in self.spans]
        return None if None in counts else sum(each or 0 for each in counts)

    def _ids(self, after: str, batch: int) -> Iterator[str]:
        found = [
            (
                item["sk"]
                for item in table.query(config().records_table, span, after=after, newest_first=self.descending, page=batch)
            )
            for span in self.spans
        ]
        last = ""
        for row_id in heapq.merge(*found, reverse=self.descending) if len(found) > 1 else found[0]:
            if row_id != last:  # a row on its way from one value to another may stand under both
                yield row_id
            last = row_id


@dataclass(frozen=True, slots=True)
class ByOrder:
    """All rows, or a range of them, in the order of an ordered field."""

    scope: Scope
    entity: EntityType
    field: str
    span: Span
    descending: bool

    def rows(self, after: str, batch: int) -> Candidates:
        """As Source. An entry that its row has left is passed over: the row stands elsewhere by now."""
        places = self._places(after, batch)
        for position, row in _fetched(self.scope, self.entity, ((place, keys.placed(place)) for place in places), batch):
            yield position, row if row and order_key(self.entity, self.field, row.document) == position else None

    def positions(self) -> Iterator[str]:
        """As Source."""
        return self._places("", 1_000_000)

    def count(self) -> int | None:
        """As Source."""
        return table.count(config().records_table, self.span, COUNTED_READS)

    def _places(self, after: str, batch: int) -> Iterator[str]:
        found = table.query(config().records_table, self.span, after=after, newest_first=self.descending, page=batch)
        return (item[self.span.sort] for item in found)


@dataclass(frozen=True, slots=True)
class ByIds:
    """Rows whose ids are known, in their order."""

    scope: Scope
    entity: EntityType
    ids: Sequence[str]  # sorted as they are to come
    descending: bool

    def rows(self, after: str, batch: int) -> Candidates:
        """As Source."""
        rest = [each for each in self.ids if not after or (each < after if self.descending else each > after)]
        return _fetched(self.scope, self.entity, ((each, each) for each in rest), batch)

    def positions(self) -> Iterator[str]:
        """As Source."""
        return iter(self.ids)

    def count(self) -> int | None:
        """Not known: a row may be gone."""
        return None


def order_span(scope: Scope, entity: EntityType, field: str, low: str = "", high: str = "") -> Span:
    """A range of an ordered field."""
    slot = entity.orders[field]
    return Span(keys.ordered(scope, entity.path, field), slot, order_attribute(slot), low, high)


def by_id(scope: Scope, entity: EntityType, row_ids: Iterable[str]) -> dict[str, Item]:
    """Those of the rows that exist, read as they stand."""
    wanted = [keys.record(scope, entity.path, row_id) for row_id in dict.fromkeys(row_ids)]
    return {key.sk: item for key, item in table.get_many(config().records_table, wanted).items()}


def _fetched(scope: Scope, entity: EntityType, found: Iterable[tuple[str, str]], batch: int) -> Candidates:
    """Each position with its row as it stands, read in groups."""
    waiting = iter(found)
    while group := list(islice(waiting, min(batch, 100))):
        wanted = {row_id: keys.record(scope, entity.path, row_id) for _, row_id in group}
        items: dict[Key, Item] = table.get_many(config().records_table, list(wanted.values()))
        for position, row_id in group:
            item = items.get(wanted[row_id])
            yield position, from_item(item) if item else None
