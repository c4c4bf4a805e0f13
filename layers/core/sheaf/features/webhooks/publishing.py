"""Events that an installation publishes itself: checked against their declaration, ordered by a key, followed like any change."""

import re
import secrets
from typing import Any

from pydantic_core import to_json

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import DOCUMENT_BYTES, PUBLISHED_DAYS
from sheaf.base.clock import iso, now, now_ms
from sheaf.base.config import config
from sheaf.base.errors import Conflict, TooLarge, ValidationFailed
from sheaf.entity.body import object_of
from sheaf.records import events
from sheaf.records.once import Once, put_once
from sheaf.store import keys, table
from sheaf.store.table import ConditionFailed, Item, Write

_KEY = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_TRIES = 10


def publish(caller: Caller, body: object, once: Once | None) -> dict[str, Any]:
    """Publish `{"type", "data", "key"?}`; events with one key reach each webhook in the order in which they were published.

    Raises ValidationFailed, TooLarge, or Conflict where too many publish under one key at once.
    """
    from sheaf.entity import custom  # all of pydantic, which the other routes do without

    if once and (first := once.found()):
        return _told(caller, first["row"], first["v"])
    asked = object_of(body, "type", "data", "key")
    key = asked.get("key")
    if key is not None and not (isinstance(key, str) and _KEY.fullmatch(key)):
        raise ValidationFailed.naming({"key": "must be 1 to 100 letters, digits, and any of _ . : -"})
    data = to_json(custom.checked(str(asked.get("type")), asked.get("data"))).decode()
    if len(data.encode()) > DOCUMENT_BYTES:
        raise TooLarge(f"The data takes {len(data.encode()):,} bytes; {DOCUMENT_BYTES:,} is the most")
    # An event without a key has a row of its own, so nothing waits for it and it waits for nothing.
    row = ids.derived("pub", 0, key) if key else ids.new("pub")
    place = keys.published(caller, row)
    mine = secrets.token_hex(8)  # the client's own id of a request may be that of many
    for _ in range(_TRIES):
        old = table.get(config().control_table, place) if key else None
        at_ms = max(now_ms(), old["u"]) if old else now_ms()
        item: Item = {"v": old["v"] + 1 if old else 1, "u": at_ms, "pu": old["u"] if old else None, "t": asked["type"], "d": data,
                      "a": caller.principal, "q": caller.request_id, "n": mine}  # fmt: skip
        if not key:
            item["ttl"] = now() + PUBLISHED_DAYS * 86_400  # a key's row counts its events for ever
        condition, values = ("#v = :seen", {"seen": old["v"]}) if old else ("attribute_not_exists(#pk)", {})
        put = Write(config().control_table, "put", place, item=item, condition=condition, values=values)
        try:
            if first := put_once([put], once, row=row, v=item["v"]):
                return _told(caller, first["row"], first["v"])
        except ConditionFailed as failure:
            if failure.old is None or failure.old.get("n") != mine:
                continue  # another one has published under the key
        return _shown(events.of_published({"pk": place.pk, "sk": place.sk, **{k: v for k, v in item.items() if v is not None}}))
    raise Conflict("Others publish under this key at the same time; try again", headers={"Retry-After": "1"})


def _told(caller: Caller, row: str, version: int) -> dict[str, Any]:
    event = events.load(caller, row, version)
    if event is None:
        item = table.get(config().control_table, keys.published(caller, row))
        if item is None or item["v"] != version:
            raise Conflict("The first answer to this Idempotency-Key is still being recorded; try again")
        event = events.of_published(item)
    return _shown(event)


def _shown(event: events.Event) -> dict[str, Any]:
    return {"id": event.id, "type": event.type, "createdAt": iso(event.at_ms), "sequence": event.sequence,
            "previousEventId": event.previous}  # fmt: skip
