"""JSON log lines by Powertools. Log ids, counts and codes; never a body, a credential or a personal value."""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.logging import Logger

from sheaf.base.clock import now_ms
from sheaf.base.config import config

log = Logger(service="sheaf", use_rfc3339=True, utc=True, log_uncaught_exceptions=False, serialize_stacktrace=False)


def measured(counts: Mapping[str, float], *, units: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What makes a line of the log one that CloudWatch takes metrics from: its `extra`, the counts among it.

    AWS' "Embedded metric format", by the stage of the installation. `units`: other than Count.
    """
    names = [{"Name": name, "Unit": (units or {}).get(name, "Count")} for name in counts]
    directive = {"Namespace": "Sheaf", "Dimensions": [["stage"]], "Metrics": names}
    return {"_aws": {"Timestamp": now_ms(), "CloudWatchMetrics": [directive]}, "stage": config().stage, **counts}
