"""Sealing a tenant's audit log: what has come since the last segment becomes the next one.

A segment is put once under its number, so two sealers who meet make one; whoever dies in between has lost nothing.
"""

import time
from collections.abc import Iterator

from sheaf.base.bounds import SEGMENT_ENTRIES
from sheaf.base.clock import now_ms
from sheaf.base.config import config
from sheaf.features.audit import anchors, chain
from sheaf.features.audit.chain import Numbers, Segment
from sheaf.records import journal
from sheaf.store import keys, table
from sheaf.store.keys import Scope

_SECONDS = 20.0  # after which a sealer lets the next message go on


class NotYet(Exception):
    """There is more to seal: the index of the log is behind, or the time was over."""


def seal(scope: Scope) -> int:
    """Seal everything that is in the log now; how many entries. Raises NotYet.

    What comes meanwhile has a message of its own (asks.py), so that a steady load is sealed once in SEAL_SECONDS.
    """
    deadline, sealed = time.monotonic() + _SECONDS, 0
    head = journal.numbers(scope)
    last = newest(scope)
    if last and not anchors.is_there(scope, last):
        anchors.put(scope, last)  # whoever sealed it died right after
    while any(_behind(last, head)):
        if time.monotonic() > deadline:
            raise NotYet(f"{sealed} entries of {scope.tenant} were sealed in time")
        made = _next(scope, last, head)
        if table.put_new(config().audit_table, keys.segment(scope, made.number), chain.to_item(made)):
            sealed += len(made.leaves)
            anchors.put(scope, made)
        last = newest(scope)
    return sealed


def _behind(last: Segment | None, head: Numbers) -> Iterator[bool]:
    """For each track, whether it goes on behind the last segment."""
    return (number > sealed for number, sealed in zip(head, last.end if last else (0 for _ in head), strict=True))


def newest(scope: Scope) -> Segment | None:
    """The last segment, None where nothing is sealed yet."""
    item = next(iter(table.query(config().audit_table, keys.segment(scope, 0).pk, newest_first=True, page=1)), None)
    return chain.from_item(item) if item else None


def _next(scope: Scope, last: Segment | None, head: Numbers) -> Segment:
    """The segment behind the last one, of at most SEGMENT_ENTRIES entries."""
    end = list(last.end if last else (0 for _ in head))
    leaves: list[str] = []
    for track, number in enumerate(head):
        for found in journal.changes(scope, track, end[track], number, SEGMENT_ENTRIES - len(leaves)):
            leaves.append(chain.leaf(scope.tenant, chain.entry(keys.changed_row(found["pk"]), found)))
            end[track] = int(found["nr"])
    if not leaves:
        raise NotYet(f"the index of the log of {scope.tenant} is behind its head")
    return chain.joined(last, tuple(end), leaves, scope.tenant, now_ms())
