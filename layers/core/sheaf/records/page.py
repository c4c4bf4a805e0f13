"""Pages of rows, newest first."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic_core import to_json

from sheaf.access.caller import Caller
from sheaf.base.bounds import SCANNED_ROWS
from sheaf.base.config import config
from sheaf.entity.filters import Filters, index_value, matches
from sheaf.entity.pages import PageRequest, open_cursor, seal_cursor
from sheaf.entity.registry import EntityType
from sheaf.records.rows import Row, from_item
from sheaf.store import keys, table
from sheaf.store.secrets import signing_secret


@dataclass(frozen=True, slots=True)
class Page:
    """A page, and the cursor of the next one where there is one."""

    rows: list[Row]
    next_cursor: str | None


def page(caller: Caller, entity: EntityType, filters: Filters, request: PageRequest) -> Page:
    """The page that `request` asks for; raises InvalidCursor.

    Without filters it costs half a read unit per 4 KB of the page. With filters the first one's index gives the
    candidates and the others are checked on the rows; after SCANNED_ROWS candidates the page ends early, with a cursor.
    """
    scope = f"{caller.tenant}\0{entity.path}\0{to_json(filters).decode()}"
    after = open_cursor(signing_secret().derived("cursor"), scope, request.cursor) if request.cursor else ""
    found: list[Row] = []
    last = after
    for scanned, (position, row) in enumerate(rows(caller, entity, filters, after, request.limit + 1), 1):
        if row is not None and len(found) == request.limit:
            return Page(found, seal_cursor(signing_secret().derived("cursor"), scope, found[-1].id))
        if row is not None:
            found.append(row)
        last = position
        if scanned == SCANNED_ROWS:
            return Page(found, seal_cursor(signing_secret().derived("cursor"), scope, last))
    return Page(found, None)


def rows(caller: Caller, entity: EntityType, filters: Filters, after: str, batch: int) -> Iterator[tuple[str, Row | None]]:
    """Every candidate's id with its row, newest first from `after` (exclusive); None where the row does not match."""
    records = config().records_table
    if not filters:
        partition = keys.record(caller, entity.path, "").pk
        for item in table.query(records, partition, after=after, newest_first=True, page=batch):
            yield item["sk"], from_item(item)
        return
    name = next(iter(filters))
    partition = keys.index(caller, entity.path, name, index_value(filters[name]))
    found = table.query(records, partition, index=entity.indexes[name], after=after, newest_first=True, page=batch)
    for group in _groups((item["sk"] for item in found), min(batch, 100)):
        # The index is a moment behind; the rows are read as they stand and checked again.
        wanted = [keys.record(caller, entity.path, row_id) for row_id in group]
        items = table.get_many(records, wanted)
        for key in wanted:
            row = from_item(items[key]) if key in items else None
            yield key.sk, row if row and matches(row.document, filters) else None


def _groups(found: Iterator[str], size: int) -> Iterator[list[str]]:
    group: list[str] = []
    for row_id in found:
        group.append(row_id)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
