"""Looks after the unfinished jobs of all tenants: one without progress is begun again where it stands, or ended."""

from collections.abc import Iterator
from datetime import datetime

from sheaf.access.caller import Caller, worker
from sheaf.base.bounds import CHUNK_WINDOW, JOB_REVIVALS, JOB_STALLED_SECONDS
from sheaf.base.clock import now
from sheaf.base.config import config
from sheaf.base.errors import NotFound, SheafError
from sheaf.base.log import log
from sheaf.entity import registry
from sheaf.jobs import machine, runner
from sheaf.records import read
from sheaf.store import keys, queues, table
from sheaf.store.table import Item


def note(scope: Caller, job_id: str) -> None:
    """Put a job that was just accepted on the list."""
    table.put(config().control_table, keys.unfinished_job(scope, job_id), {"at": now()})


def strike(scope: Caller, job_id: str) -> None:
    """Take a job that has ended off it."""
    table.take(config().control_table, keys.unfinished_job(scope, job_id))


def sweep(name: str, request_id: str) -> dict[str, int]:
    """Look at every unfinished job; how many there were, were begun again, and were ended."""
    told = {"unfinished": 0, "revived": 0, "ended": 0, "troubled": 0}
    for entry in table.query(config().control_table, keys.unfinished()):
        scope, job_id = worker(keys.tenant_of(entry["sk"]), name, request_id), keys.job_of(entry["sk"])
        told["unfinished"] += 1
        try:
            _look(scope, job_id, told)
        except (SheafError, queues.SendFailed):
            # One job, or one tenant, must not keep the others from being looked after.
            log.warning("a job could not be looked after", exc_info=True, extra={"tenant": scope.tenant, "job": job_id})
            told["troubled"] += 1
    return told


def _look(scope: Caller, job_id: str, told: dict[str, int]) -> None:
    """Look at one unfinished job."""
    try:
        job = machine.find(scope, job_id)
    except NotFound:
        runner.leave(scope, job_id)
        strike(scope, job_id)
        return
    if job["st"] in machine.ENDED:
        # Its end was told by the stream, or will be; this is for a list that has missed it.
        runner.leave(scope, job_id)
        strike(scope, job_id)
    elif job["st"] == "queued":
        if "awaits" not in job or has_arrived(scope, job["awaits"]):
            runner.join(scope, job)  # it waits for its turn, or its beginning was lost
        elif now() > job["until"]:
            runner.stop(scope, job_id, "the file did not arrive in time")
            told["ended"] += 1
    elif now() - _progress(scope, job) > JOB_STALLED_SECONDS:
        told[_revive(scope, job)] += 1


def has_arrived(scope: Caller, file_id: str) -> bool:
    """Whether the file that a job waits for is there."""
    try:
        return bool(read.one(scope, registry.files(), file_id).document["status"] == "ready")
    except NotFound:
        return False


def _revive(scope: Caller, job: Item) -> str:
    revived = job.get("revived", 0) + 1
    if revived > JOB_REVIVALS:
        runner.abandon(scope, job["sk"], f"there was no progress for {JOB_STALLED_SECONDS // 60} minutes, {revived} times")
        return "ended"
    table.update(config().control_table, keys.job(scope, job["sk"]), "SET #revived = :revived, #beat = :now",
                 condition="attribute_exists(#pk)", values={"revived": revived, "now": now()})  # fmt: skip
    for number in _open(scope, job):
        machine.call_for(scope, job["sk"], range(number, number + 1))
    return "revived"


def _open(scope: Caller, job: Item) -> Iterator[int]:
    """The chunks whose messages are missing: those that were begun and are not done, and the last one done of each lane.

    Every CHUNK_WINDOW-th chunk is asked for by the one before; a chunk that is done passes that on when its message comes again.
    """
    if job["st"] in ("cancelling", "finalising"):
        yield machine.SETTLE
    found = list(machine.results(scope, job["sk"]))
    yield from (int(each["sk"]) for each in found if "done" not in each)
    lanes = {int(each["sk"]) % CHUNK_WINDOW: int(each["sk"]) for each in found if "done" in each}
    yield from sorted({*lanes.values(), *([0] if found and "done" in found[0] else [])})
    if job["st"] == "running" and not found:
        yield 0


def _progress(scope: Caller, job: Item) -> int:
    """The second at which something happened to the job last."""
    times = [job["at"], job.get("begun"), *(each.get("at") for each in machine.results(scope, job["sk"]))]
    seconds = [int(datetime.fromisoformat(each).timestamp()) for each in times if each]
    return max(int(job.get("beat", 0)), *seconds)
