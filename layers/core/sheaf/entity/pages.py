"""The page of a list: `limit`, and a cursor that only its own list and tenant can use."""

import base64
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from pydantic_core import from_json, to_json

from sheaf.base.bounds import CURSOR_SECONDS, PAGE_DEFAULT, PAGE_LIMIT
from sheaf.base.clock import now
from sheaf.base.errors import InvalidCursor, InvalidParameter

_CURSOR = re.compile(r"[A-Za-z0-9_-]{20,1024}")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What a request asks for; `cursor` is opaque until `open_cursor` checks it."""

    limit: int
    cursor: str | None


def parse(query: Mapping[str, str]) -> PageRequest:
    """Read `limit` (1–100) and `cursor`; raises InvalidParameter."""
    text = query.get("limit", str(PAGE_DEFAULT))
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= PAGE_LIMIT):
        message = f"must be a whole number from 1 to {PAGE_LIMIT}"
        raise InvalidParameter(f"limit: {message}", fields={"limit": message})
    return PageRequest(int(text), query.get("cursor"))


def seal_cursor(key: bytes, scope: str, position: str) -> str:
    """A cursor for `position`. `scope` names the tenant and the query; HMAC-SHA256 binds the two and an expiry."""
    payload = to_json({"p": position, "x": now() + CURSOR_SECONDS})
    return _text(_mac(key, scope, payload) + payload)


def open_cursor(key: bytes, scope: str, cursor: str) -> str:
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
    return str(payload["p"])


def _mac(key: bytes, scope: str, payload: bytes) -> bytes:
    return hmac.digest(key, scope.encode() + b"\0" + payload, sha256)[:16]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
