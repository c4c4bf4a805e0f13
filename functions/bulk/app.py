"""Many rows at once: bulk and import now or as a job, and exports as a job."""

from sheaf.base.bounds import BULK_BODY_BYTES
from sheaf.edge.api import Api
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request
from sheaf.edge.wire import Wire
from sheaf.entity import registry
from sheaf.features import bulk, export
from sheaf.jobs import progress
from sheaf.store.table import Item

api = Api()


@api.post("/v1/<entity>/bulk", permission="<entity>:bulk", cost=5, writes="rows")
@api.post("/v1/import/<entity>", permission="<entity>:bulk", cost=5, writes="rows")
def bulk_rows(request: Request, entity: str) -> Reply:
    found = registry.find(entity)
    wire = Wire(request, found)
    asked = bulk.parse(wire.bulk(request.json(BULK_BODY_BYTES)))
    if bulk.is_inline(asked):
        outcomes = bulk.run_inline(request.caller, found, asked, request.once())
        return Reply(wire.named(bulk.summary(found, outcomes, return_failures=asked.return_failures)))
    return _accepted(request, bulk.accept(request.caller, found, asked, request.once()))


@api.post("/v1/<entity>/export", permission="<entity>:export", cost=5)
def export_rows(request: Request, entity: str) -> Reply:
    found = registry.find(entity)
    return _accepted(request, export.accept(request.caller, found, Wire(request, found).export(request.json()), request.once()))


def _accepted(request: Request, job: Item) -> Reply:
    return Reply(progress.view(request.caller, job), 202, headers={"Location": f"../jobs/{job['sk']}"})


handler = api.handler
