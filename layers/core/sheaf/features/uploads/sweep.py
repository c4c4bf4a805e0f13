"""Once in a while: files that have not arrived in time, that nobody has judged, whose rows were deleted (arrivals.py lists them).

Doing any of it twice, or late, changes nothing.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from itertools import islice

from sheaf.access.caller import Caller, worker
from sheaf.base import ids
from sheaf.base.bounds import UPLOAD_SECONDS, UPLOAD_STUCK_SECONDS
from sheaf.base.clock import now_ms
from sheaf.base.config import config
from sheaf.base.errors import NotFound, PreconditionFailed
from sheaf.base.log import log
from sheaf.entity.names import LIVE
from sheaf.entity.registry import files
from sheaf.features.uploads import settle
from sheaf.features.uploads.arrivals import note
from sheaf.records import read, write
from sheaf.records.options import Options
from sheaf.records.rows import from_item
from sheaf.store import keys, table
from sheaf.store.table import Span

_MOST = 500  # files of one sweep and shard; the next one goes on
_SECONDS = 600  # of a sweep, in a function that has 900; a file that is looked at then takes a while
_LATER_SECONDS = 60  # after the end of its time that a file is given up
_UNJUDGED_SECONDS = 3 * UPLOAD_SECONDS  # after which a file that has arrived and cannot be looked at is rejected

Survives = Callable[[Callable[[], None], Mapping[str, str]], bool]


def sweep(name: str, request_id: str, survives: Survives) -> dict[str, int]:
    """Look after every file whose time has come; how many there were and were given up. What breaks one harms no other."""
    told, until = {"files": 0, "expired": 0, "broken": 0}, time.monotonic() + _SECONDS
    for shard in range(keys.ARRIVAL_SHARDS):
        span = Span(keys.arrivals(shard), high=f"{now_ms():013d}~")
        for entry in islice(table.query(config().limits_table, span, page=_MOST), _MOST):
            if time.monotonic() > until:
                return told
            tenant, file_id = keys.arrived(entry["sk"])
            scope = worker(tenant, name, request_id)
            told["files"] += 1
            if not survives(partial(_look, scope, file_id, told), {"tenant": tenant, "file": file_id}):
                # It makes room for the others and comes again, after a pause that grows with its age.
                told["broken"] += 1
                note(scope, file_id, now_ms() + max(UPLOAD_STUCK_SECONDS * 1000, now_ms() - ids.time_of(file_id)) // 2)
            table.take(config().limits_table, keys.Key(entry["pk"], entry["sk"]))
    return told


def _look(scope: Caller, file_id: str, told: dict[str, int]) -> None:
    age = now_ms() - ids.time_of(file_id)
    if age > _UNJUDGED_SECONDS * 1000:
        with suppress(NotFound, PreconditionFailed):
            settle.give_up(scope, file_id)
    settle.settle(scope, file_id)
    try:
        row = from_item(read.item(scope, files(), file_id))
    except NotFound:
        return  # settle has removed what there was
    if row.document["status"] not in LIVE:
        return
    ends = (UPLOAD_SECONDS + _LATER_SECONDS) * 1000
    if age < ends:
        note(scope, file_id, ids.time_of(file_id) + min(2 * max(age, UPLOAD_STUCK_SECONDS * 1000), ends))
        return
    try:
        write.delete(scope, files(), file_id, Options(frozenset({row.version})))
    except (NotFound, PreconditionFailed):
        note(scope, file_id, now_ms() + UPLOAD_STUCK_SECONDS * 1000)  # something happens to it this very moment
        return
    settle.remove(scope, file_id)
    told["expired"] += 1
    log.info("an announced file has not arrived", extra={"tenant": scope.tenant, "file": file_id})
