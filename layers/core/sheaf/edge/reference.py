"""The API's description of itself: the OpenAPI document, and a page to read it that needs nothing from elsewhere."""

import json
import secrets
from functools import cache
from pathlib import Path
from typing import Any

import sheaf.describe
from sheaf.edge.envelope import Raw, Reply

_HOME = Path(sheaf.describe.__path__[0])
_CACHED = {"Cache-Control": "public, max-age=300"}


def description(version: int) -> Reply:
    """The OpenAPI 3.1 document of a version."""
    return Reply(Raw(_text(f"openapi.v{version}.json")), headers=_CACHED, bare=True)


@cache
def event_types() -> list[dict[str, Any]]:
    """The catalogue of events: `{"type", "description", "schema", "example"}` of each."""
    found: list[dict[str, Any]] = json.loads(_text("event-types.json"))
    return found


def graphql_schema() -> str:
    """The schema of GraphQL, as text."""
    return _text("schema.graphql")


def page(name: str = "reference.html") -> Reply:
    """An HTML page that may run its own script and fetch from here only: the reference over `openapi.json` beside it."""
    nonce = secrets.token_urlsafe(16)
    policy = (f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
              "base-uri 'none'; form-action 'none'; frame-ancestors 'none'")  # fmt: skip
    html = _text(name).replace("{nonce}", nonce)
    return Reply(Raw(html), headers={"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy}, bare=True)


@cache
def _text(name: str) -> str:
    return (_HOME / name).read_text(encoding="utf-8")
