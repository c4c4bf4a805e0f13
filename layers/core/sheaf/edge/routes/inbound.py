"""Inbound hooks: `/v1/inbound-hooks` to make them, `/v1/hooks/{token}` to post to."""

from sheaf.base.errors import BadRequest
from sheaf.edge.api import Api
from sheaf.edge.envelope import Raw, Reply, paged
from sheaf.edge.request import Request
from sheaf.edge.shapes import INBOUND, plain
from sheaf.features import inbound


def register(api: Api) -> None:
    """Add the routes for whoever has an address."""
    api.public("POST", "/v1/hooks/<token>", per_window=inbound.PER_ADDRESS, profile=INBOUND)(_take)
    # The older path, with the token behind the question mark.
    api.public("POST", "/v1/webhooks/zapier/leads", per_window=inbound.PER_ADDRESS, profile=INBOUND)(_take_lead)


def register_administration(api: Api) -> None:
    """Add the routes that make and remove hooks."""
    api.post("/v1/inbound-hooks", permission="webhooks:write")(_create)
    api.get("/v1/inbound-hooks", permission="webhooks:read")(_list)
    api.get("/v1/inbound-hooks/<hook_id>", permission="webhooks:read")(_show)
    api.route("DELETE", "/v1/inbound-hooks/<hook_id>", permission="webhooks:write")(_delete)


def _create(request: Request) -> Reply:
    hook = inbound.register(request.caller, request.json(), request.once())
    return Reply(hook, 201, headers={"Location": f"inbound-hooks/{hook['id']}"})


def _list(request: Request) -> Reply:
    found = inbound.listing(request.caller)
    return paged(found, len(found), None)


def _show(request: Request, hook_id: str) -> Reply:
    return Reply(inbound.show(request.caller, hook_id))


def _delete(request: Request, hook_id: str) -> Reply:
    inbound.remove(request.caller, hook_id, request.once())
    return Reply({"id": hook_id, "deleted": True})


def _take(request: Request, token: str) -> Reply:
    from sheaf.edge.wire import Wire  # which those that make hooks do without

    caller, entity = inbound.opened(token, request.id)
    wire = Wire(request, entity)
    body = request.json()
    text = wire.row(
        inbound.take(caller, entity, wire.body(body) if plain(request) else body, request.once(caller, by_address=False))
    )
    if plain(request):
        return Reply(Raw(text), 201)
    return Reply(Raw(f'{{"success":true,"{entity.word}":{text}}}'), 201, bare=True)


def _take_lead(request: Request) -> Reply:
    if "token" not in request.query:
        raise BadRequest("The address has no token; make one with POST /v1/inbound-hooks", fields={"token": "is required"})
    return _take(request, request.query["token"])
