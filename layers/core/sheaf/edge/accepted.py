"""The answer to a request that a job will do."""

from sheaf.base.log import log
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request
from sheaf.jobs import progress, runner
from sheaf.store.table import Item


def accepted(request: Request, job: Item, *, path: str = "../jobs/", **more: object) -> Reply:
    """202 with the job and where to ask for it; `path` leads from the request's own to the jobs.

    The job is asked to begin at once. The stream of Control does so too, a moment later, so that trouble here loses nothing.
    """
    if "awaits" not in job and job["st"] == "queued":
        try:
            runner.join(request.caller, job)
        except Exception:
            log.warning("a job begins a moment later", exc_info=True, extra={"job": job["sk"], "requestId": request.id})
    return Reply({**progress.view(request.caller, job), **more}, 202, headers={"Location": f"{path}{job['sk']}"})
