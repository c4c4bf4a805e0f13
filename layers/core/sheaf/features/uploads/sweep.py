"""Once in a while: files that have not arrived in time, that nobody has judged, whose rows were deleted (arrivals.py lists them).

Doing any of it twice, or late, changes nothing.
"""

from collections.abc import Callable, Mapping
from functools import partial

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
_LATER_SECONDS = 60  # after the end of its time that a file is given up

Survives = Callable[[Callable[[], None], Mapping[str, str]], bool]


def sweep(name: str, request_id: str, survives: Survives) -> dict[str, int]:
    """Look after every file whose time has come; how many there were and were given up. What breaks one harms no other."""
    told = {"files": 0, "expired": 0}
    for shard in range(keys.ARRIVAL_SHARDS):
        span = Span(keys.arrivals(shard), high=f"{now_ms():013d}~")
        for number, entry in enumerate(table.query(config().limits_table, span, page=_MOST)):
            if number == _MOST:
                break
            tenant, file_id = keys.arrived(entry["sk"])
            told["files"] += 1
            step = partial(_look, worker(tenant, name, request_id), file_id, told)
            if survives(step, {"tenant": tenant, "file": file_id}):
                table.take(config().limits_table, keys.Key(entry["pk"], entry["sk"]))
    return told


def _look(scope: Caller, file_id: str, told: dict[str, int]) -> None:
    settle.settle(scope, file_id)
    try:
        row = from_item(read.item(scope, files(), file_id))
    except NotFound:
        return  # settle has removed what there was
    if row.document["status"] not in LIVE:
        return
    ends = ids.time_of(file_id) + (UPLOAD_SECONDS + _LATER_SECONDS) * 1000
    if now_ms() < ends:
        note(scope, file_id, ends)
        return
    try:
        write.delete(scope, files(), file_id, Options(frozenset({row.version})))
    except (NotFound, PreconditionFailed):
        note(scope, file_id, now_ms() + UPLOAD_STUCK_SECONDS * 1000)  # something happens to it this very moment
        return
    settle.remove(scope, file_id)
    told["expired"] += 1
    log.info("an announced file has not arrived", extra={"tenant": scope.tenant, "file": file_id})
