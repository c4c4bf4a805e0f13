"""Webhook endpoints: where a tenant wants its events sent, which ones, and what they are signed with."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import WEBHOOKS
from sheaf.base.clock import iso, now, now_ms
from sheaf.base.config import config
from sheaf.base.errors import Conflict, NotFound
from sheaf.features.webhooks import health, sealed, terms
from sheaf.features.webhooks.terms import Terms
from sheaf.records import notes, roster
from sheaf.records.once import Once, put_once
from sheaf.store import keys, table
from sheaf.store.keys import Scope
from sheaf.store.table import ConditionFailed, Item, Write

_ASKED = 20  # former terms that an endpoint remembers, for events that happened under them
_TRIES = 5
_KIND = "webhooks"


def register(caller: Caller, body: object, once: Once | None = None) -> dict[str, Any]:
    """Register an endpoint: `{"url", "events": ["task.created", "task.*", "*"], …}`, see `terms.read`.

    A secret that the server makes stands in the answer, this once: a request that comes again under its Idempotency-Key is not
    told it. One that the client brought is never repeated. Raises ValidationFailed, Conflict.
    """
    if once and (first := once.found()):
        return show(caller, first["webhook"])
    asked = terms.read(body)
    webhook_id, secret = ids.new("wh"), asked.secret or sealed.new_secret()
    place = sealed.place(caller, webhook_id)
    item: Item = {
        **_described(asked, place),
        "st": "enabled",
        "asked": [_asked(asked, now_ms())],
        "keys": [sealed.key(secret, place)],
        **(sealed.pair(place) if asked.asymmetric else {}),
        "v": 1,
        "at": iso(now_ms()),
        "u": now_ms(),
        "a": caller.principal,
        "q": caller.request_id,
        "n": secrets.token_hex(8),
    }
    noted = notes.note(caller, "webhook.created", webhook_id, _told(item))
    if first := roster.join(caller, _KIND, keys.webhook(caller, webhook_id), item, once, most=WEBHOOKS, noted=noted,
                            webhook=webhook_id):  # fmt: skip
        return show(caller, first["webhook"])
    return shown({"sk": webhook_id, **item}, None) | ({} if asked.secret else {"secret": secret})


def find(scope: Scope, webhook_id: str) -> Item:
    """The endpoint's row; raises NotFound."""
    item = table.get(config().control_table, keys.webhook(scope, webhook_id)) if ids.is_id(webhook_id, "wh") else None
    if item is None:
        raise NotFound(f"There is no webhook {webhook_id[:80]!r}")
    return item


def show(caller: Caller, webhook_id: str) -> dict[str, Any]:
    """One endpoint, without its secrets; raises NotFound."""
    return shown(find(caller, webhook_id), health.of(caller, webhook_id))


def listing(caller: Caller) -> list[dict[str, Any]]:
    """All endpoints of the tenant (at most WEBHOOKS), oldest first, without their secrets."""
    troubles = health.of_tenant(caller)
    return [shown(item, troubles.get(item["sk"])) for item in of_tenant(caller)]


def change(caller: Caller, webhook_id: str, body: object, once: Once | None = None) -> dict[str, Any]:
    """Lay a JSON merge patch over what an endpoint was registered with; raises NotFound, ValidationFailed, Conflict.

    Events are held to what was asked for when they happened.
    """

    def patched(item: Item) -> Item:
        asked = terms.patched(_terms(item), body)
        place = sealed.place(caller, webhook_id)
        described = _described(asked, place, before=item)
        if asked.asymmetric and "pub" not in item:
            described |= sealed.pair(place)
        elif not asked.asymmetric:
            described |= {"pub": None, "prv": None}
        if (asked.events, asked.filter) != (item["asked"][-1]["events"], item["asked"][-1].get("filter")) and _is_on(item):
            described["asked"] = [*item["asked"][1 - _ASKED :], _asked(asked, now_ms())]
        moved.append(asked.url != item["url"])
        return described

    moved: list[bool] = []
    found = _update(caller, webhook_id, "webhook.updated", patched, once)
    # What the former receiver did says nothing about the new one.
    return _begun_anew(caller, found) if moved and moved[-1] else found


def enable(caller: Caller, webhook_id: str, once: Once | None = None) -> dict[str, Any]:
    """Let an endpoint have events again, from now on; what it missed is replayed by request. Raises NotFound."""

    def enabled(item: Item) -> Item:
        if _is_on(item):
            return {}
        asked = _asked(_terms(item), now_ms())
        return {"st": "enabled", "why": None, "asked": [*item["asked"][1 - _ASKED :], asked]}

    return _begun_anew(caller, _update(caller, webhook_id, "webhook.enabled", enabled, once))


def disable(caller: Caller, webhook_id: str, reason: str, once: Once | None = None) -> dict[str, Any]:
    """Send an endpoint nothing more, what is on its way included; raises NotFound."""

    def disabled(item: Item) -> Item:
        if not _is_on(item):
            return {}
        nothing = {"from": now_ms(), "events": []}
        return {"st": "disabled", "why": reason, "asked": [*item["asked"][1 - _ASKED :], nothing]}

    return _update(caller, webhook_id, "webhook.disabled", disabled, once)


def warn(caller: Caller, webhook_id: str, percent: int, since_ms: int) -> None:
    """Note that a webhook has failed for so much of the time after which it is disabled; the stream tells the tenant."""
    _update(caller, webhook_id, "webhook.warned", lambda _: {"warned": percent, "since": since_ms, "told": now_ms()}, None)


def rotate(caller: Caller, webhook_id: str, body: object, once: Once | None = None) -> dict[str, Any]:
    """A new secret: `{"overlapSeconds": 0…604800, "secret"?}`. The former ones go on signing beside it for the overlap.

    The answer tells the secret if the server made it, as in `register`. Raises NotFound, ValidationFailed.
    """
    overlap, given = terms.read_rotation(body)
    secret = given or sealed.new_secret()

    def rotated(item: Item) -> Item:
        place = sealed.place(caller, webhook_id)
        return {"keys": [sealed.key(secret, place), *sealed.retired(item["keys"], now() + overlap if overlap else 0)]}

    found = _update(caller, webhook_id, "webhook.secret_rotated", rotated, once)
    return found if given or (once and once.replayed) else found | {"secret": secret}


def remove(caller: Caller, webhook_id: str, once: Once | None = None) -> None:
    """Delete the endpoint; deliveries on their way end. Raises NotFound."""
    if once and once.found():
        return
    try:
        before = find(caller, webhook_id)
    except NotFound:
        if once and once.found():  # our twin was faster
            return
        raise
    noted = notes.note(caller, "webhook.deleted", webhook_id, before=_told(before))
    roster.leave(caller, _KIND, keys.webhook(caller, webhook_id), once, noted=noted, webhook=webhook_id)


def of_tenant(scope: Scope) -> Iterator[Item]:
    """The rows of the tenant's endpoints."""
    return table.query(config().control_table, keys.webhook(scope, "").pk)


def shown(item: Item, trouble: Item | None) -> dict[str, Any]:
    """An endpoint as it is answered; `trouble` is its row of `health`."""
    asked, on = _terms(item), _is_on(item)
    since = trouble.get("since") if trouble and on else None
    return {
        "id": item["sk"],
        "url": asked.url,
        "events": list(asked.events),
        "createdAt": item["at"],
        "updatedAt": iso(item["u"]),
        "status": item["st"],
        "disabledReason": item.get("why"),
        "description": asked.description,
        "filter": asked.filter_object,
        "headers": sorted(item.get("hn", [])),
        "payload": asked.payload,
        "rateLimit": asked.rate,
        "publicKey": item.get("pub"),
        "secrets": [{"createdAt": each["at"], "expiresAt": iso(each["until"] * 1000) if "until" in each else None}
                    for each in sealed.good(item["keys"])],
        "failingSince": iso(since) if since else None,
        "disablesAt": health.disables_at(since) if since else None,
        "version": item["v"],
    }  # fmt: skip


def _update(caller: Caller, webhook_id: str, action: str, change: Callable[[Item], Item],
            once: Once | None) -> dict[str, Any]:  # fmt: skip
    """Commit what `change` makes of the row as it stands; read again where somebody else was faster."""
    if once and once.found():
        return show(caller, webhook_id)
    for _ in range(_TRIES):
        item = find(caller, webhook_id)
        values = change(item)
        if not values and once is None:
            return show(caller, webhook_id)
        mine = secrets.token_hex(8)  # the client's own id of a request may be that of many
        values = {**values, "v": item["v"] + 1, "u": now_ms(), "a": caller.principal, "q": caller.request_id, "n": mine}
        write = Write(config().control_table, "update", keys.webhook(caller, webhook_id), expression=table.setting(values),
                      condition="#v = :before", values={**values, "before": item["v"]})  # fmt: skip
        try:
            put_once([write, notes.note(caller, action, webhook_id, _told({**item, **values}), before=_told(item))], once,
                     webhook=webhook_id)  # fmt: skip
        except ConditionFailed as failure:
            if failure.old is None:
                raise NotFound(f"There is no webhook {webhook_id!r}") from None
            if failure.old.get("n") == mine:
                break  # our own first call, its answer lost
            continue
        break
    else:
        raise Conflict("Others change this webhook at the same time; try again")
    return show(caller, webhook_id)


def _told(item: Item) -> Item:
    """What the audit log is told of an endpoint: nothing that is secret."""
    return {"url": item["url"], "events": item["events"], "status": item["st"], "reason": item.get("why"),
            "filter": item.get("filter"), "headers": item.get("hn"), "description": item.get("desc")}  # fmt: skip


def _begun_anew(caller: Caller, found: dict[str, Any]) -> dict[str, Any]:
    """An endpoint as it is answered, taken for one that has never failed."""
    health.forget(caller, found["id"])
    return found | {"failingSince": None, "disablesAt": None}


def _is_on(item: Item) -> bool:
    return bool(item["st"] == "enabled")


def _asked(asked: Terms, at_ms: int) -> Item:
    return {"from": at_ms, "events": list(asked.events), "filter": asked.filter}


def _terms(item: Item) -> Terms:
    """What an endpoint was registered with, its secrets and the values of its headers left out."""
    return Terms(url=item["url"], events=tuple(item["events"]), description=item.get("desc"), filter=item.get("filter"),
                 headers=None, payload=item["pl"], rate=item.get("rate"), asymmetric="pub" in item)  # fmt: skip


def _described(asked: Terms, place: Mapping[str, str], before: Item | None = None) -> Item:
    described: Item = {
        "url": asked.url,
        "events": list(asked.events),
        "desc": asked.description,
        "filter": asked.filter,
        "pl": asked.payload,
        "rate": asked.rate,
    }
    if asked.headers is not None:
        described |= {"hs": sealed.headers(asked.headers, place) if asked.headers else None, "hn": sorted(asked.headers) or None}
    return described if before is not None else {name: value for name, value in described.items() if value is not None}
