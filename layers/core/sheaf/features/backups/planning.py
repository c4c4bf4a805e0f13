"""The plan of a restore: every row as it was at the moment, held against what it is now. No row is written."""

import time
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from heapq import merge
from itertools import groupby
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.access.caller import Caller
from sheaf.base.bounds import EXPORT_STEP_SECONDS, RESTORE_LINES
from sheaf.base.config import config
from sheaf.base.errors import DamagedBackup
from sheaf.entity import registry
from sheaf.entity.registry import EntityType
from sheaf.features.backups import manifest, restores, stored, taking
from sheaf.formats import ndjson
from sheaf.jobs import machine
from sheaf.jobs.machine import Status
from sheaf.jobs.runner import JobFailed, Result, Task
from sheaf.jobs.shapes import Steps
from sheaf.records import erasures, past
from sheaf.records.erasures import Erased
from sheaf.records.past import Then
from sheaf.records.rows import fields_of
from sheaf.store import blobs, keys, table
from sheaf.store.table import Item

_LOOKED = 5_000  # rows of one step
_KINDS = ("delete", "update", "restore", "create")
_NOT_RESTORED = ("users",)  # people, their roles and their passwords are steered by members


class PlanWork(Steps):
    """Step n goes on behind the last row of step n-1; what it finds lies in files of RESTORE_LINES lines."""

    def run(self, task: Task) -> Result:
        """Compare rows until they or the time run out; raises JobFailed for a backup that is damaged."""
        before = machine.chunk(task.caller, task.job["sk"], task.number - 1) if task.number else None
        backup = stored.find(task.caller, task.job["backup"])
        paths = [path for path in taking.paths_of(task.job) if path not in _NOT_RESTORED and registry.find(path).model.writable]
        place, after = (int(before["place"]), str(before["after"])) if before else (0, "")
        deadline, looked, lines = time.monotonic() + EXPORT_STEP_SECONDS, 0, []
        erased = erasures.of(task.caller)
        try:
            parts = manifest.opened(task.caller, backup["sk"], backup["sha256"])
            while place < len(paths) and looked < _LOOKED and time.monotonic() < deadline:
                entity = registry.find(paths[place])
                ended = True
                for row_id, line, item in _pairs(task.caller, backup, parts, entity.path, after):
                    then = _then(task, backup, row_id, line, item)
                    if found := _difference(entity, erased, row_id, then, item):
                        lines.append(found)
                    after, looked = row_id, looked + 1
                    if looked >= _LOOKED or time.monotonic() > deadline:
                        ended = False
                        break
                if ended:
                    place, after = place + 1, ""
        except DamagedBackup as error:
            raise JobFailed(error.message) from None
        files = [_put(task, number, lines[start : start + RESTORE_LINES])
                 for number, start in enumerate(range(0, len(lines), RESTORE_LINES))]  # fmt: skip
        counts = {kind: sum(1 for line in lines if line["action"] == kind) for kind in _KINDS}
        return {"place": place, "after": after, "files": to_json(files).decode(), "counts": to_json(counts).decode(),
                "rows": len(lines), "more": int(place < len(paths))}  # fmt: skip

    def finalise(self, caller: Caller, job: Item, done: Sequence[Item], status: Status) -> Result:
        """Put the files in order, deletions first since they free what others may need, and let the restore be confirmed."""
        if status != "succeeded":
            return {}
        names = [file for step in done for file in from_json(step["files"])]
        lines = [
            line
            for file in names
            for line in ndjson.load(blobs.get(config().jobs_bucket, _file(caller, job["sk"], file["name"])))
        ]
        lines.sort(key=lambda line: _KINDS.index(line["action"]))
        whole = ndjson.dump(lines)
        blobs.put(config().jobs_bucket, keys.job_object(caller, job["sk"], "differences.ndjson"), whole, "application/x-ndjson")
        counts = {kind: sum(from_json(step["counts"])[kind] for step in done) for kind in _KINDS}
        values = {"st": "planned", "sha": sha256(whole).hexdigest(), "counts": to_json(counts).decode(),
                  "steps": max(1, -(-len(lines) // RESTORE_LINES))}  # fmt: skip
        restores.settle(caller, job["restore"], "planning", values)
        return {"rows": len(lines)}


def _pairs(caller: Caller, backup: Item, parts: Sequence[manifest.Part], path: str,
           after: str) -> Iterator[tuple[str, Mapping[str, Any] | None, Item | None]]:  # fmt: skip
    """Each row that the backup has or that is there now, in the order of their ids; of single rows those of the backup alone."""
    lines = ((line["id"], 0, line) for line in manifest.rows(caller, backup["sk"], parts, path, after))
    items = ((item["sk"], 1, item) for item in past.items(caller, path, after))
    for row_id, found in groupby(merge(lines, items, key=lambda each: (each[0], each[1])), key=lambda each: str(each[0])):
        both = {number: value for _, number, value in found}
        if 1 in both and keys.is_trash(both[1]["pk"]) and table.is_over(both[1]):
            del both[1]  # nobody can take it out any more
            if not both:
                continue
        if 0 in both or backup["scope"] != "record":
            yield row_id, both.get(0), both.get(1)


def _then(task: Task, backup: Item, row_id: str, line: Mapping[str, Any] | None, item: Item | None) -> Then | None:
    """A row at the moment that is to be restored."""
    at_ms = task.job["at_ms"]
    if line is not None and at_ms == backup["at_ms"]:
        return Then(line["version"], line["fields"])
    if item is not None:
        return past.at(task.caller, item, at_ms)
    return past.of_log(task.caller, row_id, at_ms)


def _difference(entity: EntityType, erased: Erased, row_id: str, then: Then | None,
                item: Item | None) -> dict[str, Any] | None:  # fmt: skip
    """What has to be done to a row; None where nothing has."""
    live = item is not None and not keys.is_trash(item["pk"])
    base = {"path": entity.path, "id": row_id, "version": item["v"] if item else 0}
    if then is None:
        return {**base, "action": "delete"} if live else None
    now = fields_of(item) if item else None
    wanted = erased.applied(entity, row_id, then.fields, now)
    own = {name: wanted[name] for name in entity.model.model_fields if name in wanted}
    if live and now is not None:
        changed = sorted(name for name, value in own.items() if now.get(name) != value)
        return {**base, "action": "update", "changed": changed, "fields": own} if changed else None
    return {**base, "action": "restore" if item else "create", "fields": own}


def _put(task: Task, number: int, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    name = f"differences-{task.number:06d}-{number:04d}.ndjson"
    blobs.put(config().jobs_bucket, _file(task.caller, task.job["sk"], name), ndjson.dump(lines), "application/x-ndjson")
    return {"name": name, "rows": len(lines)}


def _file(caller: Caller, job_id: str, name: str) -> str:
    return keys.job_object(caller, job_id, name)
