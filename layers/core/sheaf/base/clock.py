"""The server's clock, in milliseconds of the epoch. The only reader of the time; tests put another in its place."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

_source: Callable[[], float] = time.time


def now_ms() -> int:
    """Milliseconds since 1970-01-01T00:00:00Z."""
    return int(_source() * 1000)


def now() -> int:
    """Whole seconds since 1970-01-01T00:00:00Z, as TTL attributes and JWT claims want them."""
    return int(_source())


def iso(at_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds and `Z`."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


@contextmanager
def using(source: Callable[[], float]) -> Iterator[None]:
    """Let `source` (seconds of the epoch) be the clock inside the block."""
    global _source
    before, _source = _source, source
    try:
        yield
    finally:
        _source = before
