"""One conditional write that proves a principal and spends its rate limit (docs/decisions.md, "Who and how much").

A window is a minute. The write says: the principal is active, its session lives, the window is this one and holds
enough; the same write adds the cost. Ten logins of a user share one row, and a revoked session fails at once.
"""

from dataclasses import dataclass
from typing import Literal

from sheaf.base.bounds import WINDOW_SECONDS
from sheaf.base.clock import now
from sheaf.base.config import config
from sheaf.base.errors import RateLimited, Unauthenticated
from sheaf.store import table
from sheaf.store.keys import Key
from sheaf.store.table import ConditionFailed, Item

Tier = Literal["free", "pro", "enterprise"]
PER_WINDOW: dict[Tier, int] = {"free": 100, "pro": 1_000, "enterprise": 10_000}


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a window."""

    limit: int
    remaining: int
    reset: int  # second of the epoch at which the next window starts

    def headers(self) -> dict[str, str]:
        """The rate-limit headers, the older `X-` ones and those of the IETF draft."""
        wait = max(0, self.reset - now())
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
            "RateLimit-Policy": f'"default";q={self.limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"default";r={self.remaining};t={wait}',
        }


def spend(key: Key, limit: int, *, session: str | None = None, cost: int = 1) -> tuple[Item, Allowance]:
    """Prove the principal at `key` and take `cost` from its window.

    Returns its row and what is left; raises Unauthenticated (revoked, suspended, unknown) or RateLimited.
    """
    return _take(key, limit, cost, "#st = :active" + (" AND contains(#ss, :session)" if session else ""), session)


def spend_address(key: Key, limit: int, *, cost: int = 1) -> Allowance:
    """Take `cost` from the window of a source address on a public route; raises RateLimited."""
    return _take(key, limit, cost, "", None)[1]


def _take(key: Key, limit: int, cost: int, alive: str, session: str | None) -> tuple[Item, Allowance]:
    proven = f"{alive} AND " if alive else ""
    seen = 0
    for _ in range(3):  # a window that turns between the two writes sends us round again
        # Another function's clock may be a moment ahead: its window is the one that counts, and windows never go back.
        window = max(now() // WINDOW_SECONDS, seen)
        known = {"active": "active" if alive else None, "session": session, "cost": cost, "window": window}
        same = {**known, "room": limit - cost}
        # The row of an address has no owner to keep it, so it expires; a principal's row never does.
        expiry = {} if alive else {"ttl": now() + 2 * WINDOW_SECONDS}
        try:
            row = table.update(config().limits_table, key, "ADD #n :cost",
                               condition=f"{proven}#w = :window AND #n <= :room", values=same)  # fmt: skip
            return row, _allowance(limit, row)
        except ConditionFailed as failure:
            old = failure.old
        if alive and (old is None or old["st"] != "active" or (session and session not in old.get("ss", ()))):
            raise Unauthenticated("The credential is unknown, expired or revoked")
        seen = old.get("w", 0) if old else 0
        if old and seen == window:
            raise _limited(limit, old)
        if seen > window:
            continue
        try:
            row = table.update(config().limits_table, key,
                               "SET #w = :window, #n = :cost" + (", #ttl = :ttl" if expiry else ""),
                               condition=f"{proven}(attribute_not_exists(#w) OR #w < :window)",
                               values={**known, **expiry})  # fmt: skip
            return row, _allowance(limit, row)
        except ConditionFailed:
            continue
    raise RateLimited("Rate limit exceeded. Try again in 1 seconds", headers={"Retry-After": "1"}, extra={"retry_after": 1})


def _allowance(limit: int, row: Item) -> Allowance:
    return Allowance(limit, max(0, limit - row["n"]), (row["w"] + 1) * WINDOW_SECONDS)


def _limited(limit: int, row: Item) -> RateLimited:
    left = _allowance(limit, row)
    wait = max(1, left.reset - now())
    return RateLimited(
        f"Rate limit exceeded. Try again in {wait} seconds",
        headers={**left.headers(), "Retry-After": str(wait)},
        extra={"retry_after": wait},
    )
