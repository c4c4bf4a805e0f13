"""The HTTP door: routes with their permission, who calls, what is left, and every error in one shape.

`api = Api()`, then `@api.get("/v1/tasks/<row_id>", permission="records:read")` over a function that takes the
Request and the path's parameters and returns a Reply; `handler = api.handler` is the Lambda's entry point.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from aws_lambda_powertools.event_handler.api_gateway import APIGatewayRestResolver, Response

from sheaf.access import guard, limits, roles
from sheaf.access.roles import Permission
from sheaf.base import ids
from sheaf.base.config import config
from sheaf.base.errors import MethodNotAllowed, NotFound, SheafError
from sheaf.base.log import log
from sheaf.edge.envelope import Reply, failure, success
from sheaf.edge.request import Request, read
from sheaf.store import keys

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Endpoint = Callable[..., Reply]
Decorator = Callable[[Endpoint], Endpoint]

_ALL = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_SAFETY = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Api:
    """The routes of one function."""

    def __init__(self) -> None:
        config()  # a function whose configuration is incomplete fails at start, not in its first request
        self._app = APIGatewayRestResolver(strip_prefixes=["/api"])
        self._app.not_found()(self._not_found)
        self._rules: dict[str, set[str]] = {}
        self._sealed = False
        self._request = Request("", "GET", "/", {}, {}, b"", "")
        self._seen: dict[str, Any] = {}
        self._fallback: Endpoint = _nothing_here

    def route(self, method: Method, rule: str, *, permission: Permission, cost: int = 1) -> Decorator:
        """Register a route for callers who hold `permission`; a request takes `cost` from their window."""

        return self._register(method, rule, lambda request: self.prove(request, permission, cost))

    def public(self, method: Method, rule: str, *, per_window: int | None = None) -> Decorator:
        """Register a route without a credential; `per_window` bounds the requests of one source address."""

        def door(request: Request) -> Mapping[str, str]:
            if per_window is None:
                return {}
            return limits.spend_address(keys.address(rule, request.source_ip), per_window).headers()

        return self._register(method, rule, door)

    def otherwise(self, endpoint: Endpoint) -> None:
        """Answer every path that no route takes, whatever the method, without a credential."""
        self._fallback = endpoint

    def get(self, rule: str, *, permission: Permission) -> Decorator:
        """`route` for GET."""
        return self.route("GET", rule, permission=permission)

    def post(self, rule: str, *, permission: Permission, cost: int = 1) -> Decorator:
        """`route` for POST."""
        return self.route("POST", rule, permission=permission, cost=cost)

    def prove(self, request: Request, permission: Permission, cost: int = 1) -> Mapping[str, str]:
        """Set the request's caller and charge its window; the rate-limit headers. Raises for anyone without permission."""
        caller, left = guard.authenticate(
            request.headers.get("authorization"), request.headers.get("x-tenant-id"), request.id, cost
        )
        request.prove(caller)
        self._seen |= {"tenant": caller.tenant, "principal": caller.principal}
        roles.require(caller, permission)
        return left.headers()

    def handler(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """The Lambda entry point."""
        started = time.monotonic()
        self._seal()
        self._seen = {}
        try:
            self._request = read(event, ids.new("req"))
            answer: dict[str, Any] = self._app.resolve(event, context)
        except SheafError as error:
            answer = _plain(error, str((event.get("requestContext") or {}).get("requestId") or ids.new("req")))
        except Exception:
            # The last line: whatever is wrong, the client gets our shape and the log gets the trace.
            log.exception("request failed outside a route")
            answer = _plain(SheafError("Something went wrong; the request id finds it in the logs"), ids.new("req"))
        seen = {"requestId": self._request.id, "method": self._request.method, "path": self._request.path, **self._seen}
        log.info("request", extra={**seen, "status": answer["statusCode"], "ms": round((time.monotonic() - started) * 1000, 1)})
        if self._request.method == "HEAD":
            answer["body"] = ""
        return answer

    def _register(self, method: Method, rule: str, door: Callable[[Request], Mapping[str, str]]) -> Decorator:
        def decorate(endpoint: Endpoint) -> Endpoint:
            def run(**parameters: str) -> Response[str]:
                return self._answer(door, endpoint, parameters)

            methods: list[str] = [method, "HEAD"] if method == "GET" else [method]
            self._app.route(rule, methods)(run)
            self._rules.setdefault(rule, set()).update(methods)
            return endpoint

        return decorate

    def _answer(
        self, door: Callable[[Request], Mapping[str, str]], endpoint: Endpoint, parameters: dict[str, str]
    ) -> Response[str]:
        request = self._request
        left: Mapping[str, str] = {}
        try:
            left = door(request)
            reply = endpoint(request, **parameters)
            return _response(reply.status, success(reply, request.id), request, {**left, **reply.headers})
        except SheafError as error:
            if error.status >= 500:
                log.exception("request failed", extra={"requestId": request.id, "code": error.code})
            return _response(error.status, failure(error, request.id), request, {**left, **error.headers})
        except Exception:
            log.exception("request failed", extra={"requestId": request.id})
            hidden = SheafError("Something went wrong; the request id finds it in the logs")
            return _response(500, failure(hidden, request.id), request, left)

    def _seal(self) -> None:
        """Answer the methods that no route takes: OPTIONS says which there are, the others get 405."""
        if self._sealed:
            return
        self._sealed = True
        for rule, taken in self._rules.items():
            allowed = ", ".join(method for method in _ALL if method in taken or method == "OPTIONS")
            self._app.route(rule, [method for method in _ALL if method not in taken])(self._refusal(allowed))

    def _refusal(self, allowed: str) -> Callable[..., Response[str]]:
        def refuse(**_: str) -> Response[str]:
            request = self._request
            if request.method == "OPTIONS":
                return _response(204, "", request, {"Allow": allowed})
            error = MethodNotAllowed(f"{request.method} is not possible here; {allowed} are", headers={"Allow": allowed})
            return _response(405, failure(error, request.id), request, error.headers)

        return refuse

    def _not_found(self, _: Exception) -> Response[str]:
        return self._answer(lambda _: {}, self._fallback, {})


def _nothing_here(request: Request) -> Reply:
    raise NotFound(f"There is nothing at {request.path[:200]}")


def _response(status: int, body: str, request: Request, headers: Mapping[str, str]) -> Response[str]:
    sent: dict[str, str | list[str]] = {**_SAFETY, "X-Request-Id": request.id, **headers}
    return Response(status, "application/json" if body else None, body, sent)


def _plain(error: SheafError, request_id: str) -> dict[str, Any]:
    headers = {**_SAFETY, "Content-Type": "application/json", "X-Request-Id": request_id, **error.headers}
    return {"statusCode": error.status, "headers": headers, "body": failure(error, request_id), "isBase64Encoded": False}
