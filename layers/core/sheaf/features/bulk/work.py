"""The chunks of a job over rows. The first one reads the input and cuts it; each of the others does CHUNK_ROWS of its rows."""

from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import BULK_ITEMS
from sheaf.base.errors import SheafError, ValidationFailed
from sheaf.entity import registry
from sheaf.entity.cells import Columns
from sheaf.entity.registry import EntityType, find
from sheaf.features.bulk import engine, files, lines
from sheaf.features.bulk.engine import Operation, Outcome
from sheaf.features.bulk.inline import Twins, complaints
from sheaf.features.bulk.request import server_set
from sheaf.features.bulk.source import Source
from sheaf.features.bulk.videos import resolved
from sheaf.jobs import chunks, machine
from sheaf.jobs.machine import Status
from sheaf.jobs.runner import JobFailed, Result, Task
from sheaf.jobs.shapes import Prepared
from sheaf.records import read
from sheaf.records.rows import fields_of
from sheaf.store.table import Item

Rows = Iterator[tuple[int | None, Any]]


@dataclass(frozen=True, slots=True)
class _Plan:
    """A job's row, read."""

    job: Item
    entity: EntityType
    source: Source

    @property
    def verb(self) -> Any:
        return self.job["verb"]

    @property
    def left_out(self) -> frozenset[str]:
        born = self.job["kind"] == "import" and self.verb in ("create", "upsert")
        return server_set(self.entity) if born else frozenset()

    def columns(self, header: str | None) -> Columns | None:
        return self.source.columns(self.entity, from_json(header), self.verb) if header else None

    def operation(self, columns: Columns | None) -> Operation:
        make: Callable[[Any], Any] = partial(self.source.fields, self.entity, columns, self.left_out)
        if self.source.format == "urls":
            make = resolved
        if "data" in self.job:
            make = partial(_overlaid, from_json(self.job["data"]))
        return Operation(self.verb, self.job["sk"], ids.time_of(self.job["sk"]), self.job.get("key", ""),
                         bool(self.job.get("dry")), make)  # fmt: skip


def _overlaid(data: Mapping[str, Any], item: Any) -> Any:
    return {**item, **data} if isinstance(item, dict) else item


class RowsWork(Prepared):
    """Bulk jobs, imports, their retries and their reversals."""

    def run(self, task: Task) -> Result:
        """As Work."""
        return _prepare(task) if task.number == 0 else _do(task)

    def reckon(self, task: Task) -> Result:
        """What earlier owners have written of a chunk."""
        first = machine.chunk(task.caller, task.job["sk"], 0)
        if task.number == 0 or first is None or "edges" not in first:
            return {}
        plan, found = _read(task, first)
        columns = plan.columns(first.get("header"))
        done = engine.reckon(task.caller, plan.entity, plan.operation(columns), found)
        return _kept(task, done)

    def finalise(self, caller: Caller, job: Item, done: Sequence[Item], status: Status) -> Result:
        """Write the files."""
        return files.write(caller, job, {int(each["sk"]): each for each in done})


def _prepare(task: Task) -> Result:
    """Read the input, cut it into chunks, and look at every row where an invalid one refuses all. Raises JobFailed."""
    caller, job = task.caller, task.job
    plan = _plan(job)
    header: list[str] | None = None
    columns: Columns | None = None
    twins = Twins(plan.entity, plan.verb, job.get("key", ""))
    bad: dict[int, Outcome] = {}
    try:
        with lines.InputWriter(caller, job["sk"]) as made:
            rows = _rows(caller, job, plan.source)
            if "header" in job:
                header, columns = from_json(job["header"]), plan.columns(job["header"])
            elif plan.source.is_table:
                header, columns = _head(plan, rows)
            for number, item in islice(rows, BULK_ITEMS + 1):
                if made.count == BULK_ITEMS:
                    raise JobFailed(f"There are more than {BULK_ITEMS:,} rows, the most that one job takes")
                fields = _tried(plan, columns, item)
                twin = twins.complaint(fields, made.count if number is None else number, "item" if number is None else "row")
                if job.get("strict") and (wrong := _wrong(plan, caller, fields)):
                    bad[made.count] = Outcome(engine.Line(made.count, item, number), None, error=wrong)
                made.add(number, item, twin.message if twin else "")
    except ValidationFailed as error:
        raise JobFailed(error.message) from None
    if not made.count:
        raise JobFailed("There are no rows")
    told: dict[str, int | str] = {"count": len(made.edges) - 1, "edges": to_json(made.edges).decode(), "rows": made.count}
    if header is not None:
        told["header"] = to_json(header).decode()
    if bad:
        _refuse(task, bad, told, made.starts)
    return told


def _refuse(task: Task, bad: Mapping[int, Outcome], told: Mapping[str, int | str], starts: Sequence[int]) -> None:
    """End the job before anything is written; its files name the invalid rows."""
    for number in range(1, int(told["count"]) + 1):
        mine = [outcome for index, outcome in bad.items() if bisect(starts, index) == number]
        if mine:
            lines.put_part(task.caller, task.job["sk"], number, mine)
            chunks.finish(task.caller, task.job["sk"], number, {"failed": len(mine), "parted": 1, "count": told["count"]})
    count = f"{len(bad):,} of {told['rows']:,} items are" if len(bad) > 1 else "1 item is"
    raise JobFailed(f"{count} invalid, so nothing was written; skipInvalid writes the others", told)


def _do(task: Task) -> Result:
    """Do the rows of one chunk."""
    first = machine.chunk(task.caller, task.job["sk"], 0)
    assert first is not None, "the first chunk is done before any other is asked for"
    plan, found = _read(task, first)
    operation = plan.operation(plan.columns(first.get("header")))
    outcomes = engine.run(task.caller, plan.entity, operation, found, again=task.again, all_results=task.last)
    return {**_kept(task, outcomes), "count": first["count"]}


def _kept(task: Task, outcomes: list[Outcome]) -> Result:
    lines.put_part(task.caller, task.job["sk"], task.number, outcomes)
    told = dict.fromkeys(machine.OUTCOMES, 0)
    for outcome in outcomes:
        # A restored row is one more, as a created one is.
        told["failed" if outcome.made is None else "created" if outcome.made == "restored" else outcome.made] += 1
    return {**told, "parted": 1}


def _rows(caller: Caller, job: Item, source: Source) -> Rows:
    """Where the job's rows come from."""
    if before := job.get("retry"):
        return _of_job(caller, before, failed=True)
    if before := job.get("revert"):
        return _of_job(caller, before, failed=False)
    if source.upload and not source.version:
        file = fields_of(read.item(caller, registry.files(), source.upload))
        source = replace(source, version=file["object_version"])  # the one that was looked at
    if source.format == "json" and not source.upload:
        return ((None, item) for _, item in source.rows(caller, job["sk"]))
    return iter(source.rows(caller, job["sk"]))


def _of_job(caller: Caller, job_id: str, *, failed: bool) -> Rows:
    """The rows that an earlier job could not do or did not come to, or what it has done."""
    job = machine.find(caller, job_id)
    done = {int(each["sk"]): each for each in machine.results(caller, job_id)}
    if failed and "edges" not in done.get(0, {}):
        # It was stopped before its input was cut: that is read again as it stands.
        yield from _rows(caller, job, Source.of(job["source"]))
        return
    for line, told in lines.walk(caller, job, done) if 0 in done else ():
        if failed and (told is None or told["outcome"] == "failed"):
            yield line.number, line.item
        elif not failed and told is not None and told["outcome"] not in ("failed", "skipped"):
            yield files.place_of(line), {name: told[name] for name in ("id", "outcome", "version")}


def _head(plan: _Plan, rows: Rows) -> tuple[list[str], Columns]:
    _, header = next(rows, (None, None))
    if header is None:
        raise JobFailed("The file is empty")
    titles = [str(each)[:200] for each in header]
    return titles, plan.source.columns(plan.entity, titles, plan.verb)


def _tried(plan: _Plan, columns: Columns | None, item: Any) -> Any:
    """The fields of a row, or the row itself where it has none: what is wrong with it is its own result."""
    if plan.source.format == "urls" or plan.verb == "revert":
        return item
    try:
        return plan.source.fields(plan.entity, columns, plan.left_out, item)
    except ValidationFailed:
        return item


def _wrong(plan: _Plan, caller: Caller, fields: Any) -> SheafError | None:
    if found := complaints(caller, plan.entity, fields, plan.verb):
        return ValidationFailed.naming(found)
    return None


def _read(task: Task, first: Item) -> tuple[_Plan, list[engine.Line]]:
    edges: list[int] = from_json(first["edges"])
    return _plan(task.job), lines.of_chunk(task.caller, task.job["sk"], edges, task.number)


def _plan(job: Item) -> _Plan:
    return _Plan(job, find(job["entity"]), Source.of(job["source"]))
