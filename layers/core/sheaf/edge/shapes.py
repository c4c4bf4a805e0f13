"""Profiles: the shapes in which routes that older clients know answer their errors."""

from collections.abc import Mapping
from typing import Any

from sheaf.base.bounds import WINDOW_SECONDS
from sheaf.base.clock import iso, now_ms
from sheaf.base.errors import MethodNotAllowed, PermissionDenied, RateLimited, SheafError, TooLarge, ValidationFailed
from sheaf.edge.envelope import Reply, bare_failure, canonical
from sheaf.edge.request import Request

Body = tuple[int, Mapping[str, Any]]


class Hello:
    """`{message, timestamp}`."""

    def failure(self, error: SheafError, request: Request) -> Body:
        """As Profile."""
        message = "Method not allowed" if isinstance(error, MethodNotAllowed) else error.message
        return error.status, {"message": message, "timestamp": iso(now_ms())}


class Contact:
    """`{success, message, errors?}`, with 400 for a form that is wrong."""

    def failure(self, error: SheafError, request: Request) -> Body:
        """As Profile."""
        if isinstance(error, ValidationFailed):
            return 400, {"success": False, "message": "Validation failed", "errors": error.fields}
        message = "Method not allowed. Use POST." if isinstance(error, MethodNotAllowed) else error.message
        return error.status, {"success": False, "message": message}


class Auth:
    """The canonical body with the older client's words: 400 for a body that is wrong, `retryAfter`."""

    def failure(self, error: SheafError, request: Request) -> Body:
        """As Profile."""
        body = canonical(error, request)
        if isinstance(error, ValidationFailed):
            return 400, {**body, "message": error.message if not error.fields else _summary(error)}
        if isinstance(error, MethodNotAllowed):
            return 405, {**body, "message": "Method not allowed"}
        return error.status, {**body, **limited(error)}


class Admin:
    """`{error, message}` as the lists of admins have it."""

    def failure(self, error: SheafError, request: Request) -> Body:
        """As Profile."""
        if isinstance(error, MethodNotAllowed):
            return 405, {"error": "Method not allowed", "allowedMethods": allowed(error)}
        if type(error) is PermissionDenied:
            return 403, {"error": error.title, "message": "This endpoint requires admin role", **error.extra}
        return error.status, {"error": error.title, "message": error.message, **error.extra, **limited(error)}


class Audience:
    """`{status: "error", message}` as the batch uploads have it: 400 for whatever is wrong in a body."""

    def failure(self, error: SheafError, request: Request) -> Body:
        """As Profile."""
        status = 400 if isinstance(error, ValidationFailed) else error.status
        fields = {"errors": error.fields} if error.fields else {}
        return status, {"status": "error", "message": error.message, "code": error.code, **fields, **error.extra,
                        "requestId": request.id}  # fmt: skip


class Inbound:
    """`{success: false, error}` as inbound hooks have it: 400 for whatever is wrong in a body."""

    def failure(self, error: SheafError, request: Request) -> Body:
        """As Profile."""
        body = canonical(error, request)
        status = 400 if isinstance(error, ValidationFailed) else error.status
        return status, {**body, "error": error.message}


class Upload:
    """`{error}` as the older upload route has it: 400 for whatever is wrong with a file, also where it is far too large."""

    def failure(self, error: SheafError, request: Request) -> Body:
        """As Profile."""
        status = 400 if isinstance(error, ValidationFailed) or getattr(error, "is_old_limit", False) else error.status
        told = error.message.partition(":")[0] if isinstance(error, TooLarge) else error.message
        fields = {"errors": error.fields} if error.fields else {}
        return status, {"error": told, "code": error.code, **fields, **error.extra, "requestId": request.id}


class Graphql:
    """`{errors: [{message, locations?, extensions: {code, status, …}}]}` as GraphQL clients read it."""

    def failure(self, error: SheafError, request: Request) -> Body:
        """As Profile."""
        told = bare_failure(error, {})
        message, problems = told.pop("error"), told.pop("problems", None)
        extensions = {**told, "status": error.status}
        found = [{**each, "extensions": extensions} for each in problems or [{"message": message}]]
        return error.status, {"errors": found, "requestId": request.id}


class Ofrep:
    """`{key?, errorCode, errorDetails}` as OpenFeature's clients read it: 400 for a context that is wrong."""

    def failure(self, error: SheafError, request: Request) -> Body:
        """As Profile."""
        codes = {404: "FLAG_NOT_FOUND", 422: "INVALID_CONTEXT", 400: "PARSE_ERROR"}
        status = 400 if isinstance(error, ValidationFailed) else error.status
        last = request.route_path.rpartition("/")[2]
        key = {"key": last} if last != "flags" else {}
        return status, {**key, "errorCode": codes.get(error.status, "GENERAL"), "errorDetails": error.message,
                        "requestId": request.id}  # fmt: skip


OFREP = Ofrep()
HELLO = Hello()
GRAPHQL = Graphql()
CONTACT = Contact()
AUTH = Auth()
ADMIN = Admin()
AUDIENCE = Audience()
INBOUND = Inbound()
UPLOAD = Upload()


def plain(request: Request) -> bool:
    """Whether the request takes the canonical answer and not a shape of older clients."""
    return request.version > 1 or request.prefer.canonical


def flat(request: Request, data: Mapping[str, Any], message: str, status: int = 200, *,
         headers: Mapping[str, str] | None = None) -> Reply:  # fmt: skip
    """`data` both inside the envelope and, for clients of the older shape, beside `success` and `message`."""
    if plain(request):
        return Reply(data, status, message=message, headers=headers or {})
    shown = {"success": True, "message": message, **data, "data": data, "requestId": request.id, "timestamp": iso(now_ms())}
    return Reply(shown, status, headers=headers or {}, bare=True)


def limited(error: SheafError) -> dict[str, Any]:
    """What an older client reads of a RateLimited."""
    if not isinstance(error, RateLimited):
        return {}
    told: dict[str, Any] = {"error": "Rate limit exceeded", "retryAfter": error.extra["retry_after"]}
    if limit := error.headers.get("X-RateLimit-Limit"):
        told["message"] = f"Too many requests. Maximum {limit} requests per {WINDOW_SECONDS} seconds"
    return told


def _summary(error: ValidationFailed) -> str:
    return error.message if error.message == "Email and password are required" else "Validation failed"


def allowed(error: SheafError) -> list[str]:
    """The methods of a MethodNotAllowed, without those that every path has."""
    return [each for each in error.headers["Allow"].split(", ") if each not in ("HEAD", "OPTIONS")]
