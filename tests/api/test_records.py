"""Entity rows over HTTP: each scenario says what must come back and what must not."""

from typing import Any

import pytest

import world


def create(sheaf: world.World, acme: world.Tenant, **fields: Any) -> dict[str, Any]:
    return sheaf.http("POST", "/v1/tasks", {"title": "Water", **fields}, key=acme.key).data


# contract: 24, 46
def test_a_row_lives(sheaf: world.World, acme: world.Tenant) -> None:
    made = sheaf.http("POST", "/v1/tasks", {"title": "Water", "priority": "high"}, key=acme.key)
    assert made.status == 201 and made.headers["ETag"] == '"1"'
    task = made.data
    assert task["id"].startswith("tsk_") and made.headers["Location"] == f"tasks/{task['id']}"
    path = f"/v1/tasks/{task['id']}"
    assert sheaf.http("GET", path, key=acme.key).data == task

    patched = sheaf.http("PATCH", path, {"status": "completed"}, key=acme.key, headers={"If-Match": '"1"'})
    assert (patched.status, patched.headers["ETag"], patched.data["priority"]) == (200, '"2"', "high")
    replaced = sheaf.http("PUT", path, {"title": "Again"}, key=acme.key)
    assert (replaced.data["version"], replaced.data["status"], replaced.data["createdAt"]) == (3, "todo", task["createdAt"])

    gone = sheaf.http("DELETE", path, key=acme.key)
    assert gone.data == {"id": task["id"], "deleted": True, "version": 4}
    for method, body in (("GET", None), ("PUT", {"title": "x"}), ("PATCH", {"title": "x"}), ("DELETE", None)):
        assert sheaf.http(method, path, body, key=acme.key).status == 404
    assert sheaf.http("GET", "/v1/tasks", key=acme.key).data == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_stale_version_changes_nothing(sheaf: world.World, acme: world.Tenant, method: str) -> None:
    task = create(sheaf, acme)
    path = f"/v1/tasks/{task['id']}"
    refused = sheaf.http(method, path, {"title": "x"}, key=acme.key, headers={"if-match": '"7"'})
    assert (refused.status, refused.headers["ETag"], refused.json["code"]) == (412, '"1"', "precondition_failed")
    assert sheaf.http("GET", path, key=acme.key).data == task
    assert sheaf.http(method, path, {"title": "x"}, key=acme.key, headers={"If-Match": "*"}).status == 200


WRONG: list[tuple[str, Any, int, dict[str, str] | None]] = [
    ("missing", {}, 422, {"title": "is required"}),
    ("empty", {"title": ""}, 422, {"title": "at least 1"}),
    ("long", {"title": "x" * 201}, 422, {"title": "at most 200"}),
    ("enum", {"title": "x", "status": "done"}, 422, {"status": "todo"}),
    ("kind", {"title": 5}, 422, {"title": "string"}),
    ("unknown", {"title": "x", "owner": "me"}, 422, {"owner": "is not a field of Task"}),
    (
        "server's",
        {"title": "x", "id": "tsk_1", "version": 9, "createdAt": "x"},
        422,
        {"id": "set by the server", "version": "set by"},
    ),
    ("two", {"title": "", "priority": "no"}, 422, {"title": "", "priority": ""}),
    ("array", [], 422, {"": "object"}),
    ("text", '"x"', 422, {"": "object"}),
    ("no json", "{", 400, None),
    ("nothing", "", 400, None),
    ("NaN", '{"title": NaN}', 400, None),
    ("deep", "[" * 40 + "]" * 40, 400, None),
    ("deeper", "[" * 9_000 + "]" * 9_000, 400, None),
    ("surrogate", '{"title": "\\ud800"}', 400, None),
    ("number", '{"title": ' + "9" * 5_000 + "}", 400, None),
    ("big", '{"title": "' + "x" * 1_000_000 + '"}', 413, None),
    ("document", {"title": "x", "description": '"' * 10_000, "assignee": None}, 201, None),
]


@pytest.mark.parametrize(("body", "status", "errors"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_body_gets_its_status_and_its_fields(
    sheaf: world.World, acme: world.Tenant, body: Any, status: int, errors: dict[str, str] | None
) -> None:
    answer = sheaf.http("POST", "/v1/tasks", body, key=acme.key)
    assert answer.status == status, answer.text
    for field, text in (errors or {}).items():
        assert text in answer.json["errors"][field]
    if status >= 400:
        assert set(answer.json) >= {"success", "error", "code", "message", "docUrl", "requestId", "timestamp"}
        assert sheaf.http("GET", "/v1/tasks", key=acme.key).data == []


def test_a_document_over_its_limit_is_refused(sheaf: world.World, acme: world.Tenant) -> None:
    answer = sheaf.http(
        "POST", "/v1/posts", {"title": "abc", "content": '"' * 30_000}, key=acme.key, headers={"Prefer": "profile=canonical"}
    )
    assert (answer.status, answer.json["code"]) == (413, "too_large")


def test_other_content_types_and_a_compressed_lie_are_refused(sheaf: world.World, acme: world.Tenant) -> None:
    assert sheaf.http("POST", "/v1/tasks", "title=x", key=acme.key, headers={"content-type": "text/plain"}).status == 415
    assert sheaf.http("POST", "/v1/tasks", {"title": "x"}, key=acme.key, base64_body=True).status == 201


# contract: 47
def test_pages_are_full_in_order_and_end(sheaf: world.World, acme: world.Tenant) -> None:
    made = [create(sheaf, acme, title=f"{n}", status="completed" if n % 3 else "todo")["id"] for n in range(25)]
    for query, expected in (("", made), ("status=completed&", [i for n, i in enumerate(made) if n % 3]),
                            ("status=completed&priority=medium&", [i for n, i in enumerate(made) if n % 3]),
                            ("status=in_progress&", [])):  # fmt: skip
        for limit in (1, 7, 8, 16, 17, 25, 100):
            found, cursor, pages = [], "", 0
            while True:
                answer = sheaf.http("GET", f"/v1/tasks?{query}limit={limit}{cursor}", key=acme.key)
                found += [row["id"] for row in answer.data]
                pages += 1
                meta = answer.json["meta"]
                assert meta["limit"] == limit and meta["hasMore"] == (meta["nextCursor"] is not None)
                if not meta["hasMore"]:
                    break
                assert len(answer.data) == limit, "a page is full until the end"
                cursor = f"&cursor={meta['nextCursor']}"
            assert found == sorted(expected, reverse=True)
            assert pages == max(1, -(-len(expected) // limit))


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("limit=x", "limit"), ("color=red", "color"), ("title[before]=x", "title[before]"), ("status=done", "status"),
     ("status=todo&status=completed", "status")],
)  # fmt: skip
def test_a_wrong_parameter_is_named(sheaf: world.World, acme: world.Tenant, query: str, field: str) -> None:
    answer = sheaf.http("GET", f"/v1/tasks?{query}", key=acme.key)
    assert (answer.status, answer.json["code"]) == (400, "invalid_parameter")
    assert field in answer.json["errors"]


def test_a_cursor_of_another_list_is_refused(sheaf: world.World, acme: world.Tenant) -> None:
    for n in range(3):
        create(sheaf, acme, title=str(n))
    cursor = sheaf.http("GET", "/v1/tasks?limit=1", key=acme.key).json["meta"]["nextCursor"]
    for path in (
        f"/v1/projects?cursor={cursor}",
        f"/v1/tasks?status=todo&cursor={cursor}",
        f"/v1/tasks?cursor={cursor[:-6]}AAAAAA",
    ):
        answer = sheaf.http("GET", path, key=acme.key)
        assert (answer.status, answer.json["code"]) == (400, "invalid_cursor")


# contract: 77
@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("PATCH", "/v1/tasks", 405, "GET, HEAD, POST, OPTIONS"),
        ("POST", "/v1/tasks/tsk_1", 405, "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"),
        ("OPTIONS", "/v1/tasks", 204, "GET, HEAD, POST, OPTIONS"),
        ("POST", "/v1/users", 405, "GET, HEAD, OPTIONS"),
        ("DELETE", "/v1/health", 405, "GET, HEAD, OPTIONS"),
        ("GET", "/v1/auth/login", 405, "POST, OPTIONS"),
    ],
)
def test_a_wrong_method_lists_the_right_ones(
    sheaf: world.World, acme: world.Tenant, method: str, path: str, status: int, allow: str
) -> None:
    answer = sheaf.http(method, path, {"title": "x"}, key=acme.key)
    assert (answer.status, answer.headers["Allow"]) == (status, allow)


@pytest.mark.parametrize(
    "path",
    ["/v1/nothings", "/v1/Tasks", "/v1/__init__", "/v1/tasks.py", "/v1/tasks/tsk_1", "/v1/tasks/../users", "/v1/tasks/a/b",
     "/v1/jobs/x", "/v1/webhooks/x", "/v1/uploads/x", "/v1/auth/nothing", "/v1", "/v1/tasks/tsk_%00"],
)  # fmt: skip
def test_what_is_not_there_is_404(sheaf: world.World, acme: world.Tenant, path: str) -> None:
    answer = sheaf.http("GET", path, key=acme.key)
    assert (answer.status, answer.json["code"]) == (404, "not_found"), answer.text


def test_head_is_get_without_a_body(sheaf: world.World, acme: world.Tenant) -> None:
    task = create(sheaf, acme)
    answer = sheaf.http("HEAD", f"/v1/tasks/{task['id']}", key=acme.key)
    assert (answer.status, answer.text, answer.headers["ETag"]) == (200, "", '"1"')


def test_a_lost_race_is_run_again_and_loses_nothing(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the read and the write of one PATCH another one comes in: both changes stand."""
    from sheaf.store import table

    task = create(sheaf, acme)
    path, real, once = f"/v1/tasks/{task['id']}", table.commit, []

    def interrupted(*args: Any, **more: Any) -> None:
        if not once:
            once.append(1)
            assert sheaf.http("PATCH", path, {"status": "completed"}, key=acme.key).status == 200
        real(*args, **more)

    monkeypatch.setattr(table, "commit", interrupted)
    answer = sheaf.http("PATCH", path, {"priority": "urgent"}, key=acme.key)
    assert (answer.data["version"], answer.data["status"], answer.data["priority"]) == (3, "completed", "urgent")


def test_times_are_answered_in_utc(sheaf: world.World, acme: world.Tenant) -> None:
    body = {
        "title": "x",
        "start_time": "2026-01-01T10:00:00+02:00",
        "end_time": "2026-01-01T10:00:00Z",
        "contact_email": "A@B.example",
    }
    data = sheaf.http("POST", "/v1/appointments", body, key=acme.key).data
    assert (data["start_time"], data["end_time"], data["contact_email"]) == (
        "2026-01-01T08:00:00Z",
        "2026-01-01T10:00:00Z",
        "a@b.example",
    )
    naive = sheaf.http("POST", "/v1/appointments", {**body, "start_time": "2026-01-01T10:00:00"}, key=acme.key)
    assert naive.status == 422 and "start_time" in naive.json["errors"]


def test_a_write_whose_answer_was_lost_is_one_write(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client library sends a put again when its answer is lost; the second one meets the first."""
    from sheaf.store import table

    real = table.commit

    def twice(*args: Any, **more: Any) -> None:
        real(*args, **more)
        real(*args, **more)

    monkeypatch.setattr(table, "commit", twice)
    made = sheaf.http("POST", "/v1/tasks", {"title": "x"}, key=acme.key)
    assert (made.status, made.data["version"]) == (201, 1)
    path = f"/v1/tasks/{made.data['id']}"
    changed = sheaf.http("PATCH", path, {"title": "y"}, key=acme.key, headers={"If-Match": '"1"'})
    assert (changed.status, changed.data["version"]) == (200, 2)
    assert sheaf.http("GET", path, key=acme.key).data == changed.data


def test_errors_of_one_body_are_bounded(sheaf: world.World, acme: world.Tenant) -> None:
    answer = sheaf.http("POST", "/v1/tasks/bulk", [{f"k{n}": 1 for n in range(50_000)}], key=acme.key)
    assert answer.status == 200 and len(answer.data["failures"][0]["errors"]) == 100 and len(answer.text) < 6_000_000
