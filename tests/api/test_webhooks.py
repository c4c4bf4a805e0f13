"""Webhooks: registering, what is sent, what follows a failure."""

import json
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

import world
from client import Receiver
from sheaf.base.config import config

SECRET = "whsec_" + "c2VjcmV0IGJ5dGVzIG9mIHRoZSBjbGllbnQh"


def register(sheaf: world.World, tenant: world.Tenant, url: str, *events: str, **more: Any) -> Any:
    return sheaf.http("POST", "/v1/webhooks", {"url": url, "events": list(events), **more}, key=tenant.key).data


# contract: 8, 24
def test_the_seeds_registration(sheaf: world.World, acme: world.Tenant) -> None:
    body = {
        "url": "https://your-app.com/webhooks/tasks",
        "events": ["task.created", "task.updated", "task.deleted"],
        "secret": SECRET,
    }
    answer = sheaf.http("POST", "/v1/webhooks", body, key=acme.key)
    assert answer.status == 201 and {"id", "url", "events", "createdAt"} <= set(answer.data)
    assert answer.data["id"].startswith("wh_") and SECRET not in answer.text
    made = register(sheaf, acme, "https://your-app.com/", "*")
    assert made["secret"].startswith("whsec_")
    listed = sheaf.http("GET", "/v1/webhooks", key=acme.key)
    assert [each["id"] for each in listed.data] == [answer.data["id"], made["id"]]
    assert "whsec_" not in listed.text + sheaf.http("GET", f"/v1/webhooks/{made['id']}", key=acme.key).text
    assert sheaf.http("DELETE", f"/v1/webhooks/{made['id']}", key=acme.key).status == 200
    assert sheaf.http("GET", f"/v1/webhooks/{made['id']}", key=acme.key).status == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [({"url": None}, "url"), ({"url": 5}, "url"), ({"url": "http://example.com/"}, "url"), ({"url": "https://10.0.0.1/"}, "url"),
     ({"events": []}, "events"), ({"events": "task.created"}, "events"), ({"events": ["Task"]}, "events.0"), ({"events": ["*", 5]}, "events.1"),
     ({"secret": "short"}, "secret"), ({"secret": 5}, "secret"), ({"secret": "x" * 300}, "secret"), ({"color": "red"}, "color")],
)  # fmt: skip
def test_a_malformed_webhook_names_the_field(sheaf: world.World, acme: world.Tenant, change: dict[str, Any], field: str) -> None:
    body = {"url": "https://example.com/", "events": ["*"], **change}
    answer = sheaf.http("POST", "/v1/webhooks", body, key=acme.key)
    assert answer.status == 422 and field in answer.json["errors"]


def test_there_are_at_most_fifty(sheaf: world.World, acme: world.Tenant) -> None:
    for _ in range(50):
        register(sheaf, acme, "https://example.com/", "*")
    answer = sheaf.http("POST", "/v1/webhooks", {"url": "https://example.com/", "events": ["*"]}, key=acme.key)
    assert (answer.status, answer.json["code"]) == (409, "conflict")


# contract: 9, 10, 11
def test_each_change_is_sent_once_signed_and_in_sequence(sheaf: world.World, acme: world.Tenant) -> None:
    with Receiver() as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.*", secret=SECRET)
        task = sheaf.http("POST", "/v1/tasks", {"title": "Wässern"}, key=acme.key).data
        sheaf.http("POST", "/v1/projects", {"name": "not asked for"}, key=acme.key)
        path = f"/v1/tasks/{task['id']}"
        sheaf.http("PATCH", path, {"status": "completed"}, key=acme.key)
        sheaf.http("DELETE", path, key=acme.key)
        sheaf.settle()
        found = [(headers, json.loads(body)) for headers, body in receiver.received]
        events = sorted((event for _, event in found), key=lambda event: event["sequence"])
        assert [event["type"] for event in events] == ["task.created", "task.updated", "task.deleted"]
        assert [event["sequence"] for event in events] == [1, 2, 3]
        assert [event["previousEventId"] for event in events] == [None, events[0]["id"], events[1]["id"]]
        assert events[0]["data"] == task and events[0]["tenant"] == acme.id and events[0]["id"].startswith("evt_")
        for headers, body in receiver.received:
            Webhook(SECRET).verify(body, headers)
        assert len({headers["webhook-id"] for headers, _ in found}) == 3
    attempts = sheaf.http("GET", f"/v1/webhooks/{webhook['id']}/attempts", key=acme.key).data
    assert [(each["status"], each["statusCode"], each["attempt"]) for each in attempts] == [("succeeded", 200, 1)] * 3


def test_a_failure_is_tried_again_until_it_succeeds(sheaf: world.World, acme: world.Tenant) -> None:
    with Receiver(answers=[500, 302, 200]) as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.created")
        sheaf.http("POST", "/v1/tasks", {"title": "x"}, key=acme.key)
        sheaf.settle()
        assert len(receiver.received) == 3
        assert len({body for _, body in receiver.received}) == 1, "the body never changes"
    attempts = sheaf.http("GET", f"/v1/webhooks/{webhook['id']}/attempts", key=acme.key).data
    assert [(a["attempt"], a["status"], a["statusCode"]) for a in sorted(attempts, key=lambda a: a["attempt"])] == [
        (1, "failed", 500), (2, "failed", 302), (3, "succeeded", 200)]  # fmt: skip
    assert sheaf.messages("DeliveriesDeadQueue") == []


def test_after_the_last_attempt_the_event_is_dead_with_a_reason(sheaf: world.World, acme: world.Tenant) -> None:
    webhook = register(sheaf, acme, "http://127.0.0.1:1/", "task.created")
    task = sheaf.http("POST", "/v1/tasks", {"title": "x"}, key=acme.key).data["id"]
    sheaf.settle()
    attempts = sheaf.http("GET", f"/v1/webhooks/{webhook['id']}/attempts", key=acme.key).data
    assert len(attempts) == 1 + len(config().webhook_retry_seconds) >= 4
    assert all(each["error"] == "the connection was refused" for each in attempts)
    [dead] = sheaf.http("GET", f"/v1/webhooks/{webhook['id']}/deliveries?status=dead", key=acme.key).data
    assert dead["rowId"] == task and dead["attemptCount"] == 4
    assert dead["reason"] == "4 attempts failed, the last one: the connection was refused"
    assert sheaf.messages("DeliveriesDeadQueue") == []


def test_a_message_that_comes_again_sends_nothing_more(sheaf: world.World, acme: world.Tenant) -> None:
    with Receiver() as receiver:
        webhook = register(sheaf, acme, receiver.url, "*")
        task = sheaf.http("POST", "/v1/tasks", {"title": "x"}, key=acme.key).data["id"]
        sheaf.settle()
        record = world.event("on_delivery.attempt")["Records"][0]
        rows = [{"r": task, "p": 8, "e": receiver.received[0][0]["webhook-id"], "t": "task.created", "u": 1}]
        record["body"] = json.dumps({"tenant": acme.id, "webhook": webhook["id"], "rows": rows})
        for _ in range(3):
            assert world.function("on_delivery").handler({"Records": [record]}, world.CONTEXT) == {"batchItemFailures": []}
        assert len(receiver.received) == 1


def test_a_removed_webhook_gets_nothing(sheaf: world.World, acme: world.Tenant) -> None:
    with Receiver() as receiver:
        webhook = register(sheaf, acme, receiver.url, "*")
        sheaf.http("POST", "/v1/tasks", {"title": "x"}, key=acme.key)
        assert world.function("on_change").handler({"Records": sheaf.changes()}, world.CONTEXT) == {"batchItemFailures": []}
        sheaf.http("DELETE", f"/v1/webhooks/{webhook['id']}", key=acme.key)
        sheaf.settle()
        assert receiver.received == []
