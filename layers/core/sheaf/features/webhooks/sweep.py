"""Once a minute: what is due to be tried again goes to the sender; webhooks that do nothing but fail are warned of and disabled.

Missing a minute, or doing one twice, changes nothing: the next one makes up for it.
"""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice

from sheaf.access.caller import Caller, worker
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import NotFound
from sheaf.features.webhooks import endpoints, health, hints
from sheaf.features.webhooks.hints import Hint
from sheaf.store import keys, table
from sheaf.store.keys import Key
from sheaf.store.table import Item, Span

_READ = 1_000  # entries that are handed on together
_NOTICE_SECONDS = 6 * 3600  # between the last warning and the end, at least
_GONE = "the receiver has answered 410: it wants nothing more"

Survives = Callable[[Callable[[], None], Mapping[str, str]], bool]


def hand_on_due(name: str, request_id: str) -> int:
    """Hand every lane whose time has come to the sender; how many there were."""
    handed = 0
    for shard in range(keys.DUE_SHARDS):
        span = Span(keys.due(shard), high=f"{now_ms():013d}~")
        source = table.query(config().events_table, span, page=_READ)
        while entries := list(islice(source, _READ)):
            handed += _hand_on(entries, name, request_id)
    return handed


def _hand_on(entries: list[Item], name: str, request_id: str) -> int:
    found: dict[tuple[str, str], list[Hint]] = {}
    for entry in entries:
        tenant, webhook_id, row_id = keys.due_of(entry["sk"])
        found.setdefault((tenant, webhook_id), []).append(Hint(row_id, timer=True))
    for (tenant, webhook_id), news in found.items():
        hints.send(worker(tenant, name, request_id), webhook_id, news)
    # Only once they are handed on: a death in between hands them on again.
    table.take_all(config().events_table, [Key(entry["pk"], entry["sk"]) for entry in entries])
    return len(entries)


def look_after(name: str, request_id: str, survives: Survives) -> dict[str, int]:
    """Look at every failing webhook; how many there were, were warned of and disabled. What breaks one harms no other."""
    told = {"failing": 0, "warned": 0, "disabled": 0}
    for tenant, webhook_id in health.failing():
        told["failing"] += 1
        scope = worker(tenant, name, request_id)
        survives(partial(_look, scope, webhook_id, told), {"tenant": tenant, "webhook": webhook_id})
    return told


def _look(scope: Caller, webhook_id: str, told: dict[str, int]) -> None:
    row = health.of(scope, webhook_id)
    try:
        webhook = endpoints.find(scope, webhook_id)
    except NotFound:
        health.forget(scope, webhook_id)
        row = None
    if row is None or "since" not in row or webhook["st"] != "enabled":
        health.strike(scope, webhook_id)
        return
    share = health.failing_share(row)
    warned = webhook.get("warned", 0) if webhook.get("since") == row["since"] else 0
    is_told = warned == health.WARNINGS[-1] and now_ms() - webhook["told"] >= _NOTICE_SECONDS * 1000
    if row.get("gone") or (share >= 100 and is_told):
        reason = _GONE if row.get("gone") else f"every call since {iso(row['since'])} has failed"
        endpoints.disable(scope, webhook_id, reason)
        health.strike(scope, webhook_id)
        told["disabled"] += 1
        return
    reached = max((each for each in health.WARNINGS if each <= share), default=0)
    if reached > warned:
        endpoints.warn(scope, webhook_id, reached, row["since"])
        told["warned"] += 1
