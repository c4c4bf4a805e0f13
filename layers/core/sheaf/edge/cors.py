"""Cross-origin requests (fetch standard): which pages may call, told to browsers in headers."""

from collections.abc import Mapping

from sheaf.base.config import config
from sheaf.edge.request import Request

_ASKED = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Prefer, X-Request-Id, X-Tenant-Id"
_SHOWN = ("ETag, Location, Retry-After, X-Request-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, "
          "X-API-Version, Idempotent-Replayed, Preference-Applied, X-Event-Cursor")  # fmt: skip
_PREFLIGHT_SECONDS = 7_200  # the most that Chromium keeps


def headers(request: Request, allow: str | None, everyone: bool) -> Mapping[str, str]:
    """The headers for a page of the request's `Origin`; `allow` is the methods that a preflight asks about.

    Credentials are allowed to the origins that the configuration names, never to `*`. `everyone`: a public route that
    any page may call.
    """
    origins = config().cors_origins
    origin = request.headers.get("origin")
    named = origin is not None and origin in origins
    anyone = everyone or "*" in origins
    found: dict[str, str] = {"Vary": "Origin"} if origins and not anyone else {}
    if origin is None or not (named or anyone):
        return found
    found["Access-Control-Allow-Origin"] = origin if named else "*"
    if named:
        found["Access-Control-Allow-Credentials"] = "true"
        found["Vary"] = "Origin"
    if allow is None:
        return found | {"Access-Control-Expose-Headers": _SHOWN}
    return found | {
        "Access-Control-Allow-Methods": allow,
        "Access-Control-Allow-Headers": _ASKED,
        "Access-Control-Max-Age": str(_PREFLIGHT_SECONDS),
    }
