"""Days in seconds: a clock that jumps from wait to wait, and the database and the queue as the sender of webhooks uses them.

`Loop` runs tasks in threads of which exactly one is at work; `sleep` hands on to the task that is due next. `Store` keeps items in
memory and evaluates the expressions that our modules write (tests/sim/test_delivery.py compares it with moto). `Sqs` are fair
queues, each behind an event source mapping of bounded concurrency (docs: "Amazon SQS fair queues", "Using AWS Lambda with Amazon SQS").
"""

import heapq
import random
import re
import threading
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any
from unittest.mock import patch

from sheaf.base import clock
from sheaf.base.errors import Unavailable
from sheaf.store import queues, table
from sheaf.store.keys import Key
from sheaf.store.table import ConditionFailed, Item, Span, Write
from sim.sources import Killed

BEGIN = 1_795_255_200.0
_ATTEMPTS = 4


class Loop:
    """The virtual clock and its tasks."""

    def __init__(self) -> None:
        self.now = BEGIN
        self._due: list[tuple[float, int, threading.Semaphore]] = []
        self._numbers = count()
        self._control = threading.Semaphore(0)
        self._broken: BaseException | None = None

    def spawn(self, work: Callable[[], None], at: float | None = None) -> None:
        """Run `work` as a task of its own at a time, now without one."""
        gate = threading.Semaphore(0)

        def body() -> None:
            gate.acquire()
            try:
                work()
            except BaseException as error:  # it is raised by `run`
                self._broken = error
            self._control.release()

        threading.Thread(target=body, daemon=True).start()
        heapq.heappush(self._due, (self.now if at is None else at, next(self._numbers), gate))

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass for this task."""
        gate = threading.Semaphore(0)
        heapq.heappush(self._due, (self.now + seconds, next(self._numbers), gate))
        self._control.release()
        gate.acquire()

    def together(self, works: Sequence[Callable[[], None]]) -> None:
        """Run some works as tasks of their own and go on when all of them have ended; raises what one of them has raised."""
        gate, left, errors = threading.Semaphore(0), [len(works)], []

        def ending(work: Callable[[], None]) -> None:
            try:
                work()
            except BaseException as error:  # it is raised below
                errors.append(error)
            left[0] -= 1
            if not left[0]:
                heapq.heappush(self._due, (self.now, next(self._numbers), gate))

        for work in works:
            self.spawn(lambda work=work: ending(work))  # type: ignore[misc]
        self._control.release()
        gate.acquire()
        if errors:
            raise errors[0]

    def run(self, until: float) -> None:
        """Go on until nothing is due before a time."""
        while self._due and self._due[0][0] <= until:
            self.now, _, gate = heapq.heappop(self._due)
            gate.release()
            self._control.acquire()
            if self._broken:
                raise self._broken
        self.now = max(self.now, until)

    def timer(self, seconds: float, work: Callable[[], None]) -> "Timer":
        """As threading.Timer."""
        return Timer(self, seconds, work)

    @contextmanager
    def clock(self) -> Iterator[None]:
        """Let this be the clock of everything inside."""
        with clock.using(lambda: self.now):
            yield


class Timer:
    """Work that is done after some time unless it is cancelled before."""

    def __init__(self, loop: Loop, seconds: float, work: Callable[[], None]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._work = work
        self._over = False

    def start(self) -> None:
        """Let the time begin."""
        self._loop.spawn(self._ring, self._loop.now + self._seconds)

    def cancel(self) -> None:
        """Let the work not be done."""
        self._over = True

    def _ring(self) -> None:
        if not self._over:
            with suppress(Killed):
                self._work()


@dataclass
class Faults:
    """Trouble at calls of the database and the queue: errors before or after their effect, and deaths of whoever calls.

    As the AWS SDK does, a call that has failed is made again, four times in all, so that it may meet its own effect.
    """

    rng: random.Random
    errors: float = 0.0
    kills: float = 0.0
    killed: int = 0
    kill_at: int = 0  # the call that kills, counted before and after its effect; 0 for none
    injected: int = 0
    unanswered: int = 0
    _passed: int = 0

    def kill_at_call(self, number: int) -> None:
        """Kill whoever makes the call of this number from now on, each counted before and after its effect."""
        self.kill_at, self._passed = number, 0

    def call(self, work: Callable[[], Any]) -> Any:
        """What `work` returns, or Unavailable, or the end of whoever calls."""
        for _ in range(_ATTEMPTS):
            self._die()
            if self._fails():
                continue
            found = work()
            self._die()
            if not self._fails():
                return found
        self.unanswered += 1
        raise Unavailable("injected")

    def _fails(self) -> bool:
        failed = self.rng.random() < self.errors / 2
        self.injected += failed
        return failed

    def _die(self) -> None:
        self._passed += 1
        if self._passed == self.kill_at or (self.kills and self.rng.random() < self.kills):
            self.killed += 1
            raise Killed


@dataclass
class Store:
    """One table's worth of items for all tables: their keys never meet."""

    faults: Faults
    items: dict[Key, Item] = field(default_factory=dict)
    sorted: dict[str, list[str]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    check: Callable[[], None] = lambda: None  # of whoever calls: whether they are alive

    @contextmanager
    def instead(self) -> Iterator[None]:
        """Let this be the table inside the block."""
        names = ("get", "get_many", "put", "put_new", "put_all", "update", "take", "take_all", "commit", "query")
        with patch.multiple(table, **{name: getattr(self, name) for name in names}):
            yield

    def _call(self, name: str, work: Callable[[], Any]) -> Any:
        self.check()
        self.calls[name] += 1
        return self.faults.call(work)

    def get(self, _: str, key: Key) -> Item | None:
        found = self._call("get", lambda: self.items.get(key))
        return dict(found) if found is not None else None

    def get_many(self, _: str, found: Sequence[Key], *, names: Sequence[str] = ()) -> dict[Key, Item]:
        return dict(self._call("get_many", lambda: {key: dict(self.items[key]) for key in found if key in self.items}))

    def put(self, name: str, key: Key, item: Item, *, condition: str = "", values: Mapping[str, Any] | None = None) -> None:
        self.commit([Write(name, "put", key, item=item, condition=condition, values=values or {})])

    def put_new(self, name: str, key: Key, item: Item) -> bool:
        try:
            self.put(name, key, item, condition="attribute_not_exists(#pk)")
        except ConditionFailed:
            return False
        return True

    def put_all(self, name: str, items: Mapping[Key, Item]) -> None:
        self._call("put_all", lambda: [self._write(Write(name, "put", key, item=item)) for key, item in items.items()])

    def take(self, name: str, key: Key) -> Item | None:
        def work() -> Item | None:
            old = self.items.get(key)
            self._write(Write(name, "delete", key))
            return old

        return self._call("take", work)  # type: ignore[no-any-return]

    def take_all(self, name: str, found: Sequence[Key]) -> None:
        self._call("take_all", lambda: [self._write(Write(name, "delete", key)) for key in found])

    def update(
        self, name: str, key: Key, expression: str, *, condition: str = "", values: Mapping[str, Any] | None = None
    ) -> Item:
        write = Write(name, "update", key, expression=expression, condition=condition, values=values or {})

        def work() -> Item:
            self._commit([write])
            return dict(self.items[key])

        return self._call("update", work)  # type: ignore[no-any-return]

    def commit(self, writes: Sequence[Write]) -> None:
        done: list[bool] = []  # a transaction has a token: made again, it is the same one

        def work() -> None:
            if not done or len(writes) == 1:
                self._commit(writes)
            done.append(True)

        self._call("commit", work)

    def _commit(self, writes: Sequence[Write]) -> None:
        for position, write in enumerate(writes):
            old = self.items.get(write.key)
            if write.condition and not holds(write.condition)(old or {}, write.values):
                raise ConditionFailed(dict(old) if old else None, position)
        for write in writes:
            self._write(write)

    def query(self, _: str, span: Span | str, *, after: str = "", newest_first: bool = False, page: int = 100,
              names: Sequence[str] = ()) -> Iterator[Item]:  # fmt: skip
        found = span if isinstance(span, Span) else Span(span)
        assert not found.index

        def work() -> list[Item]:
            places = self.sorted.get(found.pk, [])
            low = bisect_left(places, found.low) if found.low else 0
            high = bisect_right(places, found.high) if found.high else len(places)
            chosen = [each for each in places[low:high] if not after or (each < after if newest_first else each > after)]
            return [dict(self.items[Key(found.pk, each)]) for each in (reversed(chosen) if newest_first else chosen)]

        return iter(self._call("query", work))

    def _write(self, write: Write) -> None:
        if write.kind == "delete":
            if self.items.pop(write.key, None) is not None:
                places = self.sorted[write.key.pk]
                del places[bisect_left(places, write.key.sk)]
            return
        if write.key not in self.items:
            insort(self.sorted.setdefault(write.key.pk, []), write.key.sk)
        own = {"pk": write.key.pk, "sk": write.key.sk}
        if write.kind == "put":
            self.items[write.key] = {**own, **{name: value for name, value in write.item.items() if value is not None}}
        else:
            self.items[write.key] = changed({**own, **self.items.get(write.key, {})}, write.expression, write.values)


_TERMS = (
    (r"attribute_not_exists\(#(\w+)\)", r"('\1' not in item)"),
    (r"attribute_exists\(#(\w+)\)", r"('\1' in item)"),
    (r"#(\w+) = :(\w+)", r"('\1' in item and item['\1'] == values['\2'])"),
    (r"#(\w+) (<=|>=|<|>) :(\w+)", r"('\1' in item and item['\1'] \2 values['\3'])"),
    (r"#(\w+) <> :(\w+)", r"('\1' not in item or item['\1'] != values['\2'])"),
    (r"\bAND\b", "and"),
    (r"\bOR\b", "or"),
)


@cache
def holds(condition: str) -> Callable[[Item, Mapping[str, Any]], bool]:
    """A condition expression as a function of an item and the values."""
    text = condition
    for pattern, python in _TERMS:
        text = re.sub(pattern, python, text)
    assert "#" not in text and ":" not in text, condition
    return eval(f"lambda item, values: {text}")  # type: ignore[no-any-return]  # our own text


def changed(item: Item, expression: str, values: Mapping[str, Any]) -> Item:
    """An item after an update expression."""
    made = dict(item)
    for clause in re.split(r"\s*\b(?=SET |REMOVE |ADD )", expression.strip()):
        word, _, rest = clause.partition(" ")
        for part in filter(None, re.split(r",\s*(?![^(]*\))", rest)):
            if word == "REMOVE":
                made.pop(part.strip()[1:], None)
            elif word == "ADD":
                name, value = part.split()
                made[name[1:]] = made.get(name[1:], 0) + values[value[1:]]
            elif word == "SET":
                name, _, source = part.strip().partition(" = ")
                made[name[1:]] = _value(source, item, values)
    return made


def _value(source: str, item: Item, values: Mapping[str, Any]) -> Any:
    source = source.strip()
    if match := re.fullmatch(r"list_append\((.+), (:\w+)\)", source):
        return [*_value(match[1], item, values), *values[match[2][1:]]]
    if match := re.fullmatch(r"if_not_exists\(#(\w+), (.+)\)", source):
        return item[match[1]] if match[1] in item else _value(match[2], item, values)
    if match := re.fullmatch(r"#(\w+) \+ :(\w+)", source):
        return item[match[1]] + values[match[2]]
    return values[source[1:]] if source.startswith(":") else item[source[1:]]


Group = tuple[str, str]  # a queue, and a message group in it


@dataclass
class Sqs:
    """The delivery queues and their mappings: `handler(message, tries)` runs as a task; one that raises comes again."""

    loop: Loop
    faults: Faults
    handler: Callable[[Mapping[str, Any], int], None]
    concurrency: int = 50
    visibility: float = 360.0
    receives: int = 10
    dead: list[Mapping[str, Any]] = field(default_factory=list)
    most_waiting: int = 0
    check: Callable[[], None] = lambda: None
    _waiting: dict[Group, list[tuple[int, Mapping[str, Any], int]]] = field(default_factory=dict)
    _running: Counter[Group] = field(default_factory=Counter)
    _numbers: Iterator[int] = field(default_factory=count)

    @contextmanager
    def instead(self) -> Iterator[None]:
        """Let this be every queue inside the block."""
        with patch.object(queues, "send", self.send):
            yield

    def send(self, url: str, messages: Sequence[Mapping[str, Any]], *, delay: int = 0, group: str = "") -> None:
        self.check()
        self.faults.call(lambda: [self._arrive((url, group), message, 1, delay) for message in messages])

    def _arrive(self, group: Group, message: Mapping[str, Any], tries: int, delay: float) -> None:
        def visible() -> None:
            self._waiting.setdefault(group, []).append((next(self._numbers), message, tries))
            self.most_waiting = max(self.most_waiting, sum(map(len, self._waiting.values())))
            self._start(group[0])

        self.loop.spawn(visible, self.loop.now + delay)

    def _start(self, url: str) -> None:
        while sum(many for (queue, _), many in self._running.items() if queue == url) < self.concurrency:
            waiting = [each for each in self._waiting if each[0] == url]
            if not waiting:
                return
            # Fair: the group with the least in flight, then whoever waits the longest.
            group = min(waiting, key=lambda each: (self._running[each], self._waiting[each][0][0]))
            _, message, tries = self._waiting[group].pop(0)
            if not self._waiting[group]:
                del self._waiting[group]
            self._running[group] += 1
            self.loop.spawn(lambda group=group, message=message, tries=tries: self._work(group, message, tries))  # type: ignore[misc]

    def _work(self, group: Group, message: Mapping[str, Any], tries: int) -> None:
        begun = self.loop.now
        try:
            self.handler(message, tries)
        except (Exception, Killed):
            if tries >= self.receives:
                self.dead.append(message)
            else:
                self._arrive(group, message, tries + 1, max(0.0, begun + self.visibility - self.loop.now))
        finally:
            self._running[group] -= 1
            self._running = +self._running
            self._start(group[0])
