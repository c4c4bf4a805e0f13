"""Several requests in one: `POST /v1/batch`, for whatever the entities and the adopters' endpoints take."""

import endpoints
from sheaf.edge.api import Api
from sheaf.edge.batch.run import answer
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request
from sheaf.edge.routes import rows

inside = Api()
rows.register(inside)
endpoints.register(inside)
api = Api()


@api.post("/v1/batch", permission="batch:run")
def run(request: Request) -> Reply:
    return answer(request, inside.router)


handler = api.handler
