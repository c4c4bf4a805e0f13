"""Notes: what the audit log has to know and no row of an entity tells. The stream of Control carries each into the log.

A change of something else (an API key, a tenant, a webhook) is noted in its own transaction, so that there is none without
the other; a refused administrative call is noted alone.
"""

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.clock import now, now_ms
from sheaf.base.config import config
from sheaf.store import keys, table
from sheaf.store.table import Write

_KEPT_SECONDS = 7 * 24 * 3600  # for the stream to carry it on, which takes a moment
DENIED = "access.denied"


def note(caller: Caller, action: str, target: str, after: Mapping[str, Any] | None = None, *,
         before: Mapping[str, Any] | None = None, personal: tuple[str, ...] = ()) -> Write:  # fmt: skip
    """The write that notes what `caller` does: `api_key.revoked` to `key_…`, with what there is to tell of it.

    `personal`: the fields of `after` and `before` that are about a person. Never a secret.
    """
    item = {
        "ty": action,
        "tg": target,
        "a": caller.principal,
        "q": caller.request_id,
        "ip": caller.address,
        "u": now_ms(),
        "d": to_json(after or {}).decode(),
        "b": to_json(before).decode() if before is not None else None,
        "ps": list(personal) or None,
        "ttl": now() + _KEPT_SECONDS,
    }
    return Write(
        config().control_table, "put", keys.noted(caller, ids.new("not")), item=item, condition="attribute_not_exists(#pk)"
    )


def deny(caller: Caller, permission: str, method: str, path: str, why: str) -> None:
    """Note that an administrative call was refused."""
    table.commit([note(caller, DENIED, permission, {"method": method, "path": path[:300], "reason": why})])
