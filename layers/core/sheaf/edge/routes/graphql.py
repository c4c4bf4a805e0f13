"""GraphQL: `POST /v1/graphql`, its registered operations, its schema and a page to try it."""

from sheaf.base.config import config
from sheaf.base.errors import NotFound
from sheaf.edge import reference, shapes
from sheaf.edge.api import Api, later
from sheaf.edge.envelope import Raw, Reply
from sheaf.edge.request import Request

_DOOR = "/v1/graphql"
_OPERATIONS = f"{_DOOR}/operations"
_REGISTERED = "sheaf.edge.routes.graphql_operations"


def register(api: Api) -> None:
    """Add the routes."""
    # graphql-core takes 150 ms to import: the first operation pays for it, not each start.
    api.post(_DOOR, permission="graphql:run", profile=shapes.GRAPHQL)(later("sheaf.edge.graphql.run", "answer"))
    api.get(f"{_DOOR}/schema", permission="graphql:run")(_schema)
    api.public("GET", f"{_DOOR}/explorer")(_explorer)
    api.get(_OPERATIONS, permission="graphql:run")(later(_REGISTERED, "listing"))
    api.post(_OPERATIONS, permission="graphql:write")(later(_REGISTERED, "add"))
    api.get(f"{_OPERATIONS}/<digest>", permission="graphql:run")(later(_REGISTERED, "show"))
    api.route("DELETE", f"{_OPERATIONS}/<digest>", permission="graphql:write")(later(_REGISTERED, "remove"))


def _schema(request: Request) -> Reply:
    """The schema in GraphQL's own language."""
    if not config().graphql_introspection:
        raise NotFound("The schema is not told here")
    return Reply(Raw(reference.graphql_schema()), headers={"Content-Type": "text/plain; charset=utf-8"}, bare=True)


def _explorer(_: Request) -> Reply:
    return reference.page("explorer.html")
