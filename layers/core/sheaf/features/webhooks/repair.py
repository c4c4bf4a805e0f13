"""What a tenant does about deliveries: send one again, send a test, ask whether an event would match."""

import time
from typing import Any

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import DELIVERY_DAYS, WEBHOOK_TIMEOUT_SECONDS
from sheaf.base.clock import now_ms
from sheaf.base.config import config
from sheaf.base.errors import Conflict, NotFound, ValidationFailed
from sheaf.entity import event_types
from sheaf.entity.body import object_of
from sheaf.features.webhooks import again, catalogue, endpoints, hints, history, lanes, ledger
from sheaf.features.webhooks.hints import Hint
from sheaf.records import events
from sheaf.records.events import Event
from sheaf.records.once import Once
from sheaf.store import table

_TEST_SECONDS = WEBHOOK_TIMEOUT_SECONDS + 7  # that a request waits for what becomes of a test
_POLL_SECONDS = 0.15


def resend(caller: Caller, webhook_id: str, event_id: str, once: Once | None = None) -> dict[str, Any]:
    """Send an event of the last DELIVERY_DAYS days to a webhook once more, at once, whatever became of it before.

    Raises NotFound, or Conflict where the webhook is disabled.
    """
    delivery = history.find(caller, webhook_id, event_id)
    _require_enabled(caller, webhook_id)
    if once and once.found():
        return ledger.shown(webhook_id, delivery)
    event = again.event_at(caller, delivery["row"], int(delivery["pl"]))
    if event is None:
        raise NotFound(f"The event {event_id!r} is not kept any more")
    if lanes.waits_for(caller, webhook_id, event):  # its next try is now, and it need not be sent beside that
        lanes.hurry(caller, webhook_id, event.row)
        hints.send(caller, webhook_id, [Hint(event.row, timer=True)])
    else:
        ledger.asked_again(webhook_id, event)
        table.put(config().events_table, *again.item_of(webhook_id, event, now_ms(), of_person=True))
        hints.send(caller, webhook_id, [Hint(event.row, again=ids.new("ask"))])
    if once:
        once.claim("resend")
        once.complete(event_id)
    return history.show(caller, webhook_id, event_id)


def test(caller: Caller, webhook_id: str, type_: str, data: str) -> dict[str, Any]:
    """Send an example of a type to a webhook, whether it has asked for that or not, and wait for what becomes of it.

    `data` is JSON. The answer is the delivery; it is still pending where the sender takes longer than the request can wait.
    Raises NotFound, or Conflict where the webhook is disabled.
    """
    _require_enabled(caller, webhook_id)
    at_ms = now_ms()
    row = ids.new("test", at_ms)
    event = Event(tenant=caller.tenant, path="webhooks", id=ids.derived("evt", at_ms, row), type=type_, row=row, sequence=1,
                  previous=None, at_ms=at_ms, actor=caller.principal, request_id=caller.request_id, data=data,
                  before=None)  # fmt: skip
    events.store_aside(event, DELIVERY_DAYS)
    ledger.asked_again(webhook_id, event)
    table.put(config().events_table, *again.item_of(webhook_id, event, at_ms, of_person=True))
    hints.send(caller, webhook_id, [Hint(row, again=event.id)])
    deadline = time.monotonic() + _TEST_SECONDS
    while time.monotonic() < deadline:
        found = ledger.find(webhook_id, event)
        if found and found.get("log"):
            break
        time.sleep(_POLL_SECONDS)
    return history.show(caller, webhook_id, event.id)


def precheck(caller: Caller, webhook_id: str, body: object) -> dict[str, Any]:
    """Whether a webhook wants an event: `{"type": "task.created", "data": {…}}`. Nothing is sent.

    Raises NotFound, ValidationFailed.
    """
    webhook = endpoints.find(caller, webhook_id)
    asked = object_of(body, "type", "data")
    wrong: dict[str, str] = {}
    if asked.get("type") not in event_types.every():
        wrong["type"] = "must be a type that GET /v1/event-types lists"
    if not isinstance(asked.get("data"), dict):
        wrong["data"] = "must be an object"
    if wrong:
        raise ValidationFailed.naming(wrong)
    terms = webhook["asked"][-1]
    event = catalogue.imagined(caller, asked["type"], asked["data"])
    of_type = catalogue.fits({"events": terms["events"]}, event)
    matches = of_type and catalogue.fits(terms, event)
    return {
        "matches": matches,
        "reason": None if matches else _why_not(webhook["st"], of_type=of_type),
        "events": webhook["events"],
        "filter": endpoints.shown(webhook, None)["filter"],
    }


def _why_not(status: str, *, of_type: bool) -> str:
    if status != "enabled":
        return "the webhook is disabled"
    return "the filter does not hold" if of_type else "the webhook has not asked for this type"


def _require_enabled(caller: Caller, webhook_id: str) -> None:
    if endpoints.find(caller, webhook_id)["st"] != "enabled":
        raise Conflict("The webhook is disabled; enable it first")
