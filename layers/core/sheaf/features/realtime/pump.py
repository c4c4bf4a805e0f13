"""The pump of a tenant: the one place from which its sockets are sent anything but answers.

Its orders come one after the other (a FIFO group a tenant), so it alone moves the position up to which everything was sent, and
it alone knows who is subscribed. A round reads the events behind that position, sends each to the subscriptions it fits and moves
the position on. Whoever dies in a round leaves the position where it was: what comes twice has a cursor that the client knows.

A subscription begins at the position of the pump, after what came before it was caught up with; so there is nothing between.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from sheaf.access import guard
from sheaf.access.caller import Caller
from sheaf.access.guard import Named
from sheaf.base.config import config
from sheaf.base.errors import InvalidParameter, Unavailable
from sheaf.base.log import log
from sheaf.features.realtime import cursors, frames, orders, sockets, subscriptions
from sheaf.features.realtime.frames import Entry
from sheaf.features.realtime.subscriptions import Subscription
from sheaf.records import journal
from sheaf.records.events import Event
from sheaf.records.journal import Position
from sheaf.store import keys, table
from sheaf.store import sockets as wires
from sheaf.store.table import ConditionFailed

_ROUND = 100  # events of one round
_THREADS = 16
_CATCH_UP_SECONDS = 10.0  # then others have their turn
_LAG_SECONDS = 3.0  # that the index of the log may lie behind the log
_TENANTS = 50  # whose subscriptions a process remembers
_remembered: dict[str, tuple[int, dict[tuple[str, str], Subscription]]] = {}

Order = Mapping[str, Any]


@dataclass(slots=True)
class Pump:
    """A tenant's pump while it works on orders. `tenant` makes it a scope."""

    tenant: str
    request_id: str
    position: Position = ()
    changes: int = 0  # of its subscriptions, ever
    _subscriptions: dict[tuple[str, str], Subscription] | None = None
    _lost: set[str] = field(default_factory=set)

    def obey(self, order: Order) -> None:
        """Work on one order; the second time nothing changes but that somebody may be told again."""
        work: dict[str, Callable[[Order], None]] = {
            "news": self._news, "subscribe": self._subscribe, "unsubscribe": self._unsubscribe, "left": self._leave,
            "publish": self._publish, "presence": self._presence, "check": self._check,
        }  # fmt: skip
        try:
            if self._begin(starts=order["do"] == "subscribe"):
                work[order["do"]](order)
            while self._lost:
                self._leave({"connection": self._lost.pop()})
        except Exception:
            _remembered.pop(self.tenant, None)  # what was half done is read again
            raise

    # ---- orders ----

    def _news(self, _: Order) -> None:
        if self._all():
            self._run()
        else:
            table.take(config().limits_table, keys.push(self))
            _remembered.pop(self.tenant, None)

    def _subscribe(self, order: Order) -> None:
        connection, name = order["connection"], order["id"]
        socket = sockets.find(connection)
        if socket is None:
            return
        self._run()
        made = subscriptions.of(self, connection, name, order)
        caller = self._living([made.who]).get(made.who)
        if caller is None:
            return
        if (after := made.terms.get("after")) and not made.topic.startswith(subscriptions.CHANNEL):
            reached = self._catch_up(caller, made, cursors.position_of(self, order.get("reached", after)))
            if not reached:
                return
        here = self._members(made.topic)
        table.put(config().limits_table, *made.item(self))
        self._all()[connection, name] = made
        self._changed()
        members = self._members(made.topic) if made.presence else None
        told = frames.text("subscribed", id=name, topic=made.topic, cursor=cursors.text_of(self, self.position),
                           members=sorted(members) if members is not None else None)  # fmt: skip
        self._send({connection: [told]})
        if made.presence and made.member not in here:
            self._tell_presence(made.topic, but=connection, joined=[made.member])

    def _unsubscribe(self, order: Order) -> None:
        self._end([each for key, each in self._all().items() if key == (order["connection"], order["id"])])
        self._send({order["connection"]: [frames.text("unsubscribed", id=order["id"])]})

    def _leave(self, order: Order) -> None:
        self._end([each for each in self._all().values() if each.connection == order["connection"]])

    def _publish(self, order: Order) -> None:
        topic = f"{subscriptions.CHANNEL}{order['channel']}"
        found = [each for each in self._all().values() if each.topic == topic]
        living = self._living(each.who for each in found)
        sent: dict[str, list[str]] = defaultdict(list)
        for each in found:
            if (caller := living.get(each.who)) and subscriptions.may_get(caller, each):
                told = frames.text("message", id=each.name, channel=order["channel"], **{"from": order["from"]},
                                   at=order["at"], data=order["data"])  # fmt: skip
                sent[each.connection].append(told)
        self._send(sent)

    def _presence(self, order: Order) -> None:
        self._send({order["connection"]: [frames.presence(order["topic"], members=self._members(order["topic"]))]})

    def _check(self, _: Order) -> None:
        """Close the sockets of those who would not be let in any more."""
        living = self._living(each.who for each in self._all().values())
        for connection in {each.connection for each in self._all().values() if each.who not in living}:
            with suppress(Unavailable):
                wires.close(connection)
            self._lose(connection)

    # ---- rounds ----

    def _begin(self, *, starts: bool) -> bool:
        """Whether the pump has a position: where `starts`, it has one from now on.

        The position is there before the log is looked at, so whoever stores an event later gives an order.
        """
        key = keys.push(self)
        item = table.get(config().limits_table, key)
        if item is None and starts:
            table.put_new(config().limits_table, key, {"c": [], "n": 0})
            item = table.update(config().limits_table, key, "SET #c = :here", values={"here": list(journal.heads(self).position)})
        if item is None:
            return False
        self.position, self.changes = tuple(item["c"]), item["n"]
        if not self.position:  # who began it has died
            self.position = journal.heads(self).position
            table.update(config().limits_table, key, "SET #c = :here", values={"here": list(self.position)})
        return True

    def _run(self) -> None:
        """Send everything behind the position."""
        until = journal.heads(self)
        if not until.holds(self.position):
            told = frames.text("gap", oldest=cursors.text_of(self, until.oldest), cursor=cursors.text_of(self, until.position))
            self._send({connection: [told] for connection, _ in self._all()})
            self._move(until.position)
        current, deadline = self._current(), time.monotonic() + _LAG_SECONDS
        while self.position != until.position and current:
            page = journal.read(self, self.position, until, fits=_any, limit=_ROUND,
                                wanted=lambda item: any(each.wanted.is_hinted(item) for each in current))  # fmt: skip
            if page.position != self.position:
                self._deliver(current, page.found)
                self._move(page.position)
            elif time.monotonic() > deadline:
                raise Unavailable("The index of the event log lies behind")
            else:
                time.sleep(0.02)
        if self.position != until.position:
            self._move(until.position)  # nobody wants any of it

    def _deliver(self, current: Sequence[Subscription], found: Sequence[tuple[Event, Position]]) -> None:
        entries: dict[str, list[Entry]] = defaultdict(list)
        living = self._living(each.who for each in current) if found else {}
        for event, position in found:
            for each in current:
                caller = living.get(each.who)
                if caller and subscriptions.sees(caller, each, event):
                    entries[each.connection].append(Entry(each, event, position))
        self._send({connection: list(frames.events(self, several)) for connection, several in entries.items()})

    def _move(self, position: Position) -> None:
        try:
            table.update(config().limits_table, keys.push(self), "SET #c = :next", condition="#c = :seen",
                         values={"next": list(position), "seen": list(self.position)})  # fmt: skip
        except ConditionFailed as failure:
            if failure.old is None or tuple(failure.old["c"]) != position:
                raise Unavailable("Another pump of this tenant is at work") from None
        self.position = position

    def _catch_up(self, caller: Caller, made: Subscription, after: Position) -> bool:
        """Send a subscription what came before the position; False where it goes on with a later order."""
        until = replace(journal.heads(self), position=self.position)
        if not all(least <= place for least, place in zip(until.oldest, after, strict=True)):
            told = frames.text("gap", id=made.name, oldest=cursors.text_of(self, until.oldest),
                               cursor=cursors.text_of(self, self.position))  # fmt: skip
            self._send({made.connection: [told]})
            return True
        deadline = time.monotonic() + _CATCH_UP_SECONDS
        while True:
            page = journal.read(self, after, until, wanted=made.wanted.is_hinted,
                                fits=lambda event: subscriptions.sees(caller, made, event), limit=_ROUND)  # fmt: skip
            self._send({made.connection: list(frames.events(self, [Entry(made, event, at) for event, at in page.found]))})
            if not page.more or made.connection in self._lost:
                return made.connection not in self._lost
            after = page.position
            if time.monotonic() > deadline:
                again = {"do": "subscribe", "connection": made.connection, "id": made.name, **made.item(self)[1],
                         "reached": cursors.text_of(self, after)}  # fmt: skip
                orders.send(self, again, self.request_id)
                return False

    # ---- who is there ----

    def _all(self) -> dict[tuple[str, str], Subscription]:
        if self._subscriptions is None:
            known = _remembered.get(self.tenant)
            self._subscriptions = known[1] if known and known[0] == self.changes else self._read()
            self._remember(self._subscriptions)
        return self._subscriptions

    def _read(self) -> dict[tuple[str, str], Subscription]:
        found = {}
        for item in table.query(config().limits_table, keys.subscriptions(self), page=1_000):
            connection, name = keys.subscribed(item["sk"])
            try:
                found[connection, name] = subscriptions.of(self, connection, name, item)
            except InvalidParameter as error:
                log.warning("a subscription is not understood any more", extra={"why": error.message})
        return found

    def _remember(self, found: dict[tuple[str, str], Subscription]) -> None:
        if len(_remembered) >= _TENANTS:
            _remembered.clear()
        _remembered[self.tenant] = (self.changes, found)

    def _changed(self) -> None:
        """Let other processes read the subscriptions again."""
        self.changes = table.update(config().limits_table, keys.push(self), "ADD #n :one", values={"one": 1})["n"]
        self._remember(self._all())

    def _current(self) -> list[Subscription]:
        """The subscriptions to events, the macros of their filters read now."""
        found = [each for each in self._all().values() if not each.topic.startswith(subscriptions.CHANNEL)]
        return [replace(each, wanted=subscriptions.wanted_of(each.terms)) if "filter" in each.terms else each for each in found]

    def _living(self, who: Iterable[Named]) -> dict[Named, Caller]:
        return guard.living(self, set(who), self.request_id)

    def _members(self, topic: str) -> set[str]:
        found = self._present(topic)
        living = self._living(each.who for each in found)
        return {each.member for each in found if each.who in living}

    def _present(self, topic: str) -> list[Subscription]:
        return [each for each in self._all().values() if each.topic == topic and each.presence]

    def _end(self, found: Sequence[Subscription]) -> None:
        if not found:
            return
        for each in found:
            self._all().pop((each.connection, each.name), None)
        table.take_all(config().limits_table, [keys.subscription(self, each.connection, each.name) for each in found])
        self._changed()
        for topic in {each.topic for each in found if each.presence}:
            gone = {each.member for each in found if each.topic == topic} - {each.member for each in self._present(topic)}
            if gone:
                self._tell_presence(topic, left=sorted(gone))

    def _tell_presence(self, topic: str, *, but: str = "", joined: Sequence[str] = (), left: Sequence[str] = ()) -> None:
        told = frames.presence(topic, joined=joined, left=left)
        found = [each for each in self._present(topic) if each.connection != but]
        living = self._living(each.who for each in found)
        self._send({each.connection: [told] for each in found if each.who in living})

    # ---- sending ----

    def _send(self, sent: Mapping[str, Sequence[str]]) -> None:
        """Send each socket its messages, one after the other; one that cannot be sent to is lost, and told so by its end."""
        wanted = [(connection, texts) for connection, texts in sent.items() if texts and connection not in self._lost]
        if len(wanted) == 1:
            self._send_one(*wanted[0])
        elif wanted:
            with ThreadPoolExecutor(min(_THREADS, len(wanted))) as threads:
                list(threads.map(lambda each: self._send_one(*each), wanted))

    def _send_one(self, connection: str, texts: Sequence[str]) -> None:
        try:
            for each in texts:
                wires.post(connection, each)
        except wires.SocketGone:
            self._lose(connection)
        except Unavailable:
            # A client that has missed something must come again and say from where on; if it cannot be told so, its next ping is.
            log.warning("a socket takes no messages", extra={"connection": connection})
            with suppress(Unavailable):
                wires.close(connection)
            self._lose(connection)

    def _lose(self, connection: str) -> None:
        self._lost.add(connection)
        if socket := sockets.find(connection):
            sockets.forget(socket, self.request_id)


def _any(_: object) -> bool:
    return True
