"""A write that dies anywhere, and the client that asks again: one effect, one answer, one event."""

import json
from typing import Any

import pytest

import world
from sheaf.store import aws
from sim.faults import kill_at
from sim.sources import Killed

TASK = {"title": "Water"}
VIDEO = {"title": "V", "url": "https://v.example/1"}  # a unique field: a transaction of three
GROUP = [
    {"id": "a", "method": "POST", "path": "/videos", "body": {"title": "A", "url": "https://v.example/4"}, "atomicityGroup": "g"},
    {"id": "b", "method": "POST", "path": "/tasks", "body": {"title": "of @{a.body.id}"}, "atomicityGroup": "g"},
    {"id": "c", "method": "PATCH", "path": "/tasks/{task}", "body": {"title": "@{b.body.title}"}, "atomicityGroup": "g"},
    {"id": "d", "method": "DELETE", "path": "/videos/{video}", "atomicityGroup": "g"},
]
MIXED = [
    {"id": "a", "method": "POST", "path": "/tasks", "body": TASK},
    {"id": "b", "method": "PATCH", "path": "/tasks/@{a.body.id}", "body": {"title": "New"}},
    {"id": "c", "method": "DELETE", "path": "/videos/{video}"},
    {"id": "d", "method": "POST", "path": "/tasks", "body": TASK, "atomicityGroup": "g"},
    {"id": "e", "method": "POST", "path": "/videos/{gone}/restore", "atomicityGroup": "g"},
]
REQUESTS: list[tuple[str, str, Any, dict[str, str]]] = [
    ("POST", "/v1/tasks", TASK, {}),
    ("POST", "/v1/videos", VIDEO, {}),
    ("PATCH", "/v1/tasks/{task}", {"title": "New"}, {"If-Match": '"1"'}),
    ("PUT", "/v1/videos/{video}", {"title": "W", "url": "https://v.example/3"}, {"If-Match": '"1"'}),
    ("DELETE", "/v1/videos/{video}", None, {}),
    ("POST", "/v1/videos/{gone}/restore", None, {}),
    ("POST", "/v1/tasks/{task}/revert", {"version": 1}, {}),
    ("POST", "/v1/tasks/bulk", [TASK, TASK, TASK], {}),
    ("POST", "/v1/batch", {"requests": GROUP}, {}),
    ("POST", "/v1/batch", {"requests": MIXED}, {}),
    (
        "POST",
        "/v1/graphql",
        {"query": 'mutation { a: createTask(input: {title: "A"}) { id } b: createVideo(input: {title: "B"}) { id } }'},
        {},
    ),
    ("POST", "/v1/tasks/export", {"format": "csv"}, {}),
    ("POST", "/v1/webhooks", {"url": "http://127.0.0.1:1/", "events": ["task.created"]}, {}),
    ("POST", "/v1/api-keys", {"name": "CI"}, {}),
    ("POST", "/v1/tenants/{tenant}/invitations", {"email": "bob@example.com"}, {}),
    ("DELETE", "/v1/tenants/{tenant}/invitations/{invitation}", None, {}),
    ("POST", "/v1/admin/users", {"name": "New", "email": "new@example.com"}, {}),
    ("PATCH", "/v1/admin/users/{user}", {"status": "suspended"}, {}),
    ("DELETE", "/v1/admin/users/{user}", None, {}),
    ("POST", "/v1/admin/users/actions", {"action": "ban", "userIds": ["x"]}, {}),
    ("POST", "/v1/auth/register", {"name": "Ann", "email": "ann@example.com", "password": "correct horse battery"}, {}),
    ("POST", "/v1/uploads", {"filename": "a.txt", "size": 5, "type": "text/plain"}, {}),
    ("POST", "/v1/uploads", {"files": [{"filename": "a.txt", "size": 5, "type": "text/plain"}] * 3}, {}),
]


def filled(body: Any, found: dict[str, str]) -> Any:
    """The body with the ids of what is there."""
    text = json.dumps(body)
    for name, row_id in found.items():
        text = text.replace(f"/{{{name}}}", f"/{row_id}")
    return json.loads(text)


def state() -> tuple[list[str], list[str], list[str]]:
    """What there is: rows with their versions, unique marks, jobs and webhooks."""
    rows = aws.client("dynamodb").scan(TableName="RecordsTable")["Items"]
    control = aws.client("dynamodb").scan(TableName="ControlTable")["Items"]
    live = sorted(f"{row['pk']['S'].split('#', 1)[1]} {row['v']['N']}" for row in rows if "v" in row)
    marks = sorted(row["pk"]["S"].split("#", 1)[1] for row in rows if "v" not in row)
    others = sorted(
        f"{row['pk']['S'].partition('#')[2]} {row.get('st', {}).get('S')}" for row in control if "#job#" not in row["pk"]["S"]
    )
    return live, marks, others


def prepare(sheaf: world.World) -> tuple[world.Tenant, dict[str, str]]:
    acme = sheaf.tenant()
    found = {}
    for name, path, body in (
        ("task", "tasks", TASK),
        ("video", "videos", {**VIDEO, "url": "https://v.example/2"}),
        ("gone", "videos", {"title": "G"}),
    ):
        found[name] = sheaf.http("POST", f"/v1/{path}", body, key=acme.key).data["id"]
    sheaf.http("DELETE", f"/v1/videos/{found['gone']}", key=acme.key)
    found |= {"tenant": acme.id, "user": sheaf.user(acme, "eve@example.com")}
    found["invitation"] = sheaf.http(
        "POST", f"/v1/tenants/{acme.id}/invitations", {"email": "dan@example.com"}, key=acme.key
    ).data["id"]
    sheaf.settle()
    return acme, found


def events_of(tenant: world.Tenant) -> int:
    items = aws.client("dynamodb").scan(TableName="EventsTable")["Items"]
    return sum(item["pk"]["S"].startswith(f"{tenant.id}#change#") for item in items)


@pytest.mark.parametrize(("method", "path", "body", "headers"), REQUESTS, ids=[f"{case[0]} {case[1]}" for case in REQUESTS])
def test_a_write_that_dies_at_any_call_has_one_effect_when_it_is_sent_again(
    method: str, path: str, body: Any, headers: dict[str, str]
) -> None:
    with world.a_world() as sheaf:
        acme, found = prepare(sheaf)
        with sheaf.still(), kill_at(0, "before-call") as counter:  # a window that turns takes a call more
            assert (
                sheaf.http(
                    method, path.format(**found), filled(body, found), key=acme.key, headers={**headers, "Idempotency-Key": "k"}
                ).status
                < 300
            )
        sheaf.settle()
        calls, expected, events = counter.calls, state(), events_of(acme)
    assert calls >= 3
    for number in range(1, calls + 1):
        for when in ("before-call", "after-call"):
            with world.a_world() as sheaf:
                acme, found = prepare(sheaf)
                sent = {"key": acme.key, "headers": {**headers, "Idempotency-Key": "k"}}
                with pytest.raises(Killed), sheaf.still(), kill_at(number, when):  # type: ignore[arg-type]
                    sheaf.http(method, path.format(**found), filled(body, found), **sent)  # type: ignore[arg-type]
                from sheaf.base import clock

                later = clock.now() + 170  # a claim of the dead is over, two minutes from now at most
                with clock.using(lambda at=later: at):
                    again = sheaf.http(method, path.format(**found), filled(body, found), **sent)  # type: ignore[arg-type]
                    assert again.status < 300, (number, when, again.text)
                    third = sheaf.http(method, path.format(**found), filled(body, found), **sent)  # type: ignore[arg-type]
                    assert third.headers["Idempotent-Replayed"] == "true"
                    sheaf.settle()
                assert (state(), events_of(acme)) == (expected, events), (number, when)
