"""What a webhook is registered with: the body of a request, read and checked."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.base.bounds import (
    WEBHOOK_DESCRIPTION_CHARACTERS,
    WEBHOOK_EVENTS,
    WEBHOOK_FILTER_BYTES,
    WEBHOOK_HEADERS,
    WEBHOOK_HEADERS_BYTES,
    WEBHOOK_OVERLAP_SECONDS,
    WEBHOOK_RATE,
    WEBHOOK_SECRET_CHARACTERS,
)
from sheaf.base.clock import now_ms
from sheaf.base.config import config
from sheaf.base.errors import InvalidParameter, ValidationFailed
from sheaf.entity import event_types, filters, registry
from sheaf.entity.body import object_of
from sheaf.store.addresses import AddressRefused, checked_url

_FIELDS = ("url", "events", "description", "filter", "headers", "payload", "rateLimit", "asymmetric")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
# The sender's own, and those that would change how the request travels (RFC 9110, 7.6.1).
_RESERVED = re.compile(
    r"webhook-.*|x-webhook-signature|host|content-.*|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|user-agent"
    r"|accept-encoding|proxy-.*|date|via|forwarded|x-forwarded-.*|cookie",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a webhook is registered with. `filter` is JSON; `headers` None means those that it has."""

    url: str
    events: tuple[str, ...]
    description: str | None = None
    filter: str | None = None
    headers: dict[str, str] | None = None
    payload: str = "full"
    rate: int | None = None  # deliveries a second
    asymmetric: bool = False  # also signed with an ed25519 key of its own (v1a)
    secret: str | None = None  # that the client brought

    @property
    def filter_object(self) -> dict[str, Any] | None:
        """The filter, parsed."""
        return from_json(self.filter) if self.filter else None


def read(body: object) -> Terms:
    """The terms of a new webhook.

    `{"url", "events", "secret"?, "description"?, "filter"?: {…}, "headers"?: {"X-A": "b"}, "payload"?: "full"|"thin",
    "rateLimit"?: deliveries a second, "asymmetric"?: bool}`; raises ValidationFailed naming each wrong field.
    """
    asked = object_of(body, *_FIELDS, "secret", error="This webhook cannot be registered")
    return _checked({**asked, "headers": asked.get("headers") or {}}, _wrong_secret(asked.get("secret")))


def patched(before: Terms, body: object) -> Terms:
    """The terms after a merge patch (RFC 7396); raises ValidationFailed. Headers are replaced as a whole."""
    patch = object_of(body, *_FIELDS, error="This webhook cannot be changed")
    asked = {
        "url": before.url,
        "events": list(before.events),
        "description": before.description,
        "filter": before.filter_object,
        "payload": before.payload,
        "rateLimit": before.rate,
        "asymmetric": before.asymmetric,
        **patch,
    }
    if "headers" in patch:
        asked["headers"] = patch["headers"] or {}
    for name, default in (("payload", "full"), ("asymmetric", False)):
        asked[name] = default if asked[name] is None else asked[name]
    return _checked(asked, {})


def read_rotation(body: object) -> tuple[int, str | None]:
    """`{"overlapSeconds"?: 0, "secret"?}` of a rotation; raises ValidationFailed."""
    asked = object_of(body, "overlapSeconds", "secret")
    overlap = asked.get("overlapSeconds", 0)
    wrong = _wrong_secret(asked.get("secret"))
    if isinstance(overlap, bool) or not isinstance(overlap, int) or not 0 <= overlap <= WEBHOOK_OVERLAP_SECONDS:
        wrong["overlapSeconds"] = f"must be a whole number from 0 to {WEBHOOK_OVERLAP_SECONDS}"
    if wrong:
        raise ValidationFailed.naming(wrong)
    return overlap, asked.get("secret")


def _checked(asked: dict[str, Any], wrong: dict[str, str]) -> Terms:
    wrong = _wrong_url(asked.get("url")) | _wrong_events(asked.get("events")) | wrong
    description = asked.get("description")
    if description is not None and not (isinstance(description, str) and len(description) <= WEBHOOK_DESCRIPTION_CHARACTERS):
        wrong["description"] = f"must be a text of at most {WEBHOOK_DESCRIPTION_CHARACTERS} characters"
    payload, low, high = asked.get("payload", "full"), *WEBHOOK_RATE
    if payload not in ("full", "thin"):
        wrong["payload"] = "must be full or thin"
    rate = asked.get("rateLimit")
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int) or not low <= rate <= high):
        wrong["rateLimit"] = f"must be a whole number of deliveries a second from {low} to {high:,}, or null"
    if not isinstance(asked.get("asymmetric", False), bool):
        wrong["asymmetric"] = "must be true or false"
    wrong |= _wrong_headers(asked.get("headers", {}))
    if "events" not in wrong and not any(name.startswith("events.") for name in wrong):
        wrong |= _wrong_filter(asked.get("filter"), asked["events"])
    if wrong:
        raise ValidationFailed.naming(wrong)
    return Terms(
        url=asked["url"],
        events=tuple(dict.fromkeys(asked["events"])),
        description=description,
        filter=to_json(asked["filter"]).decode() if asked.get("filter") else None,
        headers=asked.get("headers"),
        payload=payload,
        rate=rate,
        asymmetric=asked.get("asymmetric", False),
        secret=asked.get("secret"),
    )


def _wrong_url(url: object) -> dict[str, str]:
    if not isinstance(url, str):
        return {"url": "is required" if url is None else "must be a string"}
    try:
        checked_url(url, loopback=config().webhook_loopback, ports=config().webhook_ports)
    except AddressRefused as refusal:
        return {"url": str(refusal)}
    return {}


def _wrong_events(events: object) -> dict[str, str]:
    if not isinstance(events, list) or not 1 <= len(events) <= WEBHOOK_EVENTS:
        return {"events": f"must be a list of 1 to {WEBHOOK_EVENTS} event types"}
    known, wrong = event_types.every(), {}
    for number, event in enumerate(events):
        if found := event_types.objection(event, known):
            wrong[f"events.{number}"] = found
    return wrong


def _wrong_filter(condition: object, events: list[str]) -> dict[str, str]:
    if condition is None or condition == {}:
        return {}
    if len(to_json(condition)) > WEBHOOK_FILTER_BYTES:
        return {"filter": f"must be at most {WEBHOOK_FILTER_BYTES:,} bytes of JSON"}
    words = {event.partition(".")[0] for event in events}
    entity = registry.of_word(words.pop()) if len(words) == 1 and "*" not in words else None
    if entity is None:
        return {"filter": "needs events of exactly one entity, such as task.created or task.*"}
    try:
        filters.from_json(entity, condition, now_ms())
    except InvalidParameter as refusal:
        return dict(refusal.fields)
    return {}


def _wrong_headers(headers: object) -> dict[str, str]:
    if not isinstance(headers, dict) or len(headers) > WEBHOOK_HEADERS:
        return {"headers": f"must be an object of at most {WEBHOOK_HEADERS} headers"}
    wrong: dict[str, str] = {}
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or _RESERVED.fullmatch(name):
            wrong[f"headers.{name[:64]}"] = "is no name of a header, or one of the sender's own"
        elif not (isinstance(value, str) and value.strip() == value and value.isascii() and value.isprintable()):
            wrong[f"headers.{name}"] = "must be printable ASCII without spaces around it"
    if len({name.lower() for name in headers}) < len(headers):
        wrong["headers"] = "names a header twice"
    if len(to_json(headers)) > WEBHOOK_HEADERS_BYTES:
        wrong["headers"] = f"must take at most {WEBHOOK_HEADERS_BYTES:,} bytes of JSON together"
    return wrong


def _wrong_secret(secret: object) -> dict[str, str]:
    low, high = WEBHOOK_SECRET_CHARACTERS
    if secret is None or (isinstance(secret, str) and low <= len(secret) <= high and secret.isascii() and secret.isprintable()):
        return {}
    return {"secret": f"must be {low} to {high} printable ASCII characters"}
