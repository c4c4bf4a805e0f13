"""The HTTP door: routes with their permission, who calls, what is left, and every error in one shape.

`api = Api()`, then `@api.get("/v1/tasks/<row_id>", permission="tasks:read")` over a function that takes the
Request and the path's parameters and returns a Reply; `handler = api.handler` is the Lambda's entry point.
Rules are written for v1; the same routes answer under v2, and a tenant may stand behind the version (edge/request.py).
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from importlib import import_module
from typing import Any, Literal

from sheaf.access import guard, limits, roles
from sheaf.access.guard import Credentials
from sheaf.base import ids
from sheaf.base.errors import BadRequest, NotFound, PermissionDenied, SheafError, unforeseen
from sheaf.base.log import log
from sheaf.edge import cookies, cors, metering, notices
from sheaf.edge.envelope import Profile, Reply, failure, success
from sheaf.edge.request import Request, read
from sheaf.edge.router import Endpoint, Route, Router, Rule, Verb, Writes
from sheaf.edge.start import start
from sheaf.records import notes
from sheaf.records.once import remembered
from sheaf.store import keys
from sheaf.store.aws import act_for

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Decorator = Callable[[Endpoint], Endpoint]
Response = dict[str, Any]

_ANY = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_SIGNED = re.compile(r"(?<=/hooks/hok_.{26})\..*")  # what makes the address of an inbound hook a secret
_SAFETY = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Api:
    """The routes of one function."""

    def __init__(self) -> None:
        start()
        self.router = Router()
        self._fallback: Endpoint | None = None

    def route(self, method: Method, rule: str, *, permission: str, cost: int = 1, per_window: int | None = None,
              profile: Profile | None = None, writes: Writes = "", remember: bool = False,
              verb: Verb = "", streams: bool = False, lists: bool = False) -> Decorator:  # fmt: skip
        """Register a route for callers who hold `permission` (access/roles.py); a request takes `cost` from their window.

        `per_window` bounds the requests of one caller on this route. `writes`: "row" or "rows" of the path's entity; one
        that is only read refuses them, and they can be tried dry. `remember`: the answer is kept under an Idempotency-Key,
        for work that knows nothing of keys. `verb`: what the canonical answer does to one row of the entity, so that a batch
        may do it in one transaction with others. `streams`: a ticket that has opened it goes on being good for it. `lists`: the
        answer says at which place of the event log it was read. Raises ValueError for a permission that nobody can hold.
        """
        if not roles.known(permission):
            raise ValueError(f"{method} {rule} names {permission!r}, which is no permission")

        def inner(request: Request, parameters: Mapping[str, str]) -> None:
            permit(request, permission, parameters)
            if per_window is not None:
                key = keys.caller_route(request.caller, request.caller.principal, rule)
                request.left = limits.spend_key(key, per_window).headers()

        def door(request: Request, parameters: Mapping[str, str]) -> None:
            authenticate(request, cost, streams=streams)
            inner(request, parameters)

        def answer(endpoint: Endpoint) -> Endpoint:
            guarded = _noting(endpoint, permission) if roles.is_for_admins(roles.FIXED.get(permission, "user")) else endpoint
            return _remembering(guarded) if remember else _listing(guarded) if lists else guarded

        return self._register(method, rule, lambda endpoint: Route(
            door, answer(endpoint), inner, permission, cost, profile, writes=writes, lists=lists,
            verb=verb))  # fmt: skip

    def public(self, method: Method, rule: str, *, per_window: int | None = None, profile: Profile | None = None,
               everyone: bool = False) -> Decorator:  # fmt: skip
        """Register a route without a credential; `per_window` bounds the requests of one source address."""

        def door(request: Request, _: Mapping[str, str]) -> None:
            if per_window is not None:
                request.left = limits.spend_key(keys.address(rule, request.source_ip), per_window).headers()

        return self._register(method, rule, lambda endpoint: Route(door, endpoint, door, "", 1, profile, everyone))

    def get(self, rule: str, *, permission: str, profile: Profile | None = None, per_window: int | None = None,
            verb: Verb = "", streams: bool = False, lists: bool = False) -> Decorator:  # fmt: skip
        """`route` for GET, which answers HEAD too."""
        return self.route("GET", rule, permission=permission, profile=profile, per_window=per_window, verb=verb,
                          streams=streams, lists=lists)  # fmt: skip

    def post(self, rule: str, *, permission: str, cost: int = 1, profile: Profile | None = None,
             writes: Writes = "", remember: bool = False, verb: Verb = "") -> Decorator:  # fmt: skip
        """`route` for POST."""
        return self.route("POST", rule, permission=permission, cost=cost, profile=profile, writes=writes, remember=remember,
                          verb=verb)  # fmt: skip

    def otherwise(self, endpoint: Endpoint) -> None:
        """Answer every path that no route takes, whatever the method, without a credential."""
        self._fallback = endpoint

    def rules(self) -> Iterator[Rule]:
        """What is registered, for whoever describes the API."""
        return iter(self.router)

    def handler(self, event: dict[str, Any], context: Any) -> Response:
        """The Lambda entry point (API Gateway REST proxy events)."""
        measured = metering.Measured()
        act_for(None)  # whoever came before
        request = Request(ids.new("req"), "GET", "/", {}, {}, b"", "unknown")
        try:
            request = read(event, request.id)
            response = self._answer(request)
        except Exception:
            response = _unforeseen(request, {}, None)
        if request.method == "HEAD":
            response["body"] = ""
        who = {"tenant": request.caller.tenant, "principal": request.caller.principal} if request.proof else {}
        log.info("request", extra={
            "requestId": request.id, "method": request.method, "path": _SIGNED.sub("…", request.path), **who,
            "status": response["statusCode"], **metering.told(response["statusCode"], measured.ms, cold=measured.cold),
        })  # fmt: skip
        if response["statusCode"] == 304 and request.proof:
            guard.give_back(request.proof, request.cost)
        metering.count(request, response["statusCode"], measured)
        return response

    def _register(self, method: Method, rule: str, made: Callable[[Endpoint], Route]) -> Decorator:
        def decorate(endpoint: Endpoint) -> Endpoint:
            self.router.add(method, rule, made(endpoint))
            return endpoint

        return decorate

    def _answer(self, request: Request) -> Response:
        try:
            rule = self.router.find(request.route_path)
        except NotFound as error:
            return self._lost(request, error)
        request.route = f"{request.method} {rule.named(request.route_path)}"
        any_route = rule.any_route
        profile = any_route.profile if request.version == 1 and not request.prefer.canonical else None
        shared = cors.headers(request, None, any_route.everyone)
        try:
            if request.method == "OPTIONS":
                allowed = rule.allowed(request.route_path)
                headers = {"Allow": allowed, **cors.headers(request, allowed, any_route.everyone)}
                return _response(200 if any_route.everyone else 204, "", request, headers)
            route = rule.route(request.method, request.route_path)
            if request.broken:
                raise request.broken
            parameters = rule.parameters(request.route_path)
            route.door(request, parameters)
            refuse_dry(request, route)
            reply = route.endpoint(request, **parameters)
            sent = {**shared, **request.left, **request.followed(), **reply.headers}
            return _response(reply.status, success(reply, request), request, sent)
        except SheafError as error:
            return _failed(error, request, {**shared, **request.left}, profile)
        except Exception:
            return _unforeseen(request, {**shared, **request.left}, profile)

    def _lost(self, request: Request, error: NotFound) -> Response:
        left = cors.headers(request, None, False)
        try:
            if self._fallback is None:
                raise error
            if request.method == "OPTIONS":  # a browser does not follow a redirect of a preflight
                return _response(204, "", request, {"Allow": _ANY, **cors.headers(request, _ANY, False)})
            reply = self._fallback(request)
            return _response(reply.status, success(reply, request), request, {**left, **reply.headers})
        except SheafError as refusal:
            return _failed(refusal, request, left, None)


def refuse_dry(request: Request, route: Route) -> None:
    """Raise BadRequest where a write is to be tried that can only be done."""
    if request.prefer.dry_run and request.method not in ("GET", "HEAD") and not route.writes:
        raise BadRequest("Prefer: dry-run is not possible here", fields={"Prefer": "dry-run is not possible here"})


def later(module: str, name: str) -> Endpoint:
    """The endpoint of this name, whose module is imported with its first request: no start pays for it."""

    def endpoint(request: Request, **parameters: str) -> Reply:
        reply: Reply = getattr(import_module(module), name)(request, **parameters)
        return reply

    return endpoint


def prove(request: Request, permission: str, cost: int = 1, parameters: Mapping[str, str] | None = None) -> None:
    """Prove the request's caller and charge its window; raises for anyone without the permission.

    `<entity>` in the permission is the path's; raises NotFound where there is none.
    """
    authenticate(request, cost)
    permit(request, permission, parameters or {})


def authenticate(request: Request, cost: int, *, streams: bool = False) -> None:
    """Prove who asks and charge the window; raises as guard.authenticate."""
    cookie = cookies.session_of(request) if not (request.headers.get("authorization") or request.ticket) else None
    stream = request.last_event.partition(".")[2] if streams else None
    given = Credentials(request.headers.get("authorization"), request.ticket, cookie, request.source_ip, stream)
    named = (request.headers.get("x-tenant-id"), request.named_tenant)
    proof = guard.authenticate(given, named, request.id, cost)
    request.proof, request.left, request.cost = proof, proof.left.headers(), cost
    act_for(proof.caller)


def permit(request: Request, permission: str, parameters: Mapping[str, str]) -> None:
    """Raise for a proven caller who may not."""
    resource, proof = permission.partition(":")[0], request.proven
    held, least = permission, roles.FIXED.get(permission)
    if least is None:
        from sheaf.entity import registry  # only functions with routes of entities come here

        entity = registry.find(parameters["entity"] if resource == roles.ENTITY else resource)
        held = permission.replace(roles.ENTITY, entity.path)
        least = roles.least_of(held, entity.model.access)
    try:
        guard.require(proof, held, least, request.source_ip)
    except PermissionDenied as refusal:
        if roles.is_for_admins(least):
            notes.deny(request.caller, held, request.method, request.route_path, refusal.message)
        raise


def _listing(endpoint: Endpoint) -> Endpoint:
    def answer(request: Request, **parameters: str) -> Reply:
        from sheaf.features.realtime import cursors

        cursor = cursors.present(request.caller)  # before anything is read: what is told from there on may be known already
        reply = endpoint(request, **parameters)
        return replace(reply, headers={"X-Event-Cursor": cursor, **reply.headers})

    return answer


def _noting(endpoint: Endpoint, permission: str) -> Endpoint:
    """The endpoint of an administrative route; what it refuses itself (to admins who are no operators) is noted too."""

    def answer(request: Request, **parameters: str) -> Reply:
        try:
            return endpoint(request, **parameters)
        except PermissionDenied as refusal:
            notes.deny(request.caller, permission, request.method, request.route_path, refusal.message)
            raise

    return answer


def _remembering(endpoint: Endpoint) -> Endpoint:
    def answer(request: Request, **parameters: str) -> Reply:
        key = request.once()
        if key is None:
            return endpoint(request, **parameters)
        kept = remembered(key, lambda: json.dumps(asdict(endpoint(request, **parameters))))
        return Reply(**json.loads(kept))

    return answer


def _failed(error: SheafError, request: Request, left: Mapping[str, str], profile: Profile | None) -> Response:
    if error.status >= 500:
        log.exception("request failed", extra={"requestId": request.id, "code": error.code})
    status, kind, body = failure(error, request, profile)
    return _response(status, body, request, {**left, **error.headers, "Content-Type": kind})


def _unforeseen(request: Request, left: Mapping[str, str], profile: Profile | None) -> Response:
    log.exception("request failed", extra={"requestId": request.id})
    hidden = unforeseen()
    status, kind, body = failure(hidden, request, profile)
    return _response(status, body, request, {**left, "Content-Type": kind})


def _response(status: int, body: str, request: Request, headers: Mapping[str, str]) -> Response:
    kind = {"Content-Type": "application/json"} if body else {}
    sent = {**kind, **_SAFETY, **notices.headers(request.version), "X-Request-Id": request.id, **headers}
    return {"statusCode": status, "headers": sent, "body": body, "isBase64Encoded": False}
