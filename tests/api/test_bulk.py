"""Many rows at once, as the seeds show them; jobs; exports."""

import csv
import io
import json
from hashlib import sha256
from typing import Any

import pytest

import world
from sheaf.store import aws


def told(sheaf: world.World, url: str) -> list[Any]:
    """The lines of a job's file."""
    return [json.loads(line) for line in sheaf.download(url).splitlines()]


def stored(name: str, url: str) -> bytes:
    key = url.split("?", maxsplit=1)[0].split("/jobs/", 1)[1]
    assert key.endswith(name)
    return aws.client("s3").get_object(Bucket="jobs", Key=key)["Body"].read()


# contract: 2, 3, 5
def test_the_first_seeds_example(sheaf: world.World, acme: world.Tenant) -> None:
    items = [
        {"title": "Task 1", "status": "todo"},
        {"title": "Task 2", "status": "in_progress"},
        {"title": "Task 3", "status": "lost"},
    ]
    body = {"items": items, "options": {"skipInvalid": True, "returnFailures": True}}
    answer = sheaf.http("POST", "/v1/import/tasks", body, key=acme.key)
    data = answer.data
    assert (answer.status, data["created"], data["failed"]) == (200, 2, 1)
    assert [item["title"] for item in data["items"]] == ["Task 1", "Task 2"]
    assert data["failures"][0]["index"] == 2 and data["failures"][0]["item"] == items[2]
    assert "status" in data["failures"][0]["errors"]
    del body["options"]["returnFailures"]
    assert "failures" not in sheaf.http("POST", "/v1/import/tasks", body, key=acme.key).data
    completed = sheaf.http("POST", "/v1/import/tasks", {"items": [{"title": "x", "status": "completed"}]}, key=acme.key)
    assert completed.data["created"] == 1


# contract: 26, 27
def test_the_second_seeds_example(sheaf: world.World, acme: world.Tenant) -> None:
    people = [{"first_name": "John", "last_name": "Doe", "email": "john@test.com"},
              {"first_name": "Jane", "last_name": "Smith", "email": "jane@test.com"}]  # fmt: skip
    redirected = sheaf.http("POST", "/contacts/bulk", people, key=acme.key)
    assert (redirected.status, redirected.headers["Location"]) == (308, "../v1/contacts/bulk")
    data = sheaf.http("POST", "/v1/contacts/bulk", people, key=acme.key).data
    assert (data["created"], data["failed"]) == (2, 0)
    assert [(r["first_name"], r["status"]) for r in data["results"]] == [("John", "created"), ("Jane", "created")]
    assert all(r["id"].startswith("con_") for r in data["results"])


# contract: 4
def test_without_skip_invalid_one_bad_item_writes_nothing(sheaf: world.World, acme: world.Tenant) -> None:
    items: list[Any] = [{"title": "good"}] * 3 + [{"title": ""}, "text"]
    answer = sheaf.http("POST", "/v1/tasks/bulk", {"items": items}, key=acme.key)
    assert answer.status == 422 and set(answer.json["errors"]) == {"items.3.title", "items.4"}
    sheaf.settle()
    assert sheaf.http("GET", "/v1/tasks", key=acme.key).data == []


def test_without_skip_invalid_a_job_of_one_bad_item_fails_and_writes_nothing(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sheaf.features.bulk.lines.CHUNK_ROWS", 100)
    items: list[Any] = [{"title": "good"}] * 150 + [{"title": ""}, "text"]
    job = sheaf.http("POST", "/v1/tasks/bulk", {"items": items}, key=acme.key).data["id"]
    sheaf.settle()
    shown = sheaf.http("GET", f"/v1/jobs/{job}", key=acme.key).data
    assert (shown["status"], shown["error"]) == (
        "failed", "2 of 152 items are invalid, so nothing was written; skipInvalid writes the others"
    )  # fmt: skip
    assert shown["counts"] == {
        "total": 152, "created": 0, "updated": 0, "deleted": 0, "skipped": 0, "failed": 2, "unprocessed": 150
    }  # fmt: skip
    assert [each["index"] for each in told(sheaf, shown["errorsUrl"])] == [150, 151]
    assert len(told(sheaf, shown["unprocessedUrl"])) == 150
    assert sheaf.http("GET", "/v1/tasks", key=acme.key).data == []


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "items"), ({"items": {}}, "items"), ({"items": []}, "items"), ([], "items"), ("x", ""), ({"items": [{}], "option": 1}, "option"),
     ({"items": [{}], "options": {"skipInvalid": "yes"}}, "options.skipInvalid"), ({"items": [{}], "options": []}, "options")],
)  # fmt: skip
def test_a_malformed_bulk_names_the_field(sheaf: world.World, acme: world.Tenant, body: Any, field: str) -> None:
    answer = sheaf.http("POST", "/v1/tasks/bulk", json.dumps(body), key=acme.key)
    assert answer.status == 422 and field in answer.json["errors"], answer.text


def test_limits_of_a_bulk(sheaf: world.World, acme: world.Tenant) -> None:
    over = sheaf.http("POST", "/v1/tasks/bulk", "[" + ",".join(["{}"] * 50_001) + "]", key=acme.key)
    assert over.status == 413 and "50,000" in over.json["message"]
    assert sheaf.http("POST", "/v1/tasks/bulk", '["' + "x" * 5_000_000 + '"]', key=acme.key).status == 413
    assert sheaf.http("POST", "/v1/users/bulk", [{}], key=acme.key).status == 405
    assert sheaf.http("POST", "/v1/nothings/bulk", [{}], key=acme.key).status == 404


def test_a_hundred_are_answered_and_one_more_is_a_job(sheaf: world.World, acme: world.Tenant) -> None:
    inline = sheaf.http("POST", "/v1/tasks/bulk", [{"title": str(n)} for n in range(100)], key=acme.key)
    assert (inline.status, inline.data["created"]) == (200, 100)
    job = sheaf.http("POST", "/v1/tasks/bulk", [{"title": str(n)} for n in range(101)], key=acme.key)
    assert job.status == 202 and job.headers["Location"] == f"../jobs/{job.data['id']}"
    assert job.data["status"] == "queued" and job.data["counts"]["total"] == 101


def test_a_job_writes_every_good_row_once_and_tells_of_the_others(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sheaf.features.bulk.lines.CHUNK_ROWS", 20)
    items = [{"title": f"{n:03d}"} if n % 10 else {"title": ""} for n in range(210)]
    job = sheaf.http("POST", "/v1/tasks/bulk", items, key=acme.key).data["id"]
    sheaf.settle()
    shown = sheaf.http("GET", f"/v1/jobs/{job}", key=acme.key).data
    assert shown["status"] == "succeeded"
    assert shown["counts"] == {"total": 210, "created": 189, "updated": 0, "deleted": 0, "skipped": 0, "failed": 21}
    failures = [json.loads(line) for line in stored("errors.ndjson", shown["errorsUrl"]).splitlines()]
    assert [failure["index"] for failure in failures] == list(range(0, 210, 10))
    assert all("title" in failure["errors"] for failure in failures)
    titles, cursor = [], ""
    while cursor is not None:
        answer = sheaf.http("GET", f"/v1/tasks?limit=100{cursor and '&cursor=' + cursor}", key=acme.key)
        titles += [row["title"] for row in answer.data]
        cursor = answer.json["meta"]["nextCursor"]
    assert titles == [f"{n:03d}" for n in reversed(range(210)) if n % 10], "ids of a job keep the order of its items"


# contract: 42
@pytest.mark.parametrize("rows", [0, 1, 250])
def test_an_export_holds_every_row_and_no_formula(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr("sheaf.features.export.work._READ_ROWS", 50)
    for start in range(0, rows, 100):
        items = [{"title": f"=cmd|{n}", "description": 'a "b", c\nd'} for n in range(start, min(rows, start + 100))]
        sheaf.http("POST", "/v1/tasks/bulk", items, key=acme.key)
    job = sheaf.http("POST", "/v1/tasks/export", {"format": "csv"}, key=acme.key).data["id"]
    sheaf.settle()
    shown = sheaf.http("GET", f"/v1/jobs/{job}", key=acme.key).data
    content = stored("tasks.csv", shown["result"]["url"])
    assert (shown["status"], shown["result"]["rows"], shown["counts"]["total"]) == ("succeeded", rows, rows)
    assert shown["result"]["sha256"] == sha256(content).hexdigest() and shown["result"]["bytes"] == len(content)
    found = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    assert sorted(row["title"] for row in found) == sorted(f"'=cmd|{n}" for n in range(rows))
    assert all(row["description"] == 'a "b", c\nd' for row in found)
    assert content.split(b"\r\n")[0] == b"id,title,description,status,priority,assignee,createdAt,updatedAt,version"


def test_an_export_goes_on_in_steps(sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step has time for one read only; parts are cut at 6 MB, the rest is carried over."""
    from types import SimpleNamespace

    for _ in range(3):
        sheaf.http("POST", "/v1/tasks/bulk", [{"title": str(n), "description": "x" * 9_000} for n in range(100)], key=acme.key)
    ticks = iter(range(0, 10_000_000, 30))
    monkeypatch.setattr("sheaf.features.export.work.time", SimpleNamespace(monotonic=lambda: next(ticks)))
    monkeypatch.setattr("sheaf.features.export.work._READ_ROWS", 40)
    monkeypatch.setattr("sheaf.features.export.work.PART_BYTES", 5_300_000)
    job = sheaf.http("POST", "/v1/tasks/export", {"format": "csv", "fields": ["title", "description"]}, key=acme.key).data["id"]
    sheaf.settle()
    shown = sheaf.http("GET", f"/v1/jobs/{job}", key=acme.key).data
    assert (shown["status"], shown["result"]["rows"]) == ("succeeded", 300)
    content = stored("tasks.csv", shown["result"]["url"])
    assert sha256(content).hexdigest() == shown["result"]["sha256"]
    assert content.count(b"\r\n") == 301


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "format"), ({"format": "pdf"}, "format"), ({"format": "csv", "filter": {"color": "x"}}, "filter.color"), ([], ""),
     ({"format": "csv", "fields": ["hash"]}, "fields"), ({"format": "csv", "fields": []}, "fields"), ({"format": "csv", "x": 1}, "x")],
)  # fmt: skip
def test_a_malformed_export_names_the_field(sheaf: world.World, acme: world.Tenant, body: Any, field: str) -> None:
    answer = sheaf.http("POST", "/v1/tasks/export", body, key=acme.key)
    assert answer.status == 422 and field in answer.json["errors"]


def test_an_export_can_be_filtered(sheaf: world.World, acme: world.Tenant) -> None:
    sheaf.http("POST", "/v1/tasks/bulk", [{"title": "a", "status": "completed"}, {"title": "b"}], key=acme.key)
    job = sheaf.http(
        "POST", "/v1/tasks/export", {"format": "csv", "filter": {"status": "completed"}, "fields": ["title"]}, key=acme.key
    )
    sheaf.settle()
    shown = sheaf.http("GET", f"/v1/jobs/{job.data['id']}", key=acme.key).data
    assert stored("tasks.csv", shown["result"]["url"]) == b"title\r\na\r\n"
