"""The steps of an export, each within one invocation: CSV, NDJSON and JSON part by part, XLSX in one go.

Step n goes on after the last row of step n-1 and ends when its time is up. The file is there, whole, only after the last one.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import IO, Any

from sheaf.access.caller import Caller
from sheaf.base.bounds import EXPORT_SORTED_ROWS, EXPORT_STEP_SECONDS, XLSX_EXPORT_ROWS
from sheaf.base.config import config
from sheaf.base.errors import IndexRequired, UnreadableFile
from sheaf.entity.registry import EntityType, find
from sheaf.features.export.encode import MEDIA_TYPES, cells, encoded
from sheaf.features.export.request import Export
from sheaf.jobs import files, machine
from sheaf.jobs.machine import Status
from sheaf.jobs.runner import JobFailed, Result, Task
from sheaf.jobs.shapes import Steps
from sheaf.records import page
from sheaf.records.rows import Row
from sheaf.store import blobs, keys
from sheaf.store.blobs import PART_BYTES
from sheaf.store.table import Item

_READ_ROWS = 500  # rows turned into text at a time
_PIECE = 1 << 20


class ExportWork(Steps):
    """Exports of an entity."""

    def run(self, task: Task) -> Result:
        """Write parts until the rows or the time run out; the result says where the next step begins. Raises JobFailed."""
        entity, asked = find(task.job["entity"]), Export.of(task.job)
        wanted = asked.wanted(entity)
        before = _before(task)
        found = page.walk(task.caller, entity, wanted, str(before.get("after", "")), _READ_ROWS)
        if found is None:
            try:
                rows = page.sorted_rows(task.caller, entity, wanted, EXPORT_SORTED_ROWS)
            except IndexRequired as error:
                raise JobFailed(error.message) from None
            found = ((row.id, row) for row in rows)
            if asked.format != "xlsx":
                return _step(task, entity, asked, {}, found, seconds=1e9)  # what is sorted here is written in one go
        if asked.format == "xlsx":
            return _workbook(task, asked, (row for _, row in found if row is not None))
        return _step(task, entity, asked, before, found, seconds=EXPORT_STEP_SECONDS)

    def finalise(self, caller: Caller, job: Item, done: Sequence[Item], status: Status) -> Result:
        """Make the file of its parts, all at once, read it for its SHA-256, and write the manifest beside it."""
        bucket, name = config().jobs_bucket, keys.job_object(caller, job["sk"], file_name(job))
        good = [step for step in done if "lost" not in step]
        if status != "succeeded":
            for upload in {step["upload"] for step in good if step.get("upload")}:
                blobs.drop_multipart(bucket, name, upload)
            return {}
        if good[0]["upload"]:
            etags = [etag for step in good for etag in step["etags"].split(",") if etag]
            blobs.finish_multipart(bucket, name, good[0]["upload"], etags)
        return files.ended(caller, job, file_name(job), sum(step["rows"] for step in good))


def file_name(job: Item) -> str:
    """The name of the file that an export makes."""
    return f"{'analytics' if job['entity'] == '*' else job['entity']}.{job['format']}"


def write_workbook(caller: Caller, job: Item, sheet: str, titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Write a workbook of one sheet, whole or not at all; how many rows it has. Raises JobFailed for too many."""
    import tempfile

    from sheaf.formats import xlsx

    count = 0
    with tempfile.TemporaryFile() as file:
        book = xlsx.Writer(file, sheet, titles)
        try:
            for count, row in enumerate(rows, 1):
                if count > XLSX_EXPORT_ROWS:
                    raise JobFailed(f"There are more than {XLSX_EXPORT_ROWS:,} rows, the most in XLSX; csv, ndjson and json have "
                                    "no such limit")  # fmt: skip
                book.write(row)
        except UnreadableFile as error:
            raise JobFailed(error.message) from None
        finally:
            book.close()
        _upload(caller, job, file)
    return count


def _upload(caller: Caller, job: Item, file: IO[bytes]) -> None:
    file.seek(0)
    name = keys.job_object(caller, job["sk"], file_name(job))
    with blobs.Writer(config().jobs_bucket, name, MEDIA_TYPES["xlsx"]) as writer:
        while piece := file.read(_PIECE):
            writer.write(piece)


def _workbook(task: Task, asked: Export, rows: Iterable[Row]) -> Result:
    titles = [title for _, title in asked.columns]
    sheet = task.job["entity"].replace("_", " ").title()[:31]
    count = write_workbook(task.caller, task.job, sheet, titles, (cells(asked.columns, row) for row in rows))
    return {"rows": count, "upload": "", "etags": "", "more": 0}


def _step(task: Task, entity: EntityType, asked: Export, before: Mapping[str, Any],
          found: Iterable[tuple[str, Row | None]], *, seconds: float) -> Result:  # fmt: skip
    bucket, name = config().jobs_bucket, keys.job_object(task.caller, task.job["sk"], file_name(task.job))
    upload_id = str(before.get("upload") or blobs.start_multipart(bucket, name, MEDIA_TYPES[asked.format]))
    whole = [*map(tuple, asked.columns)] == [(field, field) for field in entity.columns]
    buffer = bytearray(_tail(task, before))
    after, first, rows, written = str(before.get("after", "")), not before, 0, int(before.get("written", 0))
    etags: list[str] = []
    ended, deadline, source = False, time.monotonic() + seconds, iter(found)
    late = False
    while not ended and not late:  # at least one group, so that every step comes on
        candidates = list(islice(source, _READ_ROWS))
        ended = len(candidates) < _READ_ROWS
        after = candidates[-1][0] if candidates else after
        group = [row for _, row in candidates if row is not None]
        buffer += encoded(asked.format, asked.columns, group, whole=whole, first=first, last=ended, bare=written + rows == 0)
        first, rows = False, rows + len(group)
        if len(buffer) >= PART_BYTES or ended:
            number = int(before.get("parts", 0)) + len(etags) + 1
            etags.append(blobs.put_part(bucket, name, upload_id, number, bytes(buffer)))
            buffer.clear()
        late = time.monotonic() > deadline
    if buffer:
        blobs.put(bucket, _tail_key(task.caller, task.job, task.number), bytes(buffer), "application/octet-stream")
    return {"rows": rows, "written": written + rows, "after": after, "upload": upload_id, "etags": ",".join(etags),
            "parts": int(before.get("parts", 0)) + len(etags), "tail": len(buffer), "more": int(not ended)}  # fmt: skip


def _before(task: Task) -> Mapping[str, Any]:
    found = machine.chunk(task.caller, task.job["sk"], task.number - 1) if task.number else None
    return found or {}


def _tail(task: Task, before: Mapping[str, Any]) -> bytes:
    if not before.get("tail"):
        return b""
    return blobs.get(config().jobs_bucket, _tail_key(task.caller, task.job, task.number - 1))


def _tail_key(caller: Caller, job: Item, number: int) -> str:
    return keys.job_object(caller, job["sk"], f"tail-{number:06d}")
