"""Batches of audience records: `/v1/audience/batch-upload`, and the segments saved from them."""

from sheaf.edge.api import Api, later
from sheaf.edge.shapes import AUDIENCE

_BATCH = "/v1/audience/batch-upload"
_SEGMENTS = "/v1/audience/segments"
_ENDPOINTS = "sheaf.edge.routes.audience_endpoints"
_READ, _WRITE = "audience:read", "audience:write"


def register(api: Api) -> None:
    """Add the routes."""
    api.post(_BATCH, permission=_WRITE, cost=5, profile=AUDIENCE)(later(_ENDPOINTS, "create"))
    api.get(_BATCH, permission=_READ, profile=AUDIENCE)(later(_ENDPOINTS, "list_batches"))
    api.get(f"{_BATCH}/<upload_id>", permission=_READ, profile=AUDIENCE)(later(_ENDPOINTS, "show"))
    api.route("DELETE", f"{_BATCH}/<upload_id>", permission=_WRITE, profile=AUDIENCE)(later(_ENDPOINTS, "remove"))
    api.post(f"{_BATCH}/<upload_id>/segments", permission=_WRITE, cost=5, profile=AUDIENCE)(later(_ENDPOINTS, "save"))
    api.get(_SEGMENTS, permission=_READ, profile=AUDIENCE)(later(_ENDPOINTS, "list_segments"))
    api.get(f"{_SEGMENTS}/<segment_id>", permission=_READ, profile=AUDIENCE)(later(_ENDPOINTS, "show_segment"))
    api.route("DELETE", f"{_SEGMENTS}/<segment_id>", permission=_WRITE, profile=AUDIENCE)(later(_ENDPOINTS, "remove_segment"))
