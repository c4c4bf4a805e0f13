"""Jobs as their owners steer them: listed, waited for, cancelled, retried, reverted; looked after when nobody does."""

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest

import rights
import world
from client import Receiver
from sheaf.base import clock
from sheaf.jobs import machine


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs of two items are jobs already, in chunks of three rows."""
    monkeypatch.setattr("sheaf.features.bulk.request.BULK_INLINE_ITEMS", 1)
    monkeypatch.setattr("sheaf.features.bulk.lines.CHUNK_ROWS", 3)
    monkeypatch.setattr("sheaf.features.bulk.engine.PAUSE", 0.0)


def start(sheaf: world.World, key: str, items: Any, method: str = "POST", path: str = "/v1/tasks/bulk") -> str:
    answer = sheaf.http(method, path, items, key=key)
    assert answer.status == 202, answer.text
    return str(answer.data["id"])


def done(sheaf: world.World, key: str, job: str) -> dict[str, Any]:
    sheaf.settle()
    return dict(sheaf.http("GET", f"/v1/jobs/{job}", key=key).data)


def told(sheaf: world.World, url: str) -> list[Any]:
    return [json.loads(line) for line in sheaf.download(url).splitlines()]


def titles(sheaf: world.World, key: str) -> list[str]:
    return sorted(row["title"] for row in sheaf.http("GET", "/v1/tasks?limit=100", key=key).data)


TASKS = [{"title": str(n)} for n in range(8)]


def test_a_list_with_filters_and_pages(sheaf: world.World, acme: world.Tenant, globex: world.Tenant, small: None) -> None:
    made = [start(sheaf, acme.key, TASKS), start(sheaf, acme.key, {"format": "csv"}, path="/v1/tasks/export"),
            start(sheaf, acme.key, TASKS, path="/v1/import/tasks")]  # fmt: skip
    mine = start(sheaf, sheaf.key(acme, "moderator"), TASKS)
    sheaf.settle()

    def listed(query: str, key: str = acme.key) -> list[str]:
        answer = sheaf.http("GET", f"/v1/jobs{query}", key=key)
        return [each["id"] for each in answer.data]

    assert listed("") == [mine, *reversed(made)], "an admin sees every job"
    assert listed("", globex.key) == [] and listed("?type=export") == [made[1]] and listed("?status=failed") == []
    assert listed("?status=succeeded,failed&type=bulk&entity=tasks") == [mine, made[2], made[0]]
    first = sheaf.http("GET", "/v1/jobs?limit=3", key=acme.key).json
    assert first["meta"]["hasMore"] and listed(f"?limit=3&cursor={first['meta']['nextCursor']}") == [made[0]]
    other = sheaf.key(acme, "moderator")
    assert listed("", other) == [] and sheaf.http("GET", f"/v1/jobs/{mine}", key=other).status == 404
    for query, name in (("?color=x", "color"), ("?limit=0", "limit")):
        assert name in sheaf.http("GET", f"/v1/jobs{query}", key=acme.key).json["errors"]
    assert sheaf.http("GET", "/v1/jobs?cursor=x", key=acme.key).json["code"] == "invalid_cursor"


def test_waiting_for_the_end(sheaf: world.World, acme: world.Tenant, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    job = start(sheaf, acme.key, TASKS)
    began = time.monotonic()
    assert sheaf.http("GET", f"/v1/jobs/{job}?wait=1", key=acme.key).data["status"] == "queued"
    assert 0.9 < time.monotonic() - began < 5
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            with rights.nobody():
                sheaf.settle()

    monkeypatch.setattr("sheaf.jobs.progress.time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
    assert sheaf.http("GET", f"/v1/jobs/{job}?wait=20", key=acme.key).data["status"] == "succeeded"
    assert len(naps) == 3 and all(each <= 0.5 for each in naps)
    assert sheaf.http("GET", f"/v1/jobs/{job}?wait=21", key=acme.key).json["errors"].keys() == {"wait"}


def test_a_job_that_has_not_begun_is_cancelled_at_once(sheaf: world.World, acme: world.Tenant, small: None) -> None:
    job = start(sheaf, acme.key, TASKS)
    answer = sheaf.http("POST", f"/v1/jobs/{job}/cancel", key=acme.key)
    assert (answer.status, answer.data["status"]) == (202, "cancelling")
    shown = done(sheaf, acme.key, job)
    assert (shown["status"], shown["counts"]["created"], shown["counts"]["unprocessed"]) == ("cancelled", 0, 8)
    assert titles(sheaf, acme.key) == []
    assert sheaf.http("POST", f"/v1/jobs/{job}/cancel", key=acme.key).data["status"] == "cancelled", "again does no harm"
    ended = start(sheaf, acme.key, TASKS)
    done(sheaf, acme.key, ended)
    refused = sheaf.http("POST", f"/v1/jobs/{ended}/cancel", key=acme.key)
    assert (refused.status, refused.json["code"]) == (409, "conflict")


def test_what_a_cancelled_job_left_is_done_by_a_retry(
    sheaf: world.World, acme: world.Tenant, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled while the first chunk of rows is being worked on: the chunk is done to its end, the others are left."""
    from sheaf.features.bulk import engine

    job, real = start(sheaf, acme.key, [*TASKS, {"title": ""}]), engine.run

    def cancelling(*args: Any, **more: Any) -> Any:
        monkeypatch.setattr(engine, "run", real)
        with rights.nobody():
            assert sheaf.http("POST", f"/v1/jobs/{job}/cancel", key=acme.key).status == 202
        return real(*args, **more)

    monkeypatch.setattr(engine, "run", cancelling)
    shown = done(sheaf, acme.key, job)
    assert shown["status"] == "cancelled"
    assert (shown["counts"]["created"], shown["counts"]["unprocessed"]) == (3, 6) and len(titles(sheaf, acme.key)) == 3
    assert len(told(sheaf, shown["unprocessedUrl"])) == 6 and len(told(sheaf, shown["result"]["url"])) == 3
    answers = [sheaf.http("POST", f"/v1/jobs/{job}/retry", key=acme.key) for _ in range(2)]
    assert {answer.status for answer in answers} == {202} and len({answer.data["id"] for answer in answers}) == 1
    second = done(sheaf, acme.key, answers[0].data["id"])
    assert (second["status"], second["retryOf"], second["counts"]["created"], second["counts"]["failed"]) == (
        "succeeded",
        job,
        5,
        1,
    )
    assert titles(sheaf, acme.key) == [str(n) for n in range(8)]


def test_a_retry_does_the_failed_rows_again_with_their_numbers(sheaf: world.World, acme: world.Tenant, small: None) -> None:
    text = "title,assignee\n" + "".join(f"T{n},{'usr_gone' if n in (1, 4) else ''}\n" for n in range(6))
    answer = sheaf.http("POST", "/v1/import/tasks", text, key=acme.key, headers={"Content-Type": "text/csv"})
    shown = done(sheaf, acme.key, answer.data["id"])
    assert (shown["counts"]["created"], shown["counts"]["failed"]) == (4, 2)
    again = done(sheaf, acme.key, sheaf.http("POST", f"/v1/jobs/{answer.data['id']}/retry", key=acme.key).data["id"])
    assert (again["counts"]["total"], again["counts"]["failed"]) == (2, 2)
    assert again["errorGroups"][0]["rows"] == "3, 6"
    good = start(sheaf, acme.key, TASKS)
    assert sheaf.http("POST", f"/v1/jobs/{good}/retry", key=acme.key).status == 409, "it has not ended"
    done(sheaf, acme.key, good)
    assert sheaf.http("POST", f"/v1/jobs/{good}/retry", key=acme.key).status == 409, "nothing has failed"
    assert sheaf.http("POST", f"/v1/jobs/{good}/retry", key=sheaf.key(acme, "user")).status == 404


# ---- revert ----


def test_a_revert_undoes_all_but_what_was_edited_since(sheaf: world.World, acme: world.Tenant, small: None) -> None:
    ids = [sheaf.http("POST", "/v1/tasks", {"title": f"old {n}"}, key=acme.key).data["id"] for n in range(6)]
    sheaf.settle()
    job = start(sheaf, acme.key, {"updates": [{"id": each, "title": f"new {n}"} for n, each in enumerate(ids)]}, "PATCH")
    assert done(sheaf, acme.key, job)["counts"]["updated"] == 6
    sheaf.http("PATCH", f"/v1/tasks/{ids[0]}", {"priority": "high"}, key=acme.key)
    sheaf.http("DELETE", f"/v1/tasks/{ids[1]}", key=acme.key)
    sheaf.settle()
    tried = done(sheaf, acme.key, sheaf.http("POST", f"/v1/jobs/{job}/revert", {"dryRun": True}, key=acme.key).data["id"])
    assert titles(sheaf, acme.key) == ["new 0", "new 2", "new 3", "new 4", "new 5"]
    revert = sheaf.http("POST", f"/v1/jobs/{job}/revert", key=acme.key).data["id"]
    shown = done(sheaf, acme.key, revert)
    assert (shown["status"], shown["type"], shown["revertOf"]) == ("succeeded", "revert", job)
    assert tried["counts"] == shown["counts"] == {"total": 6, "created": 0, "updated": 4, "deleted": 0, "skipped": 2, "failed": 0}
    kept = {each["id"]: each["reason"] for each in told(sheaf, shown["result"]["url"]) if each["outcome"] == "skipped"}
    assert kept == {ids[0]: "was edited since", ids[1]: "was deleted since"}
    assert titles(sheaf, acme.key) == ["new 0", "old 2", "old 3", "old 4", "old 5"]
    back = done(sheaf, acme.key, sheaf.http("POST", f"/v1/jobs/{revert}/revert", key=acme.key).data["id"])
    assert back["counts"]["updated"] == 4 and titles(sheaf, acme.key) == ["new 0", "new 2", "new 3", "new 4", "new 5"]


def test_created_and_deleted_rows_go_and_come_back(sheaf: world.World, acme: world.Tenant, small: None) -> None:
    made = start(sheaf, acme.key, TASKS)
    done(sheaf, acme.key, made)
    gone = start(sheaf, acme.key, {"ids": [row["id"] for row in sheaf.http("GET", "/v1/tasks", key=acme.key).data[:4]]}, "DELETE")
    done(sheaf, acme.key, gone)
    assert titles(sheaf, acme.key) == ["0", "1", "2", "3"]
    back = done(sheaf, acme.key, sheaf.http("POST", f"/v1/jobs/{gone}/revert", key=acme.key).data["id"])
    assert back["counts"]["created"] == 4 and titles(sheaf, acme.key) == [str(n) for n in range(8)]
    undone = done(sheaf, acme.key, sheaf.http("POST", f"/v1/jobs/{made}/revert", key=acme.key).data["id"])
    assert (undone["counts"]["deleted"], undone["counts"]["skipped"]) == (4, 4), (
        "those that were deleted and restored were changed since"
    )
    undone = done(sheaf, acme.key, sheaf.http("POST", f"/v1/jobs/{back['id']}/revert", key=acme.key).data["id"])
    assert undone["counts"]["deleted"] == 4 and titles(sheaf, acme.key) == []


def test_a_value_that_went_to_another_row_keeps_a_row_from_coming_back(
    sheaf: world.World, acme: world.Tenant, small: None
) -> None:
    row = sheaf.http("POST", "/v1/videos", {"title": "V", "url": "https://v.example/1"}, key=acme.key).data
    other = sheaf.http("POST", "/v1/videos", {"title": "W"}, key=acme.key).data
    gone = start(sheaf, acme.key, {"ids": [row["id"], other["id"]]}, "DELETE", "/v1/videos/bulk")
    done(sheaf, acme.key, gone)
    sheaf.http("POST", "/v1/videos", {"title": "X", "url": "https://v.example/1"}, key=acme.key)
    shown = done(sheaf, acme.key, sheaf.http("POST", f"/v1/jobs/{gone}/revert", key=acme.key).data["id"])
    assert (shown["counts"]["created"], shown["counts"]["failed"]) == (1, 1)
    assert told(sheaf, shown["errorsUrl"])[0]["code"] == "not_unique"


def test_what_cannot_be_reverted_says_so(sheaf: world.World, acme: world.Tenant, globex: world.Tenant, small: None) -> None:
    export = start(sheaf, acme.key, {"format": "csv"}, path="/v1/tasks/export")
    assert done(sheaf, acme.key, export)["status"] == "succeeded"
    assert "cannot be reverted" in sheaf.http("POST", f"/v1/jobs/{export}/revert", key=acme.key).json["message"]
    job = start(sheaf, acme.key, TASKS)
    assert sheaf.http("POST", f"/v1/jobs/{job}/revert", key=acme.key).status == 409, "it has not ended"
    done(sheaf, acme.key, job)
    assert sheaf.http("POST", f"/v1/jobs/{job}/revert", {"dryRun": 1}, key=acme.key).json["errors"].keys() == {"dryRun"}
    for stranger in (globex.key, sheaf.key(acme, "moderator")):
        assert sheaf.http("POST", f"/v1/jobs/{job}/revert", key=stranger).status == 404


# ---- turns, limits, a sweeper, events ----


def statuses(sheaf: world.World, key: str) -> list[str]:
    return [each["status"] for each in sheaf.http("GET", "/v1/jobs", key=key).data][::-1]


def test_a_tenant_has_so_many_jobs_at_work_and_the_others_wait_their_turn(
    sheaf: world.World, acme: world.Tenant, globex: world.Tenant, small: None
) -> None:
    ids = [start(sheaf, acme.key, TASKS) for _ in range(6)]
    theirs = start(sheaf, globex.key, TASKS)
    with rights.of("on_change"):
        world.function("on_change").handler({"Records": sheaf.changes()}, world.CONTEXT)
    called = []
    while records := sheaf.messages("JobsQueue"):
        called += [json.loads(record["body"])["job"] for record in records]
        for record in records:
            sheaf.done("JobsQueue", record)
            with rights.of("on_job"):
                world.function("on_job").handler({"Records": [record]}, world.CONTEXT)
    assert set(called) == {*ids[:4], theirs}, "four of one tenant, whatever it asks for; the other tenant's begins at once"
    sheaf.settle()
    assert statuses(sheaf, acme.key) == ["succeeded"] * 6


def test_a_tenant_has_so_many_unfinished_jobs(
    sheaf: world.World, acme: world.Tenant, globex: world.Tenant, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sheaf.jobs.slots.JOBS_PER_TENANT", 3)
    for _ in range(3):
        start(sheaf, acme.key, TASKS)
    refused = sheaf.http("POST", "/v1/tasks/bulk", TASKS, key=acme.key)
    assert (refused.status, refused.json["code"], refused.headers["Retry-After"]) == (429, "too_many_jobs", "60")
    start(sheaf, globex.key, TASKS)
    sheaf.settle()
    start(sheaf, acme.key, TASKS)


def lose_messages(sheaf: world.World) -> None:
    with rights.of("on_change"):
        world.function("on_change").handler({"Records": sheaf.changes()}, world.CONTEXT)
    while records := sheaf.messages("JobsQueue"):
        for record in records:
            sheaf.done("JobsQueue", record)


def sweep() -> None:
    with rights.of("on_schedule"):
        world.function("on_schedule").handler(world.event("on_schedule.minute"), world.CONTEXT)


def test_a_job_whose_messages_are_lost_is_begun_again(sheaf: world.World, acme: world.Tenant, small: None) -> None:
    job = start(sheaf, acme.key, TASKS)
    lose_messages(sheaf)
    sweep()
    with world.later(1_000):
        sweep()
        assert done(sheaf, acme.key, job)["status"] == "succeeded"
    assert len(titles(sheaf, acme.key)) == 8


def test_a_job_that_stands_in_the_middle_goes_on(
    sheaf: world.World, acme: world.Tenant, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sheaf.jobs.runner.CHUNK_WINDOW", 1)
    monkeypatch.setattr("sheaf.jobs.shapes.CHUNK_WINDOW", 1)
    job = start(sheaf, acme.key, TASKS)
    with rights.of("on_change"):
        world.function("on_change").handler({"Records": sheaf.changes()}, world.CONTEXT)
    while sheaf.http("GET", f"/v1/jobs/{job}", key=acme.key).data["counts"]["created"] == 0:
        for record in sheaf.messages("JobsQueue")[:1]:
            sheaf.done("JobsQueue", record)
            with rights.of("on_job"):
                world.function("on_job").handler({"Records": [record]}, world.CONTEXT)
    lose_messages(sheaf)
    assert sheaf.http("GET", f"/v1/jobs/{job}", key=acme.key).data["counts"]["created"] == 3
    sheaf.settle()
    with world.later(1_000):
        sweep()
        assert done(sheaf, acme.key, job)["counts"]["created"] == 8


def test_a_job_that_never_gets_on_fails_in_the_end(sheaf: world.World, acme: world.Tenant, small: None) -> None:
    job = start(sheaf, acme.key, TASKS)
    lose_messages(sheaf)
    scope = acme.setup
    machine.move(scope, job, ("queued",), "running")
    for number in range(1, 5):
        with world.later(1_000 * number):
            sweep()
            lose_messages(sheaf)
    shown = done(sheaf, acme.key, job)
    assert shown["status"] == "failed" and "no progress" in shown["error"]
    start(sheaf, acme.key, TASKS)


def test_the_end_of_a_job_is_an_event(sheaf: world.World, acme: world.Tenant, small: None) -> None:
    with Receiver() as receiver:
        sheaf.http("POST", "/v1/webhooks", {"url": receiver.url, "events": ["job.*"]}, key=acme.key)
        good, stopped = start(sheaf, acme.key, TASKS), start(sheaf, acme.key, TASKS)
        sheaf.http("POST", f"/v1/jobs/{stopped}/cancel", key=acme.key)
        bad = start(sheaf, acme.key, {"items": [{"title": ""}, {"title": ""}]})
        sheaf.settle()
        events = [json.loads(body) for _, body in receiver.received]
    assert {(each["type"], each["data"]["id"]) for each in events} == {
        ("job.succeeded", good), ("job.cancelled", stopped), ("job.failed", bad)}  # fmt: skip
    assert all("http" not in json.dumps(each["data"]) for each in events), "no links, which end in minutes"
    assert next(each for each in events if each["type"] == "job.succeeded")["data"]["counts"]["created"] == 8


def test_jobs_are_kept_for_a_stated_time(sheaf: world.World, acme: world.Tenant, small: None) -> None:
    job = start(sheaf, acme.key, TASKS)
    done(sheaf, acme.key, job)
    with world.later(31 * 86_400):
        assert sheaf.http("GET", f"/v1/jobs/{job}", key=acme.key).status == 404
        assert sheaf.http("GET", "/v1/jobs", key=acme.key).data == []


def test_counts_never_go_back(sheaf: world.World, acme: world.Tenant, small: None) -> None:
    job, seen = start(sheaf, acme.key, TASKS), []
    with rights.of("on_change"):
        world.function("on_change").handler({"Records": sheaf.changes()}, world.CONTEXT)
    while records := sheaf.messages("JobsQueue"):
        for record in records:
            sheaf.done("JobsQueue", record)
            with rights.of("on_job"):
                world.function("on_job").handler({"Records": [record, record]}, world.CONTEXT)
            seen.append(sheaf.http("GET", f"/v1/jobs/{job}", key=acme.key).data["counts"]["created"])
    assert seen == sorted(seen) and seen[-1] == 8 and clock.now()
