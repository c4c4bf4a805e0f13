"""What sockets are sent: the orders of each tenant, one after the other (features/realtime/pump.py)."""

from collections.abc import Mapping
from typing import Any

from sheaf.base.config import config
from sheaf.edge import consume
from sheaf.edge.consume import Failures
from sheaf.edge.start import start
from sheaf.features.realtime.pump import Pump

start()


def handler(event: dict[str, Any], context: Any) -> Failures:
    """A batch of the FIFO queue, whose groups are tenants."""
    return consume.in_order(event, _obey, config().sockets_queue_url)


def _obey(order: Mapping[str, Any]) -> None:
    Pump(order["tenant"], order["requestId"]).obey(order)
