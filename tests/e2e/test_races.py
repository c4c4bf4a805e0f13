"""Races on the deployed stack, whose transactions are atomic (those of an in-process mock are not)."""

import itertools
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from client import Answer, Client

pytestmark = pytest.mark.e2e


def send(client: Client, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
    """One call; a 503 says that nothing happened or that the answer is not recorded yet, so it is sent again for minutes: the stream may be behind."""
    deadline = time.monotonic() + 240
    while True:
        answer = client.call(method, path, body, headers)
        if answer.status not in (409, 503):
            return answer
        assert time.monotonic() < deadline, answer.body
        time.sleep(0.05)


def two_writers(client: Client, interleavings: int) -> None:
    """Two writers and one row: each adds one to a number under If-Match, or changes a field of its own without. Nothing is lost."""
    task = client.post("/v1/tasks", {"title": "0", "description": "0"}).data["id"]
    path = f"/v1/tasks/{task}"

    def count(_: int) -> int:
        for tries in itertools.count(1):
            row = client.get(path).data
            answer = send(client, "PATCH", path, {"title": str(int(row["title"]) + 1)}, {"If-Match": f'"{row["version"]}"'})
            if answer.status == 200:
                return tries
            assert answer.status == 412
        raise AssertionError

    def plain(number: int) -> int:
        # Without If-Match: a change of another field, which must not undo the counter's.
        assert send(client, "PATCH", path, {"description": str(number)}, {}).status == 200
        return 1

    rng = random.Random(3)
    work = [rng.choice([count, plain]) for _ in range(interleavings)]
    with ThreadPoolExecutor(4) as threads:
        tries = list(threads.map(lambda pair: pair[1](pair[0]), enumerate(work)))
    row = client.get(path).data
    counted = sum(each is count for each in work)
    assert (int(row["title"]), row["version"]) == (counted, interleavings + 1), "no update is lost and none is doubled"
    print(f"\n{interleavings:,} writes of two kinds, {sum(tries) - len(tries):,} met another writer, 0 lost")


def one_effect(client: Client, keys: int) -> None:
    """Eight clients send each request at once under one key: a create, a unique create, a change and a bulk in turn."""
    mark = str(time.time_ns())
    target = client.post("/v1/leads", {"first_name": "x", "last_name": "x", "email": "x@b.example"}).data["id"]

    def request(number: int) -> tuple[str, str, Any]:
        match number % 4:
            case 0:
                return "POST", "/v1/tasks", {"title": f"{mark} {number}"}
            case 1:
                return "POST", "/v1/videos", {"title": mark, "url": f"https://v.example/{mark}/{number}"}
            case 2:
                return "PATCH", f"/v1/leads/{target}", {"first_name": str(number)}
        return "POST", "/v1/contacts/bulk", [{"first_name": mark, "last_name": str(number), "email": "a@b.example"}] * 2

    rng = random.Random(5)
    calls = [number for number in range(keys) for _ in range(8)]
    shuffled = [
        each
        for start in range(0, len(calls), 64)
        for each in rng.sample(calls[start : start + 64], len(calls[start : start + 64]))
    ]
    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(
                lambda number: (number, send(client, *request(number), {"Idempotency-Key": f"{mark}-{number}"})), shuffled
            )
        )
    replays = Counter(number for number, answer in answers if answer.headers.get("Idempotent-Replayed") == "true")
    for number in range(keys):
        mine = [answer for each, answer in answers if each == number]
        assert {answer.status for answer in mine} <= {200, 201}, [answer.body for answer in mine if answer.status > 201]
        assert len({str(answer.data) for answer in mine}) == 1, "every client gets the same answer"
        assert replays[number] == 7
    assert len(everything(client, f"/v1/tasks?title[startswith]={mark}")) == len(range(0, keys, 4))
    assert len(everything(client, f"/v1/videos?title={mark}")) == len(range(1, keys, 4))
    assert client.get(f"/v1/leads/{target}").data["version"] == 1 + len(range(2, keys, 4))
    assert len(everything(client, f"/v1/contacts?first_name={mark}")) == 2 * len(range(3, keys, 4))
    print(f"\n{keys:,} keys by eight clients each: one effect and one answer each")


def everything(client: Client, path: str) -> list[Any]:
    found, cursor = [], ""
    while cursor is not None:
        page = client.get(f"{path}&limit=100{cursor and '&cursor=' + cursor}")
        found += page.data
        cursor = page.json["meta"]["nextCursor"]
    return found


def test_two_writers_lose_nothing(client: Client) -> None:
    two_writers(client, 120)


def test_a_key_has_one_effect_whoever_sends_it_how_often(client: Client) -> None:
    one_effect(client, 40)


@pytest.mark.soak
def test_races(client: Client) -> None:
    """Soak: 2,000 interleavings of two writers, 500 keys by eight clients."""
    two_writers(client, 2_000)
    one_effect(client, 500)
