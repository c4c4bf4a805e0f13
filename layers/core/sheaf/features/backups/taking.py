"""The work of a backup: rows as they were when it was asked for, however long it takes and whoever writes meanwhile."""

import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.access.caller import Caller
from sheaf.base.bounds import BACKUP_PART_ROWS, EXPORT_STEP_SECONDS
from sheaf.base.config import config
from sheaf.base.errors import NotFound
from sheaf.entity import registry
from sheaf.features.backups import manifest, schedule, stored
from sheaf.jobs import machine
from sheaf.jobs.machine import Status
from sheaf.jobs.runner import JobFailed, Result, Task
from sheaf.jobs.shapes import Steps
from sheaf.records import past
from sheaf.store import keys, table
from sheaf.store.keys import Scope
from sheaf.store.table import Item

_PARTS = 40  # of one step; what the step says of them stands in its row


class BackupWork(Steps):
    """Step n goes on behind the last row of step n-1; each leaves some parts."""

    def run(self, task: Task) -> Result:
        """Write parts until the rows, the parts of a step or the time run out. Raises JobFailed for a backup that was deleted."""
        try:
            stored.find(task.caller, task.job["backup"])
        except NotFound:
            raise JobFailed("The backup was deleted") from None
        before = machine.chunk(task.caller, task.job["sk"], task.number - 1) if task.number else None
        paths = paths_of(task.job)
        place, after = (int(before["place"]), str(before["after"])) if before else (0, "")
        made: list[dict[str, Any]] = []
        number, rows = int(before["parts"]) if before else 0, 0
        deadline = time.monotonic() + EXPORT_STEP_SECONDS
        while place < len(paths) and len(made) < _PARTS and (time.monotonic() < deadline or not made):
            source = _then(task.caller, task.job, paths[place], after)
            looked = list(islice(source, BACKUP_PART_ROWS))
            lines = [line for _, line in looked if line is not None]
            if lines:
                made.append(manifest.put_part(task.caller, task.job["backup"], number, paths[place], lines))
                number, rows = number + 1, rows + len(lines)
            after = looked[-1][0] if looked else after
            if len(looked) < BACKUP_PART_ROWS:
                place, after = place + 1, ""
        return {"place": place, "after": after, "parts": number, "made": to_json(made).decode(), "rows": rows,
                "more": int(place < len(paths))}  # fmt: skip

    def finalise(self, caller: Caller, job: Item, done: Sequence[Item], status: Status) -> Result:
        """Seal the backup; from now on it can be used. Of one that was deleted meanwhile nothing is left."""
        try:
            item = stored.find(caller, job["backup"])
        except NotFound:
            stored.purge(caller, job["backup"])
            return {}
        if status != "succeeded":
            return {}
        parts = [part for step in done for part in from_json(step["made"])]
        rows = sum(step["rows"] for step in done)
        about = {"scope": item["scope"], "entity": item.get("entity"), "rows": rows}
        digest, size = manifest.seal(caller, job["backup"], job["at_ms"], about, parts)
        values = {"sha256": digest, "rows": rows, "bytes": size}
        try:
            table.update(config().control_table, keys.backup(caller, job["backup"]), table.setting(values),
                         condition="attribute_exists(#pk) AND attribute_not_exists(#gone)", values=values)  # fmt: skip
        except table.ConditionFailed:  # it was deleted this very moment
            stored.purge(caller, job["backup"])
            return {}
        if item.get("auto"):
            schedule.prune(caller)
        return {"rows": rows}


def line_of(row_id: str, then: past.Then) -> dict[str, Any]:
    """A row as a part holds it."""
    return {"id": row_id, "version": then.version, "fields": dict(then.fields)}


def _then(scope: Scope, job: Item, path: str, after: str) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """The ids behind one, each with the row as it was; None where it was not there, or is not wanted."""
    wanted = frozenset(from_json(job["ids"])) if "ids" in job else None
    for item in past.items(scope, path, after):
        then = past.at(scope, item, job["at_ms"]) if wanted is None or item["sk"] in wanted else None
        yield item["sk"], line_of(item["sk"], then) if then else None


def paths_of(job: Item) -> list[str]:
    """The entities that a job is about."""
    return registry.paths() if job["entity"] == "*" else [job["entity"]]
