"""Backups by themselves: each hour, day or week, the newest few of them kept."""

from collections.abc import Mapping
from typing import Any

from sheaf.access.caller import Caller, worker
from sheaf.base.bounds import SCHEDULED_BACKUPS
from sheaf.base.clock import iso, now
from sheaf.base.config import config
from sheaf.base.errors import Conflict, NotFound, ValidationFailed
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
    if every not in _EVERY:
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
    """Begin the backups whose time has come; how many. A run that dies in between is made up for by the next one."""
    begun = 0
    due = Span(keys.backups_due(), high=f"{now():012d}\x7f")
    for item in table.query(config().control_table, due):
        scope = worker(item["tn"], name, request_id)
        schedule = table.get(config().control_table, keys.backup_schedule(scope))
        if schedule is not None and item["sk"] == keys.backup_due(scope, schedule["next"]).sk:
            # The next one first: whoever comes again finds it and not this one.
            following = max(schedule["next"], now()) + _EVERY[schedule["every"]]
            _move_on(scope, schedule, following)
            try:
                stored.begin_scheduled(scope, f"every {schedule['every']}")
                begun += 1
            except Conflict as error:
                log.warning("a scheduled backup is not made", extra={"tenant": scope.tenant, "why": error.message})
        else:
            table.take(config().control_table, keys.Key(item["pk"], item["sk"]))  # of a schedule that is another one now
    return begun


def prune(scope: Caller) -> None:
    """Delete the scheduled backups that are more than are kept."""
    schedule = table.get(config().control_table, keys.backup_schedule(scope))
    if schedule is None:
        return
    for item in list(stored.of_schedule(scope))[schedule["keep"] :]:
        stored.remove(scope, item["sk"], None)


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
