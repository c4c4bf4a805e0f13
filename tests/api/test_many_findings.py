"""What a review of bulk, jobs, imports and audience batches found: each case once more, as a user would meet it."""

import json
from typing import Any

import pytest

import rights
import world
from sheaf.features.bulk import engine
from sheaf.jobs import slots, sweep
from sheaf.records.once import Once
from sheaf.store import aws, keys, table

CSV = {"Content-Type": "text/csv"}
FILE = {"filename": "a.csv", "size": 12, "type": "text/csv"}
BATCH = "/v1/audience/batch-upload"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sheaf.features.bulk.request.BULK_INLINE_ITEMS", 1)
    monkeypatch.setattr("sheaf.features.bulk.lines.CHUNK_ROWS", 3)
    monkeypatch.setattr("sheaf.features.bulk.engine.PAUSE", 0.0)


def job(sheaf: world.World, key: str, answer: world.Answer) -> dict[str, Any]:
    assert answer.status == 202, answer.text
    sheaf.settle()
    return dict(sheaf.http("GET", f"/v1/jobs/{answer.data['id']}", key=key).data)


def test_a_file_that_comes_after_the_end_of_its_job_takes_up_no_turn(sheaf: world.World, acme: world.Tenant, small: None) -> None:
    for _ in range(5):
        answer = sheaf.http("POST", "/v1/import/tasks", {"file": FILE}, key=acme.key)
        sheaf.http("POST", f"/v1/jobs/{answer.data['id']}/cancel", key=acme.key)
        sheaf.settle()
        sheaf.arrive(acme, answer.data["upload"]["id"], b"title\nA\nB\nC\n")
        slots.join(acme.setup, answer.data["id"])  # and one that was on its way meanwhile
    assert job(sheaf, acme.key, sheaf.http("POST", "/v1/tasks/bulk", [{"title": "A"}] * 2, key=acme.key))["status"] == "succeeded"


def test_a_job_that_is_gone_keeps_nobody_from_being_looked_after(
    sheaf: world.World, acme: world.Tenant, globex: world.Tenant, small: None
) -> None:
    gone = sheaf.http("POST", "/v1/tasks/bulk", [{"title": "A"}] * 2, key=acme.key).data["id"]
    table.take("ControlTable", keys.job(acme.setup, gone))
    left = sheaf.http("POST", "/v1/tasks/bulk", [{"title": "A"}] * 2, key=globex.key)
    with rights.of("on_change"):
        world.function("on_change").handler({"Records": sheaf.changes()}, world.CONTEXT)
    with world.later(1_000):
        assert sweep.sweep("on_schedule", "r")["troubled"] == 0
    assert job(sheaf, globex.key, left)["status"] == "succeeded"
    assert job(sheaf, acme.key, sheaf.http("POST", "/v1/tasks/bulk", [{"title": "A"}] * 2, key=acme.key))["status"] == "succeeded"


@pytest.mark.parametrize(
    "file",
    [{"type": "text/csv"}, {**FILE, "size": 0}, {**FILE, "size": "x"}, {**FILE, "sha256": "x"}, {**FILE, "filename": "a/b"}],
)
def test_a_refused_announcement_leaves_nothing(sheaf: world.World, acme: world.Tenant, file: Any) -> None:
    for path, body in (("/v1/import/tasks", {"file": file}), (BATCH, {"upload_name": "x", "file": file})):
        refused = sheaf.http("POST", path, body, key=acme.key, headers={"Idempotency-Key": "k"})
        assert refused.status in (400, 422), refused.text
        mended = sheaf.http("POST", path, {**body, "file": FILE}, key=acme.key, headers={"Idempotency-Key": "k"})
        assert mended.status == 202, mended.text
    assert len(sheaf.http("GET", "/v1/jobs", key=acme.key).data) == 2
    assert len(sheaf.http("GET", BATCH, key=acme.key).json["uploads"]) == 1


def test_files_that_are_awaited_leave_room_for_jobs(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sheaf.jobs.slots.JOBS_PER_TENANT", 2)
    for _ in range(3):
        assert sheaf.http("POST", BATCH, {"upload_name": "x", "file": FILE}, key=acme.key).status == 202
    assert sheaf.http("POST", "/v1/tasks/export", {"format": "csv"}, key=acme.key).status == 202


def test_what_is_laid_over_many_rows_is_kept_once(sheaf: world.World, acme: world.Tenant) -> None:
    ids = [
        each["id"]
        for each in sheaf.http("POST", "/v1/tasks/bulk", [{"title": str(n)} for n in range(100)], key=acme.key).data["items"]
    ]
    ids += [each["id"] for each in sheaf.http("POST", "/v1/tasks/bulk", [{"title": "x"}] * 50, key=acme.key).data["items"]]
    answer = sheaf.http("PATCH", "/v1/tasks/bulk", {"ids": ids, "data": {"description": "x" * 9_000}}, key=acme.key)
    head = aws.client("s3").head_object(Bucket="jobs", Key=f"{acme.id}/jobs/{answer.data['id']}/source")
    assert head["ContentLength"] < 20_000
    assert job(sheaf, acme.key, answer)["counts"]["updated"] == 150
    for data, field in (({"description": "x" * 60_000}, "data"), ({"id": ids[0]}, "data.id"), ({"version": 1}, "data.version")):
        refused = sheaf.http("PATCH", "/v1/tasks/bulk", {"ids": ids[:2], "data": data}, key=acme.key)
        assert refused.status == 422 and field in refused.json["errors"]


def test_a_batch_that_was_cancelled_too_late_keeps_its_records(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sheaf.features.audience import uploads

    content, real = b'{"domain": "d"}\n', uploads._settle
    file = {"filename": "a", "size": len(content), "type": "application/x-ndjson"}
    made = sheaf.http("POST", BATCH, {"upload_name": "x", "file": file}, key=acme.key).json

    def settle(*args: Any) -> None:
        real(*args)
        with rights.nobody():
            sheaf.http("POST", f"/v1/jobs/{made['job']['id']}/cancel", key=acme.key)

    monkeypatch.setattr(uploads, "_settle", settle)
    sheaf.arrive(acme, made["file"]["id"], content)
    sheaf.settle()
    shown = sheaf.http("GET", f"{BATCH}/{made['upload_id']}", key=acme.key)
    assert (shown.status, shown.json["upload_status"], shown.json["records"]) == (200, "uploaded", [{"domain": "d"}])


def test_a_batch_whose_file_is_refused_or_never_comes_says_so(sheaf: world.World, acme: world.Tenant) -> None:
    lie, never = (sheaf.http("POST", BATCH, {"upload_name": "x", "file": FILE}, key=acme.key).json for _ in range(2))
    sheaf.arrive(acme, lie["file"]["id"], b"email\na@b\n")
    sheaf.settle()
    with world.later(5_000):
        with rights.of("on_schedule"):
            world.function("on_schedule").handler(world.event("on_schedule.minute"), world.CONTEXT)
        sheaf.settle()
        for made, reason in ((lie, "was rejected"), (never, "did not arrive")):
            shown = sheaf.http("GET", f"{BATCH}/{made['upload_id']}", key=acme.key).json
            assert shown["upload_status"] == "failed" and reason in shown["reason"]


def test_an_announcement_that_died_in_the_middle_goes_on(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sheaf.features.audience import uploads

    def die(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    body, headers = {"upload_name": "x", "file": FILE}, {"Idempotency-Key": "k"}
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(uploads.write, "create", die)
        sheaf.http("POST", BATCH, body, key=acme.key, headers=headers)
    again = sheaf.http("POST", BATCH, body, key=acme.key, headers=headers)
    assert again.status == 202 and sheaf.http("GET", f"{BATCH}/{again.json['upload_id']}", key=acme.key).status == 200


@pytest.mark.parametrize("name", ["dryRun", "skipInvalid"])
@pytest.mark.parametrize("value", [[], {}, 1, "perhaps", None])
def test_a_flag_of_another_kind(sheaf: world.World, acme: world.Tenant, name: str, value: Any) -> None:
    answer = sheaf.http("POST", "/v1/import/tasks", {"uploadId": "x", name: value}, key=acme.key)
    assert answer.status == 422 and (name in answer.json["errors"]), answer.text


@pytest.mark.parametrize("path", ["/v1/tasks/bulk", "/v1/import/tasks"])
def test_options_of_a_json_body_do_not_stand_in_the_query(sheaf: world.World, acme: world.Tenant, path: str) -> None:
    refused = sheaf.http("POST", f"{path}?dryRun=true", [{"title": "x"}], key=acme.key)
    assert refused.status == 400 and "dryRun" in refused.json["errors"]
    assert sheaf.http("GET", "/v1/tasks", key=acme.key).data == []


# ---- retries ----


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [("/v1/tasks/bulk", [{"title": "A"}, {"title": "B"}], {}), ("/v1/import/tasks", "title,status\nA,todo\nB,todo\n", CSV)],
)
def test_a_job_that_never_began_can_be_retried_again_and_again(
    sheaf: world.World, acme: world.Tenant, small: None, path: str, body: Any, headers: dict[str, str]
) -> None:
    last = sheaf.http("POST", path, body, key=acme.key, headers=headers)
    for _ in range(2):
        sheaf.http("POST", f"/v1/jobs/{last.data['id']}/cancel", key=acme.key)
        assert job(sheaf, acme.key, last)["status"] == "cancelled"
        last = sheaf.http("POST", f"/v1/jobs/{last.data['id']}/retry", key=acme.key)
    assert job(sheaf, acme.key, last)["counts"]["created"] == 2
    assert sorted(row["title"] for row in sheaf.http("GET", "/v1/tasks", key=acme.key).data) == ["A", "B"]


def test_a_retry_is_its_owners_keeps_the_rules_and_has_its_own_time(sheaf: world.World, acme: world.Tenant, small: None) -> None:
    moderator = sheaf.key(acme, "moderator")
    first = sheaf.http("POST", "/v1/tasks/bulk", {"items": [{"title": "A"}, {"title": ""}]}, key=moderator)
    assert job(sheaf, moderator, first)["status"] == "failed"
    with world.later(3_600):
        by_admin = sheaf.http("POST", f"/v1/jobs/{first.data['id']}/retry", key=acme.key)
        by_owner = sheaf.http("POST", f"/v1/jobs/{first.data['id']}/retry", key=moderator)
        assert by_admin.data["id"] == by_owner.data["id"] > first.data["id"]
        shown = job(sheaf, moderator, by_owner)
    assert shown["status"] == "failed" and "nothing was written" in shown["error"], "all or nothing stays so"
    assert sheaf.http("GET", "/v1/tasks", key=acme.key).data == []


# ---- keys and deaths ----


@pytest.mark.parametrize("atomic", [True, False])
def test_an_upsert_that_died_is_told_as_it_was(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch, atomic: bool
) -> None:
    row_id = sheaf.http("POST", "/v1/videos", {"title": "old", "url": "https://v.example/1"}, key=acme.key).data["id"]
    items = [{"title": "mine", "url": "https://v.example/1"}, {"title": "new", "url": "https://v.example/2"}]
    body = {"items": items, "operation": "upsert", "options": {"key": "url", "atomic": atomic}}

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Once, "complete", die)
        sheaf.http("POST", "/v1/videos/bulk", body, key=acme.key, headers={"Idempotency-Key": "k"})
    sheaf.http("PATCH", f"/v1/videos/{row_id}", {"title": "edited"}, key=acme.key)
    with world.later(40):
        again = sheaf.http("POST", "/v1/videos/bulk", body, key=acme.key, headers={"Idempotency-Key": "k"})
    assert [(each["status"], each["version"]) for each in again.data["results"]] == [("updated", 2), ("created", 1)], again.text
    assert sheaf.http("GET", f"/v1/videos/{row_id}", key=acme.key).data["title"] == "edited"


def test_what_a_dead_upsert_has_written_is_told(
    sheaf: world.World, acme: world.Tenant, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheaf.http("POST", "/v1/videos", {"title": "old", "url": "https://v.example/1"}, key=acme.key)
    real = engine.run

    def fails(*args: Any, **more: Any) -> Any:
        real(*args, **more)
        raise RuntimeError("out of memory")

    monkeypatch.setattr(engine, "run", fails)
    items = [{"title": "new", "url": f"https://v.example/{n}"} for n in range(1, 4)]
    answer = sheaf.http(
        "POST", "/v1/videos/bulk", {"items": items, "operation": "upsert", "options": {"key": "url"}}, key=acme.key
    )
    for _ in range(9):
        with pytest.raises(AssertionError, match="come to rest"):
            sheaf.settle(rounds=1)
    counts = sheaf.http("GET", f"/v1/jobs/{answer.data['id']}", key=acme.key).data["counts"]
    assert (counts["created"], counts["updated"], counts["unprocessed"]) == (2, 1, 0)


def test_a_refused_transaction_leaves_its_key_free(sheaf: world.World, acme: world.Tenant) -> None:
    body = {"items": [{"title": "A"}, {"title": "B", "assignee": "usr_none"}], "options": {"atomic": True, "skipInvalid": True}}
    for _ in range(2):
        assert sheaf.http("POST", "/v1/tasks/bulk", body, key=acme.key, headers={"Idempotency-Key": "k"}).status == 422
    del body["items"][1]["assignee"]  # type: ignore[index]
    assert sheaf.http("POST", "/v1/tasks/bulk", body, key=acme.key, headers={"Idempotency-Key": "k"}).data["created"] == 2


def test_a_replay_tells_what_the_first_answer_told(sheaf: world.World, acme: world.Tenant) -> None:
    first = sheaf.http(
        "POST", "/v1/tasks/bulk", [{"title": "one"}, {"title": ""}], key=acme.key, headers={"Idempotency-Key": "k"}
    )
    sheaf.http("PATCH", f"/v1/tasks/{first.data['items'][0]['id']}", {"title": "edited"}, key=acme.key)
    again = sheaf.http(
        "POST", "/v1/tasks/bulk", [{"title": "one"}, {"title": ""}], key=acme.key, headers={"Idempotency-Key": "k"}
    )
    assert again.data == first.data


# ---- who may ----


def test_a_key_of_few_scopes_exports_nobody(sheaf: world.World, acme: world.Tenant) -> None:
    user = sheaf.user(acme, "ann@example.com")
    narrow = sheaf.key(acme, "admin", "me:read", "jobs:read", "data:export")
    assert sheaf.http("POST", "/v1/gdpr/export-data", {"userId": user}, key=narrow).status == 403
    assert sheaf.http("POST", "/v1/export/data", {"type": "users", "format": "csv"}, key=narrow).status == 403
    assert sheaf.http("POST", "/v1/export/data", {"type": "analytics", "format": "csv"}, key=narrow).status == 202
    for kind in ("audience_uploads", "audience_segments", "uploads", "jobs", "", 5):
        refused = sheaf.http("POST", "/v1/export/data", {"type": kind, "format": "csv"}, key=acme.key)
        assert refused.status == 422 and "type" in refused.json["errors"]


def test_a_package_holds_ones_batches(sheaf: world.World, acme: world.Tenant) -> None:
    ann = sheaf.token_of(acme, "ann@example.com")
    sheaf.http("POST", BATCH, {"upload_name": "Mine", "records": [{"domain": "d"}]}, key=ann)
    shown = job(sheaf, ann, sheaf.http("POST", "/v1/gdpr/export-data", {}, key=ann))
    with sheaf.archive(shown["result"]["url"]) as package:
        assert json.loads(package.read("rows/audience_uploads.json"))[0]["upload_name"] == "Mine"


# ---- files ----


@pytest.mark.parametrize("form", ["json", "ndjson"])
@pytest.mark.parametrize("path", ["contacts", "posts"])
def test_what_was_exported_can_be_sent_back(
    sheaf: world.World, acme: world.Tenant, globex: world.Tenant, form: str, path: str
) -> None:
    body = {
        "contacts": {"first_name": "A", "last_name": "B", "email": "a@b.example"},
        "posts": {"title": "Title", "content": "Long enough"},
    }[path]
    sheaf.http("POST", f"/v1/{path}", body, key=acme.key)
    shown = job(sheaf, acme.key, sheaf.http("POST", f"/v1/{path}/export", {"format": form}, key=acme.key))
    kind = {"json": "application/json", "ndjson": "application/x-ndjson"}[form]
    answer = sheaf.http(
        "POST", f"/v1/import/{path}", sheaf.download(shown["result"]["url"]), key=globex.key, headers={"Content-Type": kind}
    )
    created = answer.data["created"] if answer.status == 200 else job(sheaf, globex.key, answer)["counts"]["created"]
    assert created == 1, answer.text


def test_a_file_of_errors_is_mended_and_sent_again(sheaf: world.World, acme: world.Tenant) -> None:
    table = "title,status,description\n'=A,todo,'=1+1\n'=B,none,'=1+1\n"
    shown = job(sheaf, acme.key, sheaf.http("POST", "/v1/import/tasks", table, key=acme.key, headers=CSV))
    assert sheaf.download(shown["result"]["url"]).splitlines()[1].startswith("'=A,todo,'=1+1,")
    mended = sheaf.download(shown["errorsUrl"]).replace(",none,", ",todo,")
    assert (
        job(sheaf, acme.key, sheaf.http("POST", "/v1/import/tasks", mended, key=acme.key, headers=CSV))["counts"]["created"] == 1
    )
    rows = sheaf.http("GET", "/v1/tasks", key=acme.key).data
    assert {(row["title"], row["description"]) for row in rows} == {("=A", "=1+1"), ("=B", "=1+1")}


def test_a_removed_batch_leaves_no_record_and_no_file(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sheaf.features.audience import uploads

    content = b"email,x\na@b,1\n"
    made = sheaf.http("POST", BATCH, {"upload_name": "x", "file": {**FILE, "size": len(content)}}, key=acme.key).json
    sheaf.arrive(acme, made["file"]["id"], content)
    sheaf.settle()
    assert sheaf.http("GET", f"/v1/uploads/{made['file']['id']}", key=acme.key).status == 404, "the file has done its work"

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    path, headers = f"{BATCH}/{made['upload_id']}", {"Idempotency-Key": "k"}
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(uploads.records, "remove", die)
        sheaf.http("DELETE", path, key=acme.key, headers=headers)
    assert sheaf.http("DELETE", path, key=acme.key, headers=headers).status == 200
    left = aws.client("s3").list_objects_v2(Bucket="uploads", Prefix=f"{acme.id}/").get("Contents", [])
    assert left == []


def test_a_batch_that_cannot_be_kept_leaves_no_records(sheaf: world.World, acme: world.Tenant) -> None:
    body = {"upload_name": "x", "records": [{"domain": "d"}], "fields": ["é" * 100 + str(n) for n in range(256)]}
    assert sheaf.http("POST", BATCH, body, key=acme.key).status in (400, 413)
    assert aws.client("s3").list_objects_v2(Bucket="uploads", Prefix=f"{acme.id}/").get("Contents", []) == []


def test_large_rows_are_cut_into_smaller_chunks(sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sheaf.features.bulk.lines.CHUNK_BYTES", 50_000)
    lines = "".join(json.dumps({"title": str(n), "description": "x" * 9_000}) + "\n" for n in range(20))
    answer = sheaf.http("POST", "/v1/import/tasks", lines, key=acme.key, headers={"Content-Type": "application/x-ndjson"})
    assert job(sheaf, acme.key, answer)["counts"]["created"] == 20
    chunks = list(table.query("ControlTable", keys.chunk(acme.setup, answer.data["id"], 0).pk))
    assert len(chunks) == 5 and all("ttl" in chunk for chunk in chunks)
