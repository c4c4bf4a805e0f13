"""The sender: takes lanes of one webhook, sends what they hold in order, and arranges what follows a failure.

Every step may be done twice, late, or die in the middle: what was sent is in the ledger, how far a lane has come in its row,
and whoever finds a lane whose sender has died looks both up.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import takewhile
from math import ceil
from typing import Any

from sheaf.access.caller import Caller
from sheaf.base.bounds import DELIVERY_DAYS, DELIVERY_GAP_SECONDS, DELIVERY_LEASE_SECONDS, DELIVERY_THREADS
from sheaf.base.clock import now_ms
from sheaf.base.config import config
from sheaf.base.errors import NotFound
from sheaf.base.log import log
from sheaf.features.webhooks import again, catalogue, endpoints, health, hints, lanes, ledger, schedule
from sheaf.features.webhooks.again import Wish
from sheaf.features.webhooks.calls import Receiver
from sheaf.features.webhooks.hints import Hint
from sheaf.features.webhooks.lanes import Busy, Lane
from sheaf.records import events
from sheaf.records.events import PARTS, Event
from sheaf.store import table
from sheaf.store.table import ConditionFailed, Item, Write

_GAP_PAUSE = 10  # seconds until a lane looks again for an event that is not stored yet
_EARLY_SECONDS = 5  # that a timer may come too early
_TRIES = 5  # of a lane at which the sender itself fails
_LISTED_SECONDS = 60  # that a delivery waits for its receiver before it is listed


Survives = Callable[[Callable[[], None], Mapping[str, str]], bool]


class Lost(Exception):
    """The lane belongs to another sender by now."""


@dataclass(slots=True)
class Told:
    """What became of a message."""

    sent: int = 0
    failed: int = 0
    put_off: list[tuple[int, Hint]] = field(default_factory=list)  # for another invocation, each with its time in milliseconds
    broken: list[Hint] = field(default_factory=list)  # at which the sender itself has failed
    stuck: list[Hint] = field(default_factory=list)  # the same, and nobody can take their lanes before our leases end


def work(scope: Caller, message: Mapping[str, Any], is_late: Callable[[], bool], survives: Survives) -> Told:
    """Bring forward every lane that a message (hints.py) names; once `is_late()`, the rest is left to another invocation.

    `survives(step, what)` runs a step and says whether it went well: what breaks one lane is no harm to the others.
    """
    told, webhook_id, found = Told(), message["webhook"], [Hint.of(each) for each in message["rows"]]
    try:
        webhook = endpoints.find(scope, webhook_id)
    except NotFound:
        return told  # the tenant has removed it; what was on its way ends
    known = health.Health(scope, webhook_id, health.of(scope, webhook_id))
    if known.is_slow and not message["slow"]:
        hints.send(scope, webhook_id, found, slow=True)
        return told
    by_row: dict[str, list[Hint]] = {}
    for hint in found:
        by_row.setdefault(hint.row, []).append(hint)
    with Receiver(scope, webhook, known) as receiver:

        def bring(mine: list[Hint]) -> None:
            if (at_ms := _not_before(receiver, mine, is_late)) is not None:
                told.put_off += [(at_ms, _noted(scope, receiver, hint, at_ms)) for hint in mine]
                return
            walk, what = _Walk(scope, receiver, mine, told, is_late), {"webhook": webhook_id, "row": mine[0].row}
            if not survives(walk.run, what):
                (told.broken if survives(walk.give_back, what) else told.stuck).extend(mine)

        if len(by_row) == 1:
            bring(next(iter(by_row.values())))
        else:
            with ThreadPoolExecutor(min(DELIVERY_THREADS, len(by_row))) as threads:
                list(threads.map(bring, by_row.values()))
        _pass_on(scope, receiver, told)
    return told


def _pass_on(scope: Caller, receiver: Receiver, told: Told) -> None:
    """Hand what was not done to another invocation; raises where the sender itself fails again and again."""
    later: dict[int, list[Hint]] = {}
    for at_ms, hint in told.put_off:
        later.setdefault(min(schedule.QUEUE_SECONDS, max(1, ceil((at_ms - now_ms()) / 1000))), []).append(hint)
    for delay, hinted in later.items():
        hints.send(scope, receiver.webhook_id, hinted, delay=delay, slow=receiver.health.is_slow)
    for found, least in ((told.broken, 0), (told.stuck, DELIVERY_LEASE_SECONDS + 1)):
        if not found:
            continue
        tries = max(hint.tries for hint in found)
        if tries >= _TRIES:
            raise RuntimeError(f"lanes that cannot be brought forward: {', '.join(sorted({hint.row for hint in found}))[:500]}")
        pause = max(least, min(schedule.QUEUE_SECONDS, _GAP_PAUSE * 3**tries))
        # No timers any more: the lane may have come on before it broke, so that it waits for nothing and has news all the same.
        mended = [replace(hint, tries=hint.tries + 1, timer=False) for hint in found]
        hints.send(scope, receiver.webhook_id, mended, delay=pause)


def _not_before(receiver: Receiver, found: Sequence[Hint], is_late: Callable[[], bool]) -> int | None:
    """The millisecond before which a lane need not be looked at, None where it may be at once."""
    if receiver.refusal:
        return now_ms() if is_late() else None
    if receiver.is_paused:
        return receiver.health.pause_ms
    slots = [hint.slot for hint in found if hint.slot and hint.rate == receiver.rate]
    if len(slots) == len(found) and (opens_ms := receiver.opens_ms(min(slots))) > now_ms():
        return opens_ms
    return now_ms() if is_late() else None


def _noted(scope: Caller, receiver: Receiver, hint: Hint, at_ms: int) -> Hint:
    """A hint that is put off, its delivery listed where that takes long."""
    if hint.noted or not hint.event_id or at_ms - now_ms() < _LISTED_SECONDS * 1000:
        return hint
    ledger.held_back(scope, receiver.webhook_id, hint, until_ms=at_ms)
    return replace(hint, noted=True)


class _Walk:
    """One lane, from where it stands to its end or to the first event that has to wait."""

    def __init__(self, scope: Caller, receiver: Receiver, found: Sequence[Hint], told: Told, is_late: Callable[[], bool]) -> None:
        self._scope = scope
        self._receiver = receiver
        self._webhook_id = receiver.webhook_id
        self._hints = found
        self._told = told
        self._is_late = is_late
        self._row = found[0].row
        self._done: int | None = None
        self._settled = 0  # events, in this walk
        self._slots = sum(0 < receiver.opens_ms(hint.slot) <= now_ms() for hint in found if hint.rate == receiver.rate)
        self._is_asleep = False  # whether the lane waits, and is only looked at for what is to be sent once more
        self._token = secrets.token_hex(8)

    def run(self) -> None:
        """Bring the lane forward as far as it goes."""
        try:
            self._run()
        except Lost:
            log.info("a lane was lost to another sender", extra={"webhook": self._webhook_id, "row": self._row})

    def give_back(self) -> None:
        """Let others take the lane again after `run` has failed; what was settled until then is kept.

        It may be ours although we were never told so: then the answer to taking it was lost.
        """
        lane = Lane(self._scope, self._webhook_id, self._row, self._token, {})
        self._leave_to_others(lane, sure=False)

    def _run(self) -> None:
        mark = next((hint.again for hint in self._hints if hint.again), "")
        want, timer = max(hint.place for hint in self._hints), all(hint.timer for hint in self._hints)
        lane = lanes.take(self._scope, self._webhook_id, self._row, self._token, want, again=mark, timer=timer)
        if lane is None:
            return
        self._send_late(lane.done or 0)
        if isinstance(lane, Busy):
            self._wait_behind(lane)
            return
        self._done = lane.done
        if lane.due_ms > now_ms():
            self._past_the_head(lane)
            return
        steps = [self._once_more, self._forward] if lane.is_head_again else [self._forward, self._once_more]
        while all(step(lane) for step in steps):
            if lane.leave(self._done):
                return

    def _forward(self, lane: Lane) -> bool:
        """Settle everything that is stored behind `done`; False where the lane was given back."""
        if self._done is None:
            places = [place for place in (*(hint.place for hint in self._hints), lane.item.get("want", 0)) if place]
            if not places:
                return True  # there is no news, only something to be sent once more
            self._done = self._beginning(min(places))
        for event in self._behind(lane):
            if event is None:
                return False
            if self._is_wanted(lane, event):
                was = ledger.find(self._webhook_id, event) if lane.is_unsure else None
                if not (was and was["st"] != "pending") and not self._settle(lane, event):
                    return False
            self._done = event.place
        return True

    def _behind(self, lane: Lane) -> Iterator[Event | None]:
        """The events behind `done`; None, after which the lane is given back, where one before them is not stored yet."""
        done = self._done or 0
        last, part = divmod(done, PARTS)
        for change in events.since(self._scope, self._row, last if part == PARTS - 1 else last - 1):
            if change.previous and change.sequence > last + 1 and now_ms() - change.at_ms < DELIVERY_GAP_SECONDS * 1000:
                self._wait(lane, change, 0, now_ms() + _GAP_PAUSE * 1000, [], redo=False)
                yield None
                return
            yield from (event for event in change.all if event.place > done)
            last = change.sequence
            self._done = last * PARTS + PARTS - 1  # the whole change is settled

    def _is_wanted(self, lane: Lane, event: Event) -> bool:
        if not catalogue.is_told(event):
            return False
        # What was tried, or is listed as waiting, was wanted, also where the terms of its time are forgotten or not understood.
        known = catalogue.wants(self._receiver.webhook, event)
        if known is None:
            return lane.head == event.place or ledger.find(self._webhook_id, event) is not None
        return known

    def _beginning(self, place: int) -> int:
        """The place before the first event that a webhook which never had one of this row can have asked for."""
        if place < 2 * PARTS:
            return PARTS - 1  # the news is its first version
        horizon = max(self._receiver.webhook["asked"][0]["from"], now_ms() - DELIVERY_DAYS * 86_400_000)
        for event in events.back(self._scope, self._row):
            if event.at_ms < horizon:
                return event.sequence * PARTS + PARTS - 1
        return PARTS - 1

    def _once_more(self, lane: Lane) -> bool:
        """Settle what is to be sent once more; False where the lane was given back."""
        while lane.is_again or lane.is_head_again:
            for wish in again.waiting(self._scope, self._webhook_id, self._row):
                if not self._send_again(lane, wish):
                    return False
            lane.item.pop("redo", None)
            if not lane.is_again or lane.again_is_done():
                return True
        return True

    def _past_the_head(self, lane: Lane) -> None:
        """Send once more what comes before the event that a lane waits for; the rest waits with that one."""
        self._is_asleep, head = True, lane.head or 0
        wishes = again.waiting(self._scope, self._webhook_id, self._row)
        if all(self._send_again(lane, wish) for wish in takewhile(lambda wish: wish.event.place < head, wishes)):
            self._leave_to_others(lane)
        self._show_waiting(lane.item)
        if lane.due_ms - now_ms() <= _EARLY_SECONDS * 1000:  # its timer may have come while the lane was ours
            self._told.put_off.append((lane.due_ms, Hint(self._row, timer=True)))

    def _send_again(self, lane: Lane, wish: Wish) -> bool:
        was = ledger.find(self._webhook_id, wish.event)
        sent = was is not None and was["st"] == "delivered" and was["up"] > wish.asked_ms  # by a sender that died then
        if not sent:
            ledger.shorten(self._webhook_id, wish.event, was)
            if not self._settle(lane, wish.event, wish, was):
                return False
        again.take(wish.key)
        return True

    def _settle(self, lane: Lane, event: Event, wish: Wish | None = None, was: Item | None = None) -> bool:
        """Deliver an event, or let it be dead with a reason; False where it has to wait and the lane was given back.

        `wish`: it is sent once more, after it `was` something else.
        """
        if self._settled and self._is_late():
            self._put_off(lane, event, wish, now_ms())
            return False
        if refusal := self._receiver.refusal:
            if wish and was and was.get("was") == "delivered":
                ledger.delivered(self._webhook_id, event, None, was_troubled=True)
            else:
                ledger.dead(self._webhook_id, event, None, refusal)
        elif not self._has_room(lane, event, wish) or not self._deliver(lane, event, wish):
            return False
        self._settled += 1
        return True

    def _has_room(self, lane: Lane, event: Event, wish: Wish | None) -> bool:
        """Whether another call may be made now; else the lane was given back until then."""
        if self._receiver.is_paused:
            self._put_off(lane, event, wish, self._receiver.health.pause_ms)
            return False
        if self._slots:
            self._slots -= 1
            return True
        slot = self._receiver.room()
        if (opens_ms := self._receiver.opens_ms(slot)) > now_ms():
            self._put_off(lane, event, wish, opens_ms, slot=slot)
            return False
        return True

    def _put_off(self, lane: Lane, event: Event, wish: Wish | None, at_ms: int, *, slot: int = 0) -> None:
        """Give the lane back, to be looked at again at a time, for which a `slot` may be kept free."""
        self._leave_to_others(lane)
        hint = Hint(self._row, again=event.id) if wish else hints.of_event(event)
        hint = replace(hint, again=str(lane.item.get("again", hint.again)), slot=slot, rate=self._receiver.rate if slot else 0)
        self._told.put_off.append((at_ms, _noted(self._scope, self._receiver, hint, at_ms)))

    def _deliver(self, lane: Lane, event: Event, wish: Wish | None) -> bool:
        """Call the receiver and note how that ended; False where the event is tried again and the lane was given back."""
        tries = lane.tries if lane.head == event.place and lane.is_head_again == bool(wish) else 0
        attempt = self._receiver.call(event, tries + 1, trial=wish is not None and wish.is_of_person)
        if attempt.went_well:
            # Others have waited behind the head, or for room.
            troubled = bool(wish) or lane.is_unsure or lane.head is not None or any(hint.noted for hint in self._hints)
            ledger.delivered(self._webhook_id, event, attempt, was_troubled=troubled)
            self._told.sent += 1
            return True
        self._told.failed += 1
        due_ms = None if self._receiver.refusal else schedule.next_ms(self._webhook_id, event, attempt)
        if due_ms is None:
            reason = self._receiver.refusal or f"{tries + 1} attempts failed, the last one: {attempt.reason}"
            ledger.dead(self._webhook_id, event, attempt, reason)
            return True
        if self._is_asleep:  # it goes on when the lane wakes, after the event that the lane waits for
            table.commit(ledger.failed(self._webhook_id, event, attempt, lane.due_ms))
            self._leave_to_others(lane)
        else:
            noted = ledger.failed(self._webhook_id, event, attempt, due_ms)
            self._wait(lane, event, tries + 1, due_ms, noted, redo=bool(wish))
        return False

    def _leave_to_others(self, lane: Lane, *, sure: bool = True) -> None:
        """Give the lane back with what was settled; what it waits for is among that unless it is only looked past."""
        lane.pause(self._done, clear=bool(self._settled) and not self._is_asleep, sure=sure)

    def _wait(self, lane: Lane, event: Event, tries: int, due_ms: int, writes: list[Write], *, redo: bool) -> None:
        """Give the lane back until `due_ms`, together with what is to be noted."""
        # Woken before it sleeps: a death in between is found by whoever comes, and there is somebody who comes.
        woken = schedule.wake(self._scope, self._webhook_id, Hint(self._row, timer=True), due_ms)
        try:
            table.commit([lane.waiting(self._done, event, tries, due_ms, redo=redo), *writes, *woken])
        except ConditionFailed:
            raise Lost from None

    def _send_late(self, done: int) -> None:
        """An event that is told after later ones were sent, since it was set aside for too long, is still sent."""
        for hint in self._hints:
            if not 0 < hint.place <= done:
                continue
            event = again.event_at(self._scope, self._row, hint.place)
            if event is None or not catalogue.wants(self._receiver.webhook, event) or ledger.find(self._webhook_id, event):
                continue
            key, item = again.item_of(self._webhook_id, event, now_ms(), of_person=False)
            table.put_new(config().events_table, key, item)
            hints.send(self._scope, self._webhook_id, [Hint(self._row, again=event.id)])

    def _wait_behind(self, lane: Busy) -> None:
        """Show the events that wait for one before them; and never lose the timer of a lane."""
        if lane.state == "held":
            return
        self._show_waiting(lane.item)
        early = int(lane.item["due"]) - now_ms()
        if any(hint.timer for hint in self._hints) and early <= _EARLY_SECONDS * 1000:
            schedule.wake(self._scope, self._webhook_id, Hint(self._row, timer=True), int(lane.item["due"]))

    def _show_waiting(self, lane: Item) -> None:
        for hint in self._hints:
            if hint.event_id and hint.place > max(int(lane.get("done", 0)), int(lane["head"])):
                ledger.held_back(self._scope, self._webhook_id, hint, behind=str(lane["hid"]))
