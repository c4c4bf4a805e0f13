"""Flags are switched off where the routes that they name fail too often or take too long; looked at once a minute."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol

from sheaf.access.caller import Caller
from sheaf.base.clock import now
from sheaf.base.log import log
from sheaf.features.flags import stored
from sheaf.features.flags.declared import Flag, Guard


class Figures(Protocol):
    """Where figures come from: `edge` brings metrics and flags together, which know nothing of each other."""

    def counted(self, routes: tuple[str, ...], first: int, last: int) -> Counter[str]:
        """What was counted of routes from one second of the epoch to before another."""
        ...

    def error_rate(self, counted: Mapping[str, int]) -> float:
        """The part that failed."""
        ...

    def percentile(self, counted: Mapping[str, int], percent: int) -> float:
        """A percentile of the durations in milliseconds."""
        ...


def look_after(caller: Caller, figures: Figures) -> list[str]:
    """Switch off every flag whose guard is breached; their keys."""
    stored.forget()
    off = []
    for flag in stored.every().values():
        if flag.enabled and flag.guard and (why := breach(flag.guard, flag, figures)):
            log.warning("a flag is rolled back", extra={"flag": flag.key, **why})
            stored.switch_off(caller, flag.key, why)
            off.append(flag.key)
    return off


def breach(guard: Guard, flag: Flag, figures: Figures) -> dict[str, Any] | None:
    """What of a guard is breached in its last minutes; None where nothing is, or too little was asked."""
    last = now() + 1
    # What was before it was switched on says nothing about it; the minute in which it was counts as a whole.
    first = max(last - guard.minutes * 60, flag.changed_ms // 60_000 * 60)
    counted = figures.counted(guard.routes, first, last)
    if counted["n"] < guard.requests:
        return None
    rate, p95 = figures.error_rate(counted), figures.percentile(counted, 95)
    told = {"requests": counted["n"], "errorRate": rate, "p95Ms": p95}
    if guard.error_rate is not None and rate > guard.error_rate:
        return {**told, "breached": "errorRate"}
    if guard.p95_ms is not None and p95 > guard.p95_ms:
        return {**told, "breached": "p95Ms"}
    return None
