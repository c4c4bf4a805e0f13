"""Asking for a tenant's audit log to be sealed: once in SEAL_SECONDS, however much happens."""

from collections.abc import Iterable

from sheaf.base.bounds import SEAL_SECONDS
from sheaf.base.clock import now
from sheaf.base.config import config
from sheaf.records.events import Event
from sheaf.store import queues

_told: dict[str, int] = {}  # the last window in which this process has asked for a tenant


def ask(found: Iterable[Event]) -> None:
    """Have the logs of these events' tenants sealed; raises SendFailed.

    The queue delays each message by SEAL_SECONDS, so that the one of a window comes after everything that happens in it.
    """
    window = now() // SEAL_SECONDS
    for event in found:
        if _told.get(event.tenant) == window:
            continue
        message = {"tenant": event.tenant, "requestId": event.request_id}
        queues.send_in_order(config().seals_queue_url, [message], event.tenant, twin=str(window))
        if len(_told) > 10_000:
            _told.clear()
        _told[event.tenant] = window


def forget() -> None:
    """Forget whom this process has asked for."""
    _told.clear()
