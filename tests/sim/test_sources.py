"""The simulator itself: handlers that are known to be wrong must look wrong on it."""

import random
from typing import Any

from sim.sources import Queue, Stream


def records(count: int) -> list[dict[str, Any]]:
    return [{"dynamodb": {"Keys": {"pk": {"S": str(n % 7)}}, "SequenceNumber": str(n), "n": n}} for n in range(count)]


def test_order_per_key_at_least_once() -> None:
    for seed in range(50):
        seen: list[int] = []
        stream = Stream(lambda event, seen=seen: seen.extend(r["dynamodb"]["n"] for r in event["Records"]), random.Random(seed))  # type: ignore[misc]
        stream.deliver(records(200))
        assert set(seen) == set(range(200)) and stream.dead == []
        for key in range(7):
            first = [n for position, n in enumerate(seen) if n % 7 == key and n not in seen[:position]]
            assert first == sorted(first)


def test_a_handler_that_raises_loses_only_the_poison() -> None:
    seen: set[int] = set()

    def handler(event: dict[str, Any]) -> None:
        if any(r["dynamodb"]["n"] == 13 for r in event["Records"]):
            raise ValueError
        seen.update(r["dynamodb"]["n"] for r in event["Records"])

    stream = Stream(handler, random.Random(1))
    stream.deliver(records(100))
    assert seen == set(range(100)) - {13}
    assert {r["dynamodb"]["n"] for r in stream.dead} == {13}


def test_a_partial_answer_goes_on_from_the_lowest_failure_and_gives_up_in_the_end() -> None:
    calls: list[list[int]] = []

    def handler(event: dict[str, Any]) -> dict[str, Any]:
        numbers = [r["dynamodb"]["n"] for r in event["Records"]]
        calls.append(numbers)
        return {"batchItemFailures": [{"itemIdentifier": str(n)} for n in numbers if n in (3, 5)]}

    stream = Stream(handler, random.Random(1), lanes=1, lost_checkpoints=0, retries=2)
    stream.deliver(records(8))
    assert calls == [[0, 1, 2, 3, 4, 5, 6, 7], [3, 4, 5, 6, 7], [3, 4, 5, 6, 7], [3, 4, 5, 6, 7]]
    assert [r["dynamodb"]["n"] for r in stream.dead] == [3, 4, 5, 6, 7], (
        "healthy neighbours die with it: set poison aside instead"
    )


def test_a_queue_repeats_reorders_and_gives_up_one_by_one() -> None:
    got: list[int] = []

    def handler(event: dict[str, Any]) -> dict[str, Any]:
        import json

        failures = []
        for record in event["Records"]:
            n = json.loads(record["body"])["n"]
            got.append(n)
            if n == 4:
                failures.append({"itemIdentifier": record["messageId"]})
        return {"batchItemFailures": failures}

    queue = Queue(handler, random.Random(3), batch=5, duplicates=0.3)
    for n in range(30):
        queue.send({"n": n})
    queue.drain()
    assert set(got) == set(range(30)) and len(got) > 34 and got != sorted(got)
    assert {m["n"] for m in queue.dead} == {4}
