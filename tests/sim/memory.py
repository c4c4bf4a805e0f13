"""The reading half of `sheaf.store.table` over a dictionary: what Query, its indexes and BatchGetItem promise, and fast.

tests/sim/test_listing.py compares it with the real port first, and then asks lists of ten thousand rows of it.
"""

from bisect import insort
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sheaf.store import table
from sheaf.store.keys import Key
from sheaf.store.table import Item, Span

SORTS = {"": "sk", "ix1": "sk", "ix2": "sk", "ix3": "sk", "or1": "os1", "or2": "os2"}


class Memory:
    """Items, and for each index the places of those that carry its attribute, in the order of their bytes."""

    def __init__(self) -> None:
        self.items: dict[Key, Item] = {}
        self._places: dict[tuple[str, str], list[tuple[bytes, Key]]] = {}
        self.reads = 0

    def put(self, key: Key, item: Item) -> None:
        stored = {"pk": key.pk, "sk": key.sk, **{name: value for name, value in item.items() if value is not None}}
        self.items[key] = stored
        for index, sort in SORTS.items():
            if (partition := stored.get(index or "pk")) is not None:
                insort(self._places.setdefault((index, partition), []), (stored[sort].encode(), key))

    def query(self, _: str, span: Span | str, *, after: str = "", newest_first: bool = False, page: int = 100,
              names: Sequence[str] = ()) -> Iterator[Item]:  # fmt: skip
        found = span if isinstance(span, Span) else Span(span)
        places = self._within(found)
        for place, key in reversed(places) if newest_first else places:
            if not after or (place < after.encode() if newest_first else place > after.encode()):
                self.reads += 1
                yield self.items[key]

    def count(self, _: str, span: Span, reads: int) -> int | None:
        return len(self._within(span))

    def get_many(self, _: str, found: Sequence[Key], *, names: Sequence[str] = ()) -> dict[Key, Item]:
        return {key: self.items[key] for key in found if key in self.items}

    def _within(self, span: Span) -> list[tuple[bytes, Key]]:
        low, high = span.low.encode(), span.high.encode()
        places = self._places.get((span.index, span.pk), [])
        return [each for each in places if (not low or each[0] >= low) and (not high or each[0] <= high)]

    @contextmanager
    def instead(self) -> Iterator[Any]:
        """Let this be the table inside the block."""
        with patch.multiple(table, query=self.query, count=self.count, get_many=self.get_many):
            yield self
