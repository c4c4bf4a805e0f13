"""No tenant sees, changes or detects what another one has. Every attempt answers as if nothing were there."""

from typing import Any

import pytest

import world


@pytest.fixture
def theirs(sheaf: world.World, globex: world.Tenant) -> dict[str, str]:
    """One of everything, of the other tenant."""
    key = globex.key
    user = sheaf.user(globex, "ann@globex.example")
    task = sheaf.http("POST", "/v1/tasks", {"title": "Secret plan", "assignee": user}, key=key).data["id"]
    sheaf.http("POST", "/v1/tasks", {"title": "Another"}, key=key)
    upload = sheaf.http("POST", "/v1/uploads", {"filename": "a.txt", "size": 5, "type": "text/plain"}, key=key).data["id"]
    sheaf.arrive(globex, upload, b"hello")
    webhook = sheaf.http("POST", "/v1/webhooks", {"url": "http://127.0.0.1:1/", "events": ["task.*"]}, key=key).data["id"]
    job = sheaf.http("POST", "/v1/tasks/export", {"format": "csv"}, key=key).data["id"]
    cursor = sheaf.http("GET", "/v1/tasks?limit=1", key=key).json["meta"]["nextCursor"]
    sheaf.settle()
    return {"task": task, "upload": upload, "webhook": webhook, "job": job, "cursor": cursor, "user": user}


ATTEMPTS: list[tuple[str, str, Any]] = [
    ("GET", "/v1/tasks/{task}", None),
    ("PUT", "/v1/tasks/{task}", {"title": "mine"}),
    ("PATCH", "/v1/tasks/{task}", {"title": "mine"}),
    ("DELETE", "/v1/tasks/{task}", None),
    ("GET", "/v1/projects/{task}", None),
    ("GET", "/v1/uploads/{upload}", None),
    ("GET", "/v1/jobs/{job}", None),
    ("GET", "/v1/webhooks/{webhook}", None),
    ("DELETE", "/v1/webhooks/{webhook}", None),
    ("GET", "/v1/webhooks/{webhook}/attempts", None),
]


# contract: 29, 54
@pytest.mark.parametrize(("method", "path", "body"), ATTEMPTS)
def test_an_id_of_another_tenant_answers_like_a_missing_one(
    sheaf: world.World, acme: world.Tenant, theirs: dict[str, str], method: str, path: str, body: Any
) -> None:
    kind = path.split("{")[1].split("}", maxsplit=1)[0]
    foreign = theirs[kind]
    missing = foreign[:-1] + ("a" if foreign[-1] != "a" else "b")
    answers = [sheaf.http(method, path.format(**{**theirs, kind: each}), body, key=acme.key) for each in (foreign, missing)]
    seen = []
    for answer, each in zip(answers, (foreign, missing), strict=True):
        assert answer.status == 404
        body_seen = {k: v for k, v in answer.json.items() if k not in ("requestId", "timestamp")}
        headers = {k: v for k, v in answer.headers.items() if k not in ("X-Request-Id", "X-RateLimit-Remaining", "RateLimit")}
        seen.append((str(body_seen).replace(each, "ID"), headers))
    assert seen[0] == seen[1]


def test_nothing_of_another_tenant_is_changed_by_the_attempts(
    sheaf: world.World, acme: world.Tenant, globex: world.Tenant, theirs: dict[str, str]
) -> None:
    for method, path, body in ATTEMPTS:
        sheaf.http(method, path.format(**theirs), body, key=acme.key)
    assert sheaf.http("GET", f"/v1/tasks/{theirs['task']}", key=globex.key).data["version"] == 1
    assert sheaf.http("GET", f"/v1/webhooks/{theirs['webhook']}", key=globex.key).status == 200


def test_lists_filters_exports_and_cursors_hold_only_what_is_ours(
    sheaf: world.World, acme: world.Tenant, theirs: dict[str, str]
) -> None:
    for path in (
        "/v1/tasks",
        "/v1/tasks?status=todo",
        f"/v1/tasks?assignee={theirs['user']}",
        "/v1/tasks?search=secret",
        "/v1/tasks?sort=title",
        "/v1/tasks?trash=true",
        "/v1/webhooks",
    ):
        assert sheaf.http("GET", path, key=acme.key).data == []
    assert [user["email"] for user in sheaf.http("GET", "/v1/users", key=acme.key).data] == []
    garbage = sheaf.http("GET", "/v1/tasks?limit=1&cursor=" + "A" * 60, key=acme.key)
    foreign = sheaf.http("GET", f"/v1/tasks?limit=1&cursor={theirs['cursor']}", key=acme.key)
    assert (
        (foreign.status, foreign.json["message"]) == (garbage.status, garbage.json["message"]) == (400, garbage.json["message"])
    )
    job = sheaf.http("POST", "/v1/tasks/export", {"format": "csv"}, key=acme.key).data["id"]
    sheaf.settle()
    assert sheaf.http("GET", f"/v1/jobs/{job}", key=acme.key).data["result"]["rows"] == 0


# contract: 26
def test_the_tenant_header_must_agree(sheaf: world.World, acme: world.Tenant, globex: world.Tenant) -> None:
    people = [{"first_name": "John", "last_name": "Doe", "email": "john@test.com"}]
    for named in (globex.id, "d0b4c28c-8f7e-5c19-a1e3-2b7d8b9f6e5a", "", "tnt_01h00000000000000000000000"):
        answer = sheaf.http("POST", "/v1/contacts/bulk", people, key=acme.key, headers={"X-Tenant-Id": named})
        assert (answer.status, answer.json["code"]) == (403, "tenant_mismatch")
    agreed = sheaf.http("POST", "/v1/contacts/bulk", people, key=acme.key, headers={"x-tenant-id": acme.id})
    assert agreed.status == 200
    assert sheaf.http("GET", "/v1/contacts", key=globex.key).data == []


def test_a_body_cannot_name_a_tenant(sheaf: world.World, acme: world.Tenant, globex: world.Tenant) -> None:
    for field in ("tenant", "tenant_id", "pk", "ix1"):
        assert sheaf.http("POST", "/v1/tasks", {"title": "x", field: globex.id}, key=acme.key).status == 422


def test_events_go_to_the_webhooks_of_their_own_tenant(sheaf: world.World, acme: world.Tenant, globex: world.Tenant) -> None:
    mine = sheaf.http("POST", "/v1/webhooks", {"url": "http://127.0.0.1:1/", "events": ["*"]}, key=acme.key).data["id"]
    sheaf.http("POST", "/v1/tasks", {"title": "theirs"}, key=globex.key)
    sheaf.settle()
    assert sheaf.http("GET", f"/v1/webhooks/{mine}/attempts", key=acme.key).data == []


def test_a_members_job_is_not_there_for_another_member(sheaf: world.World, acme: world.Tenant) -> None:
    one, two = sheaf.key(acme, "moderator"), sheaf.key(acme, "moderator")
    job = sheaf.http("POST", "/v1/tasks/export", {"format": "csv"}, key=one).data["id"]
    assert [sheaf.http("GET", f"/v1/jobs/{job}", key=key).status for key in (one, two, acme.key)] == [200, 404, 200]
