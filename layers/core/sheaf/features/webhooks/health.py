"""How a webhook does: whether it does nothing but fail and since when, and how fast it wants to be sent to.

There is a row only of one that has failed or is slow: what goes well costs nothing. The breaker opens after BREAKER_FAILURES
failures in a row and lets one call through now and then, so that a dead receiver does not take up the time of the living ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sheaf.base.bounds import BREAKER_FAILURES, BREAKER_SECONDS, DELIVERY_DAYS, SLOW_FOR_SECONDS, WEBHOOK_DISABLED_DAYS
from sheaf.base.clock import iso, now, now_ms
from sheaf.base.config import config
from sheaf.base.errors import Unavailable
from sheaf.base.log import log
from sheaf.store import keys, table
from sheaf.store.keys import Scope
from sheaf.store.table import ConditionFailed, Item

_SILENCE_SECONDS = 2 * 86_400  # longer than any pause of the schedule
WARNINGS = (50, 70, 90)  # percent of the time to its end at which the tenant is warned of a webhook that fails


@dataclass(slots=True)
class Health:
    """A webhook as one invocation sees it. For any number of threads: what one of them misses, the table knows."""

    scope: Scope
    webhook_id: str
    row: Item | None

    def may_try(self) -> bool:
        """Whether the breaker lets a call through. While it is open, one call a pause finds out whether it may close."""
        row = self.row
        if row is None or row.get("fails", 0) < BREAKER_FAILURES:
            return True
        if row["open"] > now_ms():
            return False
        pause = min(BREAKER_SECONDS[1], BREAKER_SECONDS[0] * 2 ** min(8, row["fails"] - BREAKER_FAILURES)) * 1000
        try:
            values = {"next": now_ms() + pause, "seen": row["open"]}
            key = keys.health(self.scope, self.webhook_id)
            self.row = table.update(config().events_table, key, "SET #open = :next", condition="#open = :seen", values=values)
        except ConditionFailed as failure:
            self.row = failure.old  # another one tries now, or it is well again
            return failure.old is None or "fails" not in failure.old
        return True

    @property
    def is_gone(self) -> bool:
        """Whether the receiver has said that it wants nothing any more (410)."""
        return self.row is not None and bool(self.row.get("gone"))

    @property
    def pause_ms(self) -> int:
        """Until when the receiver wants to be left alone."""
        return 0 if self.row is None else int(self.row.get("pause", 0))

    @property
    def is_slow(self) -> bool:
        """Whether the receiver has taken its time lately."""
        return self.row is not None and int(self.row.get("slow", 0)) > now_ms()

    def slow_down(self) -> None:
        """Note that the receiver takes its time."""
        values = {"slow": now_ms() + SLOW_FOR_SECONDS * 1000, "ttl": now() + DELIVERY_DAYS * 86_400}
        try:
            self.row = table.update(config().events_table, keys.health(self.scope, self.webhook_id),
                                    "SET #slow = :slow, #ttl = :ttl", values=values)  # fmt: skip
        except Unavailable:
            log.warning("a slow receiver was not noted", extra={"webhook": self.webhook_id})  # the next call tries again

    def failed(self, *, gone: bool = False, pause: int = 0) -> None:
        """Note that a call has failed, and for how many seconds the receiver wants to be left alone."""
        if self.row is not None and now_ms() - self.row.get("last", now_ms()) > _SILENCE_SECONDS * 1000:
            self.succeeded()  # of what it would have done meanwhile nothing is known: another run of failures begins
        marks: Item = {**({"gone": True} if gone else {}), **({"pause": now_ms() + pause * 1000} if pause else {})}
        values = {"one": 1, "now": now_ms(), "nothing": 0, "expiry": now() + DELIVERY_DAYS * 86_400, **marks}
        self.row = table.update(
            config().events_table,
            keys.health(self.scope, self.webhook_id),
            "SET #last = :now, #ttl = :expiry, #since = if_not_exists(#since, :now), #open = if_not_exists(#open, :nothing)"
            f"{''.join(f', #{name} = :{name}' for name in marks)} ADD #fails :one",
            values=values,
        )
        if gone or self.row["fails"] % BREAKER_FAILURES == 1:  # again now and then, should the first time have been lost
            table.put(config().events_table, keys.failing_webhook(self.scope, self.webhook_id), {"at": now()})

    def succeeded(self) -> None:
        """Note that a call has gone well; what another call was told meanwhile, a 410 or a pause, is kept."""
        if self.row is None or "fails" not in self.row:
            return
        key, over = keys.health(self.scope, self.webhook_id), "(attribute_not_exists(#pause) OR #pause < :now)"
        condition = f"attribute_exists(#fails) AND attribute_not_exists(#gone) AND {over}"
        try:
            self.row = table.update(config().events_table, key, "REMOVE #fails, #since, #last, #open, #pause",
                                    condition=condition, values={"now": now_ms()})  # fmt: skip
        except ConditionFailed as failure:
            self.row = failure.old


def of(scope: Scope, webhook_id: str) -> Item | None:
    """The row of a webhook that fails, is slow, or was lately (no `since`); None of any other."""
    return table.get(config().events_table, keys.health(scope, webhook_id))


def of_tenant(scope: Scope) -> dict[str, Item]:
    """The same of the tenant's webhooks, by their ids."""
    return {row["sk"]: row for row in table.query(config().events_table, keys.health(scope, "").pk)}


def forget(scope: Scope, webhook_id: str) -> None:
    """Take a webhook that is well again for one that has never failed."""
    table.take(config().events_table, keys.health(scope, webhook_id))


def failing() -> Iterator[tuple[str, str]]:
    """The tenant and the id of every webhook that fails, or did lately."""
    for entry in table.query(config().events_table, keys.failing()):
        yield keys.tenant_of(entry["sk"]), keys.job_of(entry["sk"])


def strike(scope: Scope, webhook_id: str) -> None:
    """Take a webhook off that list."""
    table.take(config().events_table, keys.failing_webhook(scope, webhook_id))


def disables_at(since_ms: int) -> str:
    """When a webhook that has failed since then is disabled."""
    return iso(since_ms + WEBHOOK_DISABLED_DAYS * 86_400_000)


def failing_share(row: Item) -> int:
    """How much of the time after which a webhook is disabled it has done nothing but fail, in percent."""
    return int((row["last"] - row["since"]) * 100 // (WEBHOOK_DISABLED_DAYS * 86_400_000))
