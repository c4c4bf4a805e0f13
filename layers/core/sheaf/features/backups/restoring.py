"""The work of an approved restore, and of taking one back: line by line, each only where nobody has changed the row since."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from pydantic_core import to_json

from sheaf.access.caller import Caller
from sheaf.base.bounds import RESTORE_LINES
from sheaf.base.config import config
from sheaf.base.errors import Conflict, NotFound, NotUnique, PreconditionFailed, SheafError
from sheaf.entity import registry
from sheaf.entity.registry import EntityType
from sheaf.features.backups import restores
from sheaf.formats import ndjson
from sheaf.jobs import machine
from sheaf.jobs.machine import Status
from sheaf.jobs.runner import JobFailed, Result, Task
from sheaf.jobs.shapes import Steps
from sheaf.records import erasures, past, read, relations, write
from sheaf.records.options import Options
from sheaf.records.relations import Beside
from sheaf.records.rows import Row, Stamp, fields_of, is_stamped, stamped
from sheaf.store import blobs, keys
from sheaf.store.table import Item

_THREADS = 16
_OUTCOMES = {"delete": "deleted", "update": "updated", "restore": "restored", "create": "created"}
Line = Mapping[str, Any]
Outcome = dict[str, Any]


class RestoreWork(Steps):
    """Step n does RESTORE_LINES lines, in their order: deletions have freed what later ones need."""

    def run(self, task: Task) -> Result:
        """Do the lines of one step; raises JobFailed where they are not those that were confirmed."""
        from concurrent.futures import ThreadPoolExecutor

        restore = restores.find(task.caller, task.job["restore"])
        lines = _allowed(task, _lines(task, restore))
        earlier = _earlier(task, lines) if task.again else {}
        first = task.number * RESTORE_LINES

        def attempt(number: int) -> Outcome:
            stamp = Stamp(task.job["sk"], first + number, quiet="wh" not in restore)
            return _attempted(task, lines[number], stamp, earlier)

        with ThreadPoolExecutor(_THREADS) as threads:
            found = list(threads.map(attempt, range(len(lines))))
        blobs.put(
            config().jobs_bucket, _outcomes(task.caller, task.job["sk"], task.number), ndjson.dump(found), "application/x-ndjson"
        )
        told = dict.fromkeys(machine.OUTCOMES, 0)
        for outcome in found:
            told["created" if outcome["outcome"] == "restored" else outcome["outcome"]] += 1
        return {**told, "rows": len(lines), "more": int(task.number + 1 < task.job["steps"])}

    def finalise(self, caller: Caller, job: Item, done: Sequence[Item], status: Status) -> Result:
        """Say in the restore what became of it, and keep what could not be done."""
        good = [step for step in done if "lost" not in step]
        counts = {name: sum(step.get(name, 0) for step in good) for name in machine.OUTCOMES}
        whole = b"".join(blobs.get(config().jobs_bucket, _outcomes(caller, job["sk"], int(step["sk"]))) for step in good)
        blobs.put(config().jobs_bucket, keys.job_object(caller, job["sk"], "outcomes.ndjson"), whole, "application/x-ndjson")
        if "back" not in job:
            values = {"st": "done" if status == "succeeded" else "incomplete", "done": to_json(counts).decode()}
            restores.settle(caller, job["restore"], "running", values)
        return {"file": "outcomes.ndjson", "rows": sum(counts.values()), "bytes": len(whole), "sha256": sha256(whole).hexdigest()}


def _lines(task: Task, restore: Item) -> list[Line]:
    start = task.number * RESTORE_LINES
    if "back" in task.job:
        # What was done last is taken back first: what a deletion has freed is needed by nobody any more then.
        return [_reversed(each) for each in reversed(_done(task, restore, task.job["steps"] - 1 - task.number))]
    return _planned(task, restore)[start : start + RESTORE_LINES]


def _allowed(task: Task, lines: Sequence[Line]) -> list[Line]:
    """The lines without the values of somebody who was erased after the plan was made."""
    erased, found = erasures.of(task.caller), []
    for line in lines:
        known = line.get("fields")
        blanked = known and erased.without_people(registry.find(line["path"]), line["id"], known)
        found.append({**line, "fields": blanked} if known else line)
    return found


def _done(task: Task, restore: Item, number: int) -> list[Outcome]:
    """What a step of a restore has done: what it says, or what rows carry where it could not say anything any more."""
    try:
        said = b"".join(blobs.stream(config().jobs_bucket, _outcomes(task.caller, restore["job"], number)))
    except blobs.Missing:
        first = number * RESTORE_LINES
        lines = _planned(task, restore)[first : first + RESTORE_LINES]
        rows = _earlier(task, lines)
        return [
            {"path": line["path"], "id": line["id"], "outcome": _OUTCOMES[line["action"]], "version": stamped(item).version}
            for index, line in enumerate(lines, first)
            if (item := rows.get(line["id"])) is not None and is_stamped(item, Stamp(restore["job"], index))
        ]
    return list(ndjson.load(said))


def _planned(task: Task, restore: Item) -> list[Line]:
    whole = blobs.get(config().jobs_bucket, keys.job_object(task.caller, restore["plan"], "differences.ndjson"))
    if sha256(whole).hexdigest() != restore["sha"]:
        raise JobFailed("The differences were changed since they were confirmed; nothing more is restored")
    return list(ndjson.load(whole))


def _reversed(outcome: Line) -> Line:
    """What takes an outcome back."""
    undone = {"created": "delete", "restored": "delete", "deleted": "restore", "updated": "revert"}
    return {"path": outcome["path"], "id": outcome["id"], "version": outcome.get("version", 0),
            "action": undone.get(outcome["outcome"], "nothing")}  # fmt: skip


def _earlier(task: Task, lines: Sequence[Line]) -> Mapping[str, Item]:
    """The rows as an earlier try of this step may have written them."""
    found: dict[str, Item] = {}
    for path in {line["path"] for line in lines}:
        wanted = [line["id"] for line in lines if line["path"] == path]
        found |= read.living_or_dead(task.caller, registry.find(path), wanted)
    return found


def _attempted(task: Task, line: Line, stamp: Stamp, earlier: Mapping[str, Item]) -> Outcome:
    about = {"path": line["path"], "id": line["id"]}
    entity = registry.find(line["path"])
    item = earlier.get(line["id"])
    mine = item if item is not None and is_stamped(item, stamp) else None
    try:
        return {**about, **_ACTIONS[line["action"]](task.caller, entity, line, stamp, mine)}
    except PreconditionFailed:
        return {**about, "outcome": "skipped", "reason": "was edited since"}
    except NotFound:
        return {**about, "outcome": "skipped", "reason": "was deleted since"}
    except SheafError as error:
        if error.status >= 500 and not task.last:
            raise
        if isinstance(error, Conflict) and not isinstance(error, NotUnique):
            return {**about, "outcome": "skipped", "reason": "was restored since"}
        return {**about, "outcome": "failed", "error": error.message, "code": error.code, "errors": error.fields}


def _delete(caller: Caller, entity: EntityType, line: Line, stamp: Stamp, mine: Item | None) -> Outcome:
    return _told("deleted", stamped(mine) if mine else write.delete(caller, entity, line["id"], _options(line), stamp=stamp))


def _update(caller: Caller, entity: EntityType, line: Line, stamp: Stamp, mine: Item | None) -> Outcome:
    if mine:
        return _told("updated", stamped(mine))
    options = _options(line, changed=True)
    try:
        row = write.put_back(caller, entity, line["id"], line["fields"], options, stamp=stamp, beside=_beside(entity, line))
    except write.Unchanged as same:
        return {"outcome": "skipped", "reason": "says so already", "version": same.row.version}
    return _told("updated", row)


def _restore(caller: Caller, entity: EntityType, line: Line, stamp: Stamp, mine: Item | None) -> Outcome:
    """Out of the trash, then to what it was: two versions, the second only where it says something else."""
    row = stamped(mine) if mine else write.restore(caller, entity, line["id"], _options(line), stamp=stamp)
    fields = line.get("fields")
    now = fields_of(read.item(caller, entity, line["id"]))
    if fields is None or all(now.get(name) == value for name, value in fields.items()):
        return _told("restored", row)
    options = Options(frozenset({row.version}), changed=True)
    row = write.put_back(caller, entity, line["id"], fields, options, stamp=stamp, beside=_beside(entity, line))
    return _told("restored", row)


def _create(caller: Caller, entity: EntityType, line: Line, stamp: Stamp, mine: Item | None) -> Outcome:
    if mine:
        return _told("created", stamped(mine))
    last = past.last(caller, line["id"])
    if last is None:
        checked = entity.overwritten(line["fields"], write.change_of(caller, "created"))
        return _told("created", write.create_checked(caller, entity, checked, row_id=line["id"], stamp=stamp))
    row = write.make_again(caller, entity, line["id"], line["fields"], last, stamp=stamp, beside=_beside(entity, line))
    return _told("created", row)


def _revert(caller: Caller, entity: EntityType, line: Line, stamp: Stamp, mine: Item | None) -> Outcome:
    if mine:
        return _told("updated", stamped(mine))
    row = write.revert(caller, entity, line["id"], line["version"] - 1, _options(line), stamp=stamp)
    return _told("updated", row)


def _nothing(caller: Caller, entity: EntityType, line: Line, stamp: Stamp, mine: Item | None) -> Outcome:
    return {"outcome": "skipped", "reason": "nothing was done to it"}


_ACTIONS = {"delete": _delete, "update": _update, "restore": _restore, "create": _create, "revert": _revert, "nothing": _nothing}


def _told(outcome: str, row: Row) -> Outcome:
    return {"outcome": outcome, "version": row.version}


def _options(line: Line, *, changed: bool = False) -> Options:
    return Options(frozenset({line["version"]}), changed=changed)


def _beside(entity: EntityType, line: Line) -> Beside:
    """The rows that this one points to were there with it, so they come back with it."""
    wanted = [each for name in entity.relations for each in relations.pointers(line["fields"].get(name))]
    return Beside(made=set(wanted))


def _outcomes(caller: Caller, job_id: str, number: int) -> str:
    return keys.job_object(caller, job_id, f"outcomes-{number:06d}.ndjson")
