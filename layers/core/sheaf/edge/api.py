"""The HTTP door: routes with their permission, who calls, what is left, and every error in one shape.

`api = Api()`, then `@api.get("/v1/tasks/<row_id>", permission="records:read")` over a function that takes the
Request and the path's parameters and returns a Reply; `handler = api.handler` is the Lambda's entry point.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from sheaf.access import guard, limits, roles
from sheaf.access.roles import Permission
from sheaf.base import ids
from sheaf.base.errors import MethodNotAllowed, NotFound, SheafError
from sheaf.base.log import log
from sheaf.edge.envelope import failure, success
from sheaf.edge.request import Request, read
from sheaf.edge.router import Door, Endpoint, Route, Router
from sheaf.edge.start import start
from sheaf.store import keys

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Decorator = Callable[[Endpoint], Endpoint]
Response = dict[str, Any]

_SAFETY = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Api:
    """The routes of one function."""

    def __init__(self) -> None:
        start()
        self._router = Router()
        self._fallback: Route | None = None

    def route(self, method: Method, rule: str, *, permission: Permission, cost: int = 1) -> Decorator:
        """Register a route for callers who hold `permission`; a request takes `cost` from their window."""
        return self._register(method, rule, lambda request: prove(request, permission, cost))

    def public(self, method: Method, rule: str, *, per_window: int | None = None) -> Decorator:
        """Register a route without a credential; `per_window` bounds the requests of one source address."""

        def door(request: Request) -> Mapping[str, str]:
            if per_window is None:
                return {}
            return limits.spend_address(keys.address(rule, request.source_ip), per_window).headers()

        return self._register(method, rule, door)

    def get(self, rule: str, *, permission: Permission) -> Decorator:
        """`route` for GET, which answers HEAD too."""
        return self.route("GET", rule, permission=permission)

    def post(self, rule: str, *, permission: Permission, cost: int = 1) -> Decorator:
        """`route` for POST."""
        return self.route("POST", rule, permission=permission, cost=cost)

    def otherwise(self, endpoint: Endpoint) -> None:
        """Answer every path that no route takes, whatever the method, without a credential."""
        self._fallback = Route(lambda _: {}, endpoint)

    def handler(self, event: dict[str, Any], context: Any) -> Response:
        """The Lambda entry point (API Gateway REST proxy events)."""
        started = time.monotonic()
        request = Request(ids.new("req"), "GET", "/", {}, {}, b"", "unknown")
        try:
            request = read(event, request.id)
            response = self._answer(request)
        except SheafError as error:  # the event itself cannot be read
            response = _failed(error, request, {})
        except Exception:
            response = _unforeseen(request, {})
        if request.method == "HEAD":
            response["body"] = ""
        who = {"tenant": request.proven.tenant, "principal": request.proven.principal} if request.proven else {}
        log.info("request", extra={
            "requestId": request.id, "method": request.method, "path": request.path, **who,
            "status": response["statusCode"], "ms": round((time.monotonic() - started) * 1000, 1),
        })  # fmt: skip
        return response

    def _register(self, method: Method, rule: str, door: Door) -> Decorator:
        def decorate(endpoint: Endpoint) -> Endpoint:
            self._router.add(method, rule, Route(door, endpoint))
            return endpoint

        return decorate

    def _answer(self, request: Request) -> Response:
        left: Mapping[str, str] = {}
        try:
            route, parameters = self._find(request)
            left = route.door(request)
            reply = route.endpoint(request, **parameters)
            return _response(reply.status, success(reply, request.id), request, {**left, **reply.headers})
        except MethodNotAllowed as error:
            if request.method == "OPTIONS":
                return _response(204, "", request, error.headers)
            return _failed(error, request, left)
        except SheafError as error:
            return _failed(error, request, left)
        except Exception:
            return _unforeseen(request, left)

    def _find(self, request: Request) -> tuple[Route, dict[str, str]]:
        try:
            return self._router.find(request.method, request.route_path)
        except NotFound:
            if self._fallback is None:
                raise
            return self._fallback, {}


def prove(request: Request, permission: Permission, cost: int = 1) -> Mapping[str, str]:
    """Set the request's caller and charge its window; the rate-limit headers. Raises for anyone without permission."""
    caller, left = guard.authenticate(request.headers.get("authorization"), request.headers.get("x-tenant-id"), request.id, cost)
    request.proven = caller
    roles.require(caller, permission)
    return left.headers()


def _failed(error: SheafError, request: Request, left: Mapping[str, str]) -> Response:
    if error.status >= 500:
        log.exception("request failed", extra={"requestId": request.id, "code": error.code})
    return _response(error.status, failure(error, request.id), request, {**left, **error.headers})


def _unforeseen(request: Request, left: Mapping[str, str]) -> Response:
    log.exception("request failed", extra={"requestId": request.id})
    hidden = SheafError("Something went wrong; the request id finds it in the logs")
    return _response(hidden.status, failure(hidden, request.id), request, left)


def _response(status: int, body: str, request: Request, headers: Mapping[str, str]) -> Response:
    kind = {"Content-Type": "application/json"} if body else {}
    sent = {**kind, **_SAFETY, "X-Request-Id": request.id, **headers}
    return {"statusCode": status, "headers": sent, "body": body, "isBase64Encoded": False}
