"""The audit log as a file: CSV, JSON or NDJSON to read, or with its chain to check without us."""

import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.access.caller import Caller
from sheaf.base.bounds import EXPORT_STEP_SECONDS
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import InvalidParameter, ValidationFailed
from sheaf.entity.body import object_of
from sheaf.features.audit import anchors, chain, entries
from sheaf.features.audit.anchors import Anchor
from sheaf.features.audit.chain import Segment
from sheaf.formats import csv, ndjson
from sheaf.jobs import files, machine
from sheaf.jobs.machine import Status
from sheaf.jobs.runner import Result, Task
from sheaf.jobs.shapes import Steps
from sheaf.records import journal
from sheaf.records.once import Once
from sheaf.store import blobs, keys, table
from sheaf.store.keys import Scope
from sheaf.store.table import Item, Span

FORMATS = ("csv", "json", "ndjson")
_MEDIA = {"csv": "text/csv; charset=utf-8", "json": "application/json", "ndjson": "application/x-ndjson"}
_READ = 500
_STEP_ENTRIES = 20_000  # of one step, which holds them in memory


def accept(caller: Caller, body: object, once: Once | None) -> Item:
    """Put `{"format", "chain"?, "user"?, "action"?, "entity"?, "target"?, "from"?, "to"?}` down as a job.

    `chain`: NDJSON of everything that is sealed, with what it takes to check it. Raises ValidationFailed.
    """
    if once and (first := once.found()):
        return machine.find(caller, first["job"])
    fields = object_of(body, "format", "chain", *entries.FILTERS)
    form, chained = fields.pop("format", "ndjson" if fields.get("chain") else None), fields.pop("chain", False)
    wrong: dict[str, str] = {}
    if form not in FORMATS:
        wrong["format"] = f"must be one of {', '.join(FORMATS)}"
    if not isinstance(chained, bool):
        wrong["chain"] = "must be true or false"
    elif chained and form != "ndjson":
        wrong["format"] = "must be ndjson for an export with its chain"
    elif chained and fields:
        wrong |= dict.fromkeys(fields, "is not possible with chain: what is left out could not be checked")
    try:
        asked = entries.read(caller, fields)
    except InvalidParameter as error:
        wrong |= error.fields
    if wrong:
        raise ValidationFailed("The export request is wrong", fields=wrong)
    fields["to"] = iso(asked.high_ms)  # what happens from now on is not part of it
    plan = {"format": form, "chain": int(chained), "asked": to_json(fields).decode()}
    return machine.accept(caller, "audit", job_id=machine.new_id(), entity="audit", chunks=1, total=0, plan=plan, once=once)


class AuditWork(Steps):
    """Step n goes on behind the last entry, or the last segment, of step n-1. Each leaves a file of its own."""

    def run(self, task: Task) -> Result:
        """Write entries until they or the time run out."""
        before = machine.chunk(task.caller, task.job["sk"], task.number - 1) if task.number else None
        return _chained(task, before) if task.job["chain"] else _plain(task, before)

    def finalise(self, caller: Caller, job: Item, done: Sequence[Item], status: Status) -> Result:
        """Join the files of the steps to one."""
        if status != "succeeded":
            return {}
        name = f"audit.{job['format']}"
        with blobs.Writer(config().jobs_bucket, keys.job_object(caller, job["sk"], name), _MEDIA[job["format"]]) as writer:
            for piece in _joined(caller, job, done):
                writer.write(piece)
        return files.ended(caller, job, name, sum(step["rows"] for step in done))


def _plain(task: Task, before: Item | None) -> Result:
    asked = entries.read(task.caller, from_json(task.job["asked"]))
    source = entries.oldest_first(task.caller, asked, str(before["after"]) if before else "")
    found: list[dict[str, Any]] = []
    after, ended, deadline = str(before["after"]) if before else "", False, time.monotonic() + EXPORT_STEP_SECONDS
    while not ended and len(found) < _STEP_ENTRIES and time.monotonic() < deadline:
        some = list(islice(source, _READ))
        ended = len(some) < _READ
        after = some[-1][0] if some else after
        found += [entries.shown(item) for _, item in some if item is not None]
    _put(task, ndjson.dump(found))
    return {"rows": len(found), "after": after, "more": int(not ended)}


def _chained(task: Task, before: Item | None) -> Result:
    """The segments behind the one of the step before, each with its entries and the anchors of it."""
    scope, last = task.caller, int(before["after"]) if before else 0
    lines: list[bytes] = []
    if before is None:
        lines.append(to_json({"kind": "log", "version": 1, "tenant": scope.tenant, "createdAt": iso(now_ms())}))
    deadline, rows, more = time.monotonic() + EXPORT_STEP_SECONDS, 0, False
    span = Span(keys.segment(scope, 0).pk, low=keys.segment(scope, last + 1).sk)
    for item in table.query(config().audit_table, span, page=20):
        if time.monotonic() > deadline or rows >= _STEP_ENTRIES:
            more = True
            break
        segment = chain.from_item(item)
        lines += [chain.shown(segment), *_entries(task, segment)]
        rows, last = rows + len(segment.leaves), segment.number
    if not more:
        lines += [to_json({"kind": "anchor", "segment": each.segment, "hash": each.hash}) for each in _anchors(scope, last)]
    _put(task, b"".join(line + b"\n" for line in lines))
    return {"rows": rows, "after": str(last), "more": int(more)}


def _anchors(scope: Scope, last: int) -> Iterator[Anchor]:
    """All anchors, but for those of segments that were sealed after the last one that was read."""
    for each in anchors.since(scope, 1):
        key = keys.segment(scope, each.segment)
        if each.segment <= last or not any(table.query(config().audit_table, Span(key.pk, low=key.sk, high=key.sk))):
            yield each


def _entries(task: Task, segment: Segment) -> Iterator[bytes]:
    for track, (start, end) in enumerate(zip(segment.start, segment.end, strict=True)):
        for item in journal.all_changes(task.caller, track, start, end):
            found = chain.entry(keys.changed_row(item["pk"]), item)
            yield to_json({"kind": "entry", "track": track, "number": found.number, "entry": found.chained,
                           "personal": found.personal, "salts": found.salts})  # fmt: skip


def _joined(caller: Caller, job: Item, done: Sequence[Item]) -> Iterator[bytes]:
    parts = (blobs.get(config().jobs_bucket, _part(caller, job, int(step["sk"]))) for step in done)
    match job["format"]:
        case "ndjson":
            yield from parts
        case "csv":
            yield csv.written(entries.COLUMNS, (), header=True)
            for part in parts:
                yield csv.written(entries.COLUMNS, map(_cells, ndjson.load(part)), header=False)
        case _:
            yield b"["
            some = False
            for part in parts:
                lines = part.splitlines()
                yield (b"," if some and lines else b"") + b",".join(lines)
                some = some or bool(lines)
            yield b"]"


def _cells(entry: dict[str, Any]) -> list[Any]:
    return [entry[name] for name in entries.COLUMNS]


def _put(task: Task, data: bytes) -> None:
    blobs.put(config().jobs_bucket, _part(task.caller, task.job, task.number), data, "application/x-ndjson")


def _part(caller: Caller, job: Item, number: int) -> str:
    return keys.job_object(caller, job["sk"], f"entries-{number:06d}.ndjson")
