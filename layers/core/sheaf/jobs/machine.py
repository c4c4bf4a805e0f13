"""The job machine, by conditional writes:

    queued → running → finalising → succeeded | failed
       └────────┴─→ cancelling → cancelled

A job is accepted by one transaction. The stream of Control starts it, so an accepted job cannot be forgotten between two
calls. Its chunks carry the results; the counts are added up from them and so are true at any moment.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import JOB_DAYS, JOBS_PER_TENANT
from sheaf.base.clock import iso, now, now_ms
from sheaf.base.config import config
from sheaf.base.errors import NotFound, TooManyJobs
from sheaf.jobs import slots
from sheaf.records import notes
from sheaf.records.once import Once, put_once
from sheaf.store import keys, queues, table
from sheaf.store.table import ConditionFailed, Item, Write

Kind = Literal["bulk", "import", "revert", "export", "analytics", "package", "audience", "users", "reset", "replay", "audit",
               "backup", "plan", "restore", "erase"]  # fmt: skip
Status = Literal["queued", "running", "finalising", "succeeded", "failed", "cancelling", "cancelled"]
ENDED: tuple[Status, ...] = ("succeeded", "failed", "cancelled")
TO_THE_END: tuple[Kind, ...] = ("erase",)  # half of it would be worse than none
FILES: tuple[Kind, ...] = (
    "export",
    "analytics",
    "package",
    "audit",
    "backup",
    "plan",
)  # kinds that make a file and change no row
OUTCOMES = ("created", "updated", "deleted", "skipped", "failed")
SETTLE = -1  # the number of no chunk: a message that asks to end a job which is to be stopped


def accept(caller: Caller, kind: Kind, *, job_id: str, entity: str, chunks: int, total: int, plan: Item,
           once: Once | None = None) -> Item:  # fmt: skip
    """Put the job down as queued; from now on it will run. `plan` is what its worker needs to know.

    With `once`, the request's Idempotency-Key, a job that another request has made under it is returned instead.
    Raises TooManyJobs.
    """
    item: Item = {
        "kind": kind,
        "entity": entity,
        "st": "queued",
        "chunks": chunks,
        "total": total,
        "a": caller.principal,
        "ro": caller.role,
        "q": caller.request_id,
        "ip": caller.address,
        "at": iso(now_ms()),
        "ttl": now() + JOB_DAYS * 86_400,
        **plan,
    }
    key = keys.job(caller, job_id)
    put = Write(config().control_table, "put", key, item=item, condition="attribute_not_exists(#pk)")
    try:
        # One that waits for a file takes up nothing until that arrives.
        writes = [put, *([] if "awaits" in item else [slots.joining(caller, job_id)]),
                  notes.note(caller, "job.created", job_id, {"type": kind, "entity": entity})]  # fmt: skip
        if first := put_once(writes, once, job=job_id):
            return find(caller, first["job"])
    except ConditionFailed as failure:
        if failure.position:
            message = f"There are {JOBS_PER_TENANT} unfinished jobs already; wait for some of them to end, or cancel them"
            raise TooManyJobs(message, headers={"Retry-After": "60"}) from None
        # Without a key the id is new, or derived: a row that is there is this one.
        return find(caller, job_id)
    return {"pk": key.pk, "sk": key.sk, **item}


def new_id() -> str:
    """An id for a job that is about to be accepted."""
    return ids.new("job")


def find(caller: Caller, job_id: str) -> Item:
    """The job's row; raises NotFound."""
    item = table.get(config().control_table, keys.job(caller, job_id)) if ids.is_id(job_id, "job") else None
    if item is None or table.is_over(item):
        raise NotFound(f"There is no job {job_id[:80]!r}")
    return item


def move(caller: Caller, job_id: str, before: tuple[Status, ...], after: Status, **also: str | int) -> bool:
    """Change the status if it is one of `before`; False where it is not (someone else was faster)."""
    moved = _moved(caller, job_id, before, after, also)
    try:
        table.update(moved.table, moved.key, moved.expression, condition=moved.condition, values=moved.values)
    except ConditionFailed:
        return False
    return True


def cancel(caller: Caller, job_id: str) -> bool:
    """Ask a job to stop, and note who did; False where it has come too far."""
    moved = _moved(caller, job_id, ("queued", "running"), "cancelling", {})
    try:
        put_once([moved, notes.note(caller, "job.cancelled", job_id)], None)
    except ConditionFailed:
        return False
    return True


def _moved(caller: Caller, job_id: str, before: tuple[Status, ...], after: Status, also: Mapping[str, str | int]) -> Write:
    states = {f"b{number}": status for number, status in enumerate(before)}
    sets = "".join(f", #{name} = :{name}" for name in also)
    allowed = ", ".join(f":{name}" for name in states)
    return Write(config().control_table, "update", keys.job(caller, job_id), expression=f"SET #st = :after{sets}",
                 condition=f"#st IN ({allowed})", values={"after": after, **states, **also})  # fmt: skip


def results(caller: Caller, job_id: str) -> Iterator[Item]:
    """The chunks of a job that have begun, in order."""
    return table.query(config().control_table, keys.chunk(caller, job_id, 0).pk, page=1_000)


def chunk(caller: Caller, job_id: str, number: int) -> Item | None:
    """One chunk of a job, None where it has not begun."""
    return table.get(config().control_table, keys.chunk(caller, job_id, number))


def counts(job: Item, chunks: Iterator[Item]) -> dict[str, int]:
    """What has become of the rows so far."""
    added = dict.fromkeys(OUTCOMES, 0)
    read = 0
    for each in chunks:
        read += each.get("rows", 0)
        for outcome in OUTCOMES:
            added[outcome] += each.get(outcome, 0)
    # An export, and an import, learn their total on the way: the rows that they have read so far.
    return {"total": max(job["total"], read), **added}


def call_for(caller: Caller, job_id: str, numbers: range) -> None:
    """Ask for these chunks to be worked on."""
    found = [message(caller, job_id, number) for number in numbers]
    # Fair queues: a message group is a tenant, and none of them has to wait for the messages of another.
    queues.send(config().jobs_queue_url, found, group=caller.tenant)


def message(caller: Caller, job_id: str, number: int) -> Mapping[str, Any]:
    """The message that asks for one chunk."""
    return {"tenant": caller.tenant, "job": job_id, "chunk": number, "requestId": caller.request_id}
