"""What a review of real time has found, each as a test that failed before it was mended."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

import rights
import world
from live import change, create, frames, subscribed, sweep, titles, walk
from sheaf.access import tenants
from sheaf.base.errors import Unavailable
from sheaf.entity import custom
from sheaf.features.realtime import cursors, pump, subscribers, waiting
from sheaf.features.realtime import frames as texts
from sheaf.records import searching
from sheaf.store import queues, table
from sheaf.store import sockets as wires
from sim.sources import Killed

TITLES = ["one", "two", "three"]


def follow(sheaf: world.World) -> None:
    with rights.of("on_change"):
        world.function("on_change").handler({"Records": sheaf.changes()}, world.CONTEXT)


def push(sheaf: world.World, memory: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Work on the waiting orders in a process that remembers this."""
    with monkeypatch.context() as here, rights.of("on_push"):
        here.setattr(subscribers, "_remembered", memory)
        while records := sheaf.messages("SocketsQueue.fifo"):
            for record in records:
                if not world.function("on_push").handler({"Records": [record]}, world.CONTEXT)["batchItemFailures"]:
                    sheaf.done("SocketsQueue.fifo", record)


def say(socket: world.Socket, action: str, **more: Any) -> world.Socket:
    assert socket.say({"action": action, **more}) == 200
    return socket


def cursor(sheaf: world.World, tenant: world.Tenant) -> str:
    return str(sheaf.http("GET", "/v1/tasks", key=tenant.key).headers["X-Event-Cursor"])


# ---- the pump ----


def test_a_process_that_remembers_an_earlier_time_reads_again(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    one: dict[str, Any] = {}
    other: dict[str, Any] = {}
    first = say(sheaf.socket(acme.key), "subscribe", entity="contacts")
    push(sheaf, one, monkeypatch)
    first.close()
    push(sheaf, other, monkeypatch)
    create(sheaf, acme, "nobody is there")
    follow(sheaf)
    push(sheaf, other, monkeypatch)
    second = say(sheaf.socket(acme.key), "subscribe", entity="tasks")
    push(sheaf, other, monkeypatch)
    second.heard()
    for title, memory in zip(TITLES, (one, other, one), strict=True):
        create(sheaf, acme, title)
        follow(sheaf)
        push(sheaf, memory, monkeypatch)
    assert titles(second) == TITLES


def test_a_death_while_a_subscription_ends_leaves_nobody_with_it(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    one: dict[str, Any] = {}
    socket = say(say(sheaf.socket(acme.key), "subscribe", entity="tasks", id="t"), "subscribe", entity="contacts", id="c")
    push(sheaf, one, monkeypatch)
    socket.heard()
    say(socket, "unsubscribe", id="t")
    take_all = table.take_all

    def dies(*given: Any) -> None:
        take_all(*given)
        raise Killed

    monkeypatch.setattr(table, "take_all", dies)
    with pytest.raises(Killed):
        push(sheaf, {}, monkeypatch)
    monkeypatch.setattr(table, "take_all", take_all)
    push(sheaf, {}, monkeypatch)
    create(sheaf, acme, "x")
    follow(sheaf)
    push(sheaf, one, monkeypatch)
    assert titles(socket) == []


def test_who_resumes_waits_for_an_index_that_lies_behind(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, query, lags = cursor(sheaf, acme), table.query, [True] * 5
    create(sheaf, acme, "missed")
    sheaf.settle()

    def lagging(name: str, span: Any, **more: Any) -> Iterator[Any]:
        if getattr(span, "index", "") == "track" and lags:
            lags.pop()
            return iter(())
        return query(name, span, **more)

    monkeypatch.setattr(table, "query", lagging)
    monkeypatch.setattr(pump, "_LAG_SECONDS", 0.0)  # the order fails and comes again
    socket = say(sheaf.socket(acme.key), "resume", entity="tasks", after=start)
    sheaf.settle()
    create(sheaf, acme, "live")
    sheaf.settle()
    assert lags == [] and titles(socket) == ["missed", "live"]


def test_news_that_got_lost_are_told_by_the_sweep(sheaf: world.World, acme: world.Tenant) -> None:
    socket = subscribed(sheaf, acme.key, entity="tasks")
    create(sheaf, acme, "one")
    follow(sheaf)
    for record in sheaf.messages("SocketsQueue.fifo"):  # it was tried in vain for too often
        sheaf.done("SocketsQueue.fifo", record)
    world.function("on_schedule").AGAIN_SECONDS = 0
    sweep(sheaf)
    assert titles(socket) == ["one"]


def test_a_subscription_that_ends_while_it_catches_up_has_ended(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = cursor(sheaf, acme)
    for number in range(5):
        create(sheaf, acme, str(number))
    sheaf.settle()
    monkeypatch.setattr(pump, "_SECONDS", -1.0)
    monkeypatch.setattr(pump, "_ROUND", 2)
    socket = say(sheaf.socket(acme.key), "resume", entity="tasks", after=start, id="x")
    say(socket, "unsubscribe", id="x")
    sheaf.settle()
    create(sheaf, acme, "after")
    sheaf.settle()
    heard = [message["type"] for message in socket.heard()]
    assert heard.count("unsubscribed") == 1 and heard[-1] == "unsubscribed"
    again = say(sheaf.socket(acme.key), "resume", entity="tasks", after=start, id="x")
    sheaf.settle()
    messages = again.heard()
    found = [entry["event"]["data"]["title"] for message in messages for entry in message.get("events", ())]
    assert sorted(found) == [*"01234", "after"] and all(message["id"] == "x" for message in messages), "in several turns"


def test_no_cursor_is_ahead_of_what_a_socket_was_sent(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = say(say(sheaf.socket(acme.key), "subscribe", entity="tasks", id="a"), "subscribe", entity="tasks", id="b")
    sheaf.settle()
    socket.heard()
    monkeypatch.setattr(texts, "SOCKET_FRAME_BYTES", 600)
    create(sheaf, acme, "x", description="y" * 400)
    sheaf.settle()
    first, second = socket.heard()
    [missing] = {"a", "b"} - {entry["id"] for entry in first["events"]}
    again = say(sheaf.socket(acme.key), "resume", entity="tasks", id=missing, after=first["cursor"])
    sheaf.settle()
    assert titles(again) == ["x"]
    again = say(sheaf.socket(acme.key), "resume", entity="tasks", id=missing, after=second["cursor"])
    sheaf.settle()
    assert titles(again) == []


def test_who_asks_alone_is_answered(sheaf: world.World, acme: world.Tenant) -> None:
    socket = say(say(sheaf.socket(acme.key), "presence", channel="room"), "unsubscribe", id="x")
    sheaf.settle()
    assert [message["type"] for message in socket.heard()] == ["presence", "unsubscribed"]


def test_a_cursor_ahead_of_the_log_is_a_gap(sheaf: world.World, acme: world.Tenant) -> None:
    socket = say(sheaf.socket(acme.key), "resume", entity="tasks", after=cursors.text_of(acme.setup, (800,) * 4))
    sheaf.settle()
    assert [message["type"] for message in socket.heard()] == ["gap", "subscribed"]


# ---- who may ----


def test_a_socket_that_could_not_be_closed_is_closed_later(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = sheaf.token_of(acme, "ann@acme.example")
    socket = subscribed(sheaf, ann, entity="tasks")
    with monkeypatch.context() as trouble:

        def fails(_: str) -> None:
            raise Unavailable("it does not answer")

        trouble.setattr(wires, "close", fails)
        assert sheaf.http("POST", "/v1/auth/logout", key=ann).status == 200
        sheaf.settle()
        assert socket.is_open
    world.function("on_schedule").AGAIN_SECONDS = 0
    sweep(sheaf)
    assert not socket.is_open


def test_a_logout_is_done_whatever_becomes_of_the_sockets(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = sheaf.token_of(acme, "ann@acme.example")
    subscribed(sheaf, ann, entity="tasks")

    def fails(*_: Any) -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "busy"}}, "SendMessageBatch")

    monkeypatch.setattr(queues, "_send", fails)
    assert sheaf.http("POST", "/v1/auth/logout", key=ann).status == 200


def test_an_address_that_admins_may_not_use_sees_nothing_of_theirs(sheaf: world.World, acme: world.Tenant) -> None:
    boss = sheaf.token_of(acme, "boss@acme.example", "admin")
    webhook = sheaf.http(
        "POST", "/v1/webhooks", {"url": "http://127.0.0.1:1/secret", "events": ["task.deleted"]}, key=acme.key
    ).data
    assert sheaf.http("PATCH", f"/v1/tenants/{acme.id}", {"adminIps": ["192.0.2.0/24"]}, key=acme.key).status == 200
    tenants.forget()
    assert sheaf.http("POST", f"/v1/webhooks/{webhook['id']}/disable", {}, key=acme.key).status == 200
    sheaf.settle()
    here, there = (
        sheaf.http("GET", "/v1/events?types=endpoint.*", key=boss, source_ip=ip).text for ip in ("192.0.2.9", "198.51.100.9")
    )
    assert "secret" in here and "secret" not in there


def test_a_key_that_moves_away_is_sent_nothing_more(sheaf: world.World, acme: world.Tenant) -> None:
    made = sheaf.http("POST", "/v1/api-keys", {"name": "x", "role": "user"}, key=acme.key).data
    socket = subscribed(sheaf, made["key"], entity="tasks")
    changed = sheaf.http("PATCH", f"/v1/api-keys/{made['id']}", {"allowedIps": ["203.0.113.7"]}, key=acme.key)
    assert changed.status == 200
    sheaf.settle()
    assert not socket.is_open


@pytest.mark.parametrize(("asked", "loses"), [({"channel": "room", "presence": True}, "channels:read"), ({}, "events:read")])
def test_a_scope_that_is_taken_away_counts_at_once(sheaf: world.World, acme: world.Tenant, asked: Any, loses: str) -> None:
    scopes = ["tasks:read", "events:read", "channels:read"]
    made = sheaf.http("POST", "/v1/api-keys", {"name": "x", "role": "user", "scopes": scopes}, key=acme.key).data
    socket = subscribed(sheaf, made["key"], **asked)
    left = {"scopes": [each for each in scopes if each != loses]}
    assert sheaf.http("PATCH", f"/v1/api-keys/{made['id']}", left, key=acme.key).status == 200
    sheaf.settle()
    create(sheaf, acme, "x")
    other = subscribed(sheaf, acme.key, channel="room", presence=True)
    say(other, "publish", channel="room", data=1)
    sheaf.settle()
    assert socket.heard() == []


def test_whoever_is_logged_out_while_a_request_is_held_is_told_nothing(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, done = sheaf.token_of(acme, "ann@acme.example"), []
    monkeypatch.setattr(waiting, "_LONGEST", 3.0)

    def meanwhile(_: float) -> None:
        if not done:
            done.append(True)
            with rights.nobody():
                assert sheaf.http("POST", "/v1/auth/logout", key=ann).status == 200
                create(sheaf, acme, "after the logout")
                follow(sheaf)

    monkeypatch.setattr("sheaf.features.realtime.waiting.time.sleep", meanwhile)
    answer = sheaf.http("GET", "/v1/events?after=now&wait=3", key=ann)
    assert answer.status == 401 and "after the logout" not in answer.text


# ---- presence ----


def test_who_leaves_by_another_subscription_of_the_same_name_is_told(sheaf: world.World, acme: world.Tenant) -> None:
    ann, bob = sheaf.token_of(acme, "ann@acme.example"), sheaf.token_of(acme, "bob@acme.example")
    stays, goes = (subscribed(sheaf, each, id="p", channel="a", presence=True) for each in (ann, bob))
    stays.heard()
    say(goes, "subscribe", id="p", channel="b", presence=True)
    sheaf.settle()
    assert [set(message) - {"type", "topic"} for message in stays.heard()] == [{"left"}]


def test_a_subscription_that_was_under_way_when_its_socket_closed_is_nobody(sheaf: world.World, acme: world.Tenant) -> None:
    stays = subscribed(sheaf, acme.key, channel="room", presence=True)
    socket = say(sheaf.socket(sheaf.token_of(acme, "ann@acme.example")), "subscribe", channel="room", presence=True)
    socket.close()  # before anybody has worked on it
    sheaf.settle()
    stays.heard()
    say(stays, "presence", channel="room")
    sheaf.settle()
    assert len(stays.heard()[-1]["members"]) == 1


# ---- the log and its streams ----


@pytest.mark.parametrize("wait", ["00009999", "0000" + "9" * 40, "0000" + "9" * 4_400, "-1", "٣"])
def test_no_wait_is_longer_than_its_bound(sheaf: world.World, acme: world.Tenant, wait: str) -> None:
    assert sheaf.http("GET", f"/v1/events?after=now&wait={wait}", key=acme.key).status == 400


def test_a_deletion_that_is_ahead_of_a_change_waits_for_it(sheaf: world.World, acme: world.Tenant) -> None:
    """Live and deleted rows lie on different shards; however late one of them is."""
    row = create(sheaf, acme, "a")
    sheaf.settle()
    change(sheaf, acme, row, title="b")
    sheaf.http("DELETE", f"/v1/tasks/{row}", key=acme.key)
    records = sheaf.changes()
    deleted = [each for each in records if "#trash" in json.dumps(each["dynamodb"]["Keys"])]
    with world.later(4_000):
        for several in (deleted, [each for each in records if each not in deleted]):
            world.function("on_change").handler({"Records": several}, world.CONTEXT)
        sheaf.settle()
        assert [event["sequence"] for event in walk(sheaf, acme.key)[0]] == [1, 2, 3]


def test_a_ticket_is_left_to_its_stream(sheaf: world.World, acme: world.Tenant) -> None:
    ann = sheaf.token_of(acme, "ann@acme.example")
    path = f"/v1/stream/tasks?ticket={sheaf.http('POST', '/v1/auth/tickets', key=ann).data['ticket']}"
    last = frames(sheaf.http("GET", path).text)[1]
    assert sheaf.http("GET", path.replace("stream/tasks", "events")).status == 401
    assert sheaf.http("GET", path, headers={"Last-Event-ID": last}).status == 200
    other = sheaf.http("POST", "/v1/auth/tickets", key=ann).data["ticket"]
    assert sheaf.http("GET", f"/v1/stream/tasks?ticket={other}&after={last}").status == 200, "an id is good as a cursor"
    third = sheaf.http("POST", "/v1/auth/tickets", key=ann).data["ticket"]
    assert [sheaf.http("GET", f"/v1/events?ticket={third}").status for _ in range(2)] == [200, 401]


def test_what_is_published_as_deleted_keeps_its_data(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = custom.known()
    monkeypatch.setattr(custom, "known", lambda: {**known, "plan.deleted": known["payment.completed"]})
    data = {"payment_id": "pay_1", "amount": 5, "currency": "EUR"}
    assert sheaf.http("POST", "/v1/events", {"type": "plan.deleted", "data": data}, key=acme.key).status == 202
    sheaf.settle()
    [event] = walk(sheaf, acme.key)[0]
    assert event["data"]["payment_id"] == "pay_1"


def test_a_search_finds_what_the_events_before_it_have_changed(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = create(sheaf, acme, "old")
    sheaf.settle()
    change(sheaf, acme, row, title="needle")
    keep, seen = searching.keep, []

    def listing(entity: Any, event: Any) -> None:
        cursors.forget()
        with rights.of("records"):
            answer = sheaf.http("GET", "/v1/tasks?search=needle", key=acme.key)
        seen.append((answer.data, answer.headers["X-Event-Cursor"]))
        keep(entity, event)

    monkeypatch.setattr(searching, "keep", listing)
    sheaf.settle()
    data, after = seen[0]
    assert data or walk(sheaf, acme.key, after=after)[0], "listed or told"


def test_a_queue_takes_every_character(sheaf: world.World, acme: world.Tenant) -> None:
    socket = subscribed(sheaf, acme.key, channel="room")
    odd = "\ufffe\uffff\ud7ff\u0000\U0001f600"
    say(socket, "publish", channel="room", data=odd)
    [record] = sheaf.messages("SocketsQueue.fifo")
    assert "\ufffe" not in record["body"] and "\uffff" not in record["body"]
    sheaf.settle()
    assert socket.heard()[-1]["data"] == odd
