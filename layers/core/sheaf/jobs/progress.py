"""A job as its owner sees it."""

from datetime import datetime
from typing import Any

from sheaf.access.caller import Caller
from sheaf.base.bounds import LINK_SECONDS
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import NotFound
from sheaf.jobs import machine
from sheaf.store import blobs, keys
from sheaf.store.table import Item


def show(caller: Caller, job_id: str) -> dict[str, Any]:
    """The job with its counts and links; raises NotFound, also for another user's job unless the caller is an admin."""
    job = machine.find(caller, job_id)
    if job["a"] != caller.principal and caller.role != "admin":
        raise NotFound(f"There is no job {job_id[:80]!r}")
    return view(caller, job)


def view(caller: Caller, job: Item) -> dict[str, Any]:
    """The job's row as it is answered."""
    counts = machine.counts(job, machine.results(caller, job["sk"]))
    done = sum(counts[outcome] for outcome in machine.OUTCOMES)
    shown: dict[str, Any] = {
        "id": job["sk"],
        "type": job["kind"],
        "entity": job["entity"],
        "status": job["st"],
        "counts": counts,
        **_pace(job, done, counts["total"]),
        "result": _result(caller, job),
        "createdAt": job["at"],
    }
    optional = {"startedAt": job.get("begun"), "finishedAt": job.get("ended"), "error": job.get("error")}
    if job["st"] == "succeeded" and counts["failed"] and job["kind"] == "bulk":  # others tell it in their result
        optional["errorsUrl"] = _link(caller, job["sk"], "errors.ndjson")
    return shown | {name: value for name, value in optional.items() if value is not None}


def _pace(job: Item, done: int, total: int) -> dict[str, Any]:
    if "begun" not in job or not done:
        return {}
    until = job.get("ended")
    end_ms = _ms(until) if until else now_ms()
    rate = done / max(0.001, (end_ms - _ms(job["begun"])) / 1000)
    left = {} if until or total < done else {"etaSeconds": round((total - done) / rate)}
    return {"ratePerSecond": round(rate, 1), **left}


def _result(caller: Caller, job: Item) -> dict[str, Any] | None:
    if job["st"] != "succeeded" or "file" not in job:
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
