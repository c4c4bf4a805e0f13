"""How the parts are that everything else stands on: each is asked, all at once, and may take HEALTH_PROBE_SECONDS."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Literal

from sheaf.base.bounds import HEALTH_PROBE_SECONDS
from sheaf.base.clock import iso, now, now_ms
from sheaf.base.config import config
from sheaf.store import blobs, keys, queues, secrets, table
from sheaf.store.probing import NoAnswer, asked

Status = Literal["ok", "degraded", "down"]
Answer = dict[str, Any]
Probe = Callable[[], Answer]

_ORDER: tuple[Status, ...] = ("ok", "degraded", "down")
_WAITED_SECONDS = 900  # a queue that was not empty for so long is worked on too slowly
_THREADS = 24


def check() -> Answer:
    """Each part with its status and how long it took; the worst of them is the whole's.

    `database`, `cache`, `storage`, `queues`, `secrets`, `api`: ok, degraded (it works, but not well) or down.
    """
    pool, begun = ThreadPoolExecutor(_THREADS), time.monotonic()
    futures = {name: {part: pool.submit(_timed, probe) for part, probe in probes.items()} for name, probes in _probes().items()}
    found: dict[str, Answer] = {}
    for name, found_of in futures.items():
        parts = {part: _answer(future, begun) for part, future in found_of.items()}
        found[name] = {"status": _worst(parts), "parts": parts}
    pool.shutdown(wait=False, cancel_futures=True)
    found["api"] = {"status": "ok", "parts": {}}  # it answers
    return {"status": _worst(found), "timestamp": iso(now_ms()), "checks": found}


def look_at_queues() -> dict[str, int]:
    """Note since when each queue was not empty, so that its age is known; how much waits in those that are not."""
    waiting: dict[str, int] = {}
    for name, url in queues.every().items():
        depth = queues.depth(url)
        if depth.waiting:
            waiting[name] = depth.waiting
            table.update(config().limits_table, keys.busy_queue(name), "SET #since = if_not_exists(#since, :now), #ttl = :ttl",
                         values={"now": now(), "ttl": now() + 86_400})  # fmt: skip
        else:
            table.take(config().limits_table, keys.busy_queue(name))
    return waiting


def _probes() -> Mapping[str, Mapping[str, Probe]]:
    settings = config()
    tables = {"records": settings.records_table, "control": settings.control_table, "events": settings.events_table,
              "audit": settings.audit_table}  # fmt: skip
    buckets = {"uploads": settings.uploads_bucket, "jobs": settings.jobs_bucket, "audit": settings.audit_bucket,
               "backups": settings.backups_bucket}  # fmt: skip
    return {
        "database": {part: partial(_table, name) for part, name in tables.items()},
        "cache": {"limits": partial(_table, settings.limits_table)},
        "storage": {part: partial(_bucket, name) for part, name in buckets.items()},
        "queues": {part: partial(_queue, part, url) for part, url in queues.every().items()},
        "secrets": {"signing": _secret},
    }


def _table(name: str) -> Answer:
    table.get(name, keys.probe())
    return {}


def _bucket(name: str) -> Answer:
    blobs.require(name)
    return {}


def _secret() -> Answer:
    secrets.require()
    return {}


def _queue(name: str, url: str) -> Answer:
    found = queues.counts(url)
    busy = table.get(config().limits_table, keys.busy_queue(name)) if found["depth"] else None
    age = now() - busy["since"] if busy else 0
    slow: Answer = {"status": "degraded"} if found["dead"] or age > _WAITED_SECONDS else {}
    return {**slow, **found, "ageSeconds": age}


def _timed(probe: Probe) -> Answer:
    begun = time.monotonic()
    found = asked(probe)
    return {"status": "ok", "latencyMs": round((time.monotonic() - begun) * 1000, 1), **found}


def _answer(future: "Future[Answer]", begun: float) -> Answer:
    """What a part has said, or that it did not."""
    try:
        return future.result(max(0.0, begun + HEALTH_PROBE_SECONDS - time.monotonic()))
    except TimeoutError:
        return {"status": "down", "error": f"no answer within {HEALTH_PROBE_SECONDS} s"}
    except NoAnswer as error:
        return {"status": "down", "error": str(error)}


def _worst(parts: Mapping[str, Answer]) -> Status:
    return max((part["status"] for part in parts.values()), key=_ORDER.index, default="ok")
