"""Answers of lists through the read cache, for entities that allow it."""

import json
from collections.abc import Callable

from sheaf.base.clock import now_ms
from sheaf.edge.envelope import NOTHING, Raw, Reply, json_text
from sheaf.edge.request import Request
from sheaf.entity.registry import EntityType


def through(request: Request, entity: EntityType, work: Callable[[Request, EntityType], Reply]) -> Reply:
    """What `work` answers, or has answered a moment ago to the same question; 304 where the client has it (RFC 9111)."""
    seconds = entity.model.cached
    if not seconds or "prefer" in request.headers or "no-cache" in request.headers.get("cache-control", ""):
        return work(request, entity)
    from hashlib import sha256

    from sheaf.features import cache
    from sheaf.features.cache import Kept, Name
    from sheaf.features.realtime import cursors

    name = Name(cache.question(entity.path, request.query), f"{request.version} {request.caller.role}")
    found = cache.find(request.caller, name, seconds)
    request.cache = "hit" if found else "miss"
    if found is None:
        at_ms, cursor = now_ms(), cursors.present(request.caller)  # before anything is read
        reply = work(request, entity)
        data = reply.data.text if isinstance(reply.data, Raw) else json_text(reply.data)
        found = Kept(data, json_text(reply.meta), cursor, at_ms)
        cache.keep(request.caller, name, found, seconds)
    etag = f'"{sha256(f"{found.data}{found.meta}".encode()).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Age": str(found.age), "Cache-Control": f"private, max-age={max(0, seconds - found.age)}",
               "X-Cache": request.cache.upper(), "X-Event-Cursor": found.cursor, "Vary": "Authorization, Cookie"}  # fmt: skip
    if request.has(etag):
        return Reply(NOTHING, 304, headers=headers)
    return Reply(Raw(found.data), meta=json.loads(found.meta), headers=headers)
