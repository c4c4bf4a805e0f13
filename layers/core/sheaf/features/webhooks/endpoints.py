"""Webhook endpoints: where a tenant wants its events sent."""

import base64
import re
import secrets
from collections.abc import Iterator
from typing import Any

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import WEBHOOK_EVENTS, WEBHOOK_SECRET_CHARACTERS, WEBHOOKS
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import Conflict, NotFound, ValidationFailed
from sheaf.store import keys, table
from sheaf.store.keys import Scope
from sheaf.store.outbound import AddressRefused, checked_url
from sheaf.store.table import Item

_EVENT = re.compile(r"\*|[a-z][a-z_]{0,62}\.(\*|[a-z_]{1,32})")


def register(caller: Caller, body: object) -> dict[str, Any]:
    """Register `{"url", "events": ["task.created", "task.*", "*"], "secret"?}`.

    A secret that the server makes stands in the answer, this once; one that the client brought is not repeated.
    """
    url, events, given = _parse(body)
    if sum(1 for _ in of_tenant(caller)) >= WEBHOOKS:
        raise Conflict(f"This tenant has {WEBHOOKS} webhooks, which is the most")
    made = None if given else f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
    webhook_id = ids.new("wh")
    item: Item = {"url": url, "events": events, "secret": given or made, "at": iso(now_ms()), "a": caller.principal}
    # The id is new: a row that is there is this one, its answer lost on the way.
    table.put_new(config().control_table, keys.webhook(caller, webhook_id), item)
    return _shown({"sk": webhook_id, **item}) | ({"secret": made} if made else {})


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


def remove(caller: Caller, webhook_id: str) -> None:
    """Delete the endpoint; deliveries on their way end. Raises NotFound."""
    find(caller, webhook_id)
    key = keys.webhook(caller, webhook_id)
    table.commit([table.Write(config().control_table, "delete", key)])


def of_tenant(scope: Scope) -> Iterator[Item]:
    """The rows of the tenant's endpoints."""
    return table.query(config().control_table, keys.webhook(scope, "").pk)


def wants(item: Item, event_type: str) -> bool:
    """Whether the endpoint asked for this type: by its name, by `task.*` or by `*`."""
    return not {event_type, f"{event_type.partition('.')[0]}.*", "*"}.isdisjoint(item["events"])


def _parse(body: object) -> tuple[str, list[str], str | None]:
    if not isinstance(body, dict):
        raise ValidationFailed("The body must be a JSON object", fields={"": "must be an object"})
    wrong = {name: "is not known here" for name in body if name not in ("url", "events", "secret")}
    wrong |= _wrong_url(body.get("url")) | _wrong_events(body.get("events")) | _wrong_secret(body.get("secret"))
    if wrong:
        raise ValidationFailed("This webhook cannot be registered", fields=wrong)
    return body["url"], list(dict.fromkeys(body["events"])), body.get("secret")


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


def _shown(item: Item) -> dict[str, Any]:
    return {"id": item["sk"], "url": item["url"], "events": item["events"], "createdAt": item["at"]}
