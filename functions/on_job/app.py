"""The worker of the job queue: one chunk a message."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sheaf.access.caller import worker
from sheaf.base.errors import NotFound
from sheaf.edge import consume
from sheaf.edge.start import start
from sheaf.edge.works import work_of
from sheaf.jobs import machine, runner
from sheaf.jobs.chunks import Busy

settings = start()
LAST_TRY = 5  # one below the queue's maxReceiveCount, so that a job whose worker is killed each time is ended too


def handler(event: dict[str, Any], context: Any) -> consume.Failures:
    """A batch of the job queue."""
    return consume.messages(event, _run, settings.jobs_queue_url)


def _run(message: Mapping[str, Any], tries: int) -> None:
    number, caller = message["chunk"], worker(message["tenant"], "on_job", message["requestId"])
    try:
        job = machine.find(caller, message["job"])
    except NotFound:
        return  # it was kept as long as jobs are kept
    # What the rows say of their writer is who asked for the job, who could do no more than their role lets them.
    caller = replace(caller, principal=job["a"], role=job["ro"], address=job.get("ip"))
    work = work_of(job["kind"])
    if tries > LAST_TRY:
        runner.give_up(caller, job, number, work, f"chunk {number} failed {LAST_TRY} times")
        raise RuntimeError("given up: the message goes to the dead-letter queue")
    try:
        runner.run(caller, job, number, work, last=tries == LAST_TRY)
    except Busy:
        raise
    except Exception:
        if tries >= LAST_TRY:
            runner.give_up(caller, job, number, work, f"chunk {number} failed {tries} times")
        raise
