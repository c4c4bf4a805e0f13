"""Entity rows: `/v1/{entity}`, `/v1/{entity}/{id}` and what lies below; and the endpoints that adopters add."""

import endpoints
from sheaf.edge import rows
from sheaf.edge.api import Api
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request
from sheaf.entity import registry

api = Api()


@api.get("/v1/<entity>", permission="<entity>:read")
def list_rows(request: Request, entity: str) -> Reply:
    return rows.listing(request, registry.find(entity))


@api.post("/v1/<entity>", permission="<entity>:create", writes="row")
def create_row(request: Request, entity: str) -> Reply:
    return rows.create(request, registry.find(entity))


@api.get("/v1/<entity>/<row_id>", permission="<entity>:read")
def get_row(request: Request, entity: str, row_id: str) -> Reply:
    return rows.show(request, registry.find(entity), row_id)


@api.route("PUT", "/v1/<entity>/<row_id>", permission="<entity>:update", writes="row")
def replace_row(request: Request, entity: str, row_id: str) -> Reply:
    return rows.replace(request, registry.find(entity), row_id)


@api.route("PATCH", "/v1/<entity>/<row_id>", permission="<entity>:update", writes="row")
def patch_row(request: Request, entity: str, row_id: str) -> Reply:
    return rows.patch(request, registry.find(entity), row_id)


@api.route("DELETE", "/v1/<entity>/<row_id>", permission="<entity>:delete", writes="row")
def delete_row(request: Request, entity: str, row_id: str) -> Reply:
    return rows.delete(request, registry.find(entity), row_id)


@api.post("/v1/<entity>/<row_id>/restore", permission="<entity>:delete", writes="row")
def restore_row(request: Request, entity: str, row_id: str) -> Reply:
    return rows.restore(request, registry.find(entity), row_id)


@api.get("/v1/<entity>/<row_id>/history", permission="<entity>:read")
def row_history(request: Request, entity: str, row_id: str) -> Reply:
    return rows.history(request, registry.find(entity), row_id)


@api.post("/v1/<entity>/<row_id>/revert", permission="<entity>:update", writes="row")
def revert_row(request: Request, entity: str, row_id: str) -> Reply:
    return rows.revert(request, registry.find(entity), row_id)


endpoints.register(api)
handler = api.handler
