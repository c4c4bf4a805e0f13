"""The pump of a tenant: the one place from which its sockets are sent anything but answers.

Its orders come one after the other (a FIFO group a tenant), so it alone moves the position up to which everything was sent, and
it alone knows who is subscribed. A round reads the events behind that position, sends each to the subscriptions it fits and moves
the position on. Whoever dies in a round leaves the position where it was: what comes twice has an id that the client knows.

A subscription begins at the position of the pump, after what came before it was caught up with; so there is nothing between.
"""

import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sheaf.access.guard import Present
from sheaf.base.config import config
from sheaf.base.errors import Unavailable
from sheaf.features.realtime import cursors, frames, orders, sending, sockets, subscriptions
from sheaf.features.realtime.frames import Entry
from sheaf.features.realtime.subscribers import Subscribers, state_of
from sheaf.features.realtime.subscriptions import Subscription
from sheaf.records import journal
from sheaf.records.events import Event
from sheaf.records.journal import Heads, Page, Position
from sheaf.store import keys, table
from sheaf.store.table import ConditionFailed

_ROUND = 100  # events of one round
_SECONDS = 10.0  # of work for one order; then others have their turn
_LAG_SECONDS = 3.0  # that the index of the log may lie behind the log

Order = Mapping[str, Any]


@dataclass(slots=True)
class Pump:
    """A tenant's pump while it works on an order. `tenant` makes it a scope."""

    tenant: str
    request_id: str
    position: Position = ()
    _who: Subscribers = field(init=False)
    _deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self._who = Subscribers(self.tenant, self.request_id)
        self._deadline = time.monotonic() + _SECONDS

    def obey(self, order: Order) -> None:
        """Work on one order; the second time nothing changes but that somebody may be told again."""
        work: dict[str, Callable[[Order], None]] = {
            "news": self._news, "subscribe": self._subscribe, "unsubscribe": self._unsubscribe, "left": self._leave,
            "publish": self._publish, "presence": self._presence, "check": self._check,
        }  # fmt: skip
        try:
            if self._begin(starts=order["do"] == "subscribe"):
                work[order["do"]](order)
            else:
                self._answer_alone(order)
        except Exception:
            self._who.forget()
            raise

    # ---- orders ----

    def _answer_alone(self, order: Order) -> None:
        """Answer where nobody is subscribed."""
        if order["do"] == "presence":
            self._send({order["connection"]: [frames.presence(order["topic"], members=())]})
        elif order["do"] == "unsubscribe":
            self._send({order["connection"]: [frames.text("unsubscribed", id=order["id"])]})

    def _news(self, _: Order) -> None:
        if self._who.all():
            self._run()
        else:
            table.take(config().limits_table, keys.push(self))
            self._who.forget()

    def _subscribe(self, order: Order) -> None:
        made = subscriptions.of(self, order["connection"], order["id"], order)
        old = self._who.all().get((made.connection, made.name))
        if order.get("waits") and (old is None or old.waits != order["waits"]):
            return  # it was ended, or asked for anew, while it caught up
        if sockets.find(made.connection) is None:
            return
        self._run()
        caller = self._who.living([made]).get(made.who)
        if caller is None or not self._catch_up(caller, made, order):
            return
        if old and old.presence and old.topic != made.topic:
            self._end([old])
        here = {each.member for each in self._who.members(made.topic)} if made.presence else set()
        self._who.add(made)
        if sockets.find(made.connection) is None:
            self._end([made])  # it has closed meanwhile, and was perhaps looked for before it was there
            return
        members = sorted(here | {made.member}) if made.presence else None
        told = frames.text(
            "subscribed", id=made.name, topic=made.topic, cursor=cursors.text_of(self, self.position), members=members
        )
        self._send({made.connection: [told]})
        if made.presence and made.member not in here:
            self._tell_presence(made.topic, {made.connection}, joined=[made.member])

    def _unsubscribe(self, order: Order) -> None:
        self._end([each for key, each in self._who.all().items() if key == (order["connection"], order["id"])])
        self._send({order["connection"]: [frames.text("unsubscribed", id=order["id"])]})

    def _leave(self, order: Order) -> None:
        self._end([each for each in self._who.all().values() if each.connection == order["connection"]])

    def _publish(self, order: Order) -> None:
        found = self._who.active(f"{subscriptions.CHANNEL}{order['channel']}")
        living = self._who.living(found)
        sent: dict[str, list[str]] = defaultdict(list)
        for each in found:
            if (caller := living.get(each.who)) and subscriptions.may_get(caller, each):
                told = frames.text("message", id=each.name, channel=order["channel"], **{"from": order["from"]},
                                   at=order["at"], data=order["data"])  # fmt: skip
                sent[each.connection].append(told)
        self._send(sent)

    def _presence(self, order: Order) -> None:
        members = {each.member for each in self._who.members(order["topic"])}
        self._send({order["connection"]: [frames.presence(order["topic"], members=members)]})

    def _check(self, _: Order) -> None:
        """Close the sockets of those who would not be let in any more."""
        found = list(self._who.all().values())
        living = self._who.living(found)
        self._lose({each.connection for each in found if each.who not in living})

    # ---- rounds ----

    def _begin(self, *, starts: bool) -> bool:
        """Whether the pump has a position: where `starts`, it has one from now on.

        The position is there before the log is looked at, so whoever stores an event later gives an order.
        """
        key = keys.push(self)
        item = table.get(config().limits_table, key)
        if item is None and starts:
            table.put_new(config().limits_table, key, {"c": [], "n": 0, "g": secrets.token_hex(8)})
            item = table.get(config().limits_table, key)
        if item is None:
            return False
        self._who.state = state_of(item)
        if not item["c"]:
            item = table.update(config().limits_table, key, "SET #c = :here", values={"here": list(journal.heads(self).position)})
        self.position = tuple(item["c"])
        return True

    def _run(self) -> None:
        """Send everything behind the position, or as much as there is time for."""
        until = journal.heads(self)
        current = self._who.to_events()
        if not until.holds(self.position):
            told = frames.text("gap", oldest=cursors.text_of(self, until.oldest), cursor=cursors.text_of(self, until.position))
            self._send({each.connection: [told] for each in current})
            self._move(until.position)
        while self.position != until.position and current:
            page = self._read(self.position, until, lambda item: any(each.wanted.is_hinted(item) for each in current), _any)
            self._deliver(current, page.found)
            self._move(page.position)
            if self.position != until.position and time.monotonic() > self._deadline:
                orders.send(self, orders.NEWS, self.request_id)
                return
        if self.position != until.position:
            self._move(until.position)  # nobody wants any of it

    def _read(self, after: Position, until: Heads, hinted: Callable[[Any], bool], fits: Callable[[Event], bool]) -> Page:
        """A page that gets somewhere: where the index of the log lies behind, it is waited for. Raises Unavailable."""
        deadline = time.monotonic() + _LAG_SECONDS
        while True:
            page = journal.read(self, after, until, wanted=hinted, fits=fits, limit=_ROUND)
            if page.position != after:
                return page
            if time.monotonic() > deadline:
                raise Unavailable("The index of the event log lies behind")
            time.sleep(0.02)

    def _deliver(self, current: Sequence[Subscription], found: Sequence[tuple[Event, Position]]) -> None:
        entries: dict[str, list[Entry]] = defaultdict(list)
        living = self._who.living(current) if found else {}
        begin = self.position
        for event, position in found:
            for each in current:
                caller = living.get(each.who)
                if caller and subscriptions.sees(caller, each, event):
                    entries[each.connection].append(Entry(each, event, begin, position))
            begin = position
        self._send({connection: list(frames.events(self, several)) for connection, several in entries.items()})

    def _move(self, position: Position) -> None:
        try:
            table.update(config().limits_table, keys.push(self), "SET #c = :next", condition="#c = :seen",
                         values={"next": list(position), "seen": list(self.position)})  # fmt: skip
        except ConditionFailed as failure:
            if failure.old is None or tuple(failure.old["c"]) != position:
                raise Unavailable("Another pump of this tenant is at work") from None
        self.position = position

    def _catch_up(self, caller: Present, made: Subscription, order: Order) -> bool:
        """Send a subscription what came before the position; False where it goes on with a later order, or has ended."""
        text = order.get("reached") or made.terms.get("after")
        if not text or made.topic.startswith(subscriptions.CHANNEL):
            return True
        after, heads = cursors.position_of(self, text), journal.heads(self)
        if not heads.holds(after):
            told = frames.text("gap", id=made.name, oldest=cursors.text_of(self, heads.oldest),
                               cursor=cursors.text_of(self, self.position))  # fmt: skip
            return made.connection not in self._send({made.connection: [told]})
        until = replace(heads, position=tuple(map(max, after, self.position)))
        while after != until.position:
            reached = self._sent_up_to(caller, made, after, until)
            present = self._who.living([made]).get(made.who)
            if reached is None or present is None:
                return False
            caller, after = present, reached
            if after != until.position and time.monotonic() > self._deadline:
                self._wait(made, cursors.text_of(self, after))
                return False
        return True

    def _sent_up_to(self, caller: Present, made: Subscription, after: Position, until: Heads) -> Position | None:
        """Send a subscription the next page behind a position: where that ends, or None where its socket is lost."""
        page = self._read(after, until, made.wanted.is_hinted, lambda event: subscriptions.sees(caller, made, event))
        entries = []
        for event, position in page.found:
            entries.append(Entry(made, event, after, position))
            after = position
        lost = self._send({made.connection: list(frames.events(self, entries, name=made.name))})
        return None if lost else page.position

    def _wait(self, made: Subscription, reached: str) -> None:
        """Let a subscription go on catching up with a later order, unless it is ended or asked for anew before."""
        waiting = replace(made, waits=secrets.token_hex(8))
        self._who.add(waiting)
        _, item = made.item(self)
        again = {"do": "subscribe", "connection": made.connection, "id": made.name, **item,
                 "waits": waiting.waits, "reached": reached}  # fmt: skip
        orders.send(self, again, self.request_id)

    # ---- endings, presence, sending ----

    def _end(self, found: Sequence[Subscription]) -> None:
        if not found:
            return
        for topic in {each.topic for each in found if each.presence and not each.waits}:
            others = {each.member for each in self._who.active(topic, present=True) if each not in found}
            if gone := {each.member for each in found if each.topic == topic} - others:
                self._tell_presence(topic, {each.connection for each in found}, left=sorted(gone))
        self._who.remove(found)

    def _tell_presence(self, topic: str, but: set[str], *, joined: Sequence[str] = (), left: Sequence[str] = ()) -> None:
        told = frames.presence(topic, joined=joined, left=left)
        found = [each for each in self._who.active(topic, present=True) if each.connection not in but]
        living = self._who.living(found)
        self._send({each.connection: [told] for each in found
                    if each.who in living and subscriptions.may_get(living[each.who], each)})  # fmt: skip

    def _send(self, sent: Mapping[str, Sequence[str]]) -> set[str]:
        """Send each socket its messages, one after the other; those that cannot be sent to are lost, and which they are."""
        lost = sending.send(sent)
        self._lose(lost)
        return lost

    def _lose(self, lost: set[str]) -> None:
        for connection in lost:
            sockets.lose(connection, self.request_id)
        if lost and self._who.state:  # without one nobody is subscribed
            self._end([each for each in self._who.all().values() if each.connection in lost])


def _any(_: object) -> bool:
    return True
