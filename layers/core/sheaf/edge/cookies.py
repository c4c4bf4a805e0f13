"""The session's cookie, for browsers that asked to be remembered (RFC 6265).

A page of another site cannot use it: the cookie is SameSite=Strict, and whatever changes something must come from a page
of ours or of an origin that the configuration names (OWASP Cross-Site Request Forgery Prevention Cheat Sheet).
"""

from urllib.parse import urlsplit

from sheaf.base.bounds import REFRESH_SECONDS
from sheaf.base.config import config
from sheaf.base.errors import OriginDenied
from sheaf.edge.request import Request

NAME = "authToken"
_RULES = "Path=/; HttpOnly; Secure; SameSite=Strict"


def session_of(request: Request) -> str | None:
    """The session's token in the request's cookies; None without one, or with several, of which one was planted.

    Raises OriginDenied for a request that changes something and does not come from a page that may.
    """
    pairs = (part.strip().partition("=") for part in request.headers.get("cookie", "").split(";"))
    found = [value.strip() for name, _, value in pairs if name == NAME and value.strip()]
    if len(found) != 1:
        return None
    origin = request.headers.get("origin")
    if origin is None and request.method in ("GET", "HEAD"):
        return found[0]
    if origin is None or not (origin in config().cors_origins or _is_ours(origin, request)):
        raise OriginDenied("A session's cookie counts only for pages of this API and of the origins that it names")
    return found[0]


def remember(token: str) -> str:
    """The Set-Cookie header that keeps a session's token."""
    return f"{NAME}={token}; Max-Age={REFRESH_SECONDS}; {_RULES}"


def forget() -> str:
    """The Set-Cookie header that takes it away."""
    return f"{NAME}=; Max-Age=0; {_RULES}"


def _is_ours(origin: str, request: Request) -> bool:
    host = request.headers.get("host")
    try:
        return bool(host) and urlsplit(origin).netloc == host
    except ValueError:
        return False
