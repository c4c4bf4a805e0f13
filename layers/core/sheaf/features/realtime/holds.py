"""Which requests may be held until something happens: a bounded number of the installation, of a tenant and of a caller.

There are `stream_holds` slots. A tenant has STREAM_TENANT_HOLDS of them and a caller STREAM_HOLDS of its tenant's, always
the same ones (shuffle sharding). So one conditional write keeps all three bounds, a slot whose holder died is free when its
time is over, and whoever fills his own slots leaves most of the others' free.
"""

import random
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from sheaf.access.caller import Caller
from sheaf.base.bounds import STREAM_HOLDS, STREAM_TENANT_HOLDS
from sheaf.base.clock import now, now_ms
from sheaf.base.config import config
from sheaf.base.log import log
from sheaf.store import keys, table
from sheaf.store.aws import act_for
from sheaf.store.keys import Key
from sheaf.store.table import ConditionFailed

_SLACK_MS = 5_000  # between the end of a hold and the moment from which its slot counts as left behind


@contextmanager
def held(caller: Caller, seconds: float) -> Iterator[bool]:
    """Whether the request may be held for so long; it gives its slot back at the end of the block."""
    act_for(None)  # the slots are nobody's
    try:
        slot = _taken(caller, seconds) if seconds > 0 else None
    finally:
        act_for(caller)
    try:
        yield slot is not None
    finally:
        if slot is not None:
            act_for(None)
            _give_back(*slot)
            act_for(caller)


def slots_of(caller: Caller, total: int) -> list[int]:
    """The slots that a caller may take."""
    # Nothing here is secret: the same names always have the same slots.
    of_tenant = random.Random(caller.tenant).sample(range(total), min(STREAM_TENANT_HOLDS, total))  # noqa: S311
    return random.Random(caller.principal).sample(of_tenant, min(STREAM_HOLDS, len(of_tenant)))  # noqa: S311


def _taken(caller: Caller, seconds: float) -> tuple[Key, str] | None:
    mine, at_ms = secrets.token_hex(8), now_ms()
    slots = slots_of(caller, config().stream_holds)
    for slot in random.sample(slots, len(slots)):
        key = keys.hold(slot)
        values = {"mine": mine, "until": at_ms + int(seconds * 1000) + _SLACK_MS, "now": at_ms, "ttl": now() + 86_400}
        try:
            table.update(config().limits_table, key, "SET #who = :mine, #until = :until, #ttl = :ttl",
                         condition="attribute_not_exists(#until) OR #until < :now", values=values)  # fmt: skip
        except ConditionFailed:
            continue
        return key, mine
    return None


def _give_back(key: Key, mine: str) -> None:
    try:
        table.update(config().limits_table, key, "SET #until = :none", condition="#who = :mine", values={"none": 0, "mine": mine})
    except ConditionFailed:
        log.warning("a request was held for longer than its slot")
