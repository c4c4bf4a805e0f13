"""Once a minute: what should have come on by itself and did not is seen to: jobs, deliveries, failing webhooks, sockets."""

import time
from typing import Any

from sheaf.base.log import log, measured
from sheaf.edge import consume, guards
from sheaf.edge.start import start
from sheaf.features import health
from sheaf.features.backups import schedule
from sheaf.features.realtime import sweep as realtime
from sheaf.features.webhooks import sweep as webhooks
from sheaf.jobs import sweep

start()
AGAIN_SECONDS = 30.0


def handler(event: dict[str, Any], context: Any) -> None:
    """A scheduled event; one that is missed is made up for by the next one."""
    name, request_id = "on_schedule", context.aws_request_id

    def jobs() -> None:
        log.info("jobs", extra=sweep.sweep(name, request_id))

    def due() -> None:
        log.info("due", extra={"lanes": webhooks.hand_on_due(name, request_id)})

    def failing() -> None:
        log.info("webhooks", extra=webhooks.look_after(name, request_id, consume.survives))

    def sockets() -> None:
        found = realtime.sweep(request_id, consume.survives)
        if found["open"]:  # again half a minute later: a session that ends now is to be gone within a minute
            time.sleep(AGAIN_SECONDS)
            found = realtime.sweep(request_id, consume.survives)
        log.info("sockets", extra=found)

    def backups() -> None:
        log.info("backups", extra={"begun": schedule.begin_due(name, request_id)})

    def flags() -> None:
        log.info("flags", extra={"rolledBack": guards.look_after_flags(name, request_id)})

    def parts() -> None:
        waiting = health.look_at_queues()
        found = health.check()
        bad = {part: check for part, check in found["checks"].items() if check["status"] != "ok"}
        log.info("health", extra={"waiting": waiting, "bad": bad, **measured({"unhealthy": int(found["status"] != "ok")})})

    done = [consume.survives(step, {"step": step.__name__}) for step in (due, jobs, failing, backups, flags, parts, sockets)]
    if not all(done):
        raise RuntimeError("some of it failed; it is tried again")  # the others were not kept from their work
