"""Jobs: `/v1/jobs/{id}`."""

from sheaf.edge.api import Api
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request
from sheaf.jobs import progress

api = Api()


@api.get("/v1/jobs/<job_id>", permission="jobs:read")
def get_job(request: Request, job_id: str) -> Reply:
    return Reply(progress.show(request.caller, job_id))


handler = api.handler
