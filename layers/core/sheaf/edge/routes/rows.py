"""Entity rows: `/v1/{entity}`, `/v1/{entity}/{id}` and what lies below."""

from collections.abc import Callable

from sheaf.edge import rows
from sheaf.edge.api import Api
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request
from sheaf.edge.router import Endpoint
from sheaf.entity import registry


def _of_entity(work: Callable[..., Reply]) -> Endpoint:
    """The endpoint that works on the entity of its path."""

    def endpoint(request: Request, entity: str, **parameters: str) -> Reply:
        return work(request, registry.find(entity), **parameters)

    return endpoint


def register(api: Api) -> None:
    """Add the routes."""
    entity, row = "/v1/<entity>", "/v1/<entity>/<row_id>"
    api.get(entity, permission="<entity>:read", lists=True)(_of_entity(rows.listing))
    api.post(entity, permission="<entity>:create", writes="row", verb="create")(_of_entity(rows.create))
    api.get(row, permission="<entity>:read", verb="show")(_of_entity(rows.show))
    api.route("PUT", row, permission="<entity>:update", writes="row", verb="replace")(_of_entity(rows.replace))
    api.route("PATCH", row, permission="<entity>:update", writes="row", verb="patch")(_of_entity(rows.patch))
    api.route("DELETE", row, permission="<entity>:delete", writes="row", verb="delete")(_of_entity(rows.delete))
    api.post(f"{row}/restore", permission="<entity>:delete", writes="row", verb="restore")(_of_entity(rows.restore))
    api.get(f"{row}/history", permission="<entity>:read")(_of_entity(rows.history))
    api.post(f"{row}/revert", permission="<entity>:update", writes="row", verb="revert")(_of_entity(rows.revert))
