"""Cursors: where a list goes on, for nobody but its own tenant and query."""

import base64
import hmac
import re
from hashlib import sha256
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.base.bounds import CURSOR_SECONDS
from sheaf.base.clock import now
from sheaf.base.errors import InvalidCursor

_CURSOR = re.compile(r"[A-Za-z0-9_-]{20,4096}")


def seal_cursor(key: bytes, scope: str, position: Any) -> str:
    """A cursor for `position` (JSON). `scope` names the tenant and the query; HMAC-SHA256 binds the two and an expiry."""
    payload = to_json({"p": position, "x": now() + CURSOR_SECONDS})
    return _text(_mac(key, scope, payload) + payload)


def open_cursor(key: bytes, scope: str, cursor: str) -> Any:
    """The position inside; raises InvalidCursor for one that is damaged, expired or of another scope."""
    refusal = InvalidCursor("The cursor is damaged, expired or belongs to another list; start again without it")
    if not _CURSOR.fullmatch(cursor):
        raise refusal
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        raise refusal from None
    if not hmac.compare_digest(raw[:16], _mac(key, scope, raw[16:])):
        raise refusal
    payload = from_json(raw[16:])
    if payload["x"] < now():
        raise refusal
    return payload["p"]


def _mac(key: bytes, scope: str, payload: bytes) -> bytes:
    return hmac.digest(key, scope.encode() + b"\0" + payload, sha256)[:16]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
