"""The worker of the job queue: one chunk a message."""

from collections.abc import Mapping
from typing import Any

from sheaf.access.caller import worker
from sheaf.edge import consume
from sheaf.edge.start import start
from sheaf.features.accounts.members import UsersWork
from sheaf.features.accounts.tenants import ResetWork
from sheaf.features.bulk import BulkWork
from sheaf.features.export import ExportWork
from sheaf.jobs import machine, runner
from sheaf.jobs.chunks import Busy

start()
WORK: Mapping[str, runner.Work] = {"bulk": BulkWork(), "export": ExportWork(), "reset": ResetWork(), "users": UsersWork()}
LAST_TRY = 5  # one below the queue's maxReceiveCount, so that a job whose worker is killed each time is ended too


def handler(event: dict[str, Any], context: Any) -> consume.Failures:
    """A batch of the job queue."""
    return consume.messages(event, _run)


def _run(message: Mapping[str, Any], tries: int) -> None:
    caller = worker(message["tenant"], "on_job", message["requestId"])
    job = machine.find(caller, message["job"])
    if tries > LAST_TRY:
        runner.give_up(caller, message["job"], f"chunk {message['chunk']} failed {LAST_TRY} times")
        raise RuntimeError("given up: the message goes to the dead-letter queue")
    # What the rows say of their writer is who asked for the job.
    caller = worker(caller.tenant, job["a"], message["requestId"])
    try:
        runner.run(caller, job, message["chunk"], WORK[job["kind"]])
    except Busy:
        raise
    except Exception:
        if tries >= LAST_TRY:
            runner.give_up(caller, message["job"], f"chunk {message['chunk']} failed {tries} times")
        raise
