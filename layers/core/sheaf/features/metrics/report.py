"""The figures of a time, as admins read them: of their own tenant, and operators of the whole installation."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from sheaf.access import operators
from sheaf.access.caller import Caller
from sheaf.base.bounds import METRICS_HOUR_DAYS, METRICS_MINUTE_DAYS, METRICS_MINUTES
from sheaf.base.clock import iso, now
from sheaf.base.errors import InvalidParameter
from sheaf.entity.moments import span_of
from sheaf.features.metrics import counts, rollups

_PARAMETERS = ("from", "to", "scope", "route")
_DEFAULT_SECONDS = 3_600


def report(caller: Caller, asked: Mapping[str, str]) -> dict[str, Any]:
    """Requests, durations and what functions used, as a whole, by route and over the time; the last hour where nothing is said.

    `from`, `to`: up to METRICS_MINUTES are told by minutes, a longer time by hours. `scope`: tenant, or all for operators.
    `route`: only this one. Raises InvalidParameter, PermissionDenied.
    """
    first, last, scope, route = _read(asked)
    # The minutes of a time long ago are not kept any more; its hours are.
    hourly = last - first > METRICS_MINUTES * 60 or first < now() - METRICS_MINUTE_DAYS * 86_400
    if scope == "all":
        operators.require(caller, "metrics:read")
    step = 3_600 if hourly else 60
    first = first // step * step
    by_route: defaultdict[str, Counter[str]] = defaultdict(Counter)
    by_time: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for slot, counted in rollups.read(caller if scope == "tenant" else None, first, last, hourly=hourly):
        if route in ("", slot.route):
            by_route[slot.route].update(counted)
            by_time[slot.second].update(counted)
    whole = counts.total(by_route.values())
    return {
        "scope": scope,
        "from": iso(first * 1000),
        "to": iso(last * 1000),
        "resolution": "hour" if hourly else "minute",
        "requests": counts.requests(whole, last - first),
        "latencyMs": counts.latency(whole),
        "process": counts.process(whole),
        "routes": [
            {"route": name, "requests": counts.requests(counted, last - first), "latencyMs": counts.latency(counted)}
            for name, counted in sorted(by_route.items(), key=lambda each: (-each[1]["n"], each[0]))
        ],
        "history": [
            {
                "at": iso(second * 1000),
                "requests": counts.requests(by_time[second], step),
                "latencyMs": counts.latency(by_time[second]),
            }
            for second in sorted(by_time)
        ],
    }


def of_cache(caller: Caller, asked: Mapping[str, str]) -> dict[str, Any]:
    """How often the read cache had the answer, as a whole and by route, for the caller's tenant. Parameters as `report`."""
    if "scope" in asked:
        raise InvalidParameter.naming({"scope": "is not a parameter here"})
    first, last, _, route = _read(asked)
    hourly = last - first > METRICS_MINUTES * 60 or first < now() - METRICS_MINUTE_DAYS * 86_400
    by_route: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for slot, counted in rollups.read(caller, first, last, hourly=hourly):
        if route in ("", slot.route) and (counted["h"] or counted["i"]):
            by_route[slot.route].update(counted)
    return {"from": iso(first * 1000), "to": iso(last * 1000), **counts.cache(counts.total(by_route.values())),
            "routes": [{"route": name, **counts.cache(counted)} for name, counted in sorted(by_route.items())]}  # fmt: skip


def _read(asked: Mapping[str, str]) -> tuple[int, int, str, str]:
    wrong = {name[:80]: f"is not a parameter here; {', '.join(_PARAMETERS)} are" for name in asked if name not in _PARAMETERS}
    if asked.get("scope", "tenant") not in ("tenant", "all"):
        wrong["scope"] = "must be tenant or all"
    times = {name: at_ms // 1000 for name, at_ms in span_of(asked, wrong).items()}
    last = times.get("to", now() + 1)
    first = times.get("from", last - _DEFAULT_SECONDS)
    if not wrong and first >= last:
        wrong["to" if "to" in times else "from"] = "must be after from" if "to" in times else "must not be in the future"
    if not wrong and last - first > METRICS_HOUR_DAYS * 86_400:
        wrong["from"] = f"must be at most {METRICS_HOUR_DAYS} days before to: older counts are not kept"
    if wrong:
        raise InvalidParameter.naming(wrong)
    return first, last, asked.get("scope", "tenant"), asked.get("route", "")
