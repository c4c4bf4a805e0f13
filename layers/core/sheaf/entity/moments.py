"""Moments that a request names."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

_HIGHEST = 4_102_444_800_000  # the year 2100


def moment_of(text: object) -> int:
    """The millisecond of an RFC 3339 time with an offset; raises ValueError in words for whoever sent it."""
    wrong = ValueError("must be a time such as 2026-11-21T10:00:00Z")
    if not isinstance(text, str) or len(text) > 40:
        raise wrong
    try:
        moment = datetime.fromisoformat(text)
        at_ms = int(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise wrong from None
    if moment.tzinfo is None or not 0 <= at_ms <= _HIGHEST:
        raise wrong
    return at_ms


def span_of(asked: Mapping[str, Any], wrong: dict[str, str]) -> dict[str, int]:
    """The milliseconds of `from` and `to`, where they are asked for; what is wrong with them is added to `wrong`."""
    times: dict[str, int] = {}
    for name in ("from", "to"):
        if name in asked and name not in wrong:
            try:
                times[name] = moment_of(asked[name])
            except ValueError as error:
                wrong[name] = str(error)
    if len(times) == 2 and times["to"] < times["from"]:
        wrong["to"] = "must not be before from"
    return times
