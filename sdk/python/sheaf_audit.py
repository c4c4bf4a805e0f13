"""Check an audit log that you have exported with its chain. One file, nothing to install. Python 3.9 or later.

    python sheaf_audit.py audit.ndjson --head 1204:5f2c…

The file is what `POST /v1/audit/export {"chain": true}` has made. `--head` is the `head` of a `GET /v1/audit/verify` that you
have kept: with it nobody can have cut the log off before that segment, or have written it anew, however much of it they control.

What is checked: each entry against its leaf, each personal value against its commitment, each segment against its hash and the
one before it, and each anchor against its segment. An entry whose personal values were erased keeps its commitments, so it is
still checked. Exit status 0: all of it holds. 1: something does not. 2: the file cannot be read.
"""

import argparse
import json
import sys
from hashlib import sha256
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

__all__ = ["Result", "verify"]

GENESIS = "0" * 64


class Result(NamedTuple):
    """What was found. `head`: the number and the hash of the last segment."""

    segments: int
    entries: int
    head: Optional[Tuple[int, str]]
    problems: List[str]


def verify(lines: Iterable[str], head: Optional[Tuple[int, str]] = None) -> Result:
    """Check the lines of an export; `head` is a segment and its hash that you have kept. Raises ValueError for no export."""
    log = _Log()
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                log.take(json.loads(line))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ValueError(f"line {number} is not of an export with its chain: {error}") from None
    return log.result(head)


class _Log:
    """An export, line by line."""

    def __init__(self) -> None:
        self.tenant = ""
        self.problems: List[str] = []
        self.hashes: Dict[int, str] = {}
        self.entries = 0
        self._segment: Optional[Dict[str, Any]] = None
        self._places: Iterator[Tuple[int, int]] = iter(())
        self._leaves: Iterator[str] = iter(())
        self._anchors: Dict[int, List[str]] = {}
        self._anchored = False

    def take(self, line: Dict[str, Any]) -> None:
        kind = line["kind"]
        if kind == "log":
            self.tenant = line["tenant"]
        elif kind == "segment":
            self._end_segment()
            self._begin_segment(line)
        elif kind == "entry":
            self._entry(line)
        elif kind == "anchor":
            self._anchors.setdefault(line["segment"], []).append(line["hash"])
        else:
            raise ValueError(f"there is no kind {kind!r}")

    def result(self, head: Optional[Tuple[int, str]]) -> Result:
        self._end_segment()
        for number, found in sorted(self._anchors.items()):
            if found != [self.hashes.get(number)]:
                self.problems.append(f"segment {number}: its anchor is another one, or the segment is missing")
        for number in sorted(self.hashes.keys() - self._anchors.keys()):
            self.problems.append(f"segment {number}: it has no anchor")
        if head and self.hashes.get(head[0]) != head[1]:
            self.problems.append(f"segment {head[0]}: it is not the one that you have kept the hash of")
        last = max(self.hashes, default=0)
        return Result(len(self.hashes), self.entries, (last, self.hashes[last]) if last else None, self.problems)

    def _begin_segment(self, line: Dict[str, Any]) -> None:
        number, before = line["segment"], self._segment
        name = f"segment {number}"
        if number != (before["segment"] + 1 if before else 1):
            self.problems.append(f"{name}: one before it is missing, or it is out of order")
        if line["previous"] != (before["hash"] if before else GENESIS):
            self.problems.append(f"{name}: it does not follow the one before it")
        if (before and line["from"] != before["to"]) or (not before and any(line["from"])):
            self.problems.append(f"{name}: it does not begin where the one before it ends")
        said = {
            "tenant": self.tenant,
            "segment": number,
            "from": line["from"],
            "to": line["to"],
            "leaves": _digest("".join(line["leaves"])),
            "count": len(line["leaves"]),
            "previous": line["previous"],
            "sealedAt": line["sealedAt"],
        }
        if line["hash"] != _digest(_canonical(said)) or line["count"] != len(line["leaves"]):
            self.problems.append(f"{name}: it was changed")
        tracks = enumerate(zip(line["from"], line["to"]))
        self._places = ((track, number) for track, (start, end) in tracks for number in range(start + 1, end + 1))
        self._leaves = iter(line["leaves"])
        self._segment = line
        self.hashes[number] = line["hash"]

    def _entry(self, line: Dict[str, Any]) -> None:
        if self._segment is None:
            raise ValueError("an entry stands before the first segment")
        place = (line["track"], line["number"])
        name = f"segment {self._segment['segment']}, entry {line['entry'].get('id')}"
        expected = next(self._places, None)
        while expected is not None and expected < place:
            self.problems.append(f"segment {self._segment['segment']}: the entry at {expected} is missing")
            next(self._leaves, None)
            expected = next(self._places, None)
        if expected != place:
            self.problems.append(f"{name}: it was added, or is out of order")
            return
        self.entries += 1
        said = {"tenant": self.tenant, "track": line["track"], "number": line["number"], "entry": line["entry"]}
        if next(self._leaves, None) != _digest(_canonical(said)):
            self.problems.append(f"{name}: it was changed")
        self.problems += [f"{name}: its value {field} was changed" for field in _wrong(line)]

    def _end_segment(self) -> None:
        if self._segment is not None:
            for place in self._places:
                self.problems.append(f"segment {self._segment['segment']}: the entry at {place} is missing")


def _wrong(line: Dict[str, Any]) -> Iterator[str]:
    """The places of an entry whose personal values are not those that were committed to."""
    salts, values, commitments = line["salts"], line["personal"], line["entry"]["commitments"]
    for place in sorted(values.keys() | salts.keys()):
        known = place in values and place in salts
        if not known or commitments.get(place) != _digest(f"{salts[place]}\n{place}\n{_canonical(values[place])}"):
            yield place


def _canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _head(text: str) -> Tuple[int, str]:
    number, _, digest = text.partition(":")
    if not number.isdigit() or len(digest) != 64:
        raise argparse.ArgumentTypeError("must be <segment>:<hash>, as GET /v1/audit/verify tells them")
    return int(number), digest


def main(arguments: Optional[List[str]] = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Check an audit log that was exported with its chain.")
    parser.add_argument("file", help="the NDJSON file; - for standard input")
    parser.add_argument("--head", type=_head, metavar="SEGMENT:HASH", help="a head that you have kept")
    asked = parser.parse_args(arguments)
    try:
        with sys.stdin if asked.file == "-" else open(asked.file, encoding="utf-8") as lines:  # noqa: PTH123  # one file, few names
            found = verify(lines, asked.head)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    for problem in found.problems:
        print(problem)
    if found.problems:
        print(f"NOT valid: {len(found.problems)} problems in {found.segments} segments, {found.entries} entries")
        return 1
    print(
        f"valid: {found.entries} entries in {found.segments} segments; head {found.head[0]}:{found.head[1]}"
        if found.head
        else "valid, and empty"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
