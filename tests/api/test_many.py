"""Many rows in one request: every form and path of the seeds, one engine; all or nothing where that is asked for."""

from typing import Any

import pytest

import world


@pytest.fixture
def videos(sheaf: world.World, acme: world.Tenant) -> list[str]:
    """Three videos with their unique addresses."""
    body = [{"title": f"V{n}", "url": f"https://v.example/{n}"} for n in range(3)]
    return [each["id"] for each in sheaf.http("POST", "/v1/videos/bulk", body, key=acme.key).data["items"]]


def read(sheaf: world.World, acme: world.Tenant, row_id: str) -> Any:
    answer = sheaf.http("GET", f"/v1/videos/{row_id}", key=acme.key)
    return answer.data if answer.status == 200 else None


# contract: 6
def test_updates_each_with_their_own_fields(sheaf: world.World, acme: world.Tenant, videos: list[str]) -> None:
    updates = [
        {"id": videos[0], "title": "A"},
        {"id": videos[1], "title": "B", "status": "published"},
        {"id": "vid_none", "title": "C"},
    ]
    for method, path in (("PATCH", "/v1/videos/bulk"), ("POST", "/v1/videos/bulk"), ("POST", "/v1/batch/videos/update")):
        answer = sheaf.http(method, path, {"updates": updates}, key=acme.key)
        assert answer.status == 200 and answer.data["failed"] == 1, answer.text
        assert (
            answer.data["results"][2] | {"index": 2, "id": "vid_none", "status": "failed", "code": "not_found"}
            == answer.data["results"][2]
        )
    assert [read(sheaf, acme, each)["title"] for each in videos] == ["A", "B", "V2"]
    assert answer.data["skipped"] == 2, "the second time there is nothing to change"
    assert read(sheaf, acme, videos[0])["version"] == 2


# contract: 28
def test_one_patch_for_many_ids(sheaf: world.World, acme: world.Tenant) -> None:
    leads = [{"first_name": "A", "last_name": str(n), "email": f"{n}@b.example"} for n in range(2)]
    ids = [each["id"] for each in sheaf.http("POST", "/v1/leads/bulk", leads, key=acme.key).data["items"]]
    redirected = sheaf.http("PATCH", "/leads/bulk", {"ids": ids, "data": {"status": "qualified"}}, key=acme.key)
    assert redirected.status == 308 and redirected.headers["Location"].endswith("v1/leads/bulk")
    answer = sheaf.http("PATCH", "/v1/leads/bulk", {"ids": ids, "data": {"status": "qualified"}}, key=acme.key)
    assert answer.json["success"] is True and {"updated": 2, "failed": 0}.items() <= answer.data.items()
    assert {each["status"] for each in sheaf.http("GET", "/v1/leads", key=acme.key).data} == {"qualified"}


# contract: 7
@pytest.mark.parametrize(("method", "more"), [("DELETE", {}), ("POST", {"operation": "delete"})])
def test_deletions(sheaf: world.World, acme: world.Tenant, videos: list[str], method: str, more: dict[str, Any]) -> None:
    answer = sheaf.http(method, "/v1/videos/bulk", {"ids": videos, **more}, key=acme.key)
    assert (answer.status, answer.json["success"], answer.data["deleted"], answer.data["failed"]) == (200, True, 3, 0)
    assert sheaf.http("GET", "/v1/videos", key=acme.key).data == []
    assert sheaf.http("POST", f"/v1/videos/{videos[0]}/restore", key=acme.key).status == 200


def test_a_deletion_by_post_must_say_so(sheaf: world.World, acme: world.Tenant, videos: list[str]) -> None:
    answer = sheaf.http("POST", "/v1/videos/bulk", {"ids": videos}, key=acme.key)
    assert answer.status == 422 and "delete" in answer.json["errors"]["operation"]
    assert len(sheaf.http("GET", "/v1/videos", key=acme.key).data) == 3


# contract: 120
def test_a_batch_update_takes_a_hundred(sheaf: world.World, acme: world.Tenant) -> None:
    updates = [{"id": f"vid_{n}", "title": "x"} for n in range(101)]
    answer = sheaf.http("POST", "/v1/batch/videos/update", {"updates": updates}, key=acme.key)
    assert answer.status == 413 and "100" in answer.json["message"]
    assert sheaf.http("POST", "/v1/batch/videos/update", {"updates": updates[:100]}, key=acme.key).data["failed"] == 100


def test_an_upsert_finds_its_rows_by_a_unique_field(sheaf: world.World, acme: world.Tenant, videos: list[str]) -> None:
    items = [{"title": "New 1", "url": "https://v.example/1"}, {"title": "V2", "url": "https://v.example/2"},
             {"title": "V9", "url": "https://v.example/9"}, {"title": "no address"}, {"title": "", "url": "https://v.example/0"}]  # fmt: skip
    body = {"items": items, "operation": "upsert", "options": {"key": "url", "skipInvalid": True, "returnFailures": True}}
    data = sheaf.http("POST", "/v1/videos/bulk", body, key=acme.key).data
    assert {name: data[name] for name in ("created", "updated", "skipped", "failed")} == {
        "created": 1,
        "updated": 1,
        "skipped": 1,
        "failed": 2,
    }
    assert [each["status"] for each in data["results"]] == ["updated", "skipped", "created", "failed", "failed"]
    assert data["results"][0]["id"] == videos[1] and set(data["failures"][0]["errors"]) == {"url"}
    assert read(sheaf, acme, videos[0])["title"] == "V0"


def test_create_with_a_key_leaves_rows_alone_that_are_there(sheaf: world.World, acme: world.Tenant, videos: list[str]) -> None:
    items = [{"title": "X", "url": "https://v.example/1"}, {"title": "Y", "url": "https://v.example/5"}]
    data = sheaf.http("POST", "/v1/videos/bulk", {"items": items, "options": {"key": "url"}}, key=acme.key).data
    assert (data["created"], data["skipped"], data["failed"]) == (1, 1, 0)
    assert read(sheaf, acme, videos[1])["title"] == "V1"


@pytest.mark.parametrize(
    ("method", "body"),
    [("POST", {"items": [{"title": "A", "url": "https://v.example/7"}, {"title": "B", "url": "https://v.example/7"}],
               "operation": "upsert", "options": {"key": "url", "skipInvalid": True}}),
     ("PATCH", {"updates": [{"id": "ID", "title": "A"}, {"id": "ID", "title": "B"}]}), ("DELETE", {"ids": ["ID", "ID"]})],
)  # fmt: skip
def test_two_items_about_one_row_have_no_order(
    sheaf: world.World, acme: world.Tenant, videos: list[str], method: str, body: Any
) -> None:
    import json

    answer = sheaf.http(method, "/v1/videos/bulk", json.dumps(body).replace('"ID"', f'"{videos[0]}"'), key=acme.key)
    assert answer.data["failed"] == 1 and "item 0 already" in answer.data["results"][1]["error"]


# ---- all or nothing ----


def test_an_atomic_request_is_one_transaction(sheaf: world.World, acme: world.Tenant, videos: list[str]) -> None:
    updates = [{"id": videos[0], "title": "A"}, {"id": videos[1], "title": ""}]
    answer = sheaf.http("PATCH", "/v1/videos/bulk", {"updates": updates, "options": {"atomic": True}}, key=acme.key)
    assert (
        answer.status == 422
        and set(answer.json["errors"]) == {"items.1.title"}
        and "nothing was written" in answer.json["message"]
    )
    assert read(sheaf, acme, videos[0])["version"] == 1
    updates[1]["title"] = "B"
    assert (
        sheaf.http("PATCH", "/v1/videos/bulk", {"updates": updates, "options": {"atomic": True}}, key=acme.key).data["updated"]
        == 2
    )


@pytest.mark.parametrize(
    ("method", "body", "status", "field"),
    [("POST", {"items": [{"title": "A"}, {"title": "B", "url": "https://v.example/1"}]}, 409, "items.1.url"),
     ("POST", {"items": [{"title": "A", "url": "https://v.example/8"}, {"title": "B", "url": "https://v.example/8"}]}, 409, "items.1.url"),
     ("PATCH", {"updates": [{"id": "ID", "title": "A"}, {"id": "vid_none", "title": "B"}]}, 404, "items.1"),
     ("PATCH", {"updates": [{"id": "ID", "title": "A", "version": 7}]}, 412, "items.0"),
     ("DELETE", {"ids": ["ID", "vid_none"]}, 404, "items.1")],
)  # fmt: skip
def test_what_is_wrong_with_an_atomic_request_is_named(
    sheaf: world.World, acme: world.Tenant, videos: list[str], method: str, body: dict[str, Any], status: int, field: str
) -> None:
    import json

    text = json.dumps({**body, "options": {"atomic": True}}).replace('"ID"', f'"{videos[0]}"')
    answer = sheaf.http(method, "/v1/videos/bulk", text, key=acme.key)
    assert (answer.status, list(answer.json["errors"])) == (status, [field]), answer.text
    assert [(row["title"], row["version"]) for row in sheaf.http("GET", "/v1/videos", key=acme.key).data] == [
        ("V2", 1),
        ("V1", 1),
        ("V0", 1),
    ]


def test_a_transaction_that_is_too_large_is_refused_with_its_count(sheaf: world.World, acme: world.Tenant) -> None:
    """51 rows with a unique field are 102 actions."""
    items = [{"title": "A", "url": f"https://v.example/{n}"} for n in range(51)]
    answer = sheaf.http("POST", "/v1/videos/bulk", {"items": items, "options": {"atomic": True}}, key=acme.key)
    assert answer.status == 413 and "these items take 102" in answer.json["message"]
    assert (
        sheaf.http("POST", "/v1/videos/bulk", {"items": items[:50], "options": {"atomic": True}}, key=acme.key).data["created"]
        == 50
    )


def test_an_atomic_request_under_a_key_has_one_effect(sheaf: world.World, acme: world.Tenant) -> None:
    body = {"items": [{"title": "A", "url": "https://v.example/1"}, {"title": "B"}], "options": {"atomic": True}}
    first = sheaf.http("POST", "/v1/videos/bulk", body, key=acme.key, headers={"Idempotency-Key": "k"})
    again = sheaf.http("POST", "/v1/videos/bulk", body, key=acme.key, headers={"Idempotency-Key": "k"})
    assert first.data == again.data and again.headers["Idempotent-Replayed"] == "true"
    assert len(sheaf.http("GET", "/v1/videos", key=acme.key).data) == 2


# ---- the answer ----


def test_mixed_results_are_207_where_the_client_asks(sheaf: world.World, acme: world.Tenant, videos: list[str]) -> None:
    wanted = {"Prefer": "respond-multistatus"}
    body = [{"title": "A"}, {"title": ""}, {"title": "B", "url": "https://v.example/1"}]
    answer = sheaf.http("POST", "/v1/videos/bulk", body, key=acme.key, headers=wanted)
    assert (answer.status, answer.headers["Preference-Applied"]) == (207, "respond-multistatus")
    assert [each["httpStatus"] for each in answer.data["results"]] == [201, 422, 409]
    assert sheaf.http("POST", "/v1/videos/bulk", body[:1], key=acme.key, headers=wanted).status == 200
    assert sheaf.http("POST", "/v1/videos/bulk", body, key=acme.key).status == 200


def test_a_dry_run_says_what_would_be(sheaf: world.World, acme: world.Tenant, videos: list[str]) -> None:
    body = {"updates": [{"id": videos[0], "title": "A"}, {"id": "vid_none", "title": "B"}], "options": {"dryRun": True}}
    data = sheaf.http("PATCH", "/v1/videos/bulk", body, key=acme.key).data
    assert (data["updated"], data["failed"], data["dryRun"]) == (1, 1, True)
    assert (
        sheaf.http("DELETE", "/v1/videos/bulk", {"ids": videos, "options": {"dryRun": True}}, key=acme.key).data["deleted"] == 3
    )
    assert [row["version"] for row in sheaf.http("GET", "/v1/videos", key=acme.key).data] == [1, 1, 1]


@pytest.mark.parametrize(
    ("body", "field"),
    [({"items": [{}], "operation": "merge"}, "operation"), ({"items": [{}], "operation": "upsert"}, "options.key"),
     ({"items": [{}], "options": {"key": "title"}}, "options.key"), ({"ids": ["x"], "data": {}}, "data"),
     ({"updates": [{"id": "x"}], "options": {"key": "url"}}, "options.key"), ({"updates": [{"id": "x"}], "options": {"skipInvalid": False}}, "options.skipInvalid"),
     ({"items": [{}], "ids": ["x"]}, "ids"), ({"updates": []}, "updates"), ({"items": [{}], "options": {"atomic": 1}}, "options.atomic")],
)  # fmt: skip
def test_a_malformed_request_names_the_member(sheaf: world.World, acme: world.Tenant, body: Any, field: str) -> None:
    answer = sheaf.http("POST", "/v1/videos/bulk", body, key=acme.key)
    assert answer.status == 422 and field in answer.json["errors"], answer.text


def test_the_second_version_speaks_camel_case_in_every_form(sheaf: world.World, acme: world.Tenant) -> None:
    items = [{"firstName": "A", "lastName": "B", "email": "a@b.example"}]
    made = sheaf.http("POST", "/v2/contacts/bulk", {"items": items}, key=acme.key)
    row_id = made.data["items"][0]["id"]
    assert made.data["items"][0]["firstName"] == "A"
    for body in ({"updates": [{"id": row_id, "firstName": "C"}]}, {"ids": [row_id], "data": {"lastName": "D"}}):
        assert sheaf.http("PATCH", "/v2/contacts/bulk", body, key=acme.key).data["updated"] == 1
    shown = sheaf.http("GET", f"/v2/contacts/{row_id}", key=acme.key).data
    assert (shown["firstName"], shown["lastName"]) == ("C", "D")


# ---- who may ----


def test_a_bulk_does_no_more_than_the_role_may_do_to_one_row(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sheaf.entity import registry

    row_id = sheaf.http("POST", "/v1/tasks", {"title": "T"}, key=acme.key).data["id"]
    monkeypatch.setattr(registry.find("tasks").model, "access", {"delete": "admin"})
    moderator = sheaf.key(acme, "moderator")
    assert sheaf.http("DELETE", "/v1/tasks/bulk", {"ids": [row_id]}, key=moderator).status == 403
    assert sheaf.http("POST", "/v1/tasks/bulk", {"ids": [row_id], "operation": "delete"}, key=moderator).status == 403
    assert sheaf.http("PATCH", "/v1/tasks/bulk", {"ids": [row_id], "data": {"title": "U"}}, key=moderator).data["updated"] == 1
    assert sheaf.http("DELETE", "/v1/tasks/bulk", {"ids": [row_id]}, key=acme.key).data["deleted"] == 1


def test_another_tenants_rows_are_not_there(
    sheaf: world.World, acme: world.Tenant, globex: world.Tenant, videos: list[str]
) -> None:
    before = sheaf.http("GET", "/v1/videos", key=acme.key).data
    for method, body in (("PATCH", {"ids": videos, "data": {"title": "x"}}), ("DELETE", {"ids": videos})):
        data = sheaf.http(method, "/v1/videos/bulk", body, key=globex.key).data
        assert [each["code"] for each in data["results"]] == ["not_found"] * 3
    body = {"items": [{"title": "mine", "url": "https://v.example/1"}], "operation": "upsert", "options": {"key": "url"}}
    assert sheaf.http("POST", "/v1/videos/bulk", body, key=globex.key).data["created"] == 1
    assert sheaf.http("GET", "/v1/videos", key=acme.key).data == before


def test_an_owner_changes_only_their_own_rows_in_a_job_too(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sheaf.entity import registry

    monkeypatch.setattr("sheaf.features.bulk.request.BULK_INLINE_ITEMS", 1)
    monkeypatch.setattr(registry.find("comments").model, "access", {"bulk": "user"})
    post = sheaf.http(
        "POST", "/v1/posts", {"title": "Title", "content": "Long enough"}, key=acme.key, headers={"Prefer": "profile=canonical"}
    )
    users = [sheaf.token_of(acme, f"u{n}@example.com") for n in range(2)]
    ids = [sheaf.http("POST", "/v1/comments", {"post": post.data["id"], "content": "x"}, key=user).data["id"] for user in users]
    job = sheaf.http("PATCH", "/v1/comments/bulk", {"ids": ids, "data": {"content": "y"}}, key=users[0]).data["id"]
    sheaf.settle()
    counts = sheaf.http("GET", f"/v1/jobs/{job}", key=users[0]).data["counts"]
    assert (counts["updated"], counts["failed"]) == (1, 1)
    assert sheaf.http("GET", f"/v1/jobs/{job}", key=users[1]).status == 404
