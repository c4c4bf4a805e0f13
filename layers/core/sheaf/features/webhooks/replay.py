"""Replays: the events of a time sent to a webhook once more, in order per record, by a job."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import DELIVERY_DAYS, EXPORT_STEP_SECONDS, SCANNED_ROWS, WEBHOOK_EVENTS
from sheaf.base.clock import now_ms
from sheaf.base.config import config
from sheaf.base.errors import Conflict, InvalidParameter, ValidationFailed
from sheaf.entity import event_types
from sheaf.entity.body import object_of
from sheaf.entity.moments import moment_of
from sheaf.features.webhooks import again, catalogue, endpoints, hints, history, ledger
from sheaf.features.webhooks.hints import Hint
from sheaf.jobs import machine
from sheaf.jobs.machine import Status
from sheaf.jobs.runner import JobFailed, Result, Task
from sheaf.jobs.shapes import Steps
from sheaf.records import days, events
from sheaf.records.events import Event
from sheaf.records.once import Once
from sheaf.store import keys, table
from sheaf.store.keys import Key
from sheaf.store.table import Item

Which = Literal["all", "missed", "dead"]
_MISSED: Item = {"st": "dead"}  # what was never sent is like it
_READ = 100  # events looked at together
_PREVIEW_SECONDS = 15  # that a request looks at events
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Replay:
    """Which events: of a time, of some types (those that the webhook asks for now without), and what became of them before."""

    webhook_id: str
    from_ms: int
    to_ms: int
    which: Which
    types: tuple[str, ...] = ()

    def wants(self, webhook: Item, event: Event) -> bool:
        """Whether an event is one of them, apart from what became of it."""
        asked = {"events": list(self.types) or webhook["events"], "filter": webhook.get("filter")}
        return catalogue.is_told(event) and catalogue.fits(asked, event)


def read(webhook_id: str, body: object, which: Which | None = None) -> tuple[Replay, bool]:
    """What a replay is asked for, and whether it is only a preview; raises ValidationFailed.

    `{"from", "to"?, "types"?, "missedOnly"?, "preview"?}`; where `which` is said, `{"since", "preview"?}`.
    """
    names = ("since", "preview") if which else ("from", "to", "types", "missedOnly", "preview")
    asked = object_of(body, *names)
    wrong: dict[str, str] = {}
    at_ms, begin = now_ms(), names[0]
    times = {"to": at_ms}
    for name in (begin, *(["to"] if asked.get("to") is not None else [])):
        try:
            times[name] = moment_of(asked.get(name))
        except ValueError as error:
            wrong[name] = str(error)
    if not wrong and times[begin] > min(times["to"], at_ms):
        name, what = (begin, "is in the future") if times[begin] > at_ms else ("to", f"must not be before {begin}")
        wrong[name] = what
    if asked.get("missedOnly") is True and times.get(begin, at_ms) < at_ms - DELIVERY_DAYS * _DAY_MS:
        wrong[begin] = f"must be within the last {DELIVERY_DAYS} days: what was missed is known for so long"
    types = asked.get("types") or []
    known = event_types.every()
    if not isinstance(types, list) or len(types) > WEBHOOK_EVENTS or not all(
        isinstance(each, str) and event_types.PATTERN.fullmatch(each) and not event_types.is_unknown(each, known)
        for each in types
    ):  # fmt: skip
        wrong["types"] = f"must be a list of at most {WEBHOOK_EVENTS} types that GET /v1/event-types lists, or task.*"
    for name in ("missedOnly", "preview"):
        if not isinstance(asked.get(name, False), bool):
            wrong[name] = "must be true or false"
    if wrong:
        raise ValidationFailed.naming(wrong)
    chosen: Which = which or ("missed" if asked.get("missedOnly") else "all")
    return Replay(webhook_id, times[begin], min(times["to"], at_ms), chosen, tuple(types)), asked.get("preview", False)


def preview(caller: Caller, replay: Replay) -> dict[str, Any]:
    """How many events a replay would send; `complete` is false where there are more than one request may look at."""
    webhook = endpoints.find(caller, replay.webhook_id)
    count, looked, deadline = 0, 0, time.monotonic() + _PREVIEW_SECONDS
    for looked, (_, found) in enumerate(_events(caller, webhook, replay, ""), 1):
        count += len(found)
        if looked == SCANNED_ROWS // 4 or time.monotonic() > deadline:
            return {"events": count, "complete": False}
    return {"events": count, "complete": True, "looked": looked}


def accept(caller: Caller, replay: Replay, once: Once | None) -> Item:
    """Put a replay down as a job; raises NotFound, Conflict where the webhook is disabled, TooManyJobs."""
    if endpoints.find(caller, replay.webhook_id)["st"] != "enabled":
        raise Conflict("The webhook is disabled; enable it first")
    plan: Item = {"wh": replay.webhook_id, "low": replay.from_ms, "high": replay.to_ms, "which": replay.which,
                  "types": list(replay.types), "u": now_ms()}  # fmt: skip
    return machine.accept(caller, "replay", job_id=machine.new_id(), entity="events", chunks=1, total=0, plan=plan, once=once)


class ReplayWork(Steps):
    """Step n goes on after the last event of step n-1 and ends when its time is up."""

    def run(self, task: Task) -> Result:
        """Ask for events until they or the time run out. Raises JobFailed."""
        job = task.job
        replay = Replay(job["wh"], job["low"], job["high"], job["which"], tuple(job["types"]))
        webhook = table.get(config().control_table, keys.webhook(task.caller, replay.webhook_id))
        if webhook is None or webhook["st"] != "enabled":
            raise JobFailed("the webhook was removed or disabled")
        before = machine.chunk(task.caller, job["sk"], task.number - 1) if task.number else None
        after, rows, asked = str((before or {}).get("after", "")), 0, 0
        source = _events(task.caller, webhook, replay, after)
        deadline = time.monotonic() + EXPORT_STEP_SECONDS
        while True:
            try:
                looked = list(islice(source, _READ))
            except InvalidParameter as error:
                raise JobFailed(f"the webhook's filter is not understood any more: {error.message}") from error
            found = [event for _, wanted in looked for event in wanted]
            _ask(task.caller, replay.webhook_id, found, job["u"], f"{job['sk']}:{task.number}:{rows}")
            rows, asked = rows + len(looked), asked + len(found)
            after = looked[-1][0] if looked else after
            if len(looked) < _READ or time.monotonic() > deadline:
                return {"rows": rows, "created": asked, "after": after, "more": int(len(looked) == _READ)}

    def finalise(self, caller: Caller, job: Item, done: Sequence[Item], status: Status) -> Result:
        """There is no file."""
        return {}


def _ask(scope: Caller, webhook_id: str, found: Sequence[Event], at_ms: int, mark: str) -> None:
    items: dict[Key, Item] = dict(again.item_of(webhook_id, event, at_ms, of_person=False) for event in found)
    table.put_all(config().events_table, items)
    rows = dict.fromkeys(event.row for event in found)
    hints.send(scope, webhook_id, [Hint(row, again=mark) for row in rows])


def _events(scope: Caller, webhook: Item, replay: Replay, after: str) -> Iterator[tuple[str, list[Event]]]:
    """What a replay looks at, oldest first, each with the events to send of it. Raises InvalidParameter for a filter of old."""
    if replay.which == "dead":
        low, high = ids.lowest("evt", replay.from_ms), ids.lowest("evt", replay.to_ms + 1)
        marks = history.troubled_since(scope, replay.webhook_id, low, high, after)
        while looked := list(islice(marks, _READ)):
            dead = history.dead_of(scope, replay.webhook_id, looked)
            yield from ((mark["sk"], [dead[mark["sk"]]] if mark["sk"] in dead else []) for mark in looked)
        return
    source = days.changes(scope, replay.from_ms, replay.to_ms + 1, after)
    while found := list(islice(source, _READ)):
        items = table.get_many(config().events_table, [key for _, key in found])
        changes = {key: events.from_item(scope, keys.changed_row(key.pk), item) for key, item in items.items()}
        wanted = {key: [event for event in change.all if replay.wants(webhook, event)] for key, change in changes.items()}
        if replay.which == "missed":
            fit = ledger.find_many(scope, replay.webhook_id, [event.id for many in wanted.values() for event in many])
            wanted = {
                key: [event for event in many if fit.get(event.id, _MISSED)["st"] == "dead"] for key, many in wanted.items()
            }
        yield from ((event_id, wanted.get(key, [])) for event_id, key in found)
