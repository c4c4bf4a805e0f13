"""How often something may be tried that must not be guessed: exactly counted, before the try is looked at."""

from sheaf.base.bounds import LOGIN_FREE_TRIES, LOGIN_TRIES, LOGIN_TRY_SECONDS
from sheaf.base.clock import now, now_ms
from sheaf.base.config import config
from sheaf.base.errors import RateLimited
from sheaf.store import keys, table
from sheaf.store.keys import Key
from sheaf.store.table import ConditionFailed

_ROUNDS = 5


def admit_login(mailbox: str) -> None:
    """Count a try of an account's password, whether there is such an account or not; raises RateLimited.

    LOGIN_TRIES in LOGIN_TRY_SECONDS, and after the first ones each has to wait longer.
    """
    count(keys.tries(mailbox), LOGIN_TRIES, LOGIN_TRY_SECONDS, LOGIN_FREE_TRIES, "Too many tries")


def clear_login(mailbox: str) -> None:
    """Forget the tries: the right password was among them, or an admin says so."""
    table.take(config().limits_table, keys.tries(mailbox))


def count(key: Key, most: int, seconds: int, free: int, what: str) -> None:
    """Count one try at `key`; raises RateLimited beyond `most` in `seconds`, and in the pauses that follow the `free` ones."""
    for _ in range(_ROUNDS):
        found = table.get(config().limits_table, key)
        live = found if found and found["ttl"] > now() else None
        tries = live["n"] if live else 0
        if live and (tries >= most or now_ms() < live["until"]):
            raise _refused(what, live["ttl"] * 1000 if tries >= most else live["until"])
        pause = 1_000 << (tries + 1 - free) if free <= tries + 1 < most else 0
        item = {"n": tries + 1, "until": now_ms() + pause, "ttl": live["ttl"] if live else now() + seconds}
        same = "#n = :n AND #ttl = :ttl" if found else "attribute_not_exists(#pk)"
        values = {"n": found["n"], "ttl": found["ttl"]} if found else None
        try:
            table.put(config().limits_table, key, item, condition=same, values=values)
        except ConditionFailed:
            continue  # another try came between
        return
    raise _refused(what, now_ms() + 1_000)


def _refused(what: str, until_ms: int) -> RateLimited:
    wait = max(1, -(-(until_ms - now_ms()) // 1000))
    return RateLimited(f"{what}. Try again in {wait} seconds", headers={"Retry-After": str(wait)}, extra={"retry_after": wait})
