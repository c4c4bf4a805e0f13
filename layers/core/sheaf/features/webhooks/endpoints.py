"""Webhook endpoints: where a tenant wants its events sent."""

import base64
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import WEBHOOK_EVENTS, WEBHOOK_SECRET_CHARACTERS, WEBHOOKS
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import Conflict, NotFound, ValidationFailed
from sheaf.entity.body import object_of
from sheaf.records.once import Once, put_once
from sheaf.store import keys, table
from sheaf.store.keys import Scope
from sheaf.store.outbound import AddressRefused, checked_url
from sheaf.store.table import ConditionFailed, Item, Write

_EVENT = re.compile(r"\*|[a-z][a-z_]{0,62}\.(\*|[a-z_]{1,32})")


def register(caller: Caller, body: object, once: Once | None = None) -> dict[str, Any]:
    """Register `{"url", "events": ["task.created", "task.*", "*"], "secret"?}`.

    A secret that the server makes stands in the answer, this once; one that the client brought is not repeated.
    """
    if once and (first := once.found()):
        return _told(find(caller, first["webhook"]))
    url, events, given = _parse(body)
    if sum(1 for _ in of_tenant(caller)) >= WEBHOOKS:
        raise Conflict(f"This tenant has {WEBHOOKS} webhooks, which is the most")
    made = None if given else f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
    webhook_id = ids.new("wh")
    item: Item = {
        "url": url,
        "events": events,
        "secret": given or made,
        "own": bool(made),
        "at": iso(now_ms()),
        "a": caller.principal,
    }
    put = Write(config().control_table, "put", keys.webhook(caller, webhook_id), item=item, condition="attribute_not_exists(#pk)")
    try:
        if first := put_once([put], once, webhook=webhook_id):
            return _told(find(caller, first["webhook"]))
    except ConditionFailed:
        pass  # the id is new: a row that is there is this one, its answer lost on the way
    return _told({"sk": webhook_id, **item})


def find(scope: Scope, webhook_id: str) -> Item:
    """The endpoint's row; raises NotFound."""
    item = table.get(config().control_table, keys.webhook(scope, webhook_id)) if ids.is_id(webhook_id, "wh") else None
    if item is None:
        raise NotFound(f"There is no webhook {webhook_id[:80]!r}")
    return item


def show(caller: Caller, webhook_id: str) -> dict[str, Any]:
    """One endpoint, without its secret; raises NotFound."""
    return _shown(find(caller, webhook_id))


def listing(caller: Caller) -> list[dict[str, Any]]:
    """All endpoints of the tenant (at most WEBHOOKS), oldest first, without their secrets."""
    return [_shown(item) for item in of_tenant(caller)]


def remove(caller: Caller, webhook_id: str, once: Once | None = None) -> None:
    """Delete the endpoint; deliveries on their way end. Raises NotFound."""
    if once and once.found():
        return
    try:
        find(caller, webhook_id)
    except NotFound:
        if once and once.found():  # our twin was faster
            return
        raise
    gone = Write(config().control_table, "delete", keys.webhook(caller, webhook_id), condition="attribute_exists(#pk)")
    with suppress(ConditionFailed):  # somebody else was faster, or our own first call was and its answer is lost
        put_once([gone], once, webhook=webhook_id)


def of_tenant(scope: Scope) -> Iterator[Item]:
    """The rows of the tenant's endpoints."""
    return table.query(config().control_table, keys.webhook(scope, "").pk)


def wants(item: Item, event_type: str) -> bool:
    """Whether the endpoint asked for this type: by its name, by `task.*` or by `*`."""
    return not {event_type, f"{event_type.partition('.')[0]}.*", "*"}.isdisjoint(item["events"])


def _parse(body: object) -> tuple[str, list[str], str | None]:
    asked = object_of(body, "url", "events", "secret", error="This webhook cannot be registered")
    wrong = _wrong_url(asked.get("url")) | _wrong_events(asked.get("events")) | _wrong_secret(asked.get("secret"))
    if wrong:
        raise ValidationFailed("This webhook cannot be registered", fields=wrong)
    return asked["url"], list(dict.fromkeys(asked["events"])), asked.get("secret")


def _wrong_url(url: object) -> dict[str, str]:
    if not isinstance(url, str):
        return {"url": "is required" if url is None else "must be a string"}
    try:
        checked_url(url, loopback=config().webhook_loopback)
    except AddressRefused as refusal:
        return {"url": str(refusal)}
    return {}


def _wrong_events(events: object) -> dict[str, str]:
    if not isinstance(events, list) or not 1 <= len(events) <= WEBHOOK_EVENTS:
        return {"events": f"must be a list of 1 to {WEBHOOK_EVENTS} event types"}
    return {
        f"events.{number}": "must look like task.created, task.* or *"
        for number, event in enumerate(events)
        if not (isinstance(event, str) and _EVENT.fullmatch(event))
    }


def _wrong_secret(secret: object) -> dict[str, str]:
    low, high = WEBHOOK_SECRET_CHARACTERS
    if secret is None or (isinstance(secret, str) and low <= len(secret) <= high and secret.isascii() and secret.isprintable()):
        return {}
    return {"secret": f"must be {low} to {high} printable ASCII characters"}


def _told(item: Item) -> dict[str, Any]:
    """What the request that registers is told: a secret that the server made stands here and nowhere else."""
    return _shown(item) | ({"secret": item["secret"]} if item["own"] else {})


def _shown(item: Item) -> dict[str, Any]:
    return {"id": item["sk"], "url": item["url"], "events": item["events"], "createdAt": item["at"]}
