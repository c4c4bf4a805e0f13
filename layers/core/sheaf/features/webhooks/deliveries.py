"""Getting an event to an endpoint: a signed POST, retries with growing pauses, and in the end a reason.

The state of (endpoint, event) is one row, the attempts are rows beside it. A message that comes twice, late or
after a death in the middle changes nothing but perhaps sends once more; receivers tell that by `webhook-id`.
"""

from dataclasses import dataclass
from typing import Any, Literal

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import DELIVERY_DAYS
from sheaf.base.clock import iso, now, now_ms
from sheaf.base.config import config
from sheaf.base.errors import NotFound
from sheaf.features.webhooks import endpoints, signing
from sheaf.records import events
from sheaf.records.events import Event
from sheaf.store import keys, outbound, queues, table
from sheaf.store.table import ConditionFailed, Item, Write

Outcome = Literal["succeeded", "failed"]


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt and how it ended."""

    number: int
    outcome: Outcome
    status: int | None
    reason: str | None
    millis: int


def fan_out(event: Event, known: dict[str, list[Item]]) -> int:
    """Put one message on the delivery queue for each endpoint that wants the event; how many there were.

    `known`: the endpoints of tenants that were looked up for the same batch of changes, joined by this one's.
    """
    if event.tenant not in known:
        known[event.tenant] = list(endpoints.of_tenant(event))
    messages = [
        {"tenant": event.tenant, "webhook": item["sk"], "row": event.row, "sequence": event.sequence, "attempt": 1}
        for item in known[event.tenant]
        if endpoints.wants(item, event.type)
    ]
    queues.send(config().deliveries_queue_url, messages)
    return len(messages)


def deliver(caller: Caller, webhook_id: str, row: str, sequence: int, attempt: int) -> Outcome | None:
    """Make attempt number `attempt`, record it, and arrange what follows. None where there is nothing to do any more."""
    event = events.load(caller, row, sequence)
    if event is None:
        raise NotFound(f"the event of {row} at version {sequence} is not stored")  # its message must come again
    try:
        endpoint = endpoints.find(caller, webhook_id)
    except NotFound:
        return None  # the tenant removed the endpoint
    state = table.get(config().events_table, keys.delivery(caller, webhook_id, event.id)) or {"st": "pending", "tries": 0}
    if state["st"] != "pending":
        return None
    if state["tries"] < attempt:
        made = _send(endpoint, event, attempt)
        if not _record(caller, webhook_id, event, made):
            return None  # a duplicate of this message was faster, and arranges what follows
        outcome: Outcome = made.outcome
    else:
        outcome = "failed"  # recorded before a death: only what follows is missing
    if outcome == "failed":
        _arrange_next(caller, webhook_id, event, attempt)
    return outcome


def attempts(caller: Caller, webhook_id: str, limit: int) -> list[dict[str, Any]]:
    """The newest attempts of one endpoint; raises NotFound."""
    endpoints.find(caller, webhook_id)
    found: list[dict[str, Any]] = []
    for item in table.query(config().events_table, keys.attempt(caller, webhook_id, "").pk, newest_first=True, page=limit):
        if item["ttl"] > now():
            found.append(_shown(item))
        if len(found) == limit:
            break
    return found


def _send(endpoint: Item, event: Event, number: int) -> Try:
    body = event.body()
    headers = {"Content-Type": "application/json", "User-Agent": "Sheaf-Webhooks/1"}
    headers |= signing.headers(endpoint["secret"], event.id, now(), body)
    started = now_ms()
    try:
        answer = outbound.post(endpoint["url"], body, headers, loopback=config().webhook_loopback)
    except (outbound.SendError, outbound.AddressRefused) as error:
        return Try(number, "failed", None, str(error), now_ms() - started)
    good = 200 <= answer.status < 300
    reason = None if good else f"the endpoint answered {answer.status}"
    return Try(number, "succeeded" if good else "failed", answer.status, reason, now_ms() - started)


def _record(caller: Caller, webhook_id: str, event: Event, made: Try) -> bool:
    at_ms, expiry = now_ms(), now() + DELIVERY_DAYS * 86_400
    retries = config().webhook_retry_seconds
    good, last = made.outcome == "succeeded", made.number > len(retries)
    following = None if good or last else iso(at_ms + retries[made.number - 1] * 1000)
    attempt: Item = {"ev": event.id, "ty": event.type, "no": made.number, "st": made.outcome, "code": made.status,
                     "why": made.reason, "ms": made.millis, "at": iso(at_ms), "next": following, "ttl": expiry}  # fmt: skip
    attempt_id = ids.derived("att", at_ms, f"{webhook_id}:{event.id}:{made.number}")
    events_table = config().events_table
    try:
        table.commit([
            # A failed last attempt stays pending here until its message lies in the dead-letter queue.
            Write(events_table, "update", keys.delivery(caller, webhook_id, event.id),
                  expression="SET #st = :state, #tries = :number, #ttl = :expiry",
                  condition="attribute_not_exists(#tries) OR #tries < :number",
                  values={"state": "delivered" if good else "pending", "number": made.number, "expiry": expiry}),
            Write(events_table, "put", keys.attempt(caller, webhook_id, attempt_id), item=attempt),
        ])  # fmt: skip
    except ConditionFailed:
        return False
    return True


def _arrange_next(caller: Caller, webhook_id: str, event: Event, attempt: int) -> None:
    message = {"tenant": caller.tenant, "webhook": webhook_id, "row": event.row, "sequence": event.sequence}
    retries = config().webhook_retry_seconds
    if attempt <= len(retries):
        queues.send(config().deliveries_queue_url, [{**message, "attempt": attempt + 1}], delay=retries[attempt - 1])
        return
    reason = f"{attempt} attempts failed"
    queues.send(config().deliveries_dead_queue_url, [{**message, "event": event.id, "attempts": attempt, "reason": reason}])
    table.update(config().events_table, keys.delivery(caller, webhook_id, event.id), "SET #st = :dead", values={"dead": "dead"})


def _shown(item: Item) -> dict[str, Any]:
    return {
        "id": item["sk"],
        "eventId": item["ev"],
        "eventType": item["ty"],
        "attempt": item["no"],
        "status": item["st"],
        "statusCode": item.get("code"),
        "error": item.get("why"),
        "durationMs": item["ms"],
        "nextAttemptAt": item.get("next"),
        "createdAt": item["at"],
    }
