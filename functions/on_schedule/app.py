"""Once a minute: jobs without progress are begun again where they stand, or ended."""

from typing import Any

from sheaf.base.log import log
from sheaf.edge.start import start
from sheaf.jobs import sweep

start()


def handler(event: dict[str, Any], context: Any) -> None:
    """A scheduled event; one that is missed is made up for by the next one."""
    log.info("jobs", extra=sweep.sweep("on_schedule", context.aws_request_id))
