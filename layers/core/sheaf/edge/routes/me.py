"""`/v1/me`, `/v1/sessions` and `/v1/api-keys`: who is calling, from where else, and with which keys."""

from sheaf.access import sessions
from sheaf.base.errors import PermissionDenied
from sheaf.edge.api import Api
from sheaf.edge.ended import closing
from sheaf.edge.envelope import Reply, paged
from sheaf.edge.request import Request
from sheaf.entity import query
from sheaf.entity.body import object_of
from sheaf.features.accounts import api_keys, login, me


def register(api: Api) -> None:
    """Add the routes."""
    api.get("/v1/me", permission="me:read")(_me)
    api.route("PATCH", "/v1/me", permission="me:write")(_change_me)
    api.get("/v1/me/permissions", permission="me:read")(_permissions)
    api.get("/v1/sessions", permission="sessions:read")(_sessions)
    api.get("/v1/sessions/list", permission="sessions:read")(_sessions)
    api.route("DELETE", "/v1/sessions", permission="sessions:end", remember=True)(closing(_end_sessions))
    api.route("DELETE", "/v1/sessions/<session_id>", permission="sessions:end")(closing(_end_session))
    api.get("/v1/api-keys", permission="api-keys:read")(_keys)
    api.post("/v1/api-keys", permission="api-keys:write")(_create_key)
    api.get("/v1/api-keys/<key_id>", permission="api-keys:read")(_key)
    api.route("PATCH", "/v1/api-keys/<key_id>", permission="api-keys:write")(closing(_change_key))
    api.post("/v1/api-keys/<key_id>/rotate", permission="api-keys:write")(closing(_rotate_key))
    api.route("DELETE", "/v1/api-keys/<key_id>", permission="api-keys:write")(closing(_revoke_key))


def _whole(found: list[dict[str, object]]) -> Reply:
    """A list that is bounded and answered at once."""
    return paged(found, max(1, len(found)), None)


def _me(request: Request) -> Reply:
    return Reply(me.show(request.caller, request.proven.tenant))


def _change_me(request: Request) -> Reply:
    return Reply(me.change(request.caller, request.json(), request.options()))


def _permissions(request: Request) -> Reply:
    return Reply(me.permissions(request.caller))


def _sessions(request: Request) -> Reply:
    _require_user(request)
    return _whole(sessions.listing(request.caller))


def _end_session(request: Request, session_id: str) -> Reply:
    _require_user(request)
    login.end(request.caller, session_id, request.once())
    return Reply({"id": session_id, "ended": True})


def _end_sessions(request: Request) -> Reply:
    """All, or with `?except=current` all others."""
    _require_user(request)
    kept = query.choice_of(request.query, "except", ("current",))
    ended = login.end_all(request.caller, request.caller.session if kept else None)
    return Reply({"ended": ended})


def _keys(request: Request) -> Reply:
    return _whole(api_keys.listing(request.caller))


def _create_key(request: Request) -> Reply:
    made, secret = api_keys.make(request.caller, request.json(), request.once())
    return _shown_once(made, secret, 201, {"Location": f"api-keys/{made['id']}"})


def _key(request: Request, key_id: str) -> Reply:
    return Reply(api_keys.show(request.caller, key_id))


def _change_key(request: Request, key_id: str) -> Reply:
    return Reply(api_keys.change(request.caller, key_id, request.json(), request.once()))


def _rotate_key(request: Request, key_id: str) -> Reply:
    body = request.json() if request.body else {}
    return _shown_once(*api_keys.rotate(request.caller, key_id, object_of(body, "graceSeconds"), request.once()))


def _revoke_key(request: Request, key_id: str) -> Reply:
    api_keys.revoke(request.caller, key_id, request.once())
    return Reply({"id": key_id, "revoked": True})


def _shown_once(key: dict[str, object], secret: str | None, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    told = (
        "Keep the key: it is shown this once" if secret else "The key was shown by the first answer; rotate it if that was lost"
    )
    return Reply({**key, "key": secret}, status, message=told, headers=headers or {})


def _require_user(request: Request) -> None:
    if request.caller.session is None:
        raise PermissionDenied("An API key has no sessions")
