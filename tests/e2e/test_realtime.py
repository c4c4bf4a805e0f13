"""Real time on the deployed stack: every door tells every change once, however many write, and whoever is cut off goes on."""

import json
import random
import statistics
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from doors import Event, Socket, Stream, walk

from client import Client, Receiver, until

pytestmark = pytest.mark.e2e

PROJECTS = "&entity=projects"


def place(event: Event) -> tuple[str, int]:
    return event["data"]["id"], event["sequence"]


def in_order(events: list[Event]) -> bool:
    """Whether the events of each row come in the order of its versions."""
    seen: dict[str, int] = defaultdict(int)
    for row, version in map(place, events):
        if version <= seen[row]:
            return False
        seen[row] = version
    return True


def cursor_of(client: Client) -> str:
    return str(client.get("/v1/projects?limit=1").headers["X-Event-Cursor"])


def write(client: Client, changes: int, seed: int) -> list[tuple[str, int]]:
    """Make so many changes of a few rows; what they were."""
    rng, versions, made = random.Random(seed), dict[str, int](), []
    for number in range(changes):
        row = rng.choice([*versions, ""])
        if not row or len(versions) < 3:
            row = client.post("/v1/projects", {"name": f"w{seed}-{number}"}).data["id"]
            versions[row] = 0
        else:
            known = {"If-Match": f'"{versions[row]}"'}
            answer = client.call("PATCH", f"/v1/projects/{row}", {"name": f"w{seed}-{number}"}, known)
            assert answer.status == 200, answer.body
        versions[row] += 1
        made.append((row, versions[row]))
    return made


def all_doors(stack: dict[str, Any], client: Client, writers: int, changes: int) -> None:
    start, key = cursor_of(client), stack["tenants"][0]["api_key"]
    asked = {"entity": "projects", "after": start}
    with Receiver() as told, ExitStack() as ending:
        webhook = client.post("/v1/webhooks", {"url": told.url, "events": ["project.*"]}).data
        ending.callback(lambda: client.call("DELETE", f"/v1/webhooks/{webhook['id']}"))
        sockets = [Socket(stack["websocket_url"], key, asked) for _ in range(2)]
        streams = [Stream(client, "/v1/stream/projects?profile=canonical", start) for _ in range(2)]
        for each in (*sockets, *streams):
            ending.callback(each.close)
        with ThreadPoolExecutor(writers) as threads:
            made = [each for many in threads.map(lambda seed: write(client, changes, seed), range(writers)) for each in many]
        late = Socket(stack["websocket_url"], key, asked)  # which catches up
        ending.callback(late.close)
        total = writers * changes
        open_doors, written = (*sockets, late, *streams), time.monotonic()
        # The emulator has one poller for streams and queues, which is what a large run waits for.
        try:
            until(lambda: all(len(each.events) >= total for each in open_doors) or None, 120 + total / 4)
            until(lambda: len(told.received) >= total or None, 120 + total / 4)
        except TimeoutError as error:
            error.add_note(
                f"of {total}: {[len(each.events) for each in open_doors]} at the open doors, {len(told.received)} webhooks"
            )
            raise
        print(f"{total} changes were everywhere {time.monotonic() - written:.0f} s after the last was written")
        time.sleep(1)  # for what should not come
        doors = {
            "pages of 100": walk(client, start, PROJECTS)[0],
            "pages of 7": walk(client, start, PROJECTS, 7)[0],
            **{f"stream {number}": each.events for number, each in enumerate(streams)},
            **{f"socket {number}": each.events for number, each in enumerate((*sockets, late))},
        }
        for name, events in doors.items():
            assert len(events) == total, (name, len(events))
            assert {place(event) for event in events} == set(made), name
            assert in_order(events), name
        sent = {headers["webhook-id"]: json.loads(body) for headers, body in told.received}
        assert {place(event) for event in sent.values()} == set(made), "webhooks"


@pytest.mark.alone
def test_every_door_tells_all_changes_of_concurrent_writers_once(stack: dict[str, Any], client: Client) -> None:
    all_doors(stack, client, 8, 50)


@pytest.mark.soak
def test_eight_thousand_changes_at_every_door(stack: dict[str, Any], client: Client) -> None:  # make soak PART=eight_thousand
    all_doors(stack, client, 16, 500)


# ---- cut off ----


def cut_off(stack: dict[str, Any], client: Client, other: Client, times: int, seed: int) -> None:
    """A client that is cut off again and again and goes on at another door each time, while two tenants write."""
    rng, start, key = random.Random(seed), cursor_of(client), stack["tenants"][0]["api_key"]
    made, stopped = [], threading.Event()  # type: ignore[var-annotated]
    foreign: list[tuple[str, int]] = []

    def writing(who: Client, into: list[tuple[str, int]], number: int) -> None:
        while not stopped.is_set():
            into += write(who, 4, seed * 1_000_000 + number * 100_000 + len(into))
            time.sleep(0.25)

    got: list[Event] = []
    after, doors = start, ("page", "stream", "socket", "webhook")
    last = ""
    since = datetime.now(UTC).isoformat()
    with Receiver() as told, ExitStack() as ending:
        webhook = client.post("/v1/webhooks", {"url": told.url, "events": ["project.*"]}).data
        ending.callback(lambda: client.call("DELETE", f"/v1/webhooks/{webhook['id']}"))
        threads = [
            threading.Thread(target=writing, args=each) for each in ((client, made, 0), (client, made, 1), (other, foreign, 2))
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in range(times):
                last = rng.choice([each for each in doors if each != last])
                pause = rng.random() * 0.3
                if last == "page":
                    answer = client.get(f"/v1/events?after={after}{PROJECTS}&limit={rng.randint(1, 20)}&wait={rng.randint(0, 1)}")
                    if rng.random() < 0.3:
                        continue  # the answer was lost: the cursor stays where it was
                    got += answer.data
                    after = answer.json["meta"]["nextCursor"]
                elif last == "stream":
                    stream = Stream(client, "/v1/stream/projects?profile=canonical", after)
                    time.sleep(pause)
                    stream.close()
                    got += stream.events
                    after = stream.last
                elif last == "socket":
                    socket = Socket(stack["websocket_url"], key, {"entity": "projects", "after": after})
                    time.sleep(pause)
                    socket.close()
                    got += socket.events
                    after = socket.cursor
                else:  # its receiver is away for a while
                    told.answers[:] = [500]
                    time.sleep(pause)
                    told.answers[:] = [200]
        finally:
            stopped.set()
            for thread in threads:
                thread.join()
        rest, after = until(lambda: _settled(client, after, got, len(made)), 60)
        got += rest
        assert [place(event) for event in got if place(event) not in set(made)] == [], "nothing foreign"
        assert len(got) == len(made) == len({place(event) for event in got}), (len(got), len(made))
        assert in_order(got)
        dead = all_delivered(client, webhook["id"], len(made), since)
        hooked = {headers["webhook-id"]: json.loads(body) for headers, body in told.received}
        assert {place(event) for event in hooked.values()} == set(made)
        print(
            f"{times} disconnects, {len(made)} changes, {len(foreign)} of another tenant: none missed, none twice, none foreign; "
            f"{dead} webhooks were dead after the four attempts of the local schedule and recovered"
        )


def all_delivered(client: Client, webhook_id: str, number: int, since: str) -> int:
    """Wait until every event was delivered or is told to be dead, then have the dead ones sent again; how many those were."""

    def counts() -> dict[str, int]:
        return dict(client.get(f"/v1/webhooks/{webhook_id}/stats").data["deliveries"])

    until(lambda: counts()["delivered"] + counts()["dead"] >= number or None, 240, 1)
    dead = counts()["dead"]
    if dead:
        assert client.post(f"/v1/webhooks/{webhook_id}/recover", {"since": since}).status == 202
        until(lambda: counts()["delivered"] >= number or None, 240, 1)
    return dead


def _settled(client: Client, after: str, got: list[Event], total: int) -> tuple[list[Event], str] | None:
    rest, cursor = walk(client, after, PROJECTS)
    return (rest, cursor) if len(got) + len(rest) >= total else None


def test_who_is_cut_off_goes_on_at_another_door(stack: dict[str, Any], client: Client, other: Client) -> None:
    cut_off(stack, client, other, 40, 1)


@pytest.mark.soak
def test_a_thousand_disconnects(
    stack: dict[str, Any], client: Client, other: Client
) -> None:  # make soak PART=thousand_disconnects
    for seed in range(10, 20):
        cut_off(stack, client, other, 100, seed)


# ---- how fast, and to whom ----


def test_latency_of_both_doors(stack: dict[str, Any], client: Client) -> None:
    start = cursor_of(client)
    socket = Socket(stack["websocket_url"], stack["tenants"][0]["api_key"], {"entity": "projects", "after": start})
    stream = Stream(client, "/v1/stream/projects?profile=canonical", start)
    try:
        until(lambda: socket.told("subscribed"), 30)
        found: dict[str, list[float]] = {"socket": [], "stream": []}
        for number in range(20):
            assert client.post("/v1/projects", {"name": str(number)}).status == 201
            answered = time.perf_counter()
            until(lambda number=number: (len(socket.events) > number and len(stream.events) > number) or None, 30, 0.005)  # type: ignore[misc]
            found["socket"].append(socket.arrived[number] - answered)
            found["stream"].append(stream.arrived[number] - answered)
            time.sleep(0.3)
    finally:
        socket.close()
        stream.close()
    for name, seconds in found.items():
        p95 = sorted(seconds)[-2]
        print(f"change → frame, {name}: median {statistics.median(seconds) * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms")
        assert statistics.median(seconds) < 3, name


def test_two_hundred_sockets_of_three_tenants(stack: dict[str, Any]) -> None:
    """Only those that asked for it are sent anything."""
    clients = [Client(stack["base_url"], tenant["api_key"]) for tenant in stack["tenants"]]
    asked = ({"entity": "projects", "filter": {"status": "archived"}}, {"entity": "projects"}, {"entity": "appointments"})
    sockets: list[tuple[int, int, Socket]] = []
    with ExitStack() as ending:
        for owner, (client, count) in enumerate(zip(clients, (80, 80, 40), strict=True)):
            made = [client.post("/v1/api-keys", {"name": f"k{number}", "role": "user"}).data for number in range(count // 20)]
            for each in made:
                ending.callback(lambda client=client, each=each: client.call("DELETE", f"/v1/api-keys/{each['id']}"))
            for number in range(count):
                socket = Socket(stack["websocket_url"], made[number % len(made)]["key"], dict(asked[number % 3]))
                sockets.append((owner, number % 3, socket))
                ending.callback(socket.close)
        until(lambda: all(socket.told("subscribed") for *_, socket in sockets) or None, 120)
        began = time.perf_counter()
        for number in range(5):
            assert clients[0].post("/v1/projects", {"name": str(number)}).status == 201
        assert clients[1].post("/v1/projects", {"name": "theirs"}).status == 201
        expected = {(0, 1): 5, (1, 1): 1}
        until(lambda: all(len(s.events) >= expected.get((owner, what), 0) for owner, what, s in sockets) or None, 60)
        took = time.perf_counter() - began
        time.sleep(2)
        for owner, what, socket in sockets:
            assert len(socket.events) == expected.get((owner, what), 0), (owner, what)
            assert all(event["tenant"] == stack["tenants"][owner]["id"] for event in socket.events)
        frames = sum(socket.messages for *_, socket in sockets)
        print(f"{len(sockets)} sockets, 6 changes: {frames} messages to {sum(bool(s.events) for *_, s in sockets)} sockets "
              f"in {took:.1f} s, 0 to the others")  # fmt: skip


def test_a_socket_is_closed_within_a_minute_of_a_logout(stack: dict[str, Any], client: Client) -> None:
    member = stack["tenants"][0]["member"]
    token = client.post("/v1/auth/login", {"email": member["email"], "password": member["password"]}).data["token"]
    socket = Socket(stack["websocket_url"], token, {"entity": "projects"})
    stays = Socket(stack["websocket_url"], stack["tenants"][0]["api_key"], {"entity": "projects"})
    try:
        until(lambda: (socket.told("subscribed") and stays.told("subscribed")) or None, 30)
        assert Client(stack["base_url"], token).call("POST", "/v1/auth/logout").status == 200
        began = time.monotonic()
        until(lambda: not socket.is_open or None, 61)
        print(f"closed {time.monotonic() - began:.1f} s after the logout")
        assert stays.is_open
    finally:
        stays.close()
