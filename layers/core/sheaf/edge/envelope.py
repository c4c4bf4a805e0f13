"""Answers on the wire: `{"success", "data", "meta"?, "message"?, "requestId", "timestamp"}` and its error twin."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import SheafError


@dataclass(frozen=True, slots=True)
class Raw:
    """JSON text that is spliced into an answer unparsed: a row's document, or several."""

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


def success(reply: Reply, request_id: str) -> str:
    """The body of a good answer."""
    data = reply.data.text if isinstance(reply.data, Raw) else _json(reply.data)
    if reply.bare:
        return data
    meta = f',"meta":{_json(reply.meta)}' if reply.meta is not None else ""
    message = f',"message":{_json(reply.message)}' if reply.message else ""
    return f'{{"success":true,"data":{data}{meta}{message},"requestId":{_json(request_id)},"timestamp":"{iso(now_ms())}"}}'


def failure(error: SheafError, request_id: str) -> str:
    """The body of an error answer."""
    body: dict[str, Any] = {"success": False, "error": error.title, "code": error.code, "message": error.message}
    if error.fields:
        body["errors"] = error.fields
    body |= error.extra
    body |= {"docUrl": f"{config().docs_url}#{error.code}", "requestId": request_id, "timestamp": iso(now_ms())}
    return _json(body)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
