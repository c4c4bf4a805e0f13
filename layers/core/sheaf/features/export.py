"""Exports: a list as a CSV file in S3, written part by part in steps that each fit one invocation."""

import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.access.caller import Caller
from sheaf.base.bounds import EXPORT_FILTER_BYTES, EXPORT_PART_BYTES, EXPORT_STEP_SECONDS
from sheaf.base.clock import now_ms
from sheaf.base.config import config
from sheaf.base.errors import InvalidParameter, ValidationFailed
from sheaf.entity import filters
from sheaf.entity.body import object_of
from sheaf.entity.filters import Group
from sheaf.entity.registry import EntityType, find
from sheaf.formats import csv
from sheaf.jobs import machine
from sheaf.jobs.runner import Result, Task
from sheaf.jobs.shapes import Steps
from sheaf.records import page
from sheaf.records.once import Once
from sheaf.store import blobs, keys
from sheaf.store.table import Item

_READ_ROWS = 500  # rows turned into text at a time


def accept(caller: Caller, entity: EntityType, body: object, once: Once | None = None) -> Item:
    """Put an export down as a job: `{"format": "csv", "filter"?: {…}, "fields"?: […]}`; raises ValidationFailed.

    `filter` is the JSON form of the lists' grammar (entity/filters.py).
    """
    if once and (first := once.found()):
        return machine.find(caller, first["job"])
    wanted, columns = _parse(entity, body)
    # Macros such as $now are read at this moment in every step.
    plan = {"filter": to_json(wanted).decode(), "at_ms": now_ms(), "columns": to_json(columns).decode()}
    return machine.accept(caller, "export", job_id=machine.new_id(), entity=entity.path, chunks=1, total=0, plan=plan, once=once)


class ExportWork(Steps):
    """The steps of an export. Step n goes on after the last row of step n-1 and ends when its time is up."""

    def run(self, task: Task) -> Result:
        """Write parts until the rows or the time run out; the result says where the next step begins."""
        bucket, name = config().jobs_bucket, keys.job_object(task.caller, task.job["sk"], _file_name(task.job))
        entity, columns = find(task.job["entity"]), from_json(task.job["columns"])
        before = _before(task)
        upload_id = str(before.get("upload") or blobs.start_multipart(bucket, name, "text/csv; charset=utf-8"))
        buffer = _tail(task, before)
        after, first, rows, size = str(before.get("after", "")), not before, 0, 0
        etags: list[str] = []
        ended, deadline = False, time.monotonic() + EXPORT_STEP_SECONDS
        found = page.candidates(task.caller, entity, _condition(task), after, _READ_ROWS)
        while not ended and time.monotonic() < deadline:
            candidates = list(islice(found, _READ_ROWS))
            ended = len(candidates) < _READ_ROWS
            after = candidates[-1][0] if candidates else after
            group = [row.document for _, row in candidates if row is not None]
            text = csv.lines(columns, group, header=first)
            first, rows, size = False, rows + len(group), size + len(text)
            buffer += text
            if len(buffer) >= EXPORT_PART_BYTES or ended:
                number = int(before.get("parts", 0)) + len(etags) + 1
                etags.append(blobs.put_part(bucket, name, upload_id, number, buffer))
                buffer = b""
        if buffer:
            blobs.put(bucket, _tail_key(task.caller, task.job, task.number), buffer, "text/csv")
        return {"rows": rows, "bytes": size, "after": after, "upload": upload_id, "etags": ",".join(etags),
                "parts": int(before.get("parts", 0)) + len(etags), "tail": len(buffer), "more": int(not ended)}  # fmt: skip

    def finalise(self, caller: Caller, job: Item, done: Sequence[Item]) -> Result:
        """Make the file of its parts, all at once, and read it for its SHA-256."""
        bucket, name = config().jobs_bucket, keys.job_object(caller, job["sk"], _file_name(job))
        etags = [etag for step in done for etag in step["etags"].split(",") if etag]
        blobs.finish_multipart(bucket, name, done[0]["upload"], etags)
        digest = sha256()
        for piece in blobs.stream(bucket, name):
            digest.update(piece)
        rows = sum(step["rows"] for step in done)
        size = sum(step["bytes"] for step in done)
        return {"file": _file_name(job), "rows": rows, "bytes": size, "sha256": digest.hexdigest(), "total": rows}


def _parse(entity: EntityType, body: object) -> tuple[dict[str, Any], list[str]]:
    asked = object_of(body, "format", "filter", "fields", error="The export request is wrong")
    wrong: dict[str, str] = {}
    if asked.get("format") != "csv":
        wrong["format"] = "must be csv"
    wanted = asked.get("filter", {})
    try:
        filters.from_json(entity, wanted, now_ms())
    except InvalidParameter as error:
        wrong |= error.fields
    if (size := len(to_json(wanted))) > EXPORT_FILTER_BYTES:
        wrong["filter"] = f"is {size:,} bytes; {EXPORT_FILTER_BYTES:,} is the most"
    columns = asked.get("fields", entity.columns)
    if not isinstance(columns, list) or not columns:
        wrong["fields"] = "must be a list of names"
    elif len(columns) > len(entity.columns):
        wrong["fields"] = "names a field twice"
    elif unknown := [name for name in columns if name not in entity.columns]:
        wrong["fields"] = f"{str(unknown[0])[:80]!r} is not a field of {entity.path}"
    if wrong:
        raise ValidationFailed("The export request is wrong", fields=wrong)
    return wanted, columns


def _condition(task: Task) -> Group:
    return filters.from_json(find(task.job["entity"]), from_json(task.job["filter"]), task.job["at_ms"])


def _before(task: Task) -> Mapping[str, Any]:
    if task.number == 0:
        return {}
    steps = {int(step["sk"]): step for step in machine.results(task.caller, task.job["sk"])}
    return steps[task.number - 1]


def _tail(task: Task, before: Mapping[str, Any]) -> bytes:
    if not before.get("tail"):
        return b""
    return blobs.get(config().jobs_bucket, _tail_key(task.caller, task.job, task.number - 1))


def _tail_key(caller: Caller, job: Item, number: int) -> str:
    return keys.job_object(caller, job["sk"], f"tail-{number:06d}")


def _file_name(job: Item) -> str:
    return f"{job['entity']}.csv"
