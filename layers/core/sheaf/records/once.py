"""Idempotency keys: a request that comes again has one effect and one answer (draft-ietf-httpapi-idempotency-key-header).

The record of a single write commits in the same transaction as the change and points to what it made; it holds no
answer. Work of several calls claims its key first, works under ids that the claim fixes, and completes the claim.
Only what succeeded is remembered: a request that was refused may be mended and sent again under the same key.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sheaf.access.caller import Caller
from sheaf.base.bounds import CLAIM_SECONDS, IDEMPOTENCY_SECONDS
from sheaf.base.clock import now, now_ms
from sheaf.base.config import config
from sheaf.base.errors import InFlight, KeyReused, SheafError, Unavailable
from sheaf.store import keys, table
from sheaf.store.keys import Key
from sheaf.store.table import ConditionFailed, Contended, Item, Write

_TRIES = 5
_PAUSE = 0.03  # seconds between tries
_FREE = "attribute_not_exists(#pk) OR #ttl < :now"


@dataclass(slots=True)
class Once:
    """A request's key, and a digest of everything that the request says. `replayed` is set when it came before."""

    key: Key
    fingerprint: str
    replayed: bool = False

    def found(self) -> Item | None:
        """What the first request has left, or None; raises KeyReused where it said something else."""
        item = table.get(config().limits_table, self.key)
        if item is None or item["ttl"] < now():
            return None
        if item["fp"] != self.fingerprint:
            raise KeyReused("This Idempotency-Key was used with another request; take a new key for a new request")
        self.replayed = True
        return item

    def record(self, **pointer: str | int) -> Write:
        """The write that remembers the request, for the transaction of its change."""
        item = {"fp": self.fingerprint, "ttl": now() + IDEMPOTENCY_SECONDS, **pointer}
        return Write(config().limits_table, "put", self.key, item=item, condition=_FREE, values={"now": now()})

    def claim(self, seed: str) -> Item:
        """Begin work of several calls; the claim as it stands, with the `seed` and time `at` of whoever began first.

        Raises InFlight while another request works under the key, KeyReused. A claim whose owner died is given again: the work
        must find what it wrote under the seed. One that is done holds the `done` that `complete` was given.
        """
        at_ms = now_ms()
        item = {
            "fp": self.fingerprint,
            "ttl": now() + IDEMPOTENCY_SECONDS,
            "seed": seed,
            "at": at_ms,
            "until": now() + CLAIM_SECONDS,
        }
        try:
            table.put(config().limits_table, self.key, item, condition=_FREE, values={"now": now()})
        except ConditionFailed as failure:
            if failure.old == {"pk": self.key.pk, "sk": self.key.sk, **item}:
                return item  # our own put, its answer lost
        else:
            return item
        found = self.found() or item
        if "done" not in found:
            self._take_over()
        return found

    def complete(self, result: str) -> None:
        """Say that the claimed work is done, and what a later request has to know of it."""
        table.update(config().limits_table, self.key, "SET #done = :result REMOVE #until", values={"result": result})

    def release(self) -> None:
        """Give the claim back: what was claimed for was refused."""
        table.take(config().limits_table, self.key)

    def _take_over(self) -> None:
        try:
            table.update(config().limits_table, self.key, "SET #until = :until",
                         condition="#until < :now",
                         values={"until": now() + CLAIM_SECONDS, "now": now()})  # fmt: skip
        except ConditionFailed:
            raise InFlight(
                "A request with this Idempotency-Key is being worked on; ask again in a moment", headers={"Retry-After": "1"}
            ) from None


def once(caller: Caller, method: str, route: str, key: str, fingerprint: str) -> Once:
    """The key of a caller's request: another principal's same key is another key."""
    return Once(keys.idempotency(caller, caller.principal, method, route, key), fingerprint)


def put_once(writes: Sequence[Write], key: Once | None, **pointer: str | int) -> Item | None:
    """Commit the writes together with the record of their request; what an earlier request has left, where it was first.

    Raises ConditionFailed where a condition of the writes themselves does not hold.
    """
    for _ in range(_TRIES):
        try:
            table.commit([*writes, *([key.record(**pointer)] if key else [])])
        except Contended:
            time.sleep(_PAUSE)
            continue
        except ConditionFailed as failure:
            # A twin that was faster has changed what our own writes looked for, too.
            if key and (first := key.found()):
                return first
            if key and failure.position == len(writes):
                continue  # its record has expired this very moment
            raise
        return None
    raise Unavailable("Other requests with this Idempotency-Key are under way; try again")


def remembered(key: Once, work: Callable[[], str]) -> str:
    """What `work` answers, or has answered to the first request under the key; raises what `work` raises, and InFlight.

    Only for work that, done again after a death in the middle, has the same effect and answer.
    """
    claim = key.claim("")
    if "done" in claim:
        return str(claim["done"])
    try:
        answer = work()
    except SheafError:
        key.release()  # a request that was refused may be mended and sent again
        raise
    key.complete(answer)
    return answer
