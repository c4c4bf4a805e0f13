"""Every job worker under kill -9: before and after its AWS calls, with duplicates and reordering; cancelled at every point.

`make test` looks at some of the calls of each kind, `make soak PART=kills` at all of them.
"""

import itertools
import random
from typing import Any

import pytest

import rights
import world
from sheaf.base import clock
from sheaf.store import aws
from sim import jobs
from sim.faults import When
from sim.jobs import KINDS, Run, Trouble, accepted, check, die, outcome, settle
from sim.sources import Queue

POINTS = 3  # of each kind and way to die, in `make test`


def undisturbed(monkeypatch: pytest.MonkeyPatch, kind: str) -> tuple[int, Any]:
    """How many calls a job takes, and how it ends."""
    with accepted(monkeypatch, kind) as run:
        counter = Trouble(0, "before-call", die)
        assert settle(run, counter, duplicates=0).dead == []
        check(run)
        return counter.calls, outcome(run)


def points(calls: int, kind: str, when: str, every: bool) -> list[int]:
    if every:
        return list(range(1, calls + 1))
    return sorted(random.Random(f"{kind}{when}").sample(range(1, calls + 1), min(POINTS, calls)))


def kill(monkeypatch: pytest.MonkeyPatch, kind: str, when: When, every: bool) -> int:
    calls, expected = undisturbed(monkeypatch, kind)
    chosen = points(calls, kind, when, every)
    for number in chosen:
        with accepted(monkeypatch, kind) as run:
            assert settle(run, Trouble(number, when, die), seed=number).dead == [], (kind, number)
            check(run)
            assert outcome(run) == expected, (kind, when, number)
    return len(chosen)


def cancel(monkeypatch: pytest.MonkeyPatch, kind: str, every: bool) -> int:
    calls, expected = undisturbed(monkeypatch, kind)
    chosen = points(calls, kind, "cancel", every)
    for number in chosen:
        with accepted(monkeypatch, kind) as run:

            def stop(run: Run = run) -> None:
                with rights.nobody():
                    answer = run.sheaf.http("POST", f"/v1/jobs/{run.job}/cancel", key=run.acme.key)
                assert answer.status in (202, 409), answer.text

            assert settle(run, Trouble(number, "after-call", stop), seed=number).dead == []
            shown = check(run)
            assert shown["status"] in ("cancelled", "succeeded")
            if shown["status"] == "succeeded":
                assert outcome(run) == expected
    return len(chosen)


@pytest.mark.parametrize("when", ["before-call", "after-call"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_job_killed_at_some_call_ends_as_one_that_was_not(monkeypatch: pytest.MonkeyPatch, when: When, kind: str) -> None:
    assert kill(monkeypatch, kind, when, every=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_cancelled_at_some_call_tells_what_it_did(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    assert cancel(monkeypatch, kind, every=False)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_kills(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Soak: before and after each AWS call of every job worker, and cancelled at each."""
    killed = sum(kill(monkeypatch, kind, when, every=True) for when in ("before-call", "after-call"))  # type: ignore[arg-type]
    print(f"\n{kind}: killed at {killed} points, cancelled at {cancel(monkeypatch, kind, every=True)}, 0 violations", flush=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(2))
def test_duplicates_and_reordering(monkeypatch: pytest.MonkeyPatch, seed: int, kind: str) -> None:
    with accepted(monkeypatch, kind) as run:
        settle(run, seed=seed, duplicates=0.9)
        assert check(run)["status"] == "succeeded"


def test_a_row_that_its_owner_deleted_is_not_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker dies after its rows are written, the owner deletes one, the chunk runs again."""
    for number in itertools.count(12):
        with accepted(monkeypatch, "create") as run:
            gone: list[str] = []

            def die_and_delete(run: Run = run, gone: list[str] = gone) -> None:
                with rights.nobody():
                    gone.extend(row["id"] for row in run.rows("tasks")[-1:])
                with rights.nobody():
                    for row_id in gone:
                        run.post(f"/v1/tasks/{row_id}", None, "DELETE")
                die()

            counter = Trouble(number, "before-call", die_and_delete)
            settle(run, counter, duplicates=0)
            if counter.calls < number:
                return
            shown = run.shown()
            assert (shown["status"], shown["counts"]["created"]) == ("succeeded", 9)
            assert len(run.rows("tasks")) == 9 - len(gone)
            if gone:
                assert run.sheaf.http("GET", f"/v1/tasks/{gone[0]}", key=run.acme.key).status == 404
                if number > 40:
                    return


def test_a_chunk_that_fails_for_good_ends_the_job_and_lies_in_the_dead_letter_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    with accepted(monkeypatch, "create") as run:
        aws.client("s3").delete_object(Bucket="jobs", Key=f"{run.acme.id}/jobs/{run.job}/source")
        queue = Queue(jobs.on_job, random.Random(1), between=run.time.leap, duplicates=0)
        jobs.carry(run, queue)
        queue.drain()
        run.follow()
        shown = run.shown()
        assert shown["status"] == "failed" and "failed 5 times" in shown["error"]
        assert {(d["tenant"], d["job"]) for d in queue.dead} == {(run.acme.id, run.job)}
        assert shown["counts"]["unprocessed"] == 10


def test_what_a_dead_chunk_has_written_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that dies after its first row each time: what it wrote is found by its stamp, and stands in the results."""
    from sheaf.features.bulk import engine

    real = engine.run

    def fails(caller: Any, entity: Any, operation: Any, lines: Any, **options: Any) -> Any:
        real(caller, entity, operation, lines[:1], **options)
        raise RuntimeError("out of memory")

    with accepted(monkeypatch, "create") as run:
        monkeypatch.setattr("sheaf.features.bulk.engine.run", fails)
        settle(run, duplicates=0)
        shown = check(run)
        assert shown["status"] == "failed" and "failed 5 times" in shown["error"]
        assert shown["counts"]["created"] == len(run.rows("tasks")) > 0
        assert shown["counts"]["created"] + shown["counts"]["unprocessed"] == 10


def test_a_thousand_rows_with_a_worker_killed_in_the_middle() -> None:
    with world.a_world() as sheaf:
        acme = sheaf.tenant()
        time = jobs.Time()
        with clock.using(time):
            run = Run(sheaf, acme, time)
            run.job = run.post("/v1/tasks/bulk", [{"title": str(n)} for n in range(1_000)])["id"]
            run.follow()
            settle(run, Trouble(150, "after-call", die), seed=2)
        shown = check(run)
        assert shown["counts"] == {"total": 1_000, "created": 1_000, "updated": 0, "deleted": 0, "skipped": 0, "failed": 0}
        rows = aws.client("dynamodb").scan(TableName="RecordsTable", Select="COUNT")
        assert rows["Count"] == 1_000
