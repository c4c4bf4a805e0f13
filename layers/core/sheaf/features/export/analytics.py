"""The export of analytics: how many rows of each entity were made on each day (UTC). A row's id tells its day."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from pydantic_core import to_json

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.clock import iso
from sheaf.base.config import config
from sheaf.entity import registry
from sheaf.features.export.encode import MEDIA_TYPES
from sheaf.features.export.work import file_name, write_workbook
from sheaf.formats import csv, ndjson
from sheaf.jobs import files, machine
from sheaf.jobs.machine import Status
from sheaf.jobs.runner import Result, Task
from sheaf.jobs.shapes import Steps
from sheaf.records.sources import Partition
from sheaf.store import blobs, keys
from sheaf.store.table import Item, Span

_COLUMNS = ("date", "entity", "created")
_STEP_ROWS = 200_000  # ids that one step looks at


class AnalyticsWork(Steps):
    """Step n counts some ids of one entity, the entities in their order."""

    def run(self, task: Task) -> Result:
        """Count up to _STEP_ROWS ids; the counts of a step lie in a file of its own."""
        before = machine.chunk(task.caller, task.job["sk"], task.number - 1) if task.number else None
        paths = registry.paths()
        place, after = (before["place"], before["after"]) if before else (0, "")
        span = Span(keys.record(task.caller, paths[place], "").pk, high=after)
        found = [each for each in islice(Partition(span, True).positions(), _STEP_ROWS + 1) if each != after][:_STEP_ROWS]
        days = Counter(iso(ids.time_of(row_id))[:10] for row_id in found)
        blobs.put(config().jobs_bucket, _part(task.caller, task.job, task.number),
                  ndjson.dump([day, paths[place], count] for day, count in days.items()), "application/x-ndjson")  # fmt: skip
        full = len(found) == _STEP_ROWS
        following = place if full else place + 1
        return {"place": following, "after": found[-1] if full else "", "more": int(following < len(paths))}

    def finalise(self, caller: Caller, job: Item, done: Sequence[Item], status: Status) -> Result:
        """Add up the steps and write the file."""
        if status != "succeeded":
            return {}
        totals: Counter[tuple[str, str]] = Counter()
        for step in done:
            for day, path, count in ndjson.load(blobs.get(config().jobs_bucket, _part(caller, job, int(step["sk"])))):
                totals[day, path] += count
        rows = [[day, path, count] for (day, path), count in sorted(totals.items())]
        if job["format"] == "xlsx":
            write_workbook(caller, job, "Analytics", _COLUMNS, rows)
        else:
            name = keys.job_object(caller, job["sk"], file_name(job))
            blobs.put(config().jobs_bucket, name, b"".join(_encoded(job["format"], rows)), MEDIA_TYPES[job["format"]])
        return files.ended(caller, job, file_name(job), len(rows))


def _encoded(form: str, rows: Sequence[Sequence[Any]]) -> Iterator[bytes]:
    named = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
    match form:
        case "csv":
            yield csv.written(_COLUMNS, rows, header=True)
        case "ndjson":
            yield ndjson.dump(named)
        case _:
            yield to_json(named)


def _part(caller: Caller, job: Item, number: int) -> str:
    return keys.job_object(caller, job["sk"], f"counts-{number:06d}.ndjson")
