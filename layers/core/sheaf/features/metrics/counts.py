"""What a number of requests has come to: counts, and a histogram of their durations."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

# Upper bounds of the buckets in milliseconds, each about half as much again as the one before; the last bucket has none.
BOUNDS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000, 7_000, 10_000,
          15_000, 20_000, 30_000)  # fmt: skip
_BUCKETS = [f"b{number}" for number in range(len(BOUNDS) + 1)]


def of_request(status: int, ms: float, *, cold: bool, cpu_ms: float, memory_mb: float, cache: str = "") -> Counter[str]:
    """One request: n requests, s 5xx, c 4xx, l 429, m microseconds, k cold starts, u microseconds of CPU, g MB, b a bucket.

    h and i: what the read cache had, and had not.
    """
    found = Counter({"n": 1, "m": round(ms * 1_000), "u": round(cpu_ms * 1_000), "g": round(memory_mb)})
    found[_BUCKETS[bisect_left(BOUNDS, ms)]] += 1
    found["s"] += status >= 500
    found["c"] += 400 <= status < 500
    found["l"] += status == 429
    found["k"] += cold
    found["h"] += cache == "hit"
    found["i"] += cache == "miss"
    return +found


def total(several: Iterable[Mapping[str, int]]) -> Counter[str]:
    """All of them together."""
    added: Counter[str] = Counter()
    for each in several:
        added.update(each)
    return added


def requests(counted: Mapping[str, int], seconds: float) -> dict[str, Any]:
    """How many, and how many of them failed."""
    number = counted.get("n", 0)
    return {
        "total": number,
        "perSecond": round(number / seconds, 3) if seconds else 0.0,
        "clientErrors": counted.get("c", 0),
        "serverErrors": counted.get("s", 0),
        "rateLimited": counted.get("l", 0),
        "errorRate": error_rate(counted),
    }


def error_rate(counted: Mapping[str, int]) -> float:
    """The part of the requests that was answered with 5xx."""
    number = counted.get("n", 0)
    return round(counted.get("s", 0) / number, 6) if number else 0.0


def latency(counted: Mapping[str, int]) -> dict[str, float] | None:
    """The mean, and percentiles as the buckets tell them: off by half of a bucket at most, so by a fifth or so."""
    number = counted.get("n", 0)
    if not number:
        return None
    return {"mean": round(counted.get("m", 0) / number / 1_000, 2),
            **{f"p{percent}": percentile(counted, percent) for percent in (50, 95, 99)}}  # fmt: skip


def percentile(counted: Mapping[str, int], percent: int) -> float:
    """A percentile of the durations in milliseconds, between the bounds of its bucket."""
    wanted = counted.get("n", 0) * percent / 100
    passed = 0
    for number, name in enumerate(_BUCKETS):
        inside = counted.get(name, 0)
        if inside and passed + inside >= wanted:
            low = BOUNDS[number - 1] if number else 0
            high = BOUNDS[number] if number < len(BOUNDS) else 2 * BOUNDS[-1]
            return round(low + (high - low) * (wanted - passed) / inside, 1)
        passed += inside
    return 0.0


def cache(counted: Mapping[str, int]) -> dict[str, Any]:
    """How often the read cache had the answer."""
    hits, misses = counted.get("h", 0), counted.get("i", 0)
    return {"hits": hits, "misses": misses, "hitRate": round(hits / (hits + misses), 4) if hits + misses else None}


def process(counted: Mapping[str, int]) -> dict[str, Any]:
    """What the functions have used."""
    number = counted.get("n", 0)
    return {
        "coldStarts": counted.get("k", 0),
        "cpuMsPerRequest": round(counted.get("u", 0) / number / 1_000, 2) if number else None,
        "memoryMb": round(counted.get("g", 0) / number) if number else None,
    }
