"""Answers on the wire: `{"success", "data", "meta"?, "message"?, "requestId", "timestamp"}` and its error twin.

A route may declare a profile, the shape that an older client knows; `Prefer: profile=canonical` and v2 never use it.
Errors are RFC 9457 where `Accept` asks for `application/problem+json`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import SheafError
from sheaf.edge.request import Request


@dataclass(frozen=True, slots=True)
class Raw:
    """Text that is spliced into an answer unparsed: a row's JSON document, or several."""

    text: str

    @classmethod
    def array(cls, texts: Sequence[str]) -> "Raw":
        """The documents as a JSON array."""
        return cls(f"[{','.join(texts)}]")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a route answers. `bare=True` sends `data` without the envelope, where a public shape asks for it."""

    data: Any = None
    status: int = 200
    meta: Mapping[str, Any] | None = None
    message: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    bare: bool = False


def paged(found: Any, limit: int, following: str | None, **more: Any) -> Reply:
    """A page of a list, the cursor of the next one, and what more `meta` says (where it is something)."""
    told = {name: value for name, value in more.items() if value is not None}
    return Reply(found, meta={"limit": limit, "hasMore": following is not None, "nextCursor": following, **told})


NOTHING = Raw("")  # the data of an answer without a body


class Profile(Protocol):
    """How a route that older clients know answers."""

    def failure(self, error: SheafError, request: Request) -> tuple[int, Mapping[str, Any]]:
        """The status and the body of an error."""
        ...


def success(reply: Reply, request: Request) -> str:
    """The body of a good answer."""
    data = reply.data.text if isinstance(reply.data, Raw) else json_text(reply.data)
    if reply.bare or not data:
        return data
    meta = f',"meta":{json_text(reply.meta)}' if reply.meta is not None else ""
    message = f',"message":{json_text(reply.message)}' if reply.message else ""
    return f'{{"success":true,"data":{data}{meta}{message},"requestId":{json_text(request.id)},"timestamp":"{iso(now_ms())}"}}'


def failure(error: SheafError, request: Request, profile: Profile | None) -> tuple[int, str, str]:
    """The status, content type and body of an error answer."""
    page = f"{config().docs_url}#{error.code}"
    fields, extra = _parts(error, request.names)
    if "application/problem+json" in request.headers.get("accept", "").lower():
        # RFC 9457; `errors`, `code` and what else an error carries are its extension members.
        problem = {"type": page, "title": error.title, "status": error.status, "detail": error.message,
                   "instance": f"urn:sheaf:request:{request.id}", "code": error.code,
                   **({"errors": fields} if fields else {}), **extra, "requestId": request.id}  # fmt: skip
        return error.status, "application/problem+json", json_text(problem)
    if profile is not None:
        status, shape = profile.failure(error, request)
        return status, "application/json", json_text(shape)
    return error.status, "application/json", json_text(canonical(error, request, fields, extra))


def bare_failure(error: SheafError, names: Mapping[str, str]) -> dict[str, Any]:
    """The body of an error within a batch: `{"error": the message, "code", "errors"?, …}`."""
    fields, extra = _parts(error, names)
    return {"error": error.message, "code": error.code, **({"errors": fields} if fields else {}), **extra}


def canonical(
    error: SheafError, request: Request, fields: Mapping[str, str] | None = None, extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The canonical body of an error; a profile may change it."""
    wrong = error.fields if fields is None else fields
    return {"success": False, "error": error.title, "code": error.code, "message": error.message,
            **({"errors": wrong} if wrong else {}), **(error.extra if extra is None else extra),
            "docUrl": f"{config().docs_url}#{error.code}", "requestId": request.id, "timestamp": iso(now_ms())}  # fmt: skip


def _parts(error: SheafError, names: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Any]]:
    """What an error says of fields, and what it carries beside that, under the names of the request's version."""
    extra = dict(error.extra)
    if isinstance(diff := extra.get("diff"), dict):
        extra["diff"] = {_renamed(name, names): value for name, value in diff.items()}
    return {_renamed(path, names): text for path, text in error.fields.items()}, extra


def _renamed(path: str, names: Mapping[str, str]) -> str:
    head, dot, rest = path.partition(".")
    return f"{names.get(head, head)}{dot}{rest}"


def json_text(value: Any) -> str:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
