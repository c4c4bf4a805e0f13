"""The endpoints of `/v1/system/health` and `/v1/metrics`: what is looked at for them is loaded with their first request."""

import platform

from sheaf.base.config import config
from sheaf.edge.envelope import Reply, paged
from sheaf.edge.request import Request
from sheaf.features import dead_letters
from sheaf.features import health as parts
from sheaf.features.metrics import report


def health(request: Request) -> Reply:
    """Each part with its status; 503 where one is down."""
    found = parts.check()
    versions = {"api": ["v1", "v2"], "python": platform.python_version()}
    return Reply({**found, "stage": config().stage, "versions": versions}, 503 if found["status"] == "down" else 200)


def queues(request: Request) -> Reply:
    """Every queue with its dead messages."""
    found = dead_letters.listing(request.caller)
    return paged(found, len(found), None)


def redrive(request: Request, name: str) -> Reply:
    """Send dead messages back to their queue."""
    return Reply(dead_letters.redrive(request.caller, name))


def metrics(request: Request) -> Reply:
    """The figures of a time."""
    return Reply(report.report(request.caller, request.query))
