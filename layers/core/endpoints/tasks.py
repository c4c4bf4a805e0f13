"""`POST /v1/tasks/{id}/complete`: the smallest endpoint of one's own."""

from sheaf.edge.api import Api
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request
from sheaf.edge.rows import as_row
from sheaf.entity import registry
from sheaf.records import write


def register(api: Api) -> None:
    """Add the endpoint."""

    @api.post("/v1/tasks/<row_id>/complete", permission="tasks:update", writes="row")
    def complete(request: Request, row_id: str) -> Reply:
        tasks = registry.find("tasks")
        return as_row(request, tasks, write.patch(request.caller, tasks, row_id, {"status": "completed"}, request.options()))
