"""Uploads: `/v1/uploads` and `/v1/uploads/{id}`; batches of audience records: `/v1/audience`."""

from sheaf.edge.api import Api
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request
from sheaf.edge.routes import audience
from sheaf.features import uploads

api = Api()


@api.post("/v1/uploads", permission="uploads:write")
def create_upload(request: Request) -> Reply:
    file = uploads.create(request.caller, request.json(), request.once())
    return Reply(file, 201, headers={"Location": f"uploads/{file['id']}"})


@api.get("/v1/uploads/<file_id>", permission="uploads:read")
def get_upload(request: Request, file_id: str) -> Reply:
    return Reply(uploads.show(request.caller, file_id))


audience.register(api)
handler = api.handler
