"""The event log and the pump under faults: numbers without a gap, every event once, whoever dies and whenever."""

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rights
import world
from sheaf.access.caller import worker
from sheaf.base.errors import InvalidCursor
from sheaf.features.realtime import cursors
from sheaf.records import journal
from sheaf.records.events import PARTS
from sheaf.store import aws, keys, table
from sim.aside import drained
from sim.faults import Counter, hooked, kill_at, unreliable
from sim.sources import Killed, Stream


def log_of(tenant: world.Tenant) -> dict[str, list[tuple[int, str, int]]]:
    """Each track of a tenant: (number, row, version), by number."""
    pages = aws.client("dynamodb").get_paginator("scan").paginate(TableName="EventsTable")
    found: dict[str, list[tuple[int, str, int]]] = defaultdict(list)
    for item in (table.decode(raw) for page in pages for raw in page["Items"]):
        if item["pk"].startswith(f"{tenant.id}#change#"):
            found[item["track"]].append((int(item["nr"]), keys.changed_row(item["pk"]), int(item["sk"])))
    return {track: sorted(several) for track, several in found.items()}


def assert_whole(tenant: world.Tenant, expected: set[tuple[str, int]], notes: int = 1) -> None:
    """Every change has one number, no track has a gap, and the changes of a row have rising ones. The key's making is a note."""
    tracks = log_of(tenant)
    found = sorted(each[1:] for several in tracks.values() for each in several)
    noted = [each for each in found if each[0].startswith("not_")]
    assert (found, len(noted)) == (sorted([*noted, *expected]), notes)
    for several in tracks.values():
        assert [number for number, *_ in several] == list(range(1, len(several) + 1))
        seen: dict[str, int] = defaultdict(int)
        for _, row, version in several:
            assert version > seen[row]
            seen[row] = version
    heads = journal.heads(tenant.setup)
    assert sum(place // PARTS for place in heads.position) == len(found)


class Walker:
    """A client that is cut off after every page."""

    def __init__(self, sheaf: world.World, tenant: world.Tenant, rng: random.Random) -> None:
        self._sheaf, self._key, self._rng, self.after = sheaf, tenant.key, rng, ""
        self.found: list[tuple[str, int]] = []

    def step(self) -> bool:
        after = f"&after={self.after}" if self.after else ""
        answer = self._sheaf.http("GET", f"/v1/events?entity=tasks&limit={self._rng.randint(1, 9)}{after}", key=self._key)
        if answer.status == 503 or self._rng.random() < 0.3:
            return True  # no answer, or one that was lost: the cursor stays
        self.found += [(event["data"]["id"], event["sequence"]) for event in answer.data]
        self.after = answer.json["meta"]["nextCursor"]
        return bool(answer.json["meta"]["hasMore"] or answer.data)


def chaos(seed: int, rows: int, rate: float) -> None:
    rng = random.Random(seed)
    with world.a_world() as sheaf:
        tenants = [sheaf.tenant(name) for name in ("Acme", "Globex")]
        expected: dict[str, set[tuple[str, int]]] = defaultdict(set)
        made: list[tuple[world.Tenant, str, int]] = []
        for number in range(rows * 3):
            if len(made) < rows or rng.random() < 0.2:
                tenant = rng.choice(tenants)
                row = sheaf.http("POST", "/v1/tasks", {"title": str(number)}, key=tenant.key).data["id"]
                made.append((tenant, row, 1))
            else:
                at = rng.randrange(len(made))
                tenant, row, version = made[at]
                sheaf.http("PATCH", f"/v1/tasks/{row}", {"title": str(number)}, key=tenant.key)
                made[at] = (tenant, row, version + 1)
        for tenant, row, version in made:
            expected[tenant.id] |= {(row, number) for number in range(1, version + 1)}
        walkers = [Walker(sheaf, tenant, rng) for tenant in tenants]

        def handler(event: dict[str, Any]) -> Any:
            answer = world.function("on_change").handler(event, world.CONTEXT)
            rng.choice(walkers).step()
            return answer

        with unreliable(rng, rate):
            Stream(handler, rng, retries=60).deliver(sheaf.changes())
        assert drained(sheaf, handler, rng).dead == []
        for tenant, walker in zip(tenants, walkers, strict=True):
            assert_whole(tenant, expected[tenant.id])
            while walker.step():
                pass
            assert len(walker.found) == len(set(walker.found)) and set(walker.found) == expected[tenant.id]
            places = {place: at for at, place in enumerate(walker.found)}
            assert all(places[row, version] > places[row, version - 1] for row, version in places if version > 1)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("rate", [0, 0.2, 0.5])
def test_the_log_is_whole_whatever_fails(seed: int, rate: float) -> None:
    chaos(seed, 12, rate)


@pytest.mark.soak
def test_the_log_is_whole_in_a_hundred_runs() -> None:  # make soak PART=hundred_runs
    for seed in range(100, 200):
        chaos(seed, 30, (0, 0.2, 0.5)[seed % 3])


def each_call(run: Callable[[int], int]) -> None:
    """Run once without a death to count the calls, then with one at each of them."""
    calls = run(0)
    for number in range(1, calls + 1):
        run(number)


@pytest.mark.parametrize("when", ["before-call", "after-call"])
def test_a_death_at_any_call_of_the_consumer_leaves_the_log_whole(when: Any) -> None:
    def run(number: int) -> int:
        with world.a_world() as sheaf:
            acme = sheaf.tenant()
            rows = [sheaf.http("POST", "/v1/tasks", {"title": str(each)}, key=acme.key).data["id"] for each in range(5)]
            sheaf.http("PATCH", f"/v1/tasks/{rows[0]}", {"title": "x"}, key=acme.key)
            records = sheaf.changes()
            with kill_at(number, when) as counter, suppress(Killed):
                world.function("on_change").handler({"Records": records}, world.CONTEXT)
            calls = counter.calls
            journal.forget()  # another process takes over
            assert world.function("on_change").handler({"Records": records}, world.CONTEXT) == {"batchItemFailures": []}
            sheaf.settle()
            assert_whole(acme, {*((row, 1) for row in rows), (rows[0], 2)})
        return calls

    each_call(run)


def test_an_event_waits_for_the_one_before_it(sheaf: world.World, acme: world.Tenant) -> None:
    row = sheaf.http("POST", "/v1/tasks", {"title": "1"}, key=acme.key).data["id"]
    for title in ("2", "3"):
        sheaf.http("PATCH", f"/v1/tasks/{row}", {"title": title}, key=acme.key)
    first, second, third = [each for each in sheaf.changes() if row in json.dumps(each)]

    def on_change(event: Any, context: Any) -> Any:
        with rights.of("on_change"):
            return world.function("on_change").handler(event, context)

    on_change({"Records": [second, third]}, world.CONTEXT)
    assert log_of(acme) == {}
    aside = sheaf.messages("ChangesAsideQueue")
    assert [json.loads(each["body"])["dynamodb"]["SequenceNumber"] for each in aside] == [
        each["dynamodb"]["SequenceNumber"] for each in (second, third)
    ]
    for _ in range(3):
        assert on_change({"Records": aside}, world.CONTEXT) == {"batchItemFailures": []}, "they have not failed"
        for record in aside:
            sheaf.done("ChangesAsideQueue", record)
        aside = sheaf.messages("ChangesAsideQueue")
        assert len(aside) == 2, "and still wait there"
    on_change({"Records": [first]}, world.CONTEXT)
    assert on_change({"Records": aside}, world.CONTEXT) == {"batchItemFailures": []}
    assert_whole(acme, {(row, 1), (row, 2), (row, 3)}, notes=0)


def test_an_event_does_not_wait_for_ever(sheaf: world.World, acme: world.Tenant) -> None:
    row = sheaf.http("POST", "/v1/tasks", {"title": "1"}, key=acme.key).data["id"]
    sheaf.http("PATCH", f"/v1/tasks/{row}", {"title": "2"}, key=acme.key)
    second = [each for each in sheaf.changes() if row in json.dumps(each)][1]
    on_change = world.function("on_change").handler
    on_change({"Records": [second]}, world.CONTEXT)
    for hours in range(24):
        [aside] = sheaf.messages("ChangesAsideQueue")
        with world.later(hours * 3_600):
            on_change({"Records": [aside]}, world.CONTEXT)
        sheaf.done("ChangesAsideQueue", aside)
        assert not any(log_of(acme).values())
    [aside] = sheaf.messages("ChangesAsideQueue")
    with world.later(24 * 3_600 + 1):
        on_change({"Records": [aside]}, world.CONTEXT)
    sheaf.done("ChangesAsideQueue", aside)
    assert sheaf.messages("ChangesAsideQueue") == []
    assert [each[1:] for several in log_of(acme).values() for each in several] == [(row, 2)]


def test_a_reader_stops_where_the_index_lags(sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        sheaf.http("POST", "/v1/tasks", {"title": str(number)}, key=acme.key)
    sheaf.settle()
    query, hidden = table.query, {3, 4}

    def lagging(name: str, span: Any, **more: Any) -> Iterator[Any]:
        for item in query(name, span, **more):
            if not (getattr(span, "index", "") == "track" and int(item["nr"]) in hidden):
                yield item

    monkeypatch.setattr(table, "query", lagging)
    found, after = [], ""
    for tries in count():
        answer = sheaf.http("GET", f"/v1/events?limit=4{f'&after={after}' if after else ''}", key=acme.key)
        found += [event["id"] for event in answer.data]
        after = answer.json["meta"]["nextCursor"]
        if tries == 6:
            told = [
                row for several in log_of(acme).values() for number, row, _ in several if number <= 2 and row.startswith("tsk_")
            ]
            assert len(found) == len(told), "two of each track"
            hidden.clear()
        if tries > 6 and not answer.data:
            break
    assert len(found) == len(set(found)) == 20


# ---- the pump ----


@pytest.mark.parametrize("when", ["before-call", "after-call"])
def test_a_death_at_any_call_of_the_pump_loses_nothing(when: Any) -> None:
    def run(number: int) -> int:
        with world.a_world() as sheaf:
            acme, globex = sheaf.tenant("Acme"), sheaf.tenant("Globex")
            start = sheaf.http("GET", "/v1/tasks", key=acme.key).headers["X-Event-Cursor"]
            titles = [str(each) for each in range(6)]
            for title in titles[:3]:
                sheaf.http("POST", "/v1/tasks", {"title": title}, key=acme.key)
            sheaf.settle()
            socket, other = sheaf.socket(acme.key), sheaf.socket(globex.key)
            socket.say({"action": "resume", "entity": "tasks", "after": start})
            other.say({"action": "subscribe"})
            counter = Counter(number)
            _pump(sheaf, when, counter)
            for title in titles[3:]:
                sheaf.http("POST", "/v1/tasks", {"title": title}, key=acme.key)
                if not number:
                    sheaf.settle()
            sheaf.settle()
            heard = [entry["event"] for told in socket.heard() if told["type"] == "events" for entry in told["events"]]
            assert {event["data"]["title"] for event in heard} == set(titles), (number, when)
            first = list(dict.fromkeys(event["data"]["title"] for event in heard))
            assert first[3:] == titles[3:] or sorted(first) == titles
            assert [told["type"] for told in other.heard()].count("events") == 0
        return counter.calls

    each_call(run)


def _pump(sheaf: world.World, when: Any, counter: Counter) -> None:
    """The orders that wait, worked on by a function that may die; its queue gives them out again."""
    while records := sheaf.messages("SocketsQueue.fifo"):
        for record in records:
            try:
                with hooked(when, counter):
                    answer = world.function("on_push").handler({"Records": [record]}, world.CONTEXT)
            except Killed:
                continue
            if not answer["batchItemFailures"]:
                sheaf.done("SocketsQueue.fifo", record)


# ---- cursors ----


@given(position=st.tuples(*[st.integers(0, 2**60)] * 4))
def test_a_cursor_is_its_position(position: tuple[int, ...]) -> None:
    scope = worker("tnt_01h00000000000000000000000", "test", "req")
    text = cursors.text_of(scope, position)
    assert cursors.position_of(scope, text) == position and len(text) <= 60 and text.isascii()
    with pytest.raises(InvalidCursor):
        cursors.position_of(worker("tnt_01h00000000000000000000001", "test", "req"), text)


@given(text=st.text(max_size=60))
def test_no_text_breaks_a_cursor(text: str) -> None:
    scope = worker("tnt_01h00000000000000000000000", "test", "req")
    with pytest.raises(InvalidCursor):
        cursors.position_of(scope, text)
