"""on_change on the simulator: no change without its event, whatever fails, and poison harms nobody."""

import json
import random
from typing import Any

import pytest

import rights
import world
from sheaf.edge import consume
from sheaf.store import aws, queues
from sim.aside import drained
from sim.faults import unreliable
from sim.sources import Stream

POISON = {"eventID": "poison", "eventName": "INSERT", "dynamodb": {"Keys": {"pk": {"S": "p"}}, "SequenceNumber": "poison",
          "NewImage": {"pk": {"S": "tnt_x#tasks#0"}, "sk": {"S": "tsk_x"}}}}  # fmt: skip


def events_of(tenant: world.Tenant) -> list[str]:
    """What is known of the tasks of a tenant."""
    pages = aws.client("dynamodb").get_paginator("scan").paginate(TableName="EventsTable")
    items = [item for page in pages for item in page["Items"] if item["pk"]["S"].startswith(f"{tenant.id}#change#tsk_")]
    return sorted(item["id"]["S"] for item in items)


def deliveries() -> list[tuple[str, int]]:
    """What lies in the delivery queue, as (row, sequence)."""
    sqs, found = aws.client("sqs"), []
    url = "https://sqs.us-east-1.amazonaws.com/123456789012/DeliveriesQueue"
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            body = json.loads(message["Body"])
            found += [(hint["r"], hint["p"] // 8) for hint in body["rows"]]
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def run(seed: int, writes: int, rate: float) -> None:
    rng = random.Random(seed)
    with world.a_world() as sheaf:
        acme = sheaf.tenant()
        sheaf.http("POST", "/v1/webhooks", {"url": "http://127.0.0.1:1/", "events": ["*"]}, key=acme.key)
        expected = []
        for number in range(writes // 2):
            task = sheaf.http("POST", "/v1/tasks", {"title": str(number)}, key=acme.key).data["id"]
            sheaf.http("PATCH", f"/v1/tasks/{task}", {"title": "x"}, key=acme.key)
            expected += [(task, 1), (task, 2)]
        records = sheaf.changes()
        source = next(r["eventSourceARN"] for r in records if "RecordsTable" in r["eventSourceARN"])
        for number in range(5):
            at = rng.randrange(len(records))
            mark = f"poison-{number}"
            image = {**POISON["dynamodb"], "SequenceNumber": mark}  # type: ignore[dict-item]
            records.insert(
                at, {**POISON, "eventSource": "aws:dynamodb", "eventSourceARN": source, "eventID": mark, "dynamodb": image}
            )

        def handler(event: dict[str, Any]) -> Any:
            return world.function("on_change").handler(event, world.CONTEXT)

        stream = Stream(handler, rng, retries=40)
        with unreliable(rng, rate):
            stream.deliver(records)
        dead_aside = drained(sheaf, handler, rng).dead
        assert stream.dead == [], "nothing is given up by the stream itself"
        assert len(events_of(acme)) == len(set(events_of(acme))) == len(expected), "one event a change"
        assert set(deliveries()) == set(expected), "each change is on its way to the webhook"
        dead = {message["eventID"] for message in dead_aside}
        assert dead == {f"poison-{number}" for number in range(5)}, "only poison dies, with all it holds"
        assert all("NewImage" in message["dynamodb"] for message in dead_aside)


def test_a_change_that_cannot_be_followed_comes_again_after_a_pause(sheaf: world.World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consume, "_PAUSES", (60,))
    on_change = world.function("on_change").handler
    source = "arn:aws:dynamodb:us-east-1:123456789012:table/RecordsTable/stream/now"
    poison = {**POISON, "eventSource": "aws:dynamodb", "eventSourceARN": source}
    with rights.of("on_change"):
        assert on_change({"Records": [poison]}, world.CONTEXT) == {"batchItemFailures": []}, "its shard goes on"
        [aside] = sheaf.messages("ChangesAsideQueue")
        answer = on_change({"Records": [aside]}, world.CONTEXT)
    assert answer == {"batchItemFailures": [{"itemIdentifier": aside["messageId"]}]}
    assert sheaf.messages("ChangesAsideQueue") == [], "not at once"
    queues.again_in(sheaf.url("ChangesAsideQueue"), aside["receiptHandle"], 0)
    [again] = sheaf.messages("ChangesAsideQueue")
    assert again["body"] == aside["body"] and json.loads(again["body"])["eventID"] == "poison"


@pytest.mark.parametrize("rate", [0, 0.2, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_no_change_without_its_event(seed: int, rate: float) -> None:
    run(seed, 60, rate)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(10))
def test_thousand_seeds(part: int) -> None:
    """Soak, in ten parts: 1,000 seeds of twenty changes with poison among them, at no, 20 % and 50 % faults."""
    for seed in range(100 * part, 100 * part + 100):
        run(10_000 + seed, 20, (0, 0.2, 0.5)[seed % 3])
    print(f"seeds {100 * part} to {100 * part + 99}: 0 lost, 0 doubled, only poison dead", flush=True)


@pytest.mark.soak
def test_chaos() -> None:
    """Soak: 10,000 changes, half of them at 20 % and half at 50 % faults. In runs of 200: moto slows down with its tables."""
    for seed in range(50):
        rate = 0.2 if seed % 2 else 0.5
        run(1_000 + seed, 200, rate)
        print(f"seed {seed}: 200 changes at {rate:.0%} faults, 0 lost, 0 doubled, only poison dead", flush=True)
