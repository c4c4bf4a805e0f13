"""The changes of a tenant by the time of their events: the index `day`, walked day by day. It may be a moment behind."""

from collections.abc import Iterator

from sheaf.base import ids
from sheaf.base.clock import iso
from sheaf.base.config import config
from sheaf.store import keys, table
from sheaf.store.keys import Key, Scope
from sheaf.store.table import Span

DAY_MS = 86_400_000


def changes(scope: Scope, low_ms: int, high_ms: int, after: str = "") -> Iterator[tuple[str, Key]]:
    """The ids of the events from `low_ms` on and before `high_ms`, behind one, the oldest first, each with its change's key."""
    low_ms = max(low_ms, ids.time_of(scope.tenant))  # nothing is older than its tenant
    first = max(low_ms, ids.time_of(after)) if after else low_ms
    low, high = max(ids.lowest("evt", low_ms), after), ids.lowest("evt", high_ms)
    for day_ms in range(first // DAY_MS * DAY_MS, high_ms, DAY_MS):
        for event_id, key in of_day(scope, day_ms, low, high):
            if event_id != after:
                yield event_id, key


def of_day(scope: Scope, day_ms: int, low: str, high: str, *, newest_first: bool = False) -> Iterator[tuple[str, Key]]:
    """Those of one day, both bounds (ids of events) included."""
    span = Span(keys.day(scope, iso(day_ms)[:10]), index="day", sort="id", low=low, high=high)
    for item in table.query(config().events_table, span, newest_first=newest_first, page=1_000):
        yield item["id"], Key(item["pk"], item["sk"])
