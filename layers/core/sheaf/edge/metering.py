"""What this process has answered, counted as it goes and written down every METRICS_SECONDS (features/metrics/rollups.py).

On AWS a process stands still between two requests, so what it has counted since it last wrote is written with its next request,
or never where it is taken away before. The line of the log of each request tells CloudWatch the same without a gap.
"""

import resource
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from sheaf.base.bounds import METRICS_SECONDS
from sheaf.base.clock import now
from sheaf.base.config import config
from sheaf.base.log import log, measured

if TYPE_CHECKING:
    from sheaf.edge.request import Request
    from sheaf.features.metrics.rollups import Place

_lock = threading.Lock()
_pending: "dict[Place, Counter[str]]" = {}
_begun = 0.0  # when the oldest of it was counted
_late: threading.Timer | None = None  # writes down what no further request does
_is_cold = True


class Measured:
    """One request, from its begin."""

    def __init__(self) -> None:
        self._started, self._cpu = time.monotonic(), time.process_time()
        global _is_cold
        self.cold, _is_cold = _is_cold, False

    @property
    def ms(self) -> float:
        """Milliseconds since then."""
        return round((time.monotonic() - self._started) * 1000, 1)

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of CPU since then."""
        return (time.process_time() - self._cpu) * 1000


def told(status: int, ms: float, *, cold: bool) -> dict[str, Any]:
    """What the line of the log of a request tells CloudWatch."""
    counts = {"ms": ms, "requests": 1, "errors": int(status >= 500), "limited": int(status == 429), "coldStarts": int(cold)}
    return measured(counts, units={"ms": "Milliseconds"})


def count(request: "Request", status: int, timed: Measured) -> None:
    """Count a request that was answered, and write down what there is where it is time."""
    from sheaf.features.metrics import counts
    from sheaf.features.metrics.rollups import Place

    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    counted = counts.of_request(status, timed.ms, cold=timed.cold, cpu_ms=timed.cpu_ms, memory_mb=memory, cache=request.cache)
    place = Place(now() // 60, request.caller.tenant if request.proof else "", request.route)
    global _begun, _late
    with _lock:
        if not _pending:
            _begun = time.monotonic()
            if config().stage == "local":  # where processes go on between requests
                _late = threading.Timer(METRICS_SECONDS, flush)
                _late.daemon = True
                _late.start()
        _pending.setdefault(place, Counter()).update(counted)
        due = time.monotonic() - _begun >= METRICS_SECONDS
    if due:
        flush()


def forget() -> None:
    """Forget what was counted and not written down."""
    with _lock:
        _taken()


def flush() -> None:
    """Write down what was counted. What cannot be written is missing from the counts; nobody's request fails for it."""
    from sheaf.features.metrics import rollups

    with _lock:
        taken = _taken()
    try:
        rollups.add(taken)
    except Exception:
        log.warning("counts could not be written", exc_info=True)


def _taken() -> "dict[Place, Counter[str]]":
    """What was counted, which is taken away with the timer that was to write it down. Needs the lock."""
    global _late
    if _late:
        _late.cancel()
    _late = None
    taken = dict(_pending)
    _pending.clear()
    return taken
