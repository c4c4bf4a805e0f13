"""Health, figures, queues and the read cache: `/v1/health`, `/v1/metrics`, `/v1/system/…`, `/v1/cache/…`."""

from sheaf.base.clock import iso, now_ms
from sheaf.edge.api import Api, later, prove
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request

_MEASURED = "sheaf.edge.routes.measured"


def register(api: Api) -> None:
    """Add the routes."""
    api.public("GET", "/v1/health")(_health)
    api.get("/v1/system/health", permission="health:read")(later(_MEASURED, "health"))
    api.get("/v1/system/queues", permission="queues:read")(later(_MEASURED, "queues"))
    api.post("/v1/system/queues/<name>/redrive", permission="queues:redrive", cost=5)(later(_MEASURED, "redrive"))
    api.get("/v1/cache/stats", permission="cache:read")(later(_MEASURED, "cache_stats"))
    api.post("/v1/cache/clear", permission="cache:clear", remember=True)(later(_MEASURED, "cache_clear"))
    api.get("/v1/metrics", permission="metrics:read")(later(_MEASURED, "metrics"))
    api.get("/v1/system/metrics", permission="metrics:read")(later(_MEASURED, "metrics"))


def _health(request: Request) -> Reply:
    """`ok` alone for everybody; who may know more is told that the database was reached."""
    public = {"status": "ok", "timestamp": iso(now_ms())}
    if "authorization" not in request.headers:
        return Reply(public, bare=True)
    # Proving the caller read and wrote the database, so that much is known here.
    prove(request, "health:read")
    return Reply({**public, "database": "connected"}, bare=True)
