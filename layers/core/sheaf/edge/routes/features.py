"""Feature flags: `/v1/features`, and their evaluation as OFREP asks for it."""

from sheaf.edge.api import Api, later
from sheaf.edge.shapes import OFREP

_ENDPOINTS = "sheaf.edge.routes.flagged"  # Powertools' engine comes with the first request that needs it
_EVALUATE = "/v1/ofrep/v1/evaluate/flags"


def register(api: Api) -> None:
    """Add the routes."""
    for path in ("/v1/features", "/v1/features/list"):
        api.get(path, permission="features:read")(later(_ENDPOINTS, "listing"))
    api.post("/v1/features/toggle", permission="features:write")(later(_ENDPOINTS, "toggle"))
    api.get("/v1/features/<key>", permission="features:read")(later(_ENDPOINTS, "show"))
    api.route("PUT", "/v1/features/<key>", permission="features:write")(later(_ENDPOINTS, "declare"))
    api.route("DELETE", "/v1/features/<key>", permission="features:write")(later(_ENDPOINTS, "remove"))
    api.post(_EVALUATE, permission="features:read", profile=OFREP)(later(_ENDPOINTS, "evaluate_all"))
    api.post(f"{_EVALUATE}/<key>", permission="features:read", profile=OFREP)(later(_ENDPOINTS, "evaluate"))
    api.get("/v1/ofrep/v1/configuration", permission="features:read", profile=OFREP)(later(_ENDPOINTS, "configuration"))
