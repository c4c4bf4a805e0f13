"""Webhooks: the endpoints of a tenant, their deliveries and how to repair them, and the catalogue of events."""

import json

from sheaf.base.errors import ValidationFailed
from sheaf.edge import reference
from sheaf.edge.accepted import accepted
from sheaf.edge.api import Api
from sheaf.edge.envelope import Reply, paged
from sheaf.edge.request import Request
from sheaf.edge.routes import inbound
from sheaf.entity import query
from sheaf.entity.body import object_of
from sheaf.features.webhooks import endpoints, history, repair, replay

_TESTS_PER_WINDOW = 20
_READ, _WRITE = "webhooks:read", "webhooks:write"


def register(api: Api) -> None:
    """Add the routes; the older paths stand beside the REST ones."""
    for path in ("/v1/webhooks", "/v1/webhooks/register"):
        api.post(path, permission=_WRITE)(_register)
    for path in ("/v1/webhooks", "/v1/webhooks/list"):
        api.get(path, permission=_READ, lists=True)(_list)
    one = "/v1/webhooks/<webhook_id>"
    api.get(one, permission=_READ)(_show)
    api.route("PATCH", one, permission=_WRITE)(_change)
    api.route("DELETE", one, permission=_WRITE)(_delete)
    api.post(f"{one}/enable", permission=_WRITE)(_enable)
    api.post(f"{one}/disable", permission=_WRITE)(_disable)
    api.post(f"{one}/rotate", permission=_WRITE)(_rotate)
    api.get(f"{one}/deliveries", permission=_READ)(_deliveries)
    api.get(f"{one}/deliveries/<event_id>", permission=_READ)(_delivery)
    api.post(f"{one}/deliveries/<event_id>/resend", permission=_WRITE)(_resend)
    api.get(f"{one}/attempts", permission=_READ)(_attempts)
    api.get(f"{one}/stats", permission=_READ)(_stats)
    api.post(f"{one}/precheck", permission=_READ)(_precheck)
    api.post(f"{one}/recover", permission=_WRITE, cost=5)(_recover)
    api.post(f"{one}/replay", permission=_WRITE, cost=5)(_replay)
    for path, endpoint in ((f"{one}/test", _test), ("/v1/webhooks/test", _test_named)):
        api.route("POST", path, permission=_WRITE, per_window=_TESTS_PER_WINDOW)(endpoint)
    api.get("/v1/event-types", permission="event-types:read")(_event_types)
    inbound.register_administration(api)


def _register(request: Request) -> Reply:
    webhook = endpoints.register(request.caller, request.json(), request.once())
    there = "../webhooks" if request.route_path.endswith("/register") else "webhooks"
    return Reply(webhook, 201, headers={"Location": f"{there}/{webhook['id']}"})


def _list(request: Request) -> Reply:
    found = endpoints.listing(request.caller)
    return paged(found, len(found), None)


def _show(request: Request, webhook_id: str) -> Reply:
    return Reply(endpoints.show(request.caller, webhook_id))


def _change(request: Request, webhook_id: str) -> Reply:
    return Reply(endpoints.change(request.caller, webhook_id, request.json(), request.once()))


def _delete(request: Request, webhook_id: str) -> Reply:
    endpoints.remove(request.caller, webhook_id, request.once())
    return Reply({"id": webhook_id, "deleted": True})


def _enable(request: Request, webhook_id: str) -> Reply:
    return Reply(endpoints.enable(request.caller, webhook_id, request.once()))


def _disable(request: Request, webhook_id: str) -> Reply:
    return Reply(endpoints.disable(request.caller, webhook_id, "by request", request.once()))


def _rotate(request: Request, webhook_id: str) -> Reply:
    return Reply(endpoints.rotate(request.caller, webhook_id, request.json() if request.body else {}, request.once()))


def _deliveries(request: Request, webhook_id: str) -> Reply:
    asked, limit, cursor = query.filters_and_window(request.query)
    found = history.listing(request.caller, webhook_id, asked, limit, cursor or None)
    return paged(found.deliveries, limit, found.next_cursor)


def _delivery(request: Request, webhook_id: str, event_id: str) -> Reply:
    return Reply(history.show(request.caller, webhook_id, event_id))


def _resend(request: Request, webhook_id: str, event_id: str) -> Reply:
    return Reply(repair.resend(request.caller, webhook_id, event_id, request.once()), 202)


def _attempts(request: Request, webhook_id: str) -> Reply:
    limit = query.limit_of(request.query)
    return paged(history.attempts(request.caller, webhook_id, limit), limit, None)


def _stats(request: Request, webhook_id: str) -> Reply:
    return Reply(history.stats(request.caller, webhook_id, request.query))


def _precheck(request: Request, webhook_id: str) -> Reply:
    return Reply(repair.precheck(request.caller, webhook_id, request.json()))


def _recover(request: Request, webhook_id: str) -> Reply:
    return _replayed(request, webhook_id, "dead")


def _replay(request: Request, webhook_id: str) -> Reply:
    return _replayed(request, webhook_id, None)


def _replayed(request: Request, webhook_id: str, which: replay.Which | None) -> Reply:
    endpoints.find(request.caller, webhook_id)
    asked, is_preview = replay.read(webhook_id, request.json(), which)
    if is_preview:
        return Reply(replay.preview(request.caller, asked))
    return accepted(request, replay.accept(request.caller, asked, request.once()), path="../../jobs/")


def _test(request: Request, webhook_id: str) -> Reply:
    asked = object_of(request.json() if request.body else {}, "type")
    return _tested(request, webhook_id, asked.get("type"))


def _test_named(request: Request) -> Reply:
    asked = object_of(request.json(), "id", "type")
    if not isinstance(asked.get("id"), str):
        raise ValidationFailed.naming({"id": "is required: the id of the webhook"})
    return _tested(request, asked["id"], asked.get("type"))


def _tested(request: Request, webhook_id: str, type_: object) -> Reply:
    known = {each["type"]: each for each in reference.event_types()}
    if type_ is None:
        chosen = next((each for each in endpoints.show(request.caller, webhook_id)["events"] if each in known), "task.created")
        type_ = chosen if chosen in known else next(iter(known))
    if not isinstance(type_, str) or type_ not in known:
        raise ValidationFailed.naming({"type": "must be a type that GET /v1/event-types lists"})
    found = repair.test(request.caller, webhook_id, type_, json.dumps(known[type_]["example"]["data"]))
    return Reply(found)


def _event_types(request: Request) -> Reply:
    found = reference.event_types()
    return paged(found, len(found), None)
