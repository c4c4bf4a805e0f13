"""What follows from a change of a job's row, or of a file that a job waits for. Doing it twice does no harm."""

from pydantic_core import to_json

from sheaf.access.caller import worker
from sheaf.base.errors import NotFound
from sheaf.base.log import log, measured
from sheaf.entity.names import LIVE
from sheaf.jobs import machine, progress, runner, sweep
from sheaf.records import events
from sheaf.records.events import Event
from sheaf.store import keys
from sheaf.store.table import Item


def follow(job: Item, before: Item | None) -> Event | None:
    """A new job gets in line, one that is to be stopped is settled, one that has ended makes room; the event of its end."""
    scope = worker(keys.tenant_of(job["pk"]), "on_change", job["q"])
    job_id: str = job["sk"]
    if before is None:
        sweep.note(scope, job_id)
        if "awaits" not in job or sweep.has_arrived(scope, job["awaits"]):
            runner.join(scope, job)
    if before is None or before["st"] == job["st"]:
        return None
    if job["st"] == "cancelling":
        machine.call_for(scope, job_id, range(machine.SETTLE, machine.SETTLE + 1))
    if job["st"] not in machine.ENDED:
        return None
    if job["st"] == "failed":
        about = {"tenant": scope.tenant, "job": job_id, "kind": job["kind"]}
        log.warning("job failed", extra={**about, **measured({"failedJobs": 1})})
    runner.leave(scope, job_id)
    sweep.strike(scope, job_id)
    data = to_json(progress.told(scope, job)).decode()
    return events.of_job(scope, job, progress.ended_ms(job), data)


def follow_file(event: Event) -> None:
    """A file that a job waits for has arrived, or is none that it can use."""
    document = event.document
    if not document.get("job") or document["status"] in LIVE:
        return
    scope = worker(event.tenant, "on_change", event.request_id)
    try:
        job = machine.find(scope, document["job"])
    except NotFound:
        return  # not accepted yet: it will look at the file then
    if job["st"] != "queued":
        return
    if document["status"] == "ready":
        runner.join(scope, job)
    else:
        runner.stop(scope, job["sk"], f"the file was rejected: {document['reason']}")
