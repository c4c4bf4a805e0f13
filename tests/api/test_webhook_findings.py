"""What reviews of the webhooks have found, each held by the case that showed it."""

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError

import world
from client import Receiver
from hooks import call, deliveries, events, hold_delays, meanwhile, register, task, tick
from sheaf.access.caller import worker
from sheaf.base import clock
from sheaf.base.bounds import DELIVERY_ATTEMPTS, WEBHOOKS
from sheaf.base.clock import iso, now, now_ms
from sheaf.features.webhooks import calls, endpoints, health, hints, sealed, sender
from sheaf.features.webhooks.health import Health
from sheaf.store import aws, queues, table
from sheaf_webhooks import Webhook

PAID = {"payment_id": "p1", "currency": "EUR"}
DAY = 86_400
TRACE = {"X-Request-Id": "trace-12345678"}  # one of many calls of one request of the client's


@pytest.fixture
def moment() -> Iterator[list[float]]:
    """The clock: its one element may be changed."""
    moment = [float(now())]
    with clock.using(lambda: moment[0]):
        yield moment


def forgotten(name: str, is_one: Callable[[str], bool]) -> None:
    """What the expiry of DynamoDB does to rows whose partition `is_one`."""
    client = aws.client("dynamodb")
    for item in client.scan(TableName=name)["Items"]:
        if is_one(item["pk"]["S"]):
            client.delete_item(TableName=name, Key={"pk": item["pk"], "sk": item["sk"]})


def pass_time(sheaf: world.World, moment: list[float], minutes: int) -> None:
    for _ in range(minutes):
        sheaf.settle()
        tick(sheaf)
        moment[0] += 60
    sheaf.settle()


def two_versions(sheaf: world.World, tenant: world.Tenant, moment: list[float], seconds: float = 0) -> str:
    """A task, and after some seconds a change of it; each has been handed on as far as it goes."""
    row = task(sheaf, tenant)
    sheaf.settle()
    moment[0] += seconds
    call(sheaf, tenant, "PATCH", f"tasks/{row}", {"title": "2"})
    sheaf.settle()
    return row


@contextmanager
def by_title(answers: Mapping[str, tuple[int, float, dict[str, str]]]) -> Iterator[tuple[str, list[str]]]:
    """A receiver that answers (status, after seconds, headers) by the title of the task; its address and what it got."""
    got: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            title = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["data"]["title"]
            status, seconds, headers = answers[title]
            got.append(title)
            time.sleep(seconds)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", got
        server.shutdown()


# ---- two writers who name their requests alike ----


def test_two_publishers_under_one_request_id_lose_nothing(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def publish(amount: int) -> world.Answer:
        body = {"type": "payment.completed", "key": "k", "data": {**PAID, "amount": amount}}
        return sheaf.http("POST", "/v1/events", body, key=acme.key, headers=TRACE)

    real, between = table.get, []

    def get(name: str, key: Any) -> Any:
        found = real(name, key)
        if key.pk.endswith("#published") and not between:
            between.append(None)
            between.append(publish(1))
        return found

    with Receiver() as receiver:
        register(sheaf, acme, receiver.url, "payment.completed")
        monkeypatch.setattr(table, "get", get)
        assert publish(2).status == between[1].status == 202  # type: ignore[union-attr]
        sheaf.settle()
        assert [event["data"]["amount"] for event in events(receiver)] == [1, 2]


def test_two_changes_under_one_request_id_lose_nothing(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, between = endpoints.find, []

    def find(scope: Any, webhook_id: str) -> Any:
        found = real(scope, webhook_id)
        if not between:
            between.append(None)
            sheaf.http("PATCH", f"/v1/webhooks/{webhook_id}", {"description": "x"}, key=acme.key, headers=TRACE)
        return found

    with Receiver() as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.*")
        monkeypatch.setattr(endpoints, "find", find)
        rotated = sheaf.http("POST", f"/v1/webhooks/{webhook['id']}/rotate", {}, key=acme.key, headers=TRACE).data
        assert rotated["description"] == "x" and rotated["version"] == 3
        task(sheaf, acme)
        sheaf.settle()
        headers, body = receiver.received[0]
        assert Webhook(rotated["secret"]).verify(body, headers)["type"] == "task.created"


def test_there_are_never_more_than_may_be(sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [register(sheaf, acme, "https://example.com/", "*") for _ in range(WEBHOOKS - 1)]
    real, between = sealed.key, []

    def key(*given: Any) -> Any:
        if not between:
            between.append(None)
            register(sheaf, acme, "https://example.com/", "*")
        return real(*given)

    monkeypatch.setattr(sealed, "key", key)
    body = {"url": "https://example.com/", "events": ["*"]}
    assert sheaf.http("POST", "/v1/webhooks", body, key=acme.key).status == 409
    assert len(call(sheaf, acme, "GET", "webhooks")) == WEBHOOKS
    for _ in range(2):  # removed twice, there is still room for one only
        sheaf.http("DELETE", f"/v1/webhooks/{made[0]['id']}", key=acme.key)
    assert [sheaf.http("POST", "/v1/webhooks", body, key=acme.key).status for _ in range(2)] == [201, 409]


# ---- nothing is lost, doubled or overtaken ----


@pytest.mark.parametrize("trouble", ["death", "queue"])
def test_a_timer_that_comes_again_finds_what_is_left(
    paced: world.World, acme: world.Tenant, moment: list[float], monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """The head is settled, the next event has no room, and whoever should say so dies or is refused."""
    sheaf, happened = paced, []
    with Receiver(answers=[500, 200]) as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.*", rateLimit=1)
        two_versions(sheaf, acme, moment, 2)
        assert len(receiver.received) == 1
        moment[0] += 20
        pass_on, send = sender._pass_on, hints.send

        def dies(scope: Any, called: Any, told: Any) -> None:
            if told.put_off and not happened:
                happened.append(1)
                raise RuntimeError("dead")
            pass_on(scope, called, told)

        def refuses(scope: Any, webhook_id: str, found: Any, **more: Any) -> None:
            if not happened and any(hint.slot for hint in found):
                happened.append(1)
                raise queues.SendFailed("1 of 1 messages were refused")
            send(scope, webhook_id, found, **more)

        monkeypatch.setattr(*((sender, "_pass_on", dies) if trouble == "death" else (hints, "send", refuses)))
        pass_time(sheaf, moment, 30)
        assert happened and [event["sequence"] for event in events(receiver)] == [1, 1, 2]
        assert [each["status"] for each in deliveries(sheaf, acme, webhook)] == ["delivered", "delivered"]


def test_a_replay_sends_what_its_preview_counted(sheaf: world.World, acme: world.Tenant, moment: list[float]) -> None:
    """Also long after the lane of the row was forgotten."""
    with Receiver() as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.*")
        row = task(sheaf, acme)
        for number in range(3):
            moment[0] += 100
            call(sheaf, acme, "PATCH", f"tasks/{row}", {"title": str(number)})
            sheaf.settle()
        asked = {"from": events(receiver)[-1]["createdAt"], "to": events(receiver)[-1]["createdAt"]}
        moment[0] += 60 * DAY
        forgotten("EventsTable", lambda pk: "#lane#" in pk or "#delivery#" in pk)
        assert call(sheaf, acme, "POST", f"webhooks/{webhook['id']}/replay", {**asked, "preview": True})["events"] == 1
        call(sheaf, acme, "POST", f"webhooks/{webhook['id']}/replay", asked, 202)
        sheaf.settle()
        assert [event["sequence"] for event in events(receiver)] == [1, 2, 3, 4, 4]
        call(sheaf, acme, "PATCH", f"tasks/{row}", {"title": "news"})
        sheaf.settle()
        assert [event["sequence"] for event in events(receiver)] == [1, 2, 3, 4, 4, 5]


def test_news_that_come_while_a_forgotten_lane_waits_to_send_something_again(
    paced: world.World, acme: world.Tenant, moment: list[float]
) -> None:
    sheaf = paced
    with Receiver(answers=[200, 200, 500, 200]) as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.*")
        row = two_versions(sheaf, acme, moment, 100)
        asked = {"from": events(receiver)[1]["createdAt"], "to": events(receiver)[1]["createdAt"]}
        moment[0] += 60 * DAY
        forgotten("EventsTable", lambda pk: "#lane#" in pk or "#delivery#" in pk)
        call(sheaf, acme, "POST", f"webhooks/{webhook['id']}/replay", asked, 202)
        sheaf.settle()  # it fails, and is tried again after 5 s
        call(sheaf, acme, "PATCH", f"tasks/{row}", {"title": "3"})
        sheaf.settle()
        pass_time(sheaf, moment, 10)
        assert [event["sequence"] for event in events(receiver)] == [1, 2, 2, 2, 3]


def test_a_test_event_is_no_event(sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as one, Receiver() as other:
        tried, bystander = register(sheaf, acme, one.url, "task.*"), register(sheaf, acme, other.url, "task.*")
        begun = iso(now_ms() - 60_000)
        meanwhile(sheaf, monkeypatch)
        assert call(sheaf, acme, "POST", f"webhooks/{tried['id']}/test", {"type": "task.created"})["status"] == "delivered"
        body = {"from": begun, "missedOnly": True}
        assert call(sheaf, acme, "POST", f"webhooks/{bystander['id']}/replay", {**body, "preview": True})["events"] == 0
        call(sheaf, acme, "POST", f"webhooks/{bystander['id']}/replay", body, 202)
        sheaf.settle()
        assert other.received == [] and len(one.received) == 1


def test_a_key_goes_on_counting_however_long_it_was_quiet(sheaf: world.World, acme: world.Tenant) -> None:
    def publish(amount: int) -> Any:
        body = {"type": "payment.completed", "key": "k", "data": {**PAID, "amount": amount}}
        return call(sheaf, acme, "POST", "events", body, 202)

    with Receiver() as receiver:
        register(sheaf, acme, receiver.url, "payment.completed")
        publish(1), publish(2)
        sheaf.settle()
        scan = aws.client("dynamodb").scan(TableName="ControlTable")["Items"]
        assert not [item for item in scan if item["pk"]["S"].endswith("#published") and "ttl" in item]
        with world.later(61 * DAY):
            forgotten("EventsTable", lambda pk: "#lane#" in pk or "#delivery#" in pk)
            assert publish(3)["sequence"] == 3
            sheaf.settle()
            assert [event["data"]["amount"] for event in events(receiver)] == [1, 2, 3]


def test_many_changes_of_terms_lose_nothing_that_is_under_way(
    paced: world.World, acme: world.Tenant, moment: list[float]
) -> None:
    with Receiver(answers=[500, 200]) as receiver:
        webhook = register(paced, acme, receiver.url, "task.*")
        row = task(paced, acme)
        paced.settle()
        call(paced, acme, "PATCH", f"tasks/{row}", {"title": "behind it"})
        paced.settle()
        for number in range(25):
            moment[0] += 0.1
            call(paced, acme, "PATCH", f"webhooks/{webhook['id']}", {"events": ["task.*", "lead.*"][: 1 + number % 2]})
        pass_time(paced, moment, 5)
        assert [event["sequence"] for event in events(receiver)] == [1, 1, 2]
        assert deliveries(paced, acme, webhook, "?status=pending") == []


def test_a_filter_of_an_older_declaration_is_no_harm_to_others(sheaf: world.World, acme: world.Tenant) -> None:
    with Receiver() as good, Receiver() as other:
        webhook = register(sheaf, acme, other.url, "task.*", filter={"priority": "high"})
        register(sheaf, acme, good.url, "task.*")
        client = aws.client("dynamodb")
        [item] = [each for each in client.scan(TableName="ControlTable")["Items"] if each["sk"]["S"] == webhook["id"]]
        item["filter"] = item["asked"]["L"][0]["M"]["filter"] = {"S": json.dumps({"gone_field": "high"})}
        client.put_item(TableName="ControlTable", Item=item)
        task(sheaf, acme, priority="high")
        sheaf.settle()
        assert len(good.received) == 1 and other.received == []
        job = call(sheaf, acme, "POST", f"webhooks/{webhook['id']}/replay", {"from": iso(now_ms() - 60_000)}, 202)
        sheaf.settle()
        assert call(sheaf, acme, "GET", f"jobs/{job['id']}")["status"] == "failed"


def test_interim_answers_are_not_the_answer(sheaf: world.World, acme: world.Tenant) -> None:
    """103 Early Hints: the final answer comes behind it, and is not taken for that of the next call."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            first = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["data"]["title"] == "first"
            self.wfile.write(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
            time.sleep(0.1)
            self.send_response(500 if first else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        webhook = register(sheaf, acme, f"http://127.0.0.1:{server.server_address[1]}/", "task.created")
        for title in ("first", "second"):
            task(sheaf, acme, title=title)
            sheaf.settle()
        codes = [[attempt["statusCode"] for attempt in each["attempts"]] for each in deliveries(sheaf, acme, webhook)]
        assert codes == [[200], [500] * 4]
        server.shutdown()


# ---- what one asks for does what it says ----


def test_a_resend_leaves_the_schedule_of_another_event_alone(paced: world.World, acme: world.Tenant, moment: list[float]) -> None:
    with Receiver(answers=[200, 500, 200, 200, 200, 200, 200]) as receiver:
        webhook = register(paced, acme, receiver.url, "task.*")
        two_versions(paced, acme, moment, 1)
        first = events(receiver)[0]["id"]
        for _ in range(3):
            call(paced, acme, "POST", f"webhooks/{webhook['id']}/deliveries/{first}/resend", None, 202)
            paced.settle()
        assert [event["sequence"] for event in events(receiver)] == [1, 2, 1, 1, 1], "sent at once, past the one that waits"
        shown = {each["eventId"]: each for each in deliveries(paced, acme, webhook)}
        assert shown.pop(first)["status"] == "delivered"
        [waiting] = shown.values()
        assert (waiting["status"], waiting["attemptCount"]) == ("pending", 1)
        pass_time(paced, moment, 2)
        assert [event["sequence"] for event in events(receiver)] == [1, 2, 1, 1, 1, 2]


def test_a_resend_behind_the_event_that_waits_waits_too(paced: world.World, acme: world.Tenant, moment: list[float]) -> None:
    """It would overtake."""
    with Receiver(answers=[500, 200]) as receiver:
        webhook = register(paced, acme, receiver.url, "task.*")
        two_versions(paced, acme, moment)
        second = next(each["eventId"] for each in deliveries(paced, acme, webhook) if each["waitsFor"])
        call(paced, acme, "POST", f"webhooks/{webhook['id']}/deliveries/{second}/resend", None, 202)
        paced.settle()
        assert [event["sequence"] for event in events(receiver)] == [1]
        pass_time(paced, moment, 3)
        assert [event["sequence"] for event in events(receiver)][:3] == [1, 1, 2]


def test_a_resend_that_fails_past_the_waiting_event_is_tried_again_with_it(
    paced: world.World, acme: world.Tenant, moment: list[float]
) -> None:
    with Receiver(answers=[200, 500, 500, 200]) as receiver:
        webhook = register(paced, acme, receiver.url, "task.*")
        two_versions(paced, acme, moment)
        first = events(receiver)[0]["id"]
        call(paced, acme, "POST", f"webhooks/{webhook['id']}/deliveries/{first}/resend", None, 202)
        paced.settle()
        assert {each["status"] for each in deliveries(paced, acme, webhook, "?status=pending")} == {"pending"}
        assert len(deliveries(paced, acme, webhook, "?status=pending")) == 2
        pass_time(paced, moment, 3)
        assert [event["sequence"] for event in events(receiver)] == [1, 2, 1, 2, 1]
        assert {each["status"] for each in deliveries(paced, acme, webhook)} == {"delivered"}


def test_what_is_asked_for_again_is_listed_as_pending(sheaf: world.World, acme: world.Tenant) -> None:
    with Receiver(answers=[500]) as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.*")
        task(sheaf, acme)
        sheaf.settle()
        [dead] = deliveries(sheaf, acme, webhook, "?status=dead")
        call(sheaf, acme, "POST", f"webhooks/{webhook['id']}/deliveries/{dead['eventId']}/resend", None, 202)
        assert len(deliveries(sheaf, acme, webhook, "?status=pending")) == 1
        assert deliveries(sheaf, acme, webhook, "?status=dead") == []


def test_what_a_receiver_lets_wait_is_listed(paced: world.World, acme: world.Tenant, moment: list[float]) -> None:
    with Receiver(answers=[429, 200], headers={"Retry-After": "8000"}) as receiver:
        webhook = register(paced, acme, receiver.url, "task.*")
        for _ in range(4):
            task(paced, acme)
            paced.settle()
        pending = deliveries(paced, acme, webhook, "?status=pending")
        assert len(pending) == 4 and len(receiver.received) == 1
        assert all(each["nextAttemptAt"] > iso(now_ms() + 7_000_000) for each in pending)
        pass_time(paced, moment, 150)
        assert len(receiver.received) == 5 and deliveries(paced, acme, webhook, "?status=pending") == []


def test_disabled_meanwhile_what_was_delivered_stays_so(sheaf: world.World, acme: world.Tenant) -> None:
    with Receiver() as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.created")
        task(sheaf, acme)
        sheaf.settle()
        [done] = deliveries(sheaf, acme, webhook)
        call(sheaf, acme, "POST", f"webhooks/{webhook['id']}/deliveries/{done['eventId']}/resend", None, 202)
        call(sheaf, acme, "POST", f"webhooks/{webhook['id']}/disable")
        sheaf.settle()
        assert deliveries(sheaf, acme, webhook)[0]["status"] == "delivered"
        assert len(receiver.received) == 1


def test_a_long_lane_of_a_disabled_webhook_is_settled_in_parts(
    paced: world.World, acme: world.Tenant, moment: list[float]
) -> None:
    sheaf = paced
    webhook = register(sheaf, acme, "http://127.0.0.1:1/", "task.*")
    row = task(sheaf, acme)
    for number in range(9):
        call(sheaf, acme, "PATCH", f"tasks/{row}", {"title": str(number)})
    with world.rights.of("on_change"):
        world.function("on_change").handler({"Records": sheaf.changes()}, world.CONTEXT)
    moment[0] += 1
    call(sheaf, acme, "POST", f"webhooks/{webhook['id']}/disable")
    scope, message = worker(acme.id, "t", "r"), {"webhook": webhook["id"], "slow": False, "rows": [hints.Hint(row, 8).message()]}
    late = itertools.chain([False] * 3, itertools.repeat(True))
    sender.work(scope, message, lambda: next(late), lambda step, _: (step(), True)[1])
    assert 1 <= len(deliveries(sheaf, acme, webhook, "?status=dead")) < 10
    moment[0] += 2
    sheaf.settle()
    assert len(deliveries(sheaf, acme, webhook, "?status=dead")) == 10


def test_a_trial_by_a_person_passes_an_open_breaker(
    paced: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver(answers=[*[500] * 11, 200]) as receiver:
        webhook = register(paced, acme, receiver.url, "task.created")
        for _ in range(12):
            task(paced, acme)
            paced.settle()
        meanwhile(paced, monkeypatch)
        found = call(paced, acme, "POST", f"webhooks/{webhook['id']}/test", {"type": "task.created"})
        assert found["status"] == "delivered" and found["attempts"][0]["statusCode"] == 200


def test_many_resends_keep_the_newest_attempts(sheaf: world.World, acme: world.Tenant) -> None:
    with Receiver(text="\N{GRINNING FACE}".encode() * 500) as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.*")
        task(sheaf, acme)
        sheaf.settle()
        [done] = deliveries(sheaf, acme, webhook)
        for _ in range(DELIVERY_ATTEMPTS + 5):
            call(sheaf, acme, "POST", f"webhooks/{webhook['id']}/deliveries/{done['eventId']}/resend", None, 202)
            sheaf.settle()
        assert len(receiver.received) == DELIVERY_ATTEMPTS + 6
        [shown] = deliveries(sheaf, acme, webhook)
        assert len(shown["attempts"]) == DELIVERY_ATTEMPTS and len(shown["attempts"][0]["response"].encode()) <= 500


# ---- how a webhook does ----


def test_a_410_is_not_forgotten_by_a_success_beside_it(paced: world.World, acme: world.Tenant) -> None:
    with by_title({"gone": (410, 0, {}), "ok": (200, 0.6, {})}) as (url, _):
        webhook = register(paced, acme, url, "task.created")
        task(paced, acme, title="gone"), task(paced, acme, title="ok")
        paced.settle()
        tick(paced)
        assert call(paced, acme, "GET", f"webhooks/{webhook['id']}")["status"] == "disabled"


def test_a_pause_is_not_forgotten_by_a_success_beside_it(paced: world.World, acme: world.Tenant) -> None:
    moods = {"busy": (429, 0, {"Retry-After": "600"}), "ok": (200, 0.6, {}), "third": (200, 0, {})}
    with by_title(moods) as (url, got):
        register(paced, acme, url, "task.created")
        task(paced, acme, title="busy"), task(paced, acme, title="ok")
        paced.settle()
        task(paced, acme, title="third")
        paced.settle()
        assert sorted(got) == ["busy", "ok"]


def test_days_of_silence_are_no_days_of_failures(paced: world.World, acme: world.Tenant, moment: list[float]) -> None:
    with Receiver(answers=[500]) as receiver:
        webhook = register(paced, acme, receiver.url, "task.created")
        task(paced, acme)
        pass_time(paced, moment, 60)
        moment[0] += 6 * DAY
        task(paced, acme)
        paced.settle()
        tick(paced)
        shown = call(paced, acme, "GET", f"webhooks/{webhook['id']}")
        assert shown["status"] == "enabled" and shown["failingSince"] == iso(now_ms())


def test_nobody_is_disabled_without_warnings(paced: world.World, acme: world.Tenant, moment: list[float]) -> None:
    """One failure every 40 hours: from less than 70 % to the end in one step."""
    with Receiver(answers=[500]) as receiver, Receiver() as told:
        webhook = register(paced, acme, receiver.url, "task.created")
        register(paced, acme, told.url, "endpoint.*")
        states = []
        for _ in range(5):
            task(paced, acme)
            pass_time(paced, moment, 3)
            states.append(call(paced, acme, "GET", f"webhooks/{webhook['id']}")["status"])
            moment[0] += 40 * 3600 - 180
        assert states == ["enabled"] * 4 + ["disabled"]
        assert [(event["type"], event["data"]["failingPercent"]) for event in events(told)] == [
            ("endpoint.failing", 50), ("endpoint.failing", 90), ("endpoint.disabled", 90)]  # fmt: skip


def test_a_new_address_begins_anew(paced: world.World, acme: world.Tenant) -> None:
    with Receiver(answers=[410]) as old, Receiver() as new:
        webhook = register(paced, acme, old.url, "task.created")
        task(paced, acme)
        paced.settle()
        changed = call(paced, acme, "PATCH", f"webhooks/{webhook['id']}", {"url": new.url})
        assert changed["failingSince"] is None
        task(paced, acme)
        paced.settle()
        tick(paced)
        assert len(new.received) == 1 and call(paced, acme, "GET", f"webhooks/{webhook['id']}")["status"] == "enabled"


def test_a_rate_limit_costs_a_few_calls_a_delivery(
    sheaf: world.World, acme: world.Tenant, moment: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many wait: each has its place in the row, and is looked at when that comes."""
    hold_delays(sheaf, monkeypatch)
    real, made = table.call, []
    with Receiver() as receiver:
        webhook = register(sheaf, acme, receiver.url, "task.created", rateLimit=1)
        for _ in range(40):
            task(sheaf, acme)
        with world.rights.of("on_change"):
            world.function("on_change").handler({"Records": sheaf.changes()}, world.CONTEXT)
        monkeypatch.setattr(table, "call", lambda operation, **more: (made.append(operation), real(operation, **more))[1])
        seen = []
        for _ in range(60):
            sheaf.settle()
            seen.append(len(receiver.received))
            moment[0] += 1
        assert len({event["id"] for event in events(receiver)}) == 40 == len(receiver.received)
        assert all(later - earlier <= 2 for earlier, later in itertools.pairwise(seen)) and seen[20] >= 20
        assert len(made) < 40 * 15, len(made)
        for _ in range(40):
            task(sheaf, acme)
        sheaf.settle()
        call(sheaf, acme, "PATCH", f"webhooks/{webhook['id']}", {"rateLimit": 1_000})
        for _ in range(45):
            moment[0] += 1
            sheaf.settle()
        assert len(receiver.received) == 80


def test_a_slow_receiver_goes_by_its_own_queue(sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "SLOW_SECONDS", 0.2)
    sent: list[str] = []
    real = queues.send
    monkeypatch.setattr(
        queues, "send", lambda url, messages, **more: (sent.append(url.rpartition("/")[2]), real(url, messages, **more))[1]
    )
    with by_title({"slow": (200, 0.6, {}), "quick": (200, 0, {})}) as (url, got):
        webhook = register(sheaf, acme, url, "task.created")
        task(sheaf, acme, title="slow")
        sheaf.settle()
        assert "SlowDeliveriesQueue" not in sent
        state = Health(worker(acme.id, "t", "r"), webhook["id"], health.of(worker(acme.id, "t", "r"), webhook["id"]))
        assert state.is_slow and state.may_try() and call(sheaf, acme, "GET", f"webhooks/{webhook['id']}")["failingSince"] is None
        task(sheaf, acme, title="quick")
        sheaf.settle()
        assert got == ["slow", "quick"] and sent[-1] == "SlowDeliveriesQueue"
        with world.later(700):
            task(sheaf, acme, title="quick")
            sheaf.settle()
            assert got == ["slow", "quick", "quick"] and sent[-1] == "DeliveriesQueue"


# ---- bad input ----


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """DynamoDB refuses BETWEEN with its bounds the wrong way round; moto does not."""
    client = aws.client("dynamodb")
    real = client.query

    def query(**request: Any) -> Any:
        values = request["ExpressionAttributeValues"]
        if "BETWEEN" in request["KeyConditionExpression"] and values[":low"]["S"] > values[":high"]["S"]:
            raise ClientError(
                {"Error": {"Code": "ValidationException", "Message": "The BETWEEN operator requires upper bound"}}, "Query"
            )
        return real(**request)

    monkeypatch.setattr(client, "query", query)


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [("deliveries?from={now}&to={old}", 400, "to"), ("deliveries?to=2020-01-01T00:00:00Z", 200, ""), ("stats?to={old}", 200, ""),
     ("deliveries?status=dead&to=2020-01-01T00:00:00Z", 200, ""), ("stats?from={now}&to={old}", 400, "to")],
)  # fmt: skip
def test_times_the_wrong_way_round(
    sheaf: world.World, acme: world.Tenant, strict: None, path: str, status: int, field: str
) -> None:
    webhook = register(sheaf, acme, "https://example.com/", "*")
    path = path.format(now=iso(now_ms()), old=iso(now_ms() - 2 * DAY * 1000))
    answer = sheaf.http("GET", f"/v1/webhooks/{webhook['id']}/{path}", key=acme.key)
    assert answer.status == status, answer.text
    assert not field or field in answer.json["errors"]


@pytest.mark.parametrize(("begin", "end", "field"), [(-1_000, -5_000, "to"), (60_000, None, "from"), (60_000, 120_000, "from")])
@pytest.mark.parametrize("preview", [True, False])
def test_a_replay_the_wrong_way_round(
    sheaf: world.World, acme: world.Tenant, strict: None, begin: int, end: int | None, field: str, preview: bool
) -> None:
    webhook = register(sheaf, acme, "https://example.com/", "*")
    body = {"from": iso(now_ms() + begin), "preview": preview, **({} if end is None else {"to": iso(now_ms() + end)})}
    answer = sheaf.http("POST", f"/v1/webhooks/{webhook['id']}/replay", body, key=acme.key)
    assert answer.status == 422 and list(answer.json["errors"]) == [field], answer.text


@pytest.mark.parametrize("type_", [{}, [], {"a": 1}, 7, "task.nothing"])
def test_a_test_of_no_type(sheaf: world.World, acme: world.Tenant, type_: Any) -> None:
    webhook = register(sheaf, acme, "https://example.com/", "*")
    answer = sheaf.http("POST", f"/v1/webhooks/{webhook['id']}/test", {"type": type_}, key=acme.key)
    assert answer.status == 422 and "type" in answer.json["errors"]


@pytest.mark.parametrize("letter", ['"', "\\", "x"])
def test_headers_that_are_too_long_however_they_are_kept(sheaf: world.World, acme: world.Tenant, letter: str) -> None:
    body = {"url": "https://example.com/", "events": ["*"], "headers": {"X": letter * 2_047}}
    answer = sheaf.http("POST", "/v1/webhooks", body, key=acme.key)
    assert answer.status == 422 and "headers" in answer.json["errors"]


# ---- inbound hooks ----


def hook(sheaf: world.World, tenant: world.Tenant, key: str = "") -> world.Answer:
    return sheaf.http("POST", "/v1/inbound-hooks", {"entity": "tasks"}, key=key or tenant.key)


def test_an_address_gives_nobody_more_than_they_may(sheaf: world.World, acme: world.Tenant) -> None:
    made = hook(sheaf, acme).data
    for scopes in (("webhooks:read",), ("*:read",)):
        reader = sheaf.key(acme, "admin", *scopes)
        for path in ("/v1/inbound-hooks", f"/v1/inbound-hooks/{made['id']}"):
            assert made["path"].rpartition("/")[2] not in sheaf.http("GET", path, key=reader).text
    assert call(sheaf, acme, "GET", f"inbound-hooks/{made['id']}")["path"] == made["path"]
    assert hook(sheaf, acme, sheaf.key(acme, "admin", "webhooks:write")).status == 403
    assert hook(sheaf, acme, sheaf.key(acme, "admin", "webhooks:write", "tasks:create")).status == 201


def test_a_key_holds_from_whichever_address(sheaf: world.World, acme: world.Tenant) -> None:
    path = hook(sheaf, acme).data["path"]
    for address in ("192.0.2.1", "192.0.2.2"):
        assert sheaf.http("POST", path, {"title": "x"}, headers={"Idempotency-Key": "k"}, source_ip=address).status == 201
    assert len(call(sheaf, acme, "GET", "tasks")) == 1


def test_each_hook_has_its_own_limit(sheaf: world.World, acme: world.Tenant, globex: world.Tenant) -> None:
    ours, theirs = hook(sheaf, acme).data["path"], hook(sheaf, globex).data["path"]
    with sheaf.still():
        told = [sheaf.http("POST", theirs, {"title": "x"}, source_ip=f"198.51.100.{number}").status for number in range(130)]
        assert told.count(201) == 120 and set(told[120:]) == {429}, "from however many addresses"
        assert sheaf.http("POST", ours, {"title": "x"}, source_ip="198.51.100.1").status == 201


# ---- the verifier ----


@pytest.mark.parametrize("secret", ["whsec_", "whsec_AAAA", "short", "whsec_" + "A" * 40 + "\n", " whsec_" + "A" * 40, ""])
def test_no_verifier_of_a_broken_secret(secret: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        Webhook(secret)
