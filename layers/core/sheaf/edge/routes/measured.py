"""The endpoints of `/v1/system/health` and `/v1/metrics`: what is looked at for them is loaded with their first request."""

import platform
from urllib.parse import parse_qsl

from sheaf.base.config import config
from sheaf.base.errors import ValidationFailed
from sheaf.edge.envelope import Reply, paged
from sheaf.edge.request import Request, located
from sheaf.entity.body import object_of
from sheaf.features import cache, dead_letters
from sheaf.features import health as parts
from sheaf.features.metrics import report
from sheaf.records import notes
from sheaf.store import table


def health(request: Request) -> Reply:
    """Each part with its status; 503 where one is down."""
    found = parts.check()
    versions = {"api": ["v1", "v2"], "python": platform.python_version()}
    return Reply({**found, "stage": config().stage, "versions": versions}, 503 if found["status"] == "down" else 200)


def cache_stats(request: Request) -> Reply:
    """How often the read cache had the answer, and how many answers it has."""
    return Reply({**report.of_cache(request.caller, request.query), "entries": cache.entries(request.caller)})


def cache_clear(request: Request) -> Reply:
    """`{"key": "/posts?limit=5"}`, `{"prefix": "/posts"}` or `{"all": true}`; of the caller's tenant."""
    fields = object_of(request.json(), "key", "prefix", "all")
    wrong: dict[str, str] = {name: "must be a path such as /posts?limit=5" for name in fields
             if name != "all" and not (isinstance(fields[name], str) and 1 <= len(fields[name]) <= 1_000)}  # fmt: skip
    if "all" in fields and fields["all"] is not True:
        wrong["all"] = "must be true"
    if len(fields) != 1:
        wrong[""] = "must hold one of key, prefix and all"
    if wrong:
        raise ValidationFailed.naming(wrong)
    text = _named(fields.get("key") or fields.get("prefix") or "")
    if "key" in fields:
        path, _, asked = text.partition("?")
        text = cache.question(path.removeprefix("/"), dict(parse_qsl(asked, keep_blank_values=True)))
    table.commit([notes.note(request.caller, "cache.cleared", text or "everything")])
    cache.clear(request.caller, text, exact="key" in fields)
    return Reply({"cleared": text or "everything"})


def _named(path: str) -> str:
    """A path as the cache knows it: without what stands before the entity's."""
    found = located(path) if path.startswith(("/v", "/api")) else None
    return found[2].removeprefix("/v1") if found else path


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
