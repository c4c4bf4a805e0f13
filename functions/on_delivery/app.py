"""The sender of webhooks: one attempt a message."""

from collections.abc import Mapping
from typing import Any

from sheaf.access.caller import worker
from sheaf.edge import consume
from sheaf.edge.start import start
from sheaf.features.webhooks import deliveries

start()


def handler(event: dict[str, Any], context: Any) -> consume.Failures:
    """A batch of the delivery queue."""
    return consume.messages(event, _deliver)


def _deliver(message: Mapping[str, Any], _: int) -> None:
    caller = worker(message["tenant"], "on_delivery", message["row"])
    deliveries.deliver(caller, message["webhook"], message["row"], message["sequence"], message["attempt"])
