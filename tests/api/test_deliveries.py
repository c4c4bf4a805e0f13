"""Webhooks beyond the first delivery: what they ask for, how they are signed, the schedule, order, seeing and repairing."""

import base64
import json
from itertools import pairwise
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook

import world
from client import Receiver
from hooks import call, deliveries, events, meanwhile, register, task, tick
from sheaf.base import clock
from sheaf.base.clock import iso, now, now_ms
from sheaf.store import aws

# ---- what a webhook asks for ----


@pytest.mark.parametrize(
    ("change", "field"),
    [({"events": ["task.creatd"]}, "events.0"), ({"events": ["nothing.*"]}, "events.0"), ({"filter": []}, "filter"), ({"filter": {"nope": 1}}, "filter.nope"),
     ({"filter": {"status": "todo"}, "events": ["*"]}, "filter"), ({"filter": {"status": "todo"}, "events": ["task.*", "lead.*"]}, "filter"),
     ({"filter": {"status": {"like": "x"}}}, "filter.status.like"), ({"description": "x" * 501}, "description"), ({"payload": "half"}, "payload"),
     ({"rateLimit": 0}, "rateLimit"), ({"rateLimit": True}, "rateLimit"), ({"asymmetric": "yes"}, "asymmetric"), ({"headers": ["x"]}, "headers"),
     ({"headers": {"webhook-id": "x"}}, "headers.webhook-id"), ({"headers": {"Content-Length": "1"}}, "headers.Content-Length"),
     ({"headers": {"X-A": "b\r\nc"}}, "headers.X-A"), ({"headers": {"X A": "b"}}, "headers.X A"), ({"headers": {f"x-{n}": "1" for n in range(11)}}, "headers"),
     ({"headers": {"x-a": "b" * 3_000}}, "headers"), ({"headers": {"x-a": "1", "X-A": "2"}}, "headers")],
)  # fmt: skip
def test_terms_that_cannot_be_name_the_field(sheaf: world.World, acme: world.Tenant, change: dict[str, Any], field: str) -> None:
    body = {"url": "https://example.com/", "events": ["task.*"], **change}
    answer = sheaf.http("POST", "/v1/webhooks", body, key=acme.key)
    assert answer.status == 422 and field in answer.json["errors"], answer.text
    webhook = register(sheaf, acme, "https://example.com/", "task.*")
    patched = sheaf.http("PATCH", f"/v1/webhooks/{webhook['id']}", change, key=acme.key)
    assert patched.status == 422 and field in patched.json["errors"], patched.text
    assert call(sheaf, acme, "GET", f"webhooks/{webhook['id']}")["version"] == 1


def test_a_filter_and_a_thin_payload(sheaf: world.World, acme: world.Tenant) -> None:
    with Receiver() as receiver:
        register(sheaf, acme, receiver.url, "task.created", filter={"priority": {"in": ["high", "urgent"]}}, payload="thin")
        task(sheaf, acme, priority="low")
        wanted = task(sheaf, acme, priority="urgent")
        sheaf.settle()
        [event] = events(receiver)
        assert event["data"] == {"id": wanted}


def test_headers_of_ones_own_are_sent_and_never_shown(sheaf: world.World, acme: world.Tenant) -> None:
    with Receiver() as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.created", headers={"Authorization": "Bearer abc", "X-Team": "blue"})
        assert webhook["headers"] == ["Authorization", "X-Team"]
        task(sheaf, acme)
        sheaf.settle()
        assert receiver.received[0][0]["authorization"] == "Bearer abc" and receiver.received[0][0]["x-team"] == "blue"
        call(sheaf, acme, "PATCH", f"webhooks/{webhook['id']}", {"headers": {"X-Team": "red"}})
        task(sheaf, acme)
        sheaf.settle()
        assert receiver.received[1][0]["x-team"] == "red" and "authorization" not in receiver.received[1][0]
    raw = json.dumps(aws.client("dynamodb").scan(TableName="ControlTable")["Items"], default=str)
    assert "abc" not in raw and "red" not in raw and webhook["secret"] not in raw, "what is secret lies encrypted"


def test_an_event_is_held_to_what_was_asked_for_when_it_happened(sheaf: world.World, acme: world.Tenant) -> None:
    with Receiver() as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.created")
        first = task(sheaf, acme)
        call(sheaf, acme, "PATCH", f"tasks/{first}", {"title": "y"})
        moment = [now() + 5.0]
        with clock.using(lambda: moment[0]):
            call(sheaf, acme, "PATCH", f"webhooks/{webhook['id']}", {"events": ["task.updated"]})
            moment[0] += 5
            call(sheaf, acme, "PATCH", f"tasks/{first}", {"title": "z"})
            sheaf.settle()
        assert [(e["type"], e["sequence"]) for e in events(receiver)] == [("task.created", 1), ("task.updated", 3)]


def test_a_disabled_webhook_gets_nothing_and_a_replay_brings_what_it_missed(sheaf: world.World, acme: world.Tenant) -> None:
    with Receiver() as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.*")
        one = task(sheaf, acme)
        sheaf.settle()
        path = f"webhooks/{webhook['id']}"
        begun = iso(now_ms() - 60_000)
        assert call(sheaf, acme, "POST", f"{path}/disable")["status"] == "disabled"
        moment = [now() + 2.0]
        with clock.using(lambda: moment[0]):
            call(sheaf, acme, "PATCH", f"tasks/{one}", {"title": "y"})
            two = task(sheaf, acme)
            sheaf.settle()
            assert len(receiver.received) == 1
            for call_path in ("test", f"deliveries/{events(receiver)[0]['id']}/resend"):
                call(sheaf, acme, "POST", f"{path}/{call_path}", None, 409)
            moment[0] += 2
            assert call(sheaf, acme, "POST", f"{path}/enable")["status"] == "enabled"
            moment[0] += 2
            assert (
                call(sheaf, acme, "POST", f"{path}/replay", {"from": begun, "missedOnly": True, "preview": True})["events"] == 2
            )
            job = call(sheaf, acme, "POST", f"{path}/replay", {"from": begun, "missedOnly": True}, 202)
            sheaf.settle()
            assert call(sheaf, acme, "GET", f"jobs/{job['id']}")["counts"]["created"] == 2
            assert sorted((e["data"]["id"], e["sequence"]) for e in events(receiver)[1:]) == sorted([(one, 2), (two, 1)])
            call(sheaf, acme, "POST", f"{path}/replay", {"from": begun}, 202)
            sheaf.settle()
        mine = [e["sequence"] for e in events(receiver)[3:] if e["data"]["id"] == one]
        assert len(receiver.received) == 6 and mine == [1, 2], "all of it, in order"
        ids = {(e["data"]["id"], e["sequence"]): e["id"] for e in events(receiver)}
        assert len(ids) == 3 == len({e["id"] for e in events(receiver)}), "a replay makes no new id"


def test_a_replay_reaches_a_new_webhook_and_some_types(sheaf: world.World, acme: world.Tenant) -> None:
    with Receiver() as receiver:
        row = task(sheaf, acme)
        call(sheaf, acme, "PATCH", f"tasks/{row}", {"title": "y"})
        call(sheaf, acme, "POST", "leads", {"first_name": "A", "last_name": "B", "email": "a@example.com"}, 201)
        sheaf.settle()
        moment = now() + 2.0
        with clock.using(lambda: moment):
            webhook = register(sheaf, acme, receiver.url, "task.*")
            path, since = f"webhooks/{webhook['id']}/replay", iso(now_ms() - 60_000)
            call(sheaf, acme, "POST", path, {"from": since, "types": ["task.updated"]}, 202)
            sheaf.settle()
            assert [e["type"] for e in events(receiver)] == ["task.updated"]
            call(sheaf, acme, "POST", path, {"from": since}, 202)
            sheaf.settle()
            assert [e["type"] for e in events(receiver)[1:]] == ["task.created", "task.updated"]


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "from"), ({"from": "yesterday"}, "from"), ({"from": "2020-01-01T00:00:00Z", "missedOnly": True}, "from"), ({"from": "2026-11-21T10:00:00"}, "from"),
     ({"from": 5}, "from"), ({"from": None, "types": ["x"]}, "types"), ({"types": "task.*"}, "types"), ({"missedOnly": 1}, "missedOnly"), ({"to": 1}, "to"),
     ({"until": 1}, "until")],
)  # fmt: skip
def test_a_replay_that_cannot_be(sheaf: world.World, acme: world.Tenant, body: Any, field: str) -> None:
    webhook = register(sheaf, acme, "https://example.com/", "*")
    answer = sheaf.http("POST", f"/v1/webhooks/{webhook['id']}/replay", body, key=acme.key)
    assert answer.status == 422 and field in answer.json["errors"], answer.text


# ---- signatures ----


def test_a_rotation_signs_with_both_secrets_for_the_overlap(sheaf: world.World, acme: world.Tenant) -> None:
    with Receiver() as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.created", asymmetric=True)
        path = f"webhooks/{webhook['id']}/rotate"
        rotated = call(sheaf, acme, "POST", path, {"overlapSeconds": 3600})
        assert rotated["secret"].startswith("whsec_") and rotated["secret"] != webhook["secret"]
        assert [each["expiresAt"] is None for each in rotated["secrets"]] == [True, False]
        task(sheaf, acme)
        sheaf.settle()
        headers, body = receiver.received[0]
        for secret in (rotated["secret"], webhook["secret"]):
            Webhook(secret).verify(body, headers)
        v1a = next(each for each in headers["webhook-signature"].split() if each.startswith("v1a,"))
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(webhook["publicKey"].removeprefix("whpk_")))
        public.verify(base64.b64decode(v1a[4:]), f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body)
        with world.later(3_700):
            task(sheaf, acme)
            sheaf.settle()
            headers, body = receiver.received[1]
            assert len(headers["webhook-signature"].split()) == 2, "one secret and the key pair"
            assert len(call(sheaf, acme, "GET", f"webhooks/{webhook['id']}")["secrets"]) == 1
        call(sheaf, acme, "POST", path, {"secret": "x" * 30})
        task(sheaf, acme)
        sheaf.settle()
        assert receiver.received[2][0]["webhook-signature"].count("v1,") == 1


@pytest.mark.parametrize(
    "body", [{"overlapSeconds": -1}, {"overlapSeconds": 604_801}, {"overlapSeconds": True}, {"secret": "short"}, {"x": 1}]
)
def test_a_rotation_that_cannot_be(sheaf: world.World, acme: world.Tenant, body: Any) -> None:
    webhook = register(sheaf, acme, "https://example.com/", "*")
    assert sheaf.http("POST", f"/v1/webhooks/{webhook['id']}/rotate", body, key=acme.key).status == 422


def test_a_secret_is_told_once(sheaf: world.World, acme: world.Tenant) -> None:
    sent = {"headers": {"Idempotency-Key": "k1"}, "key": acme.key}
    body = {"url": "https://example.com/", "events": ["*"]}
    first = sheaf.http("POST", "/v1/webhooks", body, **sent)
    second = sheaf.http("POST", "/v1/webhooks", body, **sent)
    assert first.data["id"] == second.data["id"] and "secret" in first.data and "secret" not in second.data
    path = f"/v1/webhooks/{first.data['id']}/rotate"
    assert "secret" in sheaf.http("POST", path, {}, **sent).data
    again = sheaf.http("POST", path, {}, **sent)
    assert "secret" not in again.data and again.headers["Idempotent-Replayed"] == "true"
    assert len(again.data["secrets"]) == 1 and again.data["version"] == 2


# ---- what follows a failure ----


def test_the_schedule_is_kept_by_queue_and_by_list(paced: world.World, acme: world.Tenant) -> None:
    sheaf, begun = paced, now()
    moment = [float(begun)]
    with clock.using(lambda: moment[0]), Receiver(answers=[500]) as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.created")
        task(sheaf, acme)
        for number in range(1, 5):
            sheaf.settle()
            assert len(receiver.received) == number
            [delivery] = deliveries(sheaf, acme, webhook)
            if number < 4:
                moment[0] = _ms(delivery["nextAttemptAt"]) / 1000 - 2
                tick(sheaf)
                sheaf.settle()
                assert len(receiver.received) == number, "not before its time"
                moment[0] += 3
                tick(sheaf)
        [delivery] = deliveries(sheaf, acme, webhook)
        assert delivery["status"] == "dead" and delivery["attemptCount"] == 4
        times = [_ms(each["createdAt"]) / 1000 for each in delivery["attempts"]]
        for pause, (earlier, later) in zip((5, 300, 1_800), pairwise(times), strict=True):
            assert pause * 0.79 <= later - earlier <= pause * 1.21 + 1


def _ms(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp() * 1000


def test_events_of_one_row_never_overtake_and_other_rows_go_on(paced: world.World, acme: world.Tenant) -> None:
    sheaf, moment = paced, [float(now())]
    with clock.using(lambda: moment[0]), Receiver(answers=[500, 200]) as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.*")
        slow = task(sheaf, acme)
        sheaf.settle()
        call(sheaf, acme, "PATCH", f"tasks/{slow}", {"title": "2"})
        call(sheaf, acme, "PATCH", f"tasks/{slow}", {"title": "3"})
        other = task(sheaf, acme)
        sheaf.settle()
        assert [(e["data"]["id"], e["sequence"]) for e in events(receiver)] == [(slow, 1), (other, 1)]
        pending = deliveries(sheaf, acme, webhook, "?status=pending")
        waits = {each["eventId"]: each["waitsFor"] for each in pending}
        first = events(receiver)[0]["id"]
        assert len(waits) == 3 and waits.pop(first) is None and set(waits.values()) == {first}
        moment[0] += 7
        call(sheaf, acme, "POST", f"webhooks/{webhook['id']}/deliveries/{events(receiver)[0]['id']}/resend", None, 202)
        sheaf.settle()
        assert [e["sequence"] for e in events(receiver) if e["data"]["id"] == slow] == [1, 1, 2, 3]
        assert deliveries(sheaf, acme, webhook, "?status=pending") == []
        assert {each["status"] for each in deliveries(sheaf, acme, webhook)} == {"delivered"}


@pytest.mark.parametrize(
    ("status", "headers", "least"),
    [
        (429, {"Retry-After": "120"}, 120),
        (503, {"Retry-After": "60"}, 60),
        (429, {"Retry-After": "soon"}, 4),
        (500, {"Retry-After": "120"}, 4),
    ],
)
def test_a_receiver_may_ask_for_a_pause(
    paced: world.World, acme: world.Tenant, status: int, headers: dict[str, str], least: int
) -> None:
    sheaf, moment = paced, float(now())
    with clock.using(lambda: moment), Receiver(answers=[status], headers=headers) as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.created")
        task(sheaf, acme)
        sheaf.settle()
        [delivery] = deliveries(sheaf, acme, webhook)
        pause = _ms(delivery["nextAttemptAt"]) / 1000 - moment
        assert least <= pause <= least * 1.6
        assert delivery["attempts"][0]["statusCode"] == status


def test_410_ends_it_all(paced: world.World, acme: world.Tenant) -> None:
    sheaf = paced
    with Receiver(answers=[410]) as receiver, Receiver() as told:
        webhook = register(sheaf, acme, receiver.url, "task.created")
        register(sheaf, acme, told.url, "endpoint.disabled")
        task(sheaf, acme)
        sheaf.settle()
        task(sheaf, acme)
        sheaf.settle()
        assert len(receiver.received) == 1
        assert {each["status"] for each in deliveries(sheaf, acme, webhook)} == {"dead"}
        tick(sheaf)
        sheaf.settle()
        shown = call(sheaf, acme, "GET", f"webhooks/{webhook['id']}")
        assert (shown["status"], shown["disabledReason"]) == ("disabled", "the receiver has answered 410: it wants nothing more")
        [event] = events(told)
        assert (event["type"], event["data"]["id"]) == ("endpoint.disabled", webhook["id"])
        call(sheaf, acme, "POST", f"webhooks/{webhook['id']}/enable")
        receiver.answers = [200]
        with world.later(5):
            task(sheaf, acme)
            sheaf.settle()
        assert len(receiver.received) == 2


def test_the_breaker_spares_a_dead_receiver(paced: world.World, acme: world.Tenant) -> None:
    sheaf, moment = paced, [float(now())]
    with clock.using(lambda: moment[0]), Receiver(answers=[500]) as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.created")
        for _ in range(12):
            task(sheaf, acme)
            sheaf.settle()
        assert len(receiver.received) == 11, "ten failures, and one trial call"
        reasons = {each["attempts"][0]["error"] for each in deliveries(sheaf, acme, webhook)}
        assert any(reason.startswith("not tried") for reason in reasons)
        moment[0] += 6
        receiver.answers = [200]
        for _ in range(3):
            task(sheaf, acme)
            sheaf.settle()
        assert len(receiver.received) >= 14, "the trial call has closed it"


def test_five_days_of_failures_disable_with_warnings_before(paced: world.World, acme: world.Tenant) -> None:
    sheaf, moment = paced, [float(now())]
    with clock.using(lambda: moment[0]), Receiver(answers=[500]) as receiver, Receiver() as told:
        sheaf.user(acme, "admin@acme.example", "admin")
        sheaf.user(acme, "user@acme.example")
        sheaf.settle()
        webhook = register(sheaf, acme, receiver.url, "task.created")
        register(sheaf, acme, told.url, "endpoint.*")
        for _ in range(5 * 4 + 2):
            task(sheaf, acme)
            sheaf.settle()
            tick(sheaf)
            sheaf.settle()
            moment[0] += 6 * 3_600
        sent = [mail.destinations["ToAddresses"][0] for mail in sheaf.mails()]
        assert sent == ["admin@acme.example"] * 4, "each admin is warned, and nobody else"
        kinds = [(e["type"], e["data"]["failingPercent"]) for e in events(told)]
        assert kinds == [("endpoint.failing", 50), ("endpoint.failing", 70), ("endpoint.failing", 90), ("endpoint.disabled", 90)]
        shown = call(sheaf, acme, "GET", f"webhooks/{webhook['id']}")
        assert shown["status"] == "disabled" and "has failed" in shown["disabledReason"]


def test_one_success_in_five_days_disables_nothing(paced: world.World, acme: world.Tenant) -> None:
    sheaf, moment = paced, [float(now())]
    with clock.using(lambda: moment[0]), Receiver(answers=[*[500] * 20, 200, 500]) as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.created")
        for _ in range(24):
            task(sheaf, acme)
            sheaf.settle()
            tick(sheaf)
            moment[0] += 8 * 3_600
        assert len(receiver.received) > 25
        assert call(sheaf, acme, "GET", f"webhooks/{webhook['id']}")["status"] == "enabled"


def test_a_rate_limit_spreads_deliveries(paced: world.World, acme: world.Tenant) -> None:
    sheaf, moment = paced, [float(now())]
    with clock.using(lambda: moment[0]), Receiver() as receiver:
        register(sheaf, acme, receiver.url, "task.created", rateLimit=2)
        for _ in range(5):
            task(sheaf, acme)
        counts = []
        for _ in range(3):
            sheaf.settle()
            counts.append(len(receiver.received))
            moment[0] += 1
        assert counts == [2, 4, 5]


# ---- seeing and repairing ----


def test_dead_deliveries_are_recovered(sheaf: world.World, acme: world.Tenant) -> None:
    with Receiver(answers=[*[500] * 8, 200]) as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.*")
        row = task(sheaf, acme)
        call(sheaf, acme, "PATCH", f"tasks/{row}", {"title": "y"})
        sheaf.settle()
        assert [each["status"] for each in deliveries(sheaf, acme, webhook)] == ["dead", "dead"]
        path, since = f"webhooks/{webhook['id']}/recover", iso(now_ms() - 60_000)
        assert call(sheaf, acme, "POST", path, {"since": since, "preview": True}) == {"events": 2, "complete": True, "looked": 2}
        call(sheaf, acme, "POST", path, {"since": since}, 202)
        sheaf.settle()
        assert [e["sequence"] for e in events(receiver)[8:]] == [1, 2]
        assert deliveries(sheaf, acme, webhook, "?status=dead") == []
        assert call(sheaf, acme, "POST", path, {"since": since, "preview": True})["events"] == 0


def test_a_list_has_pages_and_filters(sheaf: world.World, acme: world.Tenant, globex: world.Tenant) -> None:
    with Receiver(text=b"thanks \x00 \xff" + b"x" * 1_000) as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.*", "lead.*")
        for _ in range(5):
            task(sheaf, acme)
        call(sheaf, acme, "POST", "leads", {"first_name": "A", "last_name": "B", "email": "a@example.com"}, 201)
        sheaf.settle()
    path = f"/v1/webhooks/{webhook['id']}/deliveries"
    first = sheaf.http("GET", f"{path}?limit=4", key=acme.key)
    second = sheaf.http("GET", f"{path}?limit=4&cursor={first.json['meta']['nextCursor']}", key=acme.key)
    found = [each["eventId"] for each in first.data + second.data]
    assert len(found) == 6 == len(set(found)) and found == sorted(found, reverse=True)
    assert second.json["meta"]["hasMore"] is False
    assert len(deliveries(sheaf, acme, webhook, "?type=lead.created")) == 1
    assert len(deliveries(sheaf, acme, webhook, "?type=lead.created,task.created&status=delivered")) == 6
    assert deliveries(sheaf, acme, webhook, f"?to={iso(now_ms() - 60_000)}") == []
    assert len(deliveries(sheaf, acme, webhook, f"?from={iso(now_ms() - 60_000)}")) == 6
    answer = deliveries(sheaf, acme, webhook)[0]["attempts"][0]["response"]
    assert answer.startswith("thanks \N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER}x") and 495 < len(answer.encode()) <= 500
    for wrong in ("?status=lost", "?from=now", "?color=red", "?cursor=x", "?limit=0"):
        assert sheaf.http("GET", f"{path}{wrong}", key=acme.key).status == 400, wrong
    stats = call(sheaf, acme, "GET", f"webhooks/{webhook['id']}/stats")
    assert (
        stats["deliveries"] == {"total": 6, "pending": 0, "delivered": 6, "dead": 0}
        and stats["successRate"] == 1
        and stats["complete"]
    )
    assert sheaf.http("GET", path, key=globex.key).status == 404
    assert sheaf.http("GET", f"{path}/{found[0]}", key=acme.key).data["eventId"] == found[0]
    assert sheaf.http("GET", f"{path}/{found[0]}", key=globex.key).status == 404
    assert sheaf.http("GET", f"{path}/evt_nope", key=acme.key).status == 404


# contract: 128
def test_a_test_event(sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver(answers=[204]) as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.created")
        meanwhile(sheaf, monkeypatch)
        for path, body in (
            (f"webhooks/{webhook['id']}/test", {"type": "video.uploaded"}),
            ("webhooks/test", {"id": webhook["id"]}),
        ):
            delivery = call(sheaf, acme, "POST", path, body)
            assert (delivery["status"], delivery["attempts"][0]["statusCode"]) == ("delivered", 204)
        assert [e["type"] for e in events(receiver)] == ["video.uploaded", "task.created"]
        Webhook(webhook["secret"]).verify(receiver.received[0][1], receiver.received[0][0])
        for wrong in ({"type": "task.creatd"}, {"type": 5}, {"kind": "x"}):
            assert sheaf.http("POST", f"/v1/webhooks/{webhook['id']}/test", wrong, key=acme.key).status == 422
        assert sheaf.http("POST", "/v1/webhooks/test", {}, key=acme.key).status == 422


@pytest.mark.parametrize(
    ("body", "matches"),
    [({"type": "task.created", "data": {"priority": "high"}}, True), ({"type": "task.created", "data": {"priority": "low"}}, False),
     ({"type": "lead.created", "data": {}}, False)],
)  # fmt: skip
def test_precheck(sheaf: world.World, acme: world.Tenant, body: Any, matches: bool) -> None:
    webhook = register(sheaf, acme, "https://example.com/", "task.*", filter={"priority": "high"})
    found = call(sheaf, acme, "POST", f"webhooks/{webhook['id']}/precheck", body)
    assert found["matches"] is matches and (found["reason"] is None) == matches
    assert sheaf.http("POST", f"/v1/webhooks/{webhook['id']}/precheck", {"type": "x"}, key=acme.key).status == 422


# ---- the catalogue, derived and published events ----


# contract: 126, 127
def test_the_seeds_events(sheaf: world.World, acme: world.Tenant) -> None:
    with Receiver() as receiver:
        body = {"url": receiver.url, "events": ["video.uploaded", "user.verified", "payment.completed"]}
        assert sheaf.http("POST", "/v1/webhooks/register", body, key=acme.key).status == 201
        assert len(sheaf.http("GET", "/v1/webhooks/list", key=acme.key).data) == 1
        call(sheaf, acme, "POST", "videos", {"title": "x", "url": "https://example.com/v"}, 201)
        sheaf.user(acme, "ann@example.com")
        sent = {"type": "payment.completed", "data": {"payment_id": "p1", "amount": 5, "currency": "EUR"}}
        published = call(sheaf, acme, "POST", "events", sent, 202)
        sheaf.settle()
        found = {e["type"]: e for e in events(receiver)}
        assert set(found) == {"video.uploaded", "user.verified", "payment.completed"} and len(receiver.received) == 3
        assert found["payment.completed"]["data"] == {**sent["data"], "customer": None, "paid_at": None}
        assert found["payment.completed"]["id"] == published["id"]


def test_one_change_that_is_two_events(sheaf: world.World, acme: world.Tenant) -> None:
    with Receiver(answers=[200, 500, 200]) as receiver:
        register(sheaf, acme, receiver.url, "video.*")
        video = call(sheaf, acme, "POST", "videos", {"title": "x"}, 201)["id"]
        call(sheaf, acme, "PATCH", f"videos/{video}", {"title": "y"})
        sheaf.settle()
        told = [(e["type"], e["sequence"]) for e in events(receiver)]
        assert told == [("video.created", 1), ("video.uploaded", 1), ("video.uploaded", 1), ("video.updated", 2)]
        assert len({e["id"] for e in events(receiver)}) == 3


def test_events_under_one_key_come_in_order(sheaf: world.World, acme: world.Tenant) -> None:
    with Receiver() as receiver:
        register(sheaf, acme, receiver.url, "payment.completed")
        data = {"payment_id": "p1", "currency": "EUR"}
        made = [call(sheaf, acme, "POST", "events", {"type": "payment.completed", "key": "order-7", "data": {**data, "amount": n}}, 202)
                for n in range(1, 6)]  # fmt: skip
        assert [each["sequence"] for each in made] == [1, 2, 3, 4, 5]
        assert [each["previousEventId"] for each in made] == [None, *[each["id"] for each in made[:-1]]]
        sheaf.settle()
        assert [e["data"]["amount"] for e in events(receiver)] == [1, 2, 3, 4, 5]
        key = {"headers": {"Idempotency-Key": "once"}, "key": acme.key}
        body = {"type": "payment.completed", "data": {**data, "amount": 9}}
        first, second = (sheaf.http("POST", "/v1/events", body, **key) for _ in range(2))
        assert first.data == second.data and second.headers["Idempotent-Replayed"] == "true"
        sheaf.settle()
        assert len(receiver.received) == 6


@pytest.mark.parametrize(
    ("body", "field"),
    [({"type": "task.created", "data": {}}, "type"), ({"data": {}}, "type"), ({"type": "payment.completed"}, "data"), ({"type": "payment.completed", "data": {"amount": 0}}, "data.amount"),
     ({"type": "payment.completed", "data": {"payment_id": "x", "amount": 1, "currency": "EUR", "x": 1}}, "data.x"), ({"type": "payment.completed", "key": "a b", "data": {}}, "key")],
)  # fmt: skip
def test_what_cannot_be_published_names_the_field(sheaf: world.World, acme: world.Tenant, body: Any, field: str) -> None:
    answer = sheaf.http("POST", "/v1/events", body, key=acme.key)
    assert answer.status == 422 and field in answer.json["errors"], answer.text


def test_the_catalogue_describes_what_is_sent(sheaf: world.World, acme: world.Tenant) -> None:
    import jsonschema_rs

    catalogue = {each["type"]: each for each in call(sheaf, acme, "GET", "event-types")}
    for each in catalogue.values():
        assert jsonschema_rs.validator_for(each["schema"]).is_valid(each["example"]), each["type"]
        assert each["description"]
    with Receiver() as receiver:
        register(sheaf, acme, receiver.url, "*")
        row = task(sheaf, acme)
        call(sheaf, acme, "PATCH", f"tasks/{row}", {"title": "y"})
        call(sheaf, acme, "DELETE", f"tasks/{row}")
        call(sheaf, acme, "POST", f"tasks/{row}/restore")
        call(sheaf, acme, "POST", "videos", {"title": "x"}, 201)
        call(sheaf, acme, "POST", "tasks/export", {"format": "csv"}, 202)
        sheaf.settle()
        kinds = {e["type"] for e in events(receiver)}
        assert {"task.created", "task.updated", "task.deleted", "task.restored", "video.uploaded", "job.succeeded"} <= kinds
        for event in events(receiver):
            validator = jsonschema_rs.validator_for(catalogue[event["type"]]["schema"])
            assert validator.is_valid(event), (event, next(validator.iter_errors(event)))


def test_what_is_hidden_or_private_is_not_sent(sheaf: world.World, acme: world.Tenant) -> None:
    sheaf.open_site(acme)
    with Receiver() as receiver:
        register(sheaf, acme, receiver.url, "*")
        form = {"name": "Ann", "email": "ann@example.com", "subject": "A question", "message": "How does it work?"}
        assert sheaf.http("POST", "/v1/contact", form, source_ip="203.0.113.77").status == 201
        sheaf.settle()
        [event] = events(receiver)
        assert event["type"] == "contact_message.created" and "203.0.113.77" not in json.dumps(event)
        token = sheaf.token_of(acme, "ann@example.com")
        batch = {"upload_name": "Fair", "records": [{"business_email": "a@example.com", "first_name": "A"}]}
        assert sheaf.http("POST", "/v1/audience/batch-upload", batch, key=token).status < 300
        sheaf.settle()
        assert not [e for e in events(receiver) if e["type"].startswith("audience")]
