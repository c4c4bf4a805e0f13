"""Checking the audit log against its chain, and the chain against its anchors: whatever was changed, taken, added or moved."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sheaf.base.clock import iso
from sheaf.base.config import config
from sheaf.base.errors import NotFound
from sheaf.features.audit import anchors, chain
from sheaf.features.audit.chain import GENESIS, Segment
from sheaf.records import commitments, journal
from sheaf.store import keys, table
from sheaf.store.keys import Scope
from sheaf.store.table import Item, Span

_PROBLEMS = 100  # that one answer tells
_AGAIN_SECONDS = 1.0  # after which what looks wrong is looked at once more: an index may be a moment behind


@dataclass(slots=True)
class Report:
    """What was found. `following`: the segment to go on with, None at the end of the chain."""

    segments: int = 0
    entries: int = 0
    problems: list[dict[str, Any]] = field(default_factory=list)
    following: int | None = None
    head: Segment | None = None
    unsealed: int = 0

    def shown(self) -> dict[str, Any]:
        """As it is answered."""
        head = self.head and {"segment": self.head.number, "hash": self.head.hash, "sealedAt": iso(self.head.at_ms)}
        return {"valid": not self.problems, "complete": self.following is None, "segments": self.segments,
                "entries": self.entries, "problems": self.problems[:_PROBLEMS], "nextSegment": self.following,
                "head": head, "unsealed": self.unsealed}  # fmt: skip


def verify(scope: Scope, first: int, seconds: float) -> Report:
    """Check the segments from `first` on, for so long."""
    report, deadline = Report(), time.monotonic() + seconds
    before = _segment(scope, first - 1) if first > 1 else None
    if first > 1 and before is None:
        _require_reached(scope, first - 1)
        report.problems.append(_problem(first - 1, "segment_missing"))
    report.head = before
    anchored = _Anchors(scope, first)
    for item in table.query(config().audit_table, Span(keys.segment(scope, 0).pk, low=keys.segment(scope, first).sk), page=20):
        if time.monotonic() > deadline:
            report.following = int(item["sk"])
            return report
        segment = chain.from_item(item)
        report.problems += _of_segment(scope, segment, report.head, first + report.segments, anchored)
        report.problems += _of_entries(scope, segment)
        report.segments, report.entries, report.head = report.segments + 1, report.entries + len(segment.leaves), segment
    # A segment that was sealed meanwhile is none that is missing.
    cut = [each for each in anchored.rest() if (found := _segment(scope, each.segment)) is None or found.hash != each.hash]
    report.problems += [_problem(each.segment, "segment_missing", hash=each.hash) for each in cut]
    ends = report.head.end if report.head else ()
    numbers = journal.numbers(scope)
    if any(now < then for now, then in zip(numbers, ends, strict=False)):
        report.problems.append(_problem(None, "log_cut", told=list(numbers)))
    report.unsealed = max(0, sum(numbers) - sum(ends))
    return report


class _Anchors:
    """The anchors, read along with the segments."""

    def __init__(self, scope: Scope, first: int) -> None:
        self._left = anchors.since(scope, first)
        self._next = next(self._left, None)

    def of(self, number: int) -> set[str]:
        """The hashes that a segment was anchored with."""
        found = set()
        while self._next and self._next.segment <= number:
            found.add(self._next.hash if self._next.segment == number else "")
            self._next = next(self._left, None)
        return found

    def rest(self) -> Iterator[anchors.Anchor]:
        """Those behind the last segment."""
        while self._next:
            yield self._next
            self._next = next(self._left, None)


def _of_segment(
    scope: Scope, segment: Segment, before: Segment | None, number: int, anchored: _Anchors
) -> Iterator[dict[str, Any]]:
    hashes = anchored.of(segment.number)
    if segment.number != number:
        yield _problem(number, "segment_missing")
    if segment.hash != segment.reckoned(scope.tenant):
        yield _problem(segment.number, "segment_changed")
    if segment.previous != (before.hash if before else GENESIS) or segment.start != (before.end if before else segment.start):
        yield _problem(segment.number, "chain_broken")
    if not before and number == 1 and any(segment.start):
        yield _problem(segment.number, "chain_broken")
    if not hashes:  # it was sealed after the anchors were listed, or is being anchored
        time.sleep(_AGAIN_SECONDS)
        hashes = {each.hash for each in anchors.since(scope, segment.number, 1)}
    if hashes != {segment.hash}:
        yield _problem(segment.number, "anchor_differs" if hashes else "anchor_missing", anchors=sorted(hashes))


def _of_entries(scope: Scope, segment: Segment) -> list[dict[str, Any]]:
    found = list(_entry_problems(scope, segment))
    if found:
        time.sleep(_AGAIN_SECONDS)
        found = list(_entry_problems(scope, segment))
    return found


def _entry_problems(scope: Scope, segment: Segment) -> Iterator[dict[str, Any]]:
    leaves = iter(segment.leaves)
    for track, (start, end) in enumerate(zip(segment.start, segment.end, strict=True)):
        there: dict[int, Item] = {}
        counted: Counter[int] = Counter()
        for item in journal.all_changes(scope, track, start, end):
            number = int(item["nr"])
            counted[number] += 1
            there[number] = item
        for number in range(start + 1, end + 1):
            place = {"track": track, "number": number}
            wanted, stored = next(leaves, ""), there.get(number)
            if stored is None:
                yield _problem(segment.number, "entry_missing", **place)
                continue
            if counted[number] > 1:
                yield _problem(segment.number, "entry_added", **place)
            entry = chain.entry(keys.changed_row(stored["pk"]), stored)
            if chain.leaf(scope.tenant, entry) != wanted:
                yield _problem(segment.number, "entry_changed", id=stored["id"], **place)
            for name in commitments.wrong(entry.salts, entry.commitments, entry.personal):
                yield _problem(segment.number, "value_changed", id=stored["id"], field=name, **place)


def _require_reached(scope: Scope, number: int) -> None:
    """Raise NotFound where a log has never come so far."""
    newest = next(iter(table.query(config().audit_table, keys.segment(scope, 0).pk, newest_first=True, page=1)), None)
    last = int(newest["sk"]) if newest else 0
    if last < number and next(anchors.since(scope, number), None) is None:
        raise NotFound(f"The log has {last} segments; there is nothing to go on with")


def _segment(scope: Scope, number: int) -> Segment | None:
    item = table.get(config().audit_table, keys.segment(scope, number))
    return chain.from_item(item) if item else None


def _problem(segment: int | None, what: str, **more: Any) -> dict[str, Any]:
    return {"segment": segment, "problem": what, **more}
