"""One conditional write that proves a principal and spends its rate limit (docs/decisions.md, "Who and how much").

A window is a minute. The write says: the principal is active, its session lives, the window is this one and holds
enough; the same write adds the cost and notes that the principal was seen. Ten logins of a user share one row, and a
revoked session fails at once. A tenant's quota is drawn in blocks, so that most requests do not touch it.

Where the table does not answer, nothing is admitted (503): what cannot be counted cannot be proven either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sheaf.base import ids
from sheaf.base.bounds import WINDOW_SECONDS
from sheaf.base.clock import iso, now
from sheaf.base.config import config
from sheaf.base.errors import InvalidToken, RateLimited
from sheaf.store import keys, table
from sheaf.store.keys import Key, Scope
from sheaf.store.table import ConditionFailed, Item

Tier = Literal["free", "pro", "enterprise"]
PER_WINDOW: dict[Tier, int] = {"free": 100, "pro": 1_000, "enterprise": 10_000}  # of a principal
TENANT_PER_WINDOW: dict[Tier, int] = {"free": 300, "pro": 5_000, "enterprise": 50_000}


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

    def shown(self) -> dict[str, Any]:
        """As it is answered."""
        return {"limit": self.limit, "remaining": self.remaining, "resetAt": iso(self.reset * 1000)}


class _Block(NamedTuple):
    """Requests of a tenant that this process may still let in."""

    window: int
    left: int
    used: int  # in this window


_blocks: dict[str, _Block] = {}
_credits: dict[Key, tuple[int, int]] = {}  # the window, and what the next requests of a principal take less in it


def spend(key: Key, limit: int, *, session: str | None = None, cost: int = 1) -> tuple[Item, Allowance]:
    """Prove the principal at `key`, a user's by its live session, and take `cost` from its window.

    Returns its row and what is left; raises InvalidToken (revoked, suspended, expired, unknown) or RateLimited.
    """
    cost -= _credit(key, cost)
    if session is None:
        return _take(key, limit, cost, "#st = :active AND (attribute_not_exists(#exp) OR #exp > :now)", "#seen = :now")
    if not ids.is_id(session, "ses"):
        raise InvalidToken
    return _take(key, limit, cost, f"#st = :active AND attribute_exists(#ss.#{session})", f"#ss.#{session} = :now")


def give_back(key: Key, scope: Scope, cost: int) -> None:
    """Credit a principal and its tenant with what a request took, for the rest of this window and in this process."""
    window = now() // WINDOW_SECONDS
    had = _credits.get(key, (window, 0))
    if len(_credits) > 10_000:
        _credits.clear()
    _credits[key] = (window, cost + (had[1] if had[0] == window else 0))
    if (block := _blocks.get(scope.tenant)) and block.window == window:
        _blocks[scope.tenant] = block._replace(left=block.left + cost)


def _credit(key: Key, cost: int) -> int:
    """What of a cost was given back before."""
    window, credit = _credits.pop(key, (0, 0))
    used = min(cost, credit) if window == now() // WINDOW_SECONDS else 0
    if credit > used and window == now() // WINDOW_SECONDS:
        _credits[key] = (window, credit - used)
    return used


def spend_key(key: Key, limit: int, *, cost: int = 1) -> Allowance:
    """Take `cost` from a window that nobody owns: a source address on a public route, a caller on one route, a tenant."""
    return _take(key, limit, cost, "", "#ttl = :ttl")[1]


def spend_quota(scope: Scope, tier: Tier, cost: int = 1) -> None:
    """Take `cost` from the tenant's window; raises RateLimited.

    What a block leaves over at its end is lost, so nothing is admitted twice.
    """
    held, window = _blocks.get(scope.tenant), now() // WINDOW_SECONDS
    if held is None or held.window != window:
        held = _Block(window, 0, 0)
    if held.left >= cost:
        _blocks[scope.tenant] = _Block(window, held.left - cost, held.used + cost)
        return
    limit = TENANT_PER_WINDOW[tier]
    # A block is a quarter of what this process has let in so far, so that little is kept from the others.
    size = max(1, min(held.used // 4, limit // 100))
    drawn, left = _drawn(scope, limit, sorted({max(size, cost), cost}, reverse=True))
    if len(_blocks) > 1_000:
        _blocks.clear()
    _blocks[scope.tenant] = _Block(left.reset // WINDOW_SECONDS - 1, drawn - cost, held.used + cost)


def _drawn(scope: Scope, limit: int, sizes: Sequence[int]) -> tuple[int, Allowance]:
    for size in sizes:
        try:
            return size, spend_key(keys.quota(scope), limit, cost=size)
        except RateLimited as refused:
            refusal = refused
    refusal.message = f"The tenant's quota is used up. {refusal.message}"
    raise refusal


def look(key: Key, limit: int) -> Allowance:
    """What is left of a window, without taking anything."""
    row = table.get(config().limits_table, key) or {}
    window = now() // WINDOW_SECONDS
    return _allowance(limit, {"w": window, "n": row.get("n", 0) if row.get("w") == window else 0})


def refill(key: Key) -> None:
    """Forget what was taken from a window; one that nobody has used stays unused."""
    try:
        table.update(config().limits_table, key, "SET #n = :none", condition="attribute_exists(#pk)", values={"none": 0})
    except ConditionFailed:
        return


def forget_blocks() -> None:
    """Give up every block of this process, as its end does."""
    _blocks.clear()
    _credits.clear()


def _take(key: Key, limit: int, cost: int, alive: str, note: str) -> tuple[Item, Allowance]:
    proven = f"{alive} AND " if alive else ""
    seen = 0
    for _ in range(3):  # a window that turns between the two writes sends us round again
        # Another function's clock may be a moment ahead: its window is the one that counts, and windows never go back.
        window = max(now() // WINDOW_SECONDS, seen)
        # The row of an address has no owner to keep it, so it expires; a principal's row never does.
        noted: Mapping[str, Any] = {"now": now()} if alive else {"ttl": now() + 2 * WINDOW_SECONDS}
        known = {"active": "active" if alive else None, "cost": cost, "window": window, **noted}
        try:
            row = table.update(config().limits_table, key, f"SET {note} ADD #n :cost",
                               condition=f"{proven}#w = :window AND #n <= :room",
                               values={**known, "room": limit - cost})  # fmt: skip
            return row, _allowance(limit, row)
        except ConditionFailed as failure:
            old = failure.old
        if alive and not is_alive(old, note.partition(".#")[2].partition(" ")[0]):
            raise InvalidToken
        seen = old.get("w", 0) if old else 0
        if cost > limit or (old and seen == window):
            raise _limited(limit, old or {"w": window, "n": limit})
        if seen > window:
            continue
        try:
            row = table.update(config().limits_table, key, f"SET {note}, #w = :window, #n = :cost",
                               condition=f"{proven}(attribute_not_exists(#w) OR #w < :window)", values=known)  # fmt: skip
            return row, _allowance(limit, row)
        except ConditionFailed:
            continue
    raise RateLimited("Rate limit exceeded. Try again in 1 seconds", headers={"Retry-After": "1"}, extra={"retry_after": 1})


def is_alive(row: Item | None, session: str | None) -> bool:
    """Whether a principal's row says that it may act, a user by this session."""
    if row is None or row["st"] != "active" or row.get("exp", now() + 1) <= now():
        return False
    return not session or session in row.get("ss", {})


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
