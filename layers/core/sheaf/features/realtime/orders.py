"""What the pump (pump.py) is asked to do for a tenant: one after the other, in the order of its FIFO queue."""

from collections.abc import Iterable, Mapping
from typing import Any

from sheaf.base.config import config
from sheaf.records.events import Event
from sheaf.store import keys, queues, table
from sheaf.store.keys import Scope

NEWS: Mapping[str, Any] = {"do": "news"}
CHECK: Mapping[str, Any] = {"do": "check"}


def send(scope: Scope, order: Mapping[str, Any], request_id: str) -> None:
    """Ask for one thing; raises SendFailed."""
    queues.send_in_order(config().sockets_queue_url, [{"tenant": scope.tenant, "requestId": request_id, **order}], scope.tenant)


def ask(scope: Scope, order: Mapping[str, Any], request_id: str) -> None:
    """`send` where the tenant has subscriptions: to look for NEWS, or to CHECK whether all of them may go on."""
    if table.get(config().limits_table, keys.push(scope)):
        send(scope, order, request_id)


def tell(found: Iterable[Event]) -> None:
    """Say that there are new events, to the pumps of those tenants that have subscriptions."""
    scopes = {keys.push(event): event for event in found}
    if scopes:
        for key in table.get_many(config().limits_table, list(scopes)):
            send(scopes[key], NEWS, scopes[key].request_id)
