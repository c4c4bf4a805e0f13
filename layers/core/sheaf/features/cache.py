"""The read cache: answers of lists of entities that allow it (`cached=30`), in the memory of a process and in the table Limits.

An answer is good for so many seconds, and until the entity changes or somebody clears it. Everything is one tenant's.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode

from sheaf.base.bounds import CACHE_CLEARS, CACHE_ENTRY_BYTES, CACHE_LOOK_SECONDS, CACHE_MEMORY_BYTES, CACHE_SECONDS
from sheaf.base.clock import now, now_ms
from sheaf.base.config import config
from sheaf.base.errors import Unavailable
from sheaf.store import keys, table
from sheaf.store.keys import Scope
from sheaf.store.table import ConditionFailed, Item, Span

_MARGIN_MS = 500  # what was read so shortly after a change may have been read from an index that did not know it yet
_TRIES = 10
_Place = tuple[str, str]  # of a tenant: a digest


@dataclass(frozen=True, slots=True)
class Name:
    """What an answer is kept under: `text` is what it is cleared by, `/posts?status=published`; `variant` for whom it differs."""

    text: str
    variant: str

    @property
    def digest(self) -> str:
        """The name as a key."""
        return sha256(f"{self.text}\0{self.variant}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer: its data as JSON, what `meta` said, the place of the event log that it was read at, and when."""

    data: str
    meta: str
    cursor: str
    at_ms: int

    @property
    def age(self) -> int:
        """Seconds since it was read."""
        return max(0, (now_ms() - self.at_ms) // 1000)


def question(path: str, query: Mapping[str, str]) -> str:
    """How a list and its parameters are named, in whatever order and spelling they come: `/posts?limit=5&title=a%20b`."""
    return f"/{path}?{urlencode(sorted(query.items()), quote_via=quote)}"


_memory: "OrderedDict[_Place, tuple[str, Kept]]" = OrderedDict()
_size = 0
_clears: dict[str, tuple[int, list[Item]]] = {}


def find(scope: Scope, name: Name, seconds: int) -> Kept | None:
    """A good answer of at most so many seconds, or None."""
    place = (scope.tenant, name.digest)
    if (known := _memory.get(place)) and _is_good(scope, name, known[1], seconds):
        _memory.move_to_end(place)
        return known[1]
    item = table.get(config().limits_table, keys.cached(scope, name.digest))
    if item is None:
        return None
    found = Kept(item["d"], item["m"], item["c"], item["at"])
    if not _is_good(scope, name, found, seconds):
        return None
    _remember(place, name, found)
    return found


def keep(scope: Scope, name: Name, answer: Kept, seconds: int) -> None:
    """Keep an answer; one that is too large is not kept."""
    if len(answer.data.encode()) > CACHE_ENTRY_BYTES:
        return
    item = {"nm": name.text, "d": answer.data, "m": answer.meta, "c": answer.cursor, "at": answer.at_ms, "ttl": now() + seconds}
    table.put(config().limits_table, keys.cached(scope, name.digest), item)
    _remember((scope.tenant, name.digest), name, answer)


def clear(scope: Scope, text: str, *, exact: bool = False) -> None:
    """Let no answer be used that was read until now and whose name begins with a text (`exact`: is the text); "" for all."""
    at_ms = now_ms()
    for _ in range(_TRIES):
        row = table.get(config().limits_table, keys.cleared(scope))
        kept = [
            each
            for each in (row["c"] if row else [])
            if each["at"] > at_ms - CACHE_SECONDS[1] * 1000 and not _covers(text, exact, each)
        ]
        if len(kept) >= CACHE_CLEARS:
            kept, text, exact = [], "", False
        following = {"c": [*kept, {"p": text, "x": int(exact), "at": at_ms}], "v": (row["v"] if row else 0) + 1,
                     "ttl": now() + 2 * CACHE_SECONDS[1]}  # fmt: skip
        condition, values = ("#v = :seen", {"seen": row["v"]}) if row else ("attribute_not_exists(#pk)", {})
        try:
            table.put(config().limits_table, keys.cleared(scope), following, condition=condition, values=values)
        except ConditionFailed:
            continue
        _clears.pop(scope.tenant, None)
        return
    raise Unavailable("The cache is being cleared by others; try again")


def entries(scope: Scope) -> int | None:
    """How many answers a tenant has in the table, those that are over and not removed yet among them; None for too many."""
    return table.count(config().limits_table, Span(keys.cached(scope, "").pk), reads=5)


def forget() -> None:
    """Forget what this process remembers."""
    global _size
    _memory.clear()
    _clears.clear()
    _size = 0


def _is_good(scope: Scope, name: Name, found: Kept, seconds: int) -> bool:
    if found.at_ms + seconds * 1000 <= now_ms():
        return False
    return not any(_hits(name.text, each) and found.at_ms <= each["at"] + _MARGIN_MS for each in _cleared(scope))


def _cleared(scope: Scope) -> list[Item]:
    """What was cleared, as it stood at most CACHE_LOOK_SECONDS ago."""
    known = _clears.get(scope.tenant)
    if known is None or now() - known[0] >= CACHE_LOOK_SECONDS:
        row = table.get(config().limits_table, keys.cleared(scope))
        if len(_clears) > 10_000:
            _clears.clear()
        _clears[scope.tenant] = known = (now(), row["c"] if row else [])
    return known[1]


def _hits(text: str, cleared: Mapping[str, Any]) -> bool:
    return bool(text == cleared["p"] if cleared["x"] else text.startswith(cleared["p"]))


def _covers(text: str, exact: bool, earlier: Mapping[str, Any]) -> bool:
    """Whether a new clearing makes an earlier one needless."""
    if exact:
        return bool(earlier["x"] and earlier["p"] == text)
    return str(earlier["p"]).startswith(text)


def _remember(place: _Place, name: Name, answer: Kept) -> None:
    global _size
    if place in _memory:
        _size -= len(_memory.pop(place)[1].data)
    _memory[place] = (name.text, answer)
    _size += len(answer.data)
    while _size > CACHE_MEMORY_BYTES:
        _, (_, oldest) = _memory.popitem(last=False)
        _size -= len(oldest.data)
