"""Entity rows: `/v1/{entity}` and `/v1/{entity}/{id}`."""

from sheaf.edge.api import Api
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request
from sheaf.edge.rows import as_row, listing, writable
from sheaf.entity import registry
from sheaf.records import read, write

api = Api()


@api.get("/v1/<entity>", permission="records:read")
def list_rows(request: Request, entity: str) -> Reply:
    return listing(request, registry.find(entity))


@api.post("/v1/<entity>", permission="records:write")
def create_row(request: Request, entity: str) -> Reply:
    found = writable(registry.find(entity))
    row = write.create(request.caller, found, request.json())
    return as_row(row, status=201, headers={"Location": f"{entity}/{row.id}"})


@api.get("/v1/<entity>/<row_id>", permission="records:read")
def get_row(request: Request, entity: str, row_id: str) -> Reply:
    return as_row(read.one(request.caller, registry.find(entity), row_id))


@api.route("PUT", "/v1/<entity>/<row_id>", permission="records:write")
def replace_row(request: Request, entity: str, row_id: str) -> Reply:
    found = writable(registry.find(entity))
    return as_row(write.replace(request.caller, found, row_id, request.json(), request.if_match()))


@api.route("PATCH", "/v1/<entity>/<row_id>", permission="records:write")
def patch_row(request: Request, entity: str, row_id: str) -> Reply:
    found = writable(registry.find(entity))
    return as_row(write.patch(request.caller, found, row_id, request.json(), request.if_match()))


@api.route("DELETE", "/v1/<entity>/<row_id>", permission="records:write")
def delete_row(request: Request, entity: str, row_id: str) -> Reply:
    row = write.delete(request.caller, writable(registry.find(entity)), row_id, request.if_match())
    return Reply({"id": row.id, "deleted": True, "version": row.version})


handler = api.handler
