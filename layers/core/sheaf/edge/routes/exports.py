"""Exports: `/v1/{entity}/export`, the older paths, and a person's own data."""

from sheaf.edge.accepted import accepted
from sheaf.edge.api import Api, permit
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request
from sheaf.edge.routes.jobs import status_routes
from sheaf.edge.wire import Wire
from sheaf.entity import registry
from sheaf.features.export.request import accept, accept_data
from sheaf.jobs import machine


def register(api: Api) -> None:
    """Add the routes."""
    api.post("/v1/<entity>/export", permission="<entity>:export", cost=5)(_export)
    api.post("/v1/export/data", permission="data:export", cost=5)(_export_data)
    api.post("/v1/gdpr/export-data", permission="me:read", cost=5)(_package)
    api.post("/v1/gdpr/erase", permission="privacy:erase", cost=5)(_erase)
    status_routes(api, "/v1/export/status", machine.FILES)
    status_routes(api, "/v1/batch/status", ("bulk", "import", "revert", "users", "reset"))


def _export(request: Request, entity: str) -> Reply:
    found = registry.find(entity)
    asked = Wire(request, found).export(request.json())
    return accepted(request, accept(request.caller, found, asked, request.once(), camelled=request.version > 1))


def _export_data(request: Request) -> Reply:
    body = request.json()
    found = registry.known(body["type"]) if isinstance(body, dict) and isinstance(body.get("type"), str) else None
    asked = Wire(request, found).export(body) if found else body
    return accepted(request, accept_data(request.caller, asked, request.once(), camelled=request.version > 1))


def _erase(request: Request) -> Reply:
    from sheaf.features.privacy import erasing

    return accepted(request, erasing.accept(request.caller, request.json(), request.once()))


def _package(request: Request) -> Reply:
    from sheaf.features.privacy import package

    body = request.json()
    if package.is_of_another(request.caller, body):
        permit(request, "members:read", {})
    return accepted(request, package.accept(request.caller, body, request.once()))
