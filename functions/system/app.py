"""The system itself: health, the API's own description, and the way from unversioned paths to `/v1`."""

from sheaf.base.clock import iso, now_ms
from sheaf.edge import reference
from sheaf.edge.api import Api, prove
from sheaf.edge.envelope import Reply
from sheaf.edge.redirect import to_version_one
from sheaf.edge.request import Request

api = Api()


@api.public("GET", "/v1/health")
def health(request: Request) -> Reply:
    public = {"status": "ok", "timestamp": iso(now_ms())}
    if "authorization" not in request.headers:
        return Reply(public, bare=True)
    # Proving the caller read and wrote the database, so that much is known here.
    prove(request, "health:read")
    return Reply({**public, "database": "connected"}, bare=True)


@api.public("GET", "/v1/openapi.json", everyone=True)
def description(request: Request) -> Reply:
    return reference.description(request.version)


@api.public("GET", "/v1/docs")
def docs(request: Request) -> Reply:
    return reference.page()


api.otherwise(to_version_one)
handler = api.handler
