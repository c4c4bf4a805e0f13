"""The chain of the audit log: entries become leaves, leaves a segment, and each segment holds the hash of the one before it.

Nothing here reads or writes anything; `sdk/python/sheaf_audit.py` does the same for a reader who trusts none of this.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.records.commitments import ADDRESS, canonical
from sheaf.store.table import Item

GENESIS = "0" * 64  # the hash before the first segment
Numbers = tuple[int, ...]  # of the last entry of each track


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the log: what is chained, and the personal values that are chained by their commitments alone."""

    track: int
    number: int
    chained: Mapping[str, Any]
    personal: Mapping[str, Any]
    salts: Mapping[str, str]

    @property
    def commitments(self) -> Mapping[str, str]:
        """What was committed to, by place."""
        found: Mapping[str, str] = self.chained["commitments"]
        return found


@dataclass(frozen=True, slots=True)
class Segment:
    """A sealed part of the log: for each track the entries behind `start` up to `end`, the tracks in their order."""

    number: int  # from 1
    start: Numbers
    end: Numbers
    leaves: tuple[str, ...]
    previous: str
    at_ms: int
    hash: str = ""

    def reckoned(self, tenant: str) -> str:
        """The hash that it ought to have."""
        said = {
            "tenant": tenant,
            "segment": self.number,
            "from": list(self.start),
            "to": list(self.end),
            "leaves": sha256("".join(self.leaves).encode()).hexdigest(),
            "count": len(self.leaves),
            "previous": self.previous,
            "sealedAt": self.at_ms,
        }
        return sha256(canonical(said).encode()).hexdigest()


def entry(row_id: str, item: Item) -> Entry:
    """The entry that a change row is."""
    commitments: dict[str, str] = from_json(item.get("cm", "{}"))
    data, before = from_json(item["d"]), from_json(item["b"]) if item.get("b") else None
    personal: dict[str, Any] = {ADDRESS: item["ip"]} if "ip" in item else {}
    for place in commitments:
        if found := _taken(place, data, before):
            personal[place] = found[0]
    chained = {
        "id": item["id"],
        "type": item["ty"],
        "path": item["pa"],
        "row": row_id,
        "target": item.get("tg"),
        "sequence": int(item["sk"]),
        "previous": item.get("p"),
        "at": item["u"],
        "actor": item["a"],
        "requestId": item["q"],
        "also": list(item.get("al", [])),
        "data": data,
        "before": before,
        "commitments": commitments,
    }
    return Entry(int(item["track"].rpartition("#")[2]), int(item["nr"]), chained, personal, from_json(item.get("sl", "{}")))


def leaf(tenant: str, found: Entry) -> str:
    """The hash of an entry at its place."""
    said = {"tenant": tenant, "track": found.track, "number": found.number, "entry": found.chained}
    return sha256(canonical(said).encode()).hexdigest()


def _taken(place: str, data: dict[str, Any], before: dict[str, Any] | None) -> tuple[Any] | None:
    """The personal value at a place, taken out of its document; None where there is none."""
    name, _, field = place.partition(".")
    document = {"data": data, "before": before}.get(name)
    return (document.pop(field),) if document is not None and field in document else None


def joined(before: Segment | None, end: Numbers, leaves: Sequence[str], tenant: str, at_ms: int) -> Segment:
    """The segment behind `before`."""
    start = before.end if before else tuple(0 for _ in end)
    open_ = Segment(before.number + 1 if before else 1, start, end, tuple(leaves), before.hash if before else GENESIS, at_ms)
    return Segment(open_.number, start, end, open_.leaves, open_.previous, at_ms, open_.reckoned(tenant))


def to_item(segment: Segment) -> Item:
    """As it lies in the table: f from, t to, l leaves, p previous, u when, h its hash."""
    return {"f": list(segment.start), "t": list(segment.end), "l": "".join(segment.leaves), "p": segment.previous,
            "u": segment.at_ms, "h": segment.hash}  # fmt: skip


def from_item(item: Item) -> Segment:
    """The segment that an item holds."""
    text: str = item["l"]
    leaves = tuple(text[place : place + 64] for place in range(0, len(text), 64))
    return Segment(int(item["sk"]), tuple(item["f"]), tuple(item["t"]), leaves, item["p"], item["u"], item["h"])


def shown(segment: Segment) -> bytes:
    """A segment as a line of the log for offline readers."""
    return to_json({"kind": "segment", "segment": segment.number, "from": segment.start, "to": segment.end,
                    "leaves": segment.leaves, "count": len(segment.leaves), "previous": segment.previous,
                    "sealedAt": segment.at_ms, "hash": segment.hash})  # fmt: skip
