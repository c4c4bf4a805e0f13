"""The sender of webhooks on a virtual clock: twenty receivers of every kind, faults and deaths at every call, days in seconds.

Whatever happens: each event ends delivered or dead with a reason at each webhook, events of one record never overtake each other, and
one bad receiver is no burden to the others.
"""

import itertools
import json
import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import pytest

import world
from sheaf.access.caller import worker
from sheaf.base.bounds import DELIVERY_BEGIN_SECONDS
from sheaf.base.config import config
from sheaf.features.webhooks import calls, fan_out, ledger, sender, sweep
from sheaf.records import events
from sheaf.records.events import Event
from sheaf.store import keys, kms, outbound, table
from sheaf.store.outbound import Answer, SendError
from sim.sources import Killed
from sim.virtual import BEGIN, Faults, Loop, Sqs, Store

TENANT = "tnt_01m7yvd6hrf54sf11ghmvf2jeh"
SCHEDULE = (5, 300, 1_800, 7_200, 18_000, 36_000, 36_000)


@dataclass
class Call:
    """One call of a receiver, as it saw it."""

    event: str
    row: str
    place: tuple[int, int]
    began: float
    status: int


@dataclass
class Receiver:
    """Behaves as its kind says."""

    kind: str
    rng: random.Random
    loop: Loop
    calls: list[Call] = field(default_factory=list)

    def answer(self, body: bytes) -> Answer:
        event = json.loads(body)
        began = self.loop.now
        status, seconds, pause = self._mood()
        call = Call(event["id"], event["data"]["id"], (event["sequence"], 0), began, status)
        self.calls.append(call)
        self.loop.sleep(seconds)
        if status == 0:
            raise SendError("no answer within 15 s" if seconds >= 15 else "the connection broke")
        return Answer(status, {"retry-after": str(pause)} if pause else {}, b"")

    def _mood(self) -> tuple[int, float, int]:
        age = self.loop.now - BEGIN
        match self.kind:
            case "quick":
                return 204, 0.002, 0
            case "slow":
                return 200, self.rng.uniform(3, 12), 0
            case "flaky":
                return (200 if self.rng.random() < 0.6 else 500), 0.1, 0
            case "outage":
                return (500 if 30 < age < 9_000 else 200), 0.05, 0
            case "429" | "503":
                good = self.rng.random() < 0.7
                return (200 if good else int(self.kind)), 0.05, 0 if good else self.rng.choice([1, 7, 90])
            case "500" | "410" | "302":
                return int(self.kind), 0.05, 0
            case "timeout":
                return 0, 15.0, 0
            case "tls" | "reset":
                return 0, 0.03, 0
        return 200, self.rng.uniform(0.02, 0.3), 0


class Invocation(threading.local):
    """Which invocation a thread belongs to, and whether that has died."""

    state: list[bool] | None = None


class Simulation:
    """A tenant with webhooks, changes of its rows, and the sender."""

    def __init__(self, seed: int, kinds: Sequence[str], *, errors: float = 0.0, kills: float = 0.0) -> None:
        self.rng = random.Random(seed)
        self.loop = Loop()
        self.faults = Faults(self.rng, errors, kills)
        self.store = Store(self.faults, check=self._alive)
        self.sqs = Sqs(self.loop, self.faults, self._invoke, check=self._alive)
        self.receivers: dict[str, Receiver] = {}
        self.invocation = Invocation()
        self.troubles: Counter[str] = Counter()  # what has broken steps
        self.scope = worker(TENANT, "test", "req_1")
        self.events: list[tuple[float, Event]] = []
        for number, kind in enumerate(kinds):
            webhook_id = f"wh_{number:026d}"
            self.receivers[webhook_id] = Receiver(kind, random.Random(seed * 1_000 + number), self.loop)
            item = {"url": f"https://{webhook_id[3:]}.example.com/", "events": ["*"], "st": "enabled", "pl": "full", "keys": [{"c": "s" * 30, "at": ""}],
                    "asked": [{"from": 0, "events": ["*"]}], "v": 1, "u": 1, "a": "x", "q": "x", "at": "x"}  # fmt: skip
            with self.calm():
                self.store.put("control", keys.webhook(self.scope, webhook_id), item)

    @contextmanager
    def calm(self) -> Iterator[None]:
        """Without faults, for what the test itself does."""
        faults = self.faults
        rates = faults.errors, faults.kills, faults.kill_at
        faults.errors = faults.kills = faults.kill_at = 0
        yield
        faults.errors, faults.kills, faults.kill_at = rates

    @contextmanager
    def instead(self) -> Iterator[None]:
        with ExitStack() as stack:
            for each in (self.store.instead(), self.sqs.instead(), self.loop.clock()):
                stack.enter_context(each)
            for target, name, value in (
                (kms, "seal", lambda text, _: text), (kms, "unseal", lambda text, _: text), (outbound.Door, "call", self._call),
                (sender, "ThreadPoolExecutor", self._pool), (calls, "Timer", self.loop.timer),
            ):  # fmt: skip
                stack.enter_context(patch.object(target, name, value))
            yield

    def run(self, rows: int, each: int, seconds: float, days: float) -> None:
        """Change `rows` rows `each` times within some seconds, then let days pass."""
        for number in range(rows):
            row = f"tsk_{number:026d}"
            times = sorted(self.rng.uniform(0, seconds) for _ in range(each))
            for version, moment in enumerate(times, 1):
                self.events.append(
                    (BEGIN + moment, _event(row, version, BEGIN + moment, times[version - 2] + BEGIN if version > 1 else None))
                )
        self.events.sort(key=lambda pair: (pair[0], pair[1].sequence))
        batches: dict[float, list[Event]] = defaultdict(list)
        for moment, event in self.events:
            batches[moment // 0.1 * 0.1 + 0.1].append(event)
        for moment, batch in batches.items():
            self.loop.spawn(lambda batch=batch: self._follow(batch), moment)  # type: ignore[misc]
        end = BEGIN + days * 86_400

        def minutes() -> None:
            while self.loop.now < end:
                self.loop.sleep(60)
                self._tick()

        self.loop.spawn(minutes)
        self.loop.run(end)

    def _follow(self, batch: list[Event]) -> None:
        """What on_change does, again until it has gone well."""
        while True:
            try:
                news = fan_out.News()
                for event in batch:
                    table.put_new(config().events_table, *events.row_of(event))
                    news.add(event)
                news.tell()
            except (Exception, Killed):
                self.loop.sleep(0.2)
                continue
            return

    def _tick(self) -> None:
        if not any(pk.startswith("@due#") and places for pk, places in self.store.sorted.items()):
            return  # there would be nothing to read
        try:
            sweep.hand_on_due("test", "req_1")
        except (Exception, Killed):
            return  # the next minute makes up for it

    def _invoke(self, message: Mapping[str, Any], _: int) -> None:
        """One invocation of on_delivery."""
        self.invocation.state = [False]
        begun = self.loop.now

        def survives(step: Callable[[], None], _: Mapping[str, str]) -> bool:
            try:
                step()
            except Exception as error:
                self.troubles[type(error).__name__] += 1
                return False
            return True

        try:
            sender.work(self.scope, message, lambda: self.loop.now - begun > DELIVERY_BEGIN_SECONDS, survives)
            assert self.loop.now - begun < 60, "an invocation outlives its timeout"
        except Killed:
            assert self.invocation.state is not None
            self.invocation.state[0] = True  # all of its threads die
            raise
        finally:
            self.invocation.state = None

    def _alive(self) -> None:
        if self.invocation.state and self.invocation.state[0]:
            raise Killed

    def _call(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        self._alive()
        answer = self.receivers[f"wh_{url.split('/')[2].split('.', maxsplit=1)[0]}"].answer(body)
        self._alive()
        return answer

    def _pool(self, threads: int) -> "Pool":
        return Pool(self, threads)

    # ---- what must hold ----

    def verdict(self) -> "Verdict":
        """What became of everything; raises AssertionError where something is lost, unexplained or overtaken."""
        delivered = dead = 0
        errors: list[float] = []
        first: dict[str, list[float]] = defaultdict(list)
        with self.calm():
            for webhook_id, receiver in self.receivers.items():
                self._check_order(webhook_id, receiver)
                good = defaultdict(list)
                for call in receiver.calls:
                    good[call.event].append(call)
                for moment, event in self.events:
                    row = ledger.find(webhook_id, event)
                    assert row is not None, (receiver.kind, event.row, event.sequence, "nobody knows of it")
                    lane = self.store.items.get(keys.lane(self.scope, webhook_id, event.row))
                    assert row["st"] in ("delivered", "dead"), (receiver.kind, self.loop.now, row, lane)
                    calls = good[event.id]
                    if row["st"] == "delivered":
                        delivered += 1
                        assert any(200 <= call.status < 300 for call in calls), "delivered without a 2xx"
                    else:
                        dead += 1
                        assert row["why"]
                        assert not any(200 <= call.status < 300 for call in calls) or self.faults.killed, "dead, yet it was taken"
                    if calls and event.sequence == 1:
                        first[receiver.kind].append(calls[0].began - moment)
                    if receiver.kind not in ("429", "503"):  # which ask for pauses of their own
                        errors += _schedule_errors(row)
        late = sorted(errors)
        return Verdict(
            delivered,
            dead,
            self.faults.killed,
            self.faults.injected,
            late,
            {kind: sorted(found) for kind, found in first.items()},
        )

    def _check_order(self, webhook_id: str, receiver: Receiver) -> None:
        """In each row no event is tried before the one before it was settled, and none after a later one."""
        place: dict[str, tuple[int, int]] = {}
        for call in receiver.calls:
            assert place.get(call.row, (0, 0)) <= call.place, (webhook_id, receiver.kind, call)
            place[call.row] = call.place


@dataclass(frozen=True)
class Verdict:
    """What became of everything."""

    delivered: int
    dead: int
    killed: int
    injected: int
    schedule: list[float]  # how far each pause was from the schedule, as a share of it, sorted
    delays: dict[str, list[float]]  # seconds from a row's first event to its first call, sorted, by the kind of the receiver

    def p99(self, *kinds: str) -> float:
        every = sorted(delay for kind in kinds for delay in self.delays[kind])
        return every[int(len(every) * 0.99)]

    def late(self, share: float) -> float:
        return self.schedule[min(len(self.schedule) - 1, int(len(self.schedule) * share))] if self.schedule else 0.0

    def __str__(self) -> str:
        return (f"{self.delivered:,} delivered, {self.dead:,} dead with a reason, {self.injected:,} faults, {self.killed:,} deaths; {len(self.schedule):,} pauses off by "
                f"p50 {self.late(0.5):.1%}, p99 {self.late(0.99):.1%}, at most {self.late(1):.1%} of the schedule")  # fmt: skip


class Pool:
    """The threads of one invocation, as tasks."""

    def __init__(self, simulation: Simulation, threads: int) -> None:
        self._simulation, self._threads = simulation, threads

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def map(self, work: Callable[[Any], None], items: Any) -> list[None]:
        waiting, state = list(items), self._simulation.invocation.state

        def thread() -> None:
            self._simulation.invocation.state = state
            while waiting and not (state and state[0]):
                try:
                    work(waiting.pop(0))
                except Killed:
                    if state:
                        state[0] = True
                    raise

        self._simulation.loop.together([thread] * min(self._threads, len(waiting)))
        return []


def _schedule_errors(row: Mapping[str, Any]) -> list[float]:
    """How far from the schedule each pause between two attempts was, as a share of what the schedule says."""
    found = []
    log = row.get("log", [])
    for before, after in pairwise(log):
        if "next" in before and after["no"] == before["no"] + 1:
            planned = SCHEDULE[before["no"] - 1]
            found.append(abs((after["at"] - before["at"] - before["ms"]) / 1000 - planned) / planned)
    return found


def _event(row: str, version: int, moment: float, before: float | None) -> Event:
    at_ms = int(moment * 1000)
    previous = events._event_id(row, version - 1, int(before * 1000)) if before else None
    return Event(TENANT, "tasks", events._event_id(row, version, at_ms), "task.updated", row, version, previous, at_ms, "usr", "req",
                 json.dumps({"id": row}), None)  # fmt: skip


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in world.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SHEAF_WEBHOOK_RETRY_SECONDS", ",".join(map(str, SCHEDULE)))
    config.cache_clear()


def simulate(
    seed: int, kinds: Sequence[str], *, rows: int, each: int, seconds: float, errors: float = 0.0, kills: float = 0.0
) -> Verdict:
    made = Simulation(seed, kinds, errors=errors, kills=kills)
    with made.instead():
        made.run(rows, each, seconds, days=1.3 * each + 0.5)
        found = made.verdict()
    assert made.sqs.dead == [], "no message is given up"
    assert found.delivered + found.dead == rows * each * len(kinds)
    return found


GOOD = ("ok", "ok", "quick")
MIXED = (*GOOD, "slow", "flaky", "outage", "429", "500", "410", "timeout")


def test_every_event_ends_somewhere_in_order_and_on_time() -> None:
    """500 events at 10 webhooks. Without faults the schedule is exact; a fifth of all calls failing and some deaths lose nothing."""
    calm = simulate(1, MIXED, rows=250, each=2, seconds=600)
    print(f"\n{calm}")
    assert calm.late(1) <= 0.2 and calm.killed == 0
    rough = simulate(2, MIXED, rows=250, each=2, seconds=600, errors=0.2, kills=0.001)
    print(rough)
    assert rough.killed > 20 and rough.injected > 1_000 and rough.late(0.9) <= 0.2
    alone = simulate(1, GOOD, rows=250, each=2, seconds=600)
    ours, bare = calm.p99(*set(GOOD)), alone.p99(*set(GOOD))
    print(f"p99 of the good receivers' first call: {bare:.2f} s alone, {ours:.2f} s beside the bad ones")
    assert ours <= bare + 1.0


@pytest.mark.soak
@pytest.mark.parametrize("part", range(10))
def test_delivery_days(part: int) -> None:
    """Soak, in ten parts: 10,000 events at 20 webhooks of every kind, a fifth of all calls failing, deaths at any call."""
    kinds = (*MIXED, *GOOD, "503", "302", "tls", "reset", "slow", "timeout", "500")
    found = simulate(100 + part, kinds, rows=500, each=2, seconds=1_200, errors=0.2, kills=0.001)
    print(f"part {part}, 1,000 events at {len(kinds)} webhooks: {found}", flush=True)
    assert found.late(0.9) <= 0.2


@pytest.mark.parametrize("kinds", [("ok",), ("flaky", "500")], ids=["good", "bad"])
def test_a_sender_killed_at_any_call_changes_nothing(kinds: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One death, at each call in turn, of deliveries with a short schedule."""
    monkeypatch.setenv("SHEAF_WEBHOOK_RETRY_SECONDS", "5,1200")
    config.cache_clear()
    calls = 0
    for number in itertools.count(1, 1 if kinds == ("ok",) else 9):
        made = Simulation(5, kinds)
        made.faults.kill_at_call(number)
        with made.instead():
            made.run(2, 2, 20, days=0.06)
            found = made.verdict()
        assert made.sqs.dead == [] and found.delivered + found.dead == 4 * len(kinds), number
        if not found.killed:
            break
        calls = number
    print(f"\nkilled at each of {calls} calls")
    assert calls > 30
