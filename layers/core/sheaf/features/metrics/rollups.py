"""Counts of a minute and of an hour, by tenant and route and over all tenants: added to by every process, read for charts."""

import secrets
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sheaf.base.bounds import METRICS_HOUR_DAYS, METRICS_MINUTE_DAYS
from sheaf.base.clock import iso, now
from sheaf.base.config import config
from sheaf.store import keys, own, table
from sheaf.store.keys import Scope
from sheaf.store.table import Span, Write

_SHARD = secrets.randbelow(keys.METRICS_SHARDS)  # of this process: the counts over all tenants are added to by every one
_MINUTE, _HOUR = 60, 3_600


class Place(NamedTuple):
    """What is counted by itself: a route for a tenant in a minute. Without a tenant: what nobody had to prove themselves for."""

    minute: int  # of the epoch
    tenant: str
    route: str


class Slot(NamedTuple):
    """A minute or an hour of one route."""

    second: int  # of the epoch, at which it begins
    route: str


def add(pending: Mapping[Place, Counter[str]]) -> None:
    """Write counts down: four updates for each place, fewer where places share them."""
    adding: defaultdict[keys.Key, Counter[str]] = defaultdict(Counter)
    ends: dict[keys.Key, int] = {}
    for place, counted in pending.items():
        second = place.minute * _MINUTE
        minute, hour = iso(second * 1000)[:16], iso(second * 1000)[:13]
        found = [
            (keys.minute(_SHARD, minute, place.route), METRICS_MINUTE_DAYS),
            (keys.hour(_SHARD, hour, place.route), METRICS_HOUR_DAYS),
        ]
        if place.tenant:
            scope = _Tenant(place.tenant)
            found += [(keys.minute_of(scope, minute, place.route), METRICS_MINUTE_DAYS),
                      (keys.hour_of(scope, hour, place.route), METRICS_HOUR_DAYS)]  # fmt: skip
        for key, days in found:
            adding[key].update(counted)
            ends[key] = now() + days * 86_400
    for key, counted in adding.items():
        added = ", ".join(f"#{name} :{name}" for name in counted)
        write = Write(config().limits_table, "update", key, expression=f"SET #ttl = :ttl ADD {added}",
                      values={"ttl": ends[key], **counted})  # fmt: skip
        own.write(write)


def read(scope: Scope | None, first: int, last: int, *, hourly: bool) -> Iterator[tuple[Slot, Counter[str]]]:
    """What was counted from one second of the epoch to before another, for a tenant or, without one, over all."""
    step = _HOUR if hourly else _MINUTE
    for pk in _partitions(scope, first, last, hourly=hourly):
        low, high = (iso(second * 1000)[: 13 if hourly else 16] for second in (first // step * step, last - 1))
        for item in table.query(config().limits_table, Span(pk, low=low, high=f"{high}\x7f"), page=1_000):
            moment, route = keys.counted(item["sk"])
            counted = Counter({name: value for name, value in item.items() if name not in ("pk", "sk", "ttl")})
            yield Slot(_second(moment), route), counted


def _partitions(scope: Scope | None, first: int, last: int, *, hourly: bool) -> Iterator[str]:
    """A partition has the minutes of an hour, or the hours of a day."""
    step = 86_400 if hourly else _HOUR
    for second in range(first // step * step, last, step):
        name = iso(second * 1000)[: 10 if hourly else 13]
        if scope is not None:
            yield (keys.hour_of if hourly else keys.minute_of)(scope, name, "").pk
        else:
            yield from ((keys.hour if hourly else keys.minute)(shard, name, "").pk for shard in range(keys.METRICS_SHARDS))


def _second(moment: str) -> int:
    from datetime import datetime

    return int(datetime.fromisoformat(f"{moment if len(moment) > 13 else moment + ':00'}:00+00:00").timestamp())


class _Tenant(NamedTuple):
    """The tenant of requests that were counted: proven when each was answered."""

    tenant: str
