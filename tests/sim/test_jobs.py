"""on_job under kill -9: before and after each AWS call, with duplicates and reordering. Each row ends in one result."""

import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

import world
from sheaf.base import clock
from sheaf.features import bulk
from sheaf.store import aws
from sim.faults import When, kill_at
from sim.sources import Killed, Queue

ITEMS = [{"title": f"{n}"} if n != 4 else {"title": ""} for n in range(10)]


class Time:
    """A clock that the test moves, so that leases of the dead run out."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def leap(self) -> None:
        self.now += 200


def on_job(event: dict[str, Any]) -> Any:
    return world.function("on_job").handler(event, world.CONTEXT)


@contextmanager
def accepted(monkeypatch: pytest.MonkeyPatch, kind: str) -> Iterator[tuple[world.World, world.Tenant, str, Time]]:
    """A job that waits for its first chunk."""
    monkeypatch.setattr(bulk, "CHUNK_ROWS", 3)
    monkeypatch.setattr(bulk, "BULK_INLINE_ITEMS", 1)
    monkeypatch.setattr("sheaf.jobs.runner.CHUNK_WINDOW", 2)
    monkeypatch.setattr("sheaf.jobs.shapes.CHUNK_WINDOW", 2)
    time = Time()
    with world.a_world() as sheaf, clock.using(time):
        acme = sheaf.tenant()
        if kind == "bulk":
            job = sheaf.http("POST", "/v1/tasks/bulk", ITEMS, key=acme.key).data["id"]
        else:
            sheaf.http("POST", "/v1/import/tasks", {"items": ITEMS[:1]}, key=acme.key)
            job = sheaf.http("POST", "/v1/tasks/export", {"format": "csv"}, key=acme.key).data["id"]
        world.function("on_change").handler({"Records": sheaf.changes()}, world.CONTEXT)
        yield sheaf, acme, job, time


def carry(sheaf: world.World, queue: Queue) -> None:
    """What the code has sent to SQS goes on through the simulated queue."""
    import json

    for record in sheaf.messages("JobsQueue"):
        sheaf.done("JobsQueue", record)
        queue.send(json.loads(record["body"]))


def finish(sheaf: world.World, acme: world.Tenant, job: str, time: Time, seed: int, duplicates: float = 0.1) -> dict[str, Any]:
    queue = Queue(on_job, random.Random(seed), duplicates=duplicates, receives=20)
    carry(sheaf, queue)

    def between() -> None:
        time.leap()
        carry(sheaf, queue)

    queue.between = between
    queue.drain()
    assert queue.dead == []
    return sheaf.http("GET", f"/v1/jobs/{job}", key=acme.key).data  # type: ignore[no-any-return]


def check_bulk(sheaf: world.World, acme: world.Tenant, shown: dict[str, Any]) -> None:
    assert shown["status"] == "succeeded"
    assert (shown["counts"]["created"], shown["counts"]["failed"], shown["counts"]["total"]) == (9, 1, 10)
    titles = [row["title"] for row in sheaf.http("GET", "/v1/tasks?limit=100", key=acme.key).data]
    assert sorted(titles) == sorted(item["title"] for item in ITEMS if item["title"])


@pytest.mark.parametrize("when", ["before-call", "after-call"])
@pytest.mark.parametrize("kind", ["bulk", "export"])
def test_killed_at_every_call(monkeypatch: pytest.MonkeyPatch, when: When, kind: str) -> None:
    for number in itertools.count(1):
        with accepted(monkeypatch, kind) as (sheaf, acme, job, time):
            first = sheaf.messages("JobsQueue")[0]  # stays in the queue: its worker will not live to delete it
            with kill_at(number, when) as counter, suppress(Killed):
                on_job({"Records": [first]})
            time.leap()
            shown = finish(sheaf, acme, job, time, seed=number)
            if kind == "bulk":
                check_bulk(sheaf, acme, shown)
            else:
                assert (shown["status"], shown["result"]["rows"]) == ("succeeded", 1)
            if counter.calls < number:
                assert number > 8, "the worker must have made calls to be killed at"
                return


@pytest.mark.parametrize("seed", range(5))
def test_duplicates_and_reordering(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    with accepted(monkeypatch, "bulk") as (sheaf, acme, job, time):
        check_bulk(sheaf, acme, finish(sheaf, acme, job, time, seed, duplicates=0.9))


def test_a_row_that_its_owner_deleted_is_not_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker dies after its rows are written, the owner deletes one, the chunk runs again."""
    with accepted(monkeypatch, "bulk") as (sheaf, acme, job, time):
        first = sheaf.messages("JobsQueue")[0]
        for number in itertools.count(1):
            with kill_at(number, "before-call"), suppress(Killed):
                on_job({"Records": [first]})
            time.leap()
            rows = sheaf.http("GET", "/v1/tasks", key=acme.key).data
            if rows:
                break
        assert sheaf.http("DELETE", f"/v1/tasks/{rows[0]['id']}", key=acme.key).status == 200
        shown = finish(sheaf, acme, job, time, seed=1)
        assert (shown["status"], shown["counts"]["created"]) == ("succeeded", 9)
        assert sheaf.http("GET", f"/v1/tasks/{rows[0]['id']}", key=acme.key).status == 404
        assert len(sheaf.http("GET", "/v1/tasks?limit=100", key=acme.key).data) == 8


def test_a_chunk_that_fails_for_good_ends_the_job_and_lies_in_the_dead_letter_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    with accepted(monkeypatch, "bulk") as (sheaf, acme, job, time):
        aws.client("s3").delete_object(Bucket="jobs", Key=f"{acme.id}/jobs/{job}/input.ndjson")
        queue = Queue(on_job, random.Random(1), between=time.leap, duplicates=0)
        carry(sheaf, queue)
        queue.drain()
        shown = sheaf.http("GET", f"/v1/jobs/{job}", key=acme.key).data
        assert shown["status"] == "failed" and "failed 5 times" in shown["error"]
        assert {(d["tenant"], d["job"]) for d in queue.dead} == {(acme.id, job)}


def test_a_thousand_rows_with_a_worker_killed_in_the_middle() -> None:
    with world.a_world() as sheaf:
        acme = sheaf.tenant()
        job = sheaf.http("POST", "/v1/tasks/bulk", [{"title": str(n)} for n in range(1_000)], key=acme.key).data["id"]
        time = Time()
        with clock.using(time):
            world.function("on_change").handler({"Records": sheaf.changes()}, world.CONTEXT)
            first = sheaf.messages("JobsQueue")[0]
            with kill_at(150, "after-call"), suppress(Killed):
                on_job({"Records": [first]})
            written = sheaf.http("GET", "/v1/tasks?limit=100", key=acme.key).data
            assert written and sheaf.http("GET", f"/v1/jobs/{job}", key=acme.key).data["counts"]["created"] == 0
            time.leap()
            shown = finish(sheaf, acme, job, time, seed=2)
        assert shown["counts"] == {"total": 1_000, "created": 1_000, "updated": 0, "deleted": 0, "skipped": 0, "failed": 0}
        found = aws.client("dynamodb").scan(TableName="RecordsTable", Select="COUNT")
        assert found["Count"] == 1_000
