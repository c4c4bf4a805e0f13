"""The sender of webhooks: a message names lanes of one webhook that have news."""

import time
from collections.abc import Mapping
from typing import Any

from sheaf.access.caller import worker
from sheaf.base.bounds import DELIVERY_BEGIN_SECONDS
from sheaf.base.log import log
from sheaf.edge import consume
from sheaf.edge.start import start
from sheaf.features.webhooks import sender

start()


def handler(event: dict[str, Any], context: Any) -> consume.Failures:
    """A batch of a delivery queue."""
    return consume.messages(event, _deliver)


def _deliver(message: Mapping[str, Any], _: int) -> None:
    begun = time.monotonic()
    caller = worker(message["tenant"], "on_delivery", message["webhook"])
    told = sender.work(caller, message, lambda: time.monotonic() - begun > DELIVERY_BEGIN_SECONDS, consume.survives)
    log.info("deliveries", extra={"webhook": message["webhook"], "sent": told.sent, "failed": told.failed})
