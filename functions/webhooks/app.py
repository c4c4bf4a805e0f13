"""Webhooks: `/v1/webhooks`, `/v1/webhooks/{id}` and the attempts of one."""

from sheaf.edge.api import Api
from sheaf.edge.envelope import Reply, paged
from sheaf.edge.request import Request
from sheaf.entity import query
from sheaf.features.webhooks import deliveries, endpoints

api = Api()


@api.post("/v1/webhooks", permission="webhooks:write")
def register_webhook(request: Request) -> Reply:
    webhook = endpoints.register(request.caller, request.json(), request.once())
    return Reply(webhook, 201, headers={"Location": f"webhooks/{webhook['id']}"})


@api.get("/v1/webhooks", permission="webhooks:read")
def list_webhooks(request: Request) -> Reply:
    found = endpoints.listing(request.caller)
    return paged(found, len(found), None)


@api.get("/v1/webhooks/<webhook_id>", permission="webhooks:read")
def get_webhook(request: Request, webhook_id: str) -> Reply:
    return Reply(endpoints.show(request.caller, webhook_id))


@api.route("DELETE", "/v1/webhooks/<webhook_id>", permission="webhooks:write")
def delete_webhook(request: Request, webhook_id: str) -> Reply:
    endpoints.remove(request.caller, webhook_id, request.once())
    return Reply({"id": webhook_id, "deleted": True})


@api.get("/v1/webhooks/<webhook_id>/attempts", permission="webhooks:read")
def list_attempts(request: Request, webhook_id: str) -> Reply:
    limit = query.limit_of(request.query)
    found = deliveries.attempts(request.caller, webhook_id, limit)
    return paged(found, limit, None)


handler = api.handler
