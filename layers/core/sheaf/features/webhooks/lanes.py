"""Lanes: the events of one row on their way to one webhook, sent one after the other by one sender at a time.

A lane's row says how far it has come (`done`, an `Event.place`), who sends now and until when (`until`), and whether it waits
for the next try of an event (`due`, `tries`). Messages are only hints that a lane has news: doubled, late or mixed up ones
change nothing, since whoever takes a lane sends everything that is stored behind `done`.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from sheaf.base.bounds import DELIVERY_DAYS, DELIVERY_LEASE_SECONDS
from sheaf.base.clock import now, now_ms
from sheaf.base.config import config
from sheaf.base.errors import Unavailable
from sheaf.records.events import Event
from sheaf.store import keys, table
from sheaf.store.keys import Scope
from sheaf.store.table import ConditionFailed, Item, Write

KEPT_SECONDS = (DELIVERY_DAYS + 10) * 86_400  # a lane is forgotten after its events can be sent no more
_TRIES = 8
_WAIT = "#due, #head, #hid, #tries, #redo"
_FREE = "(attribute_not_exists(#until) OR #until < :now)"
_AWAKE = f"{_FREE} AND (attribute_not_exists(#due) OR #due <= :now)"
_MORE = ("due", "want", "again")  # what says that a lane which nobody has is not at its end

State = Literal["held", "waiting"]


@dataclass(frozen=True, slots=True)
class Busy:
    """A lane that another sender has ("held") or that waits for the next try of an event ("waiting"), as it stood."""

    state: State
    item: Item

    @property
    def done(self) -> int:
        """The place of the last event that was settled."""
        return int(self.item.get("done", 0))


@dataclass(slots=True)
class Lane:
    """A lane that we have taken, until `leave` or `wait`."""

    scope: Scope
    webhook_id: str
    row_id: str
    token: str  # which of its senders we are
    item: Item

    @property
    def done(self) -> int | None:
        """The place of the last event that was settled; None where there was none yet."""
        found = self.item.get("done")
        return None if found is None else int(found)

    @property
    def head(self) -> int | None:
        """The place of the event whose next try the lane has waited for."""
        return self.item.get("head")

    @property
    def tries(self) -> int:
        """How often that event was tried."""
        return int(self.item.get("tries", 0))

    @property
    def is_head_again(self) -> bool:
        """Whether that event is one that is sent once more."""
        return bool(self.item.get("redo"))

    @property
    def due_ms(self) -> int:
        """The time of the next try of that event; 0 where the lane waits for none."""
        return int(self.item.get("due", 0))

    @property
    def is_again(self) -> bool:
        """Whether events are to be sent once more."""
        return "again" in self.item

    @property
    def is_unsure(self) -> bool:
        """Whether an earlier sender has died, so that what it has sent must be looked up."""
        return int(self.item["takes"]) > 1

    def leave(self, done: int | None) -> bool:
        """Give the lane back after everything was settled up to `done`; False where news has come meanwhile and it is still ours.

        A lane that was lost to another sender is given back, too.
        """
        values = {"done": done, "mine": self.token, "ttl": now() + KEPT_SECONDS, "reach": done or 0}
        sets = "SET #done = :done, #ttl = :ttl" if done is not None else "SET #ttl = :ttl"
        try:
            table.update(
                config().events_table,
                self._key,
                f"{sets} REMOVE #until, #who, #takes, #want, {_WAIT}",
                condition="#who = :mine AND (attribute_not_exists(#want) OR #want <= :reach) AND attribute_not_exists(#again)",
                values={name: value for name, value in values.items() if value is not None},
            )
        except ConditionFailed as failure:
            if failure.old is not None and failure.old.get("who") == self.token:
                self.item = failure.old
                return False
        return True

    def pause(self, done: int | None, *, clear: bool, sure: bool = True) -> None:
        """Give the lane back although there is more to do, which others are told; until they come, the lane says so itself.

        `clear`: what it has waited for is settled. Without `sure`, the next sender looks up what was sent.
        """
        values: Item = {"ttl": now() + KEPT_SECONDS, **({} if done is None else {"done": done})}
        sets = ", ".join([*(f"#{name} = :{name}" for name in values), "#want = if_not_exists(#want, :more)"])
        values |= {"mine": self.token, "more": done or 0}
        gone = "#until, #who" + (", #takes" if sure else "") + (f", {_WAIT}" if clear else "")
        with suppress(ConditionFailed):  # it was lost to another sender
            table.update(config().events_table, self._key, f"SET {sets} REMOVE {gone}", condition="#who = :mine", values=values)

    def again_is_done(self) -> bool:
        """Note that nothing more is to be sent once more; False where that was asked for meanwhile. Raises ConditionFailed."""
        values = {"mine": self.token, "seen": self.item["again"]}
        condition = "#who = :mine AND #again = :seen"
        try:
            self.item = table.update(config().events_table, self._key, "REMOVE #again", condition=condition, values=values)
        except ConditionFailed as failure:
            if failure.old is None or failure.old.get("who") != self.token:
                raise
            self.item = failure.old
            return False
        return True

    def waiting(self, done: int | None, head: Event, tries: int, due_ms: int, *, redo: bool) -> Write:
        """The write that gives the lane back until the next try of an event; its condition fails where the lane was lost."""
        place = {"head": head.place, "hid": head.id, "tries": tries, "due": due_ms, "redo": redo}
        values = {"done": done, **place, "ttl": now() + KEPT_SECONDS, "mine": self.token}
        known = {name: value for name, value in values.items() if value is not None}
        sets = ", ".join(f"#{name} = :{name}" for name in known if name != "mine")
        return Write(config().events_table, "update", self._key, expression=f"SET {sets} REMOVE #until, #who, #takes",
                     condition="#who = :mine", values=known)  # fmt: skip

    @property
    def _key(self) -> keys.Key:
        return keys.lane(self.scope, self.webhook_id, self.row_id)


def take(
    scope: Scope, webhook_id: str, row_id: str, token: str, want: int, *, again: str = "", timer: bool = False
) -> Lane | Busy | None:
    """Take a lane of which there is news up to the place `want`; `again`: the mark of a wish that events be sent once more.

    Busy: another sender has it and knows of the news now, or it waits for the next try of an event; for `again` it is taken also
    while it waits. None: nothing to do, as for a `timer` of a lane that is at its end.
    """
    key = keys.lane(scope, webhook_id, row_id)
    sets = "SET #until = :until, #who = :mine, #ttl = :ttl" + (", #again = :again" if again else "")
    for _ in range(_TRIES):
        at_ms = now_ms()
        values = {"now": at_ms, "until": at_ms + DELIVERY_LEASE_SECONDS * 1000, "mine": token, "one": 1,
                  "ttl": now() + KEPT_SECONDS, **({"again": again} if again else {})}  # fmt: skip
        condition = _FREE if again else _AWAKE
        if timer:
            condition += f" AND ({' OR '.join(f'attribute_exists(#{name})' for name in _MORE)})"
        try:
            item = table.update(config().events_table, key, f"{sets} ADD #takes :one", condition=condition, values=values)
        except ConditionFailed as failure:
            if failure.old is not None and failure.old.get("who") == token:
                return Lane(scope, webhook_id, row_id, token, failure.old)  # our own call, whose first answer was lost
            state = _told(key, failure.old, at_ms, want, again=again, timer=timer)
            if state != "free":
                return state
            continue
        return Lane(scope, webhook_id, row_id, token, item)
    raise Unavailable(f"the lane of {row_id} is never still")


def _told(key: keys.Key, old: Item | None, at_ms: int, want: int, *, again: str, timer: bool) -> Busy | Literal["free"] | None:
    """Tell the lane that there is news, whoever has it."""
    if old is None:
        return None  # a timer of a lane that was forgotten
    if old.get("until", 0) >= at_ms:
        return _noted(key, old, want, again=again)
    if old.get("due", 0) > at_ms and not again:
        # A lane that has had no news yet would not look for any when it wakes.
        return _noted(key, old, want, again="") if want and "done" not in old else Busy("waiting", old)
    return None if timer and not any(name in old for name in _MORE) else "free"


def _noted(key: keys.Key, old: Item, want: int, *, again: str) -> Busy | Literal["free"]:
    """Note the news in a lane that is held or waits; "free" where it was given back this very moment."""
    state: State = "waiting" if "due" in old and "until" not in old else "held"
    if not again and old.get("want", 0) >= want:
        return Busy(state, old)
    mark = "until" if state == "held" else "due"
    values = {"seen": old[mark], **({"again": again} if again else {"want": want})}
    sets = "#again = :again" if again else "#want = :want"
    below = "" if again else " AND (attribute_not_exists(#want) OR #want < :want)"
    try:
        table.update(config().events_table, key, f"SET {sets}", condition=f"#{mark} = :seen{below}", values=values)
    except ConditionFailed:
        return "free"
    return Busy(state, old)


def hurry(scope: Scope, webhook_id: str, row_id: str) -> None:
    """Let the event that a lane waits for be tried now; nothing where it waits for none."""
    try:
        table.update(config().events_table, keys.lane(scope, webhook_id, row_id), "SET #due = :now",
                     condition="#due > :now AND attribute_not_exists(#until)", values={"now": now_ms()})  # fmt: skip
    except ConditionFailed:
        return


def waits_for(scope: Scope, webhook_id: str, event: Event) -> bool:
    """Whether a lane waits for the next try of an event, and nobody is at it now."""
    item = table.get(config().events_table, keys.lane(scope, webhook_id, event.row)) or {}
    return "due" in item and item["head"] == event.place and item.get("until", 0) < now_ms()
