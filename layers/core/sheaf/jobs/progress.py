"""A job as its owner sees it: its counts, its pace, its files, and what went wrong in groups."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic_core import from_json

from sheaf.access.caller import Caller
from sheaf.base.bounds import JOB_WAIT_SECONDS, LINK_SECONDS
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import Conflict, InvalidCursor, InvalidParameter, NotFound
from sheaf.base.ids import is_id
from sheaf.jobs import machine
from sheaf.store import blobs, keys, table
from sheaf.store.table import Item

_POLL_SECONDS = 0.5
_READ = 2_000  # jobs that one page may read
_FILTERS = {"type": "kind", "entity": "entity", "status": "st"}
_LINKS = {"errors": "errorsUrl", "unprocessed": "unprocessedUrl", "manifest": "manifestUrl"}


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of jobs, newest first, and the cursor of the next one."""

    jobs: list[dict[str, Any]]
    next_cursor: str | None


def show(caller: Caller, job_id: str, wait: int = 0) -> dict[str, Any]:
    """The job with its counts and links, once it has ended or `wait` seconds are over.

    Raises NotFound, also for another user's job unless the caller is an admin.
    """
    job = owned(caller, job_id)
    deadline = time.monotonic() + min(wait, JOB_WAIT_SECONDS)
    while job["st"] not in machine.ENDED and time.monotonic() < deadline:
        time.sleep(min(_POLL_SECONDS, max(0.0, deadline - time.monotonic())))
        job = owned(caller, job_id)
    return view(caller, job)


def owned(caller: Caller, job_id: str) -> Item:
    """The row of a job of the caller's, or of anybody's where the caller is an admin; raises NotFound."""
    job = machine.find(caller, job_id)
    if job["a"] != caller.principal and caller.role != "admin":
        raise NotFound(f"There is no job {job_id[:80]!r}")
    return job


def listing(caller: Caller, asked: Mapping[str, str], limit: int, cursor: str | None, *, kinds: tuple[str, ...] = ()) -> Listed:
    """A page of the caller's jobs (an admin's: of all), those of some `kinds` where these are named.

    `asked` may hold type, entity and status; raises InvalidParameter, InvalidCursor.
    """
    if unknown := [name for name in asked if name not in _FILTERS]:
        raise InvalidParameter.naming({unknown[0][:80]: f"is not a parameter of this list; {', '.join(_FILTERS)} are"})
    if cursor and not is_id(cursor, "job"):
        raise InvalidCursor("The cursor is damaged; start again without it")
    found: list[Item] = []
    pk = keys.job(caller, "").pk
    for read, job in enumerate(table.query(config().control_table, pk, after=cursor or "", newest_first=True, page=100), 1):
        mine = job["a"] == caller.principal or caller.role == "admin"
        wanted = all(job[_FILTERS[name]] in text.split(",") for name, text in asked.items())
        if mine and wanted and (not kinds or job["kind"] in kinds) and not table.is_over(job):
            found.append(job)
        if len(found) > limit:
            break
        if read == _READ:
            # A page of few matches among many jobs is short, and its cursor leads on from here.
            return Listed([view(caller, each) for each in found], job["sk"])
    return Listed([view(caller, job) for job in found[:limit]], found[limit - 1]["sk"] if len(found) > limit else None)


def cancel(caller: Caller, job_id: str) -> dict[str, Any]:
    """Stop a job: the chunks that have begun are done to their end, the rest is left; raises NotFound, Conflict."""
    if owned(caller, job_id)["kind"] in machine.TO_THE_END:
        raise Conflict("What is being erased is erased to its end; this job cannot be cancelled")
    stopped = machine.cancel(caller, job_id)
    job = machine.find(caller, job_id)
    if not stopped and job["st"] not in ("cancelling", "cancelled"):
        raise Conflict(f"The job is {job['st']} and cannot be cancelled any more")
    return view(caller, job)


def view(caller: Caller, job: Item) -> dict[str, Any]:
    """The job's row as it is answered."""
    shown = told(caller, job)
    links = {_LINKS[name]: _link(caller, job["sk"], file) for name, file in from_json(job.get("files", "{}")).items()}
    return {**shown, "result": _result(caller, job), **links}


def told(caller: Caller, job: Item) -> dict[str, Any]:
    """The same for an event: without links, which would be over before somebody reads it."""
    counts = counted(caller, job)
    done = sum(counts[outcome] for outcome in machine.OUTCOMES)
    if job["st"] in ("failed", "cancelled") and job["kind"] not in machine.FILES:
        counts["unprocessed"] = max(0, counts["total"] - done)
    shown: dict[str, Any] = {
        "id": job["sk"],
        "type": job["kind"],
        "entity": job["entity"],
        "status": job["st"],
        "counts": counts,
        **_pace(job, done, counts["total"]),
        "createdAt": job["at"],
    }
    optional = {"startedAt": job.get("begun"), "finishedAt": job.get("ended"), "error": job.get("error"),
                "dryRun": True if job.get("dry") else None, "revertOf": job.get("revert"), "retryOf": job.get("retry"),
                "errorGroups": from_json(job["groups"]) if "groups" in job else None}  # fmt: skip
    return shown | {name: value for name, value in optional.items() if value is not None}


def ended_ms(job: Item) -> int:
    """The millisecond at which a job has ended."""
    return _ms(job["ended"])


def counted(caller: Caller, job: Item) -> dict[str, int]:
    """What has become of the job's rows so far."""
    if "n" in job:
        kept: dict[str, int] = from_json(job["n"])  # of a job that has ended
        return kept
    return machine.counts(job, machine.results(caller, job["sk"]))


def _pace(job: Item, done: int, total: int) -> dict[str, Any]:
    if "begun" not in job or not done:
        return {}
    until = job.get("ended")
    end_ms = _ms(until) if until else now_ms()
    rate = done / max(0.001, (end_ms - _ms(job["begun"])) / 1000)
    left = {} if until or total < done else {"etaSeconds": round((total - done) / rate)}
    return {"ratePerSecond": round(rate, 1), **left}


def _result(caller: Caller, job: Item) -> dict[str, Any] | None:
    if job["st"] not in machine.ENDED or "sha256" not in job:
        return None
    return {
        "url": _link(caller, job["sk"], job["file"]),
        "expiresAt": iso(now_ms() + LINK_SECONDS * 1000),
        "rows": job["rows"],
        "bytes": job["bytes"],
        "sha256": job["sha256"],
    }


def _link(caller: Caller, job_id: str, name: str) -> str:
    headers = {"ResponseContentDisposition": f'attachment; filename="{name}"'}
    return blobs.get_link(config().jobs_bucket, keys.job_object(caller, job_id, name), LINK_SECONDS, headers)


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)
