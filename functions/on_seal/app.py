"""The audit logs of tenants in which something has happened are sealed, a few seconds later (features/audit/sealer.py)."""

from collections.abc import Mapping
from typing import Any

from sheaf.access.caller import worker
from sheaf.base.config import config
from sheaf.base.log import log
from sheaf.edge import consume
from sheaf.edge.consume import Failures
from sheaf.edge.start import start
from sheaf.features.audit import sealer

start()


def handler(event: dict[str, Any], context: Any) -> Failures:
    """A batch of the FIFO queue, whose groups are tenants."""
    return consume.in_order(event, _seal, config().seals_queue_url)


def _seal(message: Mapping[str, Any]) -> None:
    scope = worker(message["tenant"], "on_seal", message["requestId"])
    log.info("sealed", extra={"tenant": scope.tenant, "entries": sealer.seal(scope)})
