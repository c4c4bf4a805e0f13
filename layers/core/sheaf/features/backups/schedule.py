"""Backups by themselves: each hour, day or week, the newest few of them kept."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sheaf.access.caller import Caller, worker
from sheaf.base.bounds import SCHEDULED_BACKUPS
from sheaf.base.clock import iso, now
from sheaf.base.config import config
from sheaf.base.errors import Conflict, NotFound, SheafError, ValidationFailed
from sheaf.base.log import log
from sheaf.entity.body import object_of
from sheaf.features.backups import stored
from sheaf.records import notes
from sheaf.store import keys, table
from sheaf.store.table import Item, Span, Write

_EVERY: Mapping[str, int] = {"hour": 3_600, "day": 86_400, "week": 7 * 86_400}


def put(caller: Caller, body: object) -> dict[str, Any]:
    """Back the tenant up from now on: `{"every": "hour" | "day" | "week", "keep": 1…}`; raises ValidationFailed."""
    fields = object_of(body, "every", "keep")
    every, keep = fields.get("every"), fields.get("keep", 7)
    wrong: dict[str, str] = {}
    if not isinstance(every, str) or every not in _EVERY:
        wrong["every"] = f"must be one of {', '.join(_EVERY)}"
    if isinstance(keep, bool) or not isinstance(keep, int) or not 1 <= keep <= SCHEDULED_BACKUPS:
        wrong["keep"] = f"must be 1 to {SCHEDULED_BACKUPS}"
    if wrong:
        raise ValidationFailed.naming(wrong)
    before = table.get(config().control_table, keys.backup_schedule(caller))
    following = now() + _EVERY[str(every)]
    item: Item = {"every": every, "keep": keep, "next": following, "a": caller.principal}
    table.commit([
        Write(config().control_table, "put", keys.backup_schedule(caller), item=item),
        Write(config().control_table, "put", keys.backup_due(caller, following), item={"tn": caller.tenant}),
        *([_struck(caller, before)] if before and before["next"] != following else []),
        notes.note(caller, "backup.scheduled", str(every), {"every": every, "keep": keep}),
    ])  # fmt: skip
    return _shown(item)


def show(caller: Caller) -> dict[str, Any]:
    """How the tenant is backed up; raises NotFound where it is not."""
    return _shown(_find(caller))


def remove(caller: Caller) -> None:
    """Back the tenant up no more; what there is stays. Raises NotFound."""
    before = _find(caller)
    table.commit([
        Write(config().control_table, "delete", keys.backup_schedule(caller)), _struck(caller, before),
        notes.note(caller, "backup.unscheduled", str(before["every"])),
    ])  # fmt: skip


def begin_due(name: str, request_id: str) -> int:
    """Begin the backups whose time has come; how many. A run that dies in between is made up for by the next one.

    A backup is known by the time at which it was due: one that was begun before is the same one.
    """
    begun = 0
    due = Span(keys.backups_due(), high=f"{now():012d}\x7f")
    for item in table.query(config().control_table, due):
        scope = worker(item["tn"], name, request_id)
        schedule = table.get(config().control_table, keys.backup_schedule(scope))
        if schedule is not None and item["sk"] == keys.backup_due(scope, schedule["next"]).sk:
            begun += _begin(scope, schedule)
        else:
            table.take(config().control_table, keys.Key(item["pk"], item["sk"]))  # of a schedule that is another one now
    return begun


def prune(scope: Caller) -> None:
    """Delete the scheduled backups that are more than are kept, and those that failed before the newest good one."""
    schedule = table.get(config().control_table, keys.backup_schedule(scope))
    if schedule is None:
        return
    kept = 0
    for item in list(stored.of_schedule(scope)):
        good = "sha256" in item
        kept += good
        if kept > schedule["keep"] or (not good and kept and stored.has_failed(scope, item)):
            stored.remove(scope, item["sk"], None)


def _begin(scope: Caller, schedule: Item) -> int:
    about = {"tenant": scope.tenant}
    try:
        stored.begin_scheduled(scope, f"every {schedule['every']}", schedule["next"] * 1000)
        begun = 1
    except Conflict as error:  # its time is over: there are as many as there may be
        log.warning("a scheduled backup is not made", extra={**about, "why": error.message})
        begun = 0
    except SheafError as error:  # the next run tries again
        log.warning("a scheduled backup waits", extra={**about, "why": error.message})
        return 0
    with suppress(table.ConditionFailed):  # the schedule was changed, or another run was faster
        _move_on(scope, schedule, max(schedule["next"], now()) + _EVERY[schedule["every"]])
    return begun


def _move_on(scope: Caller, schedule: Item, following: int) -> None:
    table.commit([
        Write(config().control_table, "update", keys.backup_schedule(scope), expression="SET #next = :next",
              condition="#next = :was", values={"next": following, "was": schedule["next"]}),
        Write(config().control_table, "put", keys.backup_due(scope, following), item={"tn": scope.tenant}),
        _struck(scope, schedule),
    ])  # fmt: skip


def _struck(scope: Caller, schedule: Item) -> Write:
    return Write(config().control_table, "delete", keys.backup_due(scope, schedule["next"]))


def _find(caller: Caller) -> Item:
    item = table.get(config().control_table, keys.backup_schedule(caller))
    if item is None:
        raise NotFound("This tenant is not backed up by itself")
    return item


def _shown(item: Item) -> dict[str, Any]:
    return {"every": item["every"], "keep": item["keep"], "next": iso(item["next"] * 1000)}
