"""A request as a route sees it."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from sheaf.access.caller import Caller
from sheaf.base.bounds import BODY_BYTES, JSON_DEPTH
from sheaf.base.errors import BadRequest, InvalidJson, InvalidParameter, TooLarge, Unauthenticated, UnsupportedMediaType


@dataclass(slots=True)
class Request:
    """One HTTP request. Header names are lower case; `query` has one value a name."""

    id: str
    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    source_ip: str
    proven: Caller | None = None

    @property
    def caller(self) -> Caller:
        """Who asks; a public route has nobody."""
        if self.proven is None:
            raise Unauthenticated("No authentication token provided")
        return self.proven

    @property
    def route_path(self) -> str:
        """The path that routes are matched by: a custom domain may keep the stage's name in front of it."""
        return self.path.removeprefix("/api") if self.path.startswith("/api/") else self.path

    def json(self, limit: int = BODY_BYTES) -> Any:
        """The body as JSON; raises TooLarge, UnsupportedMediaType or InvalidJson."""
        kind = self.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            raise UnsupportedMediaType(
                f"The body must be application/json, not {kind[:80]!r}", headers={"Accept": "application/json"}
            )
        if len(self.body) > limit:
            raise TooLarge(f"The body is {len(self.body):,} bytes; {limit:,} is the most here")
        if not self.body.strip():
            raise InvalidJson("The body is empty; this route needs a JSON body")
        try:
            value = from_json(self.body, allow_inf_nan=False)
        except ValueError as error:
            raise InvalidJson(f"The body is not JSON: {error}") from None
        _check_depth(value)
        return value

    def if_match(self) -> int | None:
        """The version that `If-Match` demands (RFC 9110, 13.1.1); None without one, or for `*`."""
        text = self.headers.get("if-match")
        if text is None or text.strip() == "*":
            return None
        digits = text.strip().strip('"')
        if not (digits.isascii() and digits.isdigit() and len(digits) < 16):
            message = 'must be "*" or one version in quotes, as ETag gives it'
            raise BadRequest(f"If-Match {message}", fields={"If-Match": message})
        return int(digits)


def read(event: Mapping[str, Any], fallback_id: str) -> Request:
    """The request in an API Gateway proxy event (payload 1.0)."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items() if isinstance(value, str)}
    context = event.get("requestContext") or {}
    asked = headers.get("x-request-id", "")
    sane = 8 <= len(asked) <= 64 and asked.isascii() and asked.replace("-", "").replace("_", "").isalnum()
    return Request(
        id=asked if sane else str(context.get("requestId") or fallback_id),
        method=str(event.get("httpMethod", "GET")).upper(),
        path=str(event.get("path", "/")),
        headers=headers,
        query=_query(event),
        body=_body(event),
        source_ip=str((context.get("identity") or {}).get("sourceIp") or "unknown"),
    )


def _query(event: Mapping[str, Any]) -> dict[str, str]:
    many: Mapping[str, list[str]] = event.get("multiValueQueryStringParameters") or {}
    if repeated := {name: "is given more than once" for name, values in many.items() if len(values) > 1}:
        raise InvalidParameter(f"{next(iter(repeated))} is given more than once", fields=repeated)
    if many:
        return {name: values[0] for name, values in many.items()}
    return dict(event.get("queryStringParameters") or {})


def _body(event: Mapping[str, Any]) -> bytes:
    text = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(text).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("The body is marked as base 64 but is not") from None


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(JSON_DEPTH):
        level = [child for each in level if isinstance(each, dict | list)
                 for child in (each.values() if isinstance(each, dict) else each)]  # fmt: skip
        if not level:
            return
    raise InvalidJson(f"The body is nested deeper than {JSON_DEPTH} levels")
