"""The system itself: health and figures, the API's own description, and the way from unversioned paths to `/v1`."""

from sheaf.edge import reference
from sheaf.edge.api import Api
from sheaf.edge.envelope import Reply
from sheaf.edge.redirect import to_version_one
from sheaf.edge.request import Request
from sheaf.edge.routes import features, system

api = Api()
system.register(api)
features.register(api)


@api.public("GET", "/v1/openapi.json", everyone=True)
def description(request: Request) -> Reply:
    return reference.description(request.version)


@api.public("GET", "/v1/docs")
def docs(request: Request) -> Reply:
    return reference.page()


api.otherwise(to_version_one)
handler = api.handler
