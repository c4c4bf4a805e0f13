"""WebSockets, black box: who may open one, what it is sent, in which order, and what it is never sent."""

import json
from typing import Any

import pytest

import world
from live import create, events, subscribed, sweep, titles
from sheaf.base.bounds import EVENT_DAYS, SOCKETS_PER_CALLER, SUBSCRIPTIONS
from sheaf.features.realtime import orders
from sheaf.store import aws

# ---- opening ----


def test_a_socket_opens_with_a_credential_and_with_nothing_else(sheaf: world.World, acme: world.Tenant) -> None:
    token = sheaf.token_of(acme, "ann@acme.example")
    ticket = sheaf.http("POST", "/v1/auth/tickets", key=token).data["ticket"]
    assert sheaf.socket(acme.key).status == 200
    assert sheaf.socket(ticket=ticket).status == 200
    assert sheaf.socket(ticket=ticket).status == 401, "a ticket is good once"
    for key in ("", "nonsense", "sk_local_x", acme.key[:-1] + ("0" if acme.key[-1] != "0" else "1")):
        assert sheaf.socket(key).status == 401
    assert sheaf.socket(headers={"Cookie": "sheaf_session=x"}).status == 401, "cookies open nothing"
    assert sheaf.socket(acme.key, headers={"x-tenant-id": "tnt_01h00000000000000000000000"}).status == 403


def test_there_are_bounds_of_sockets(sheaf: world.World, acme: world.Tenant) -> None:
    key = sheaf.key(acme, "user")
    several = [sheaf.socket(key) for _ in range(SOCKETS_PER_CALLER + 1)]
    assert [socket.status for socket in several] == [200] * SOCKETS_PER_CALLER + [429]
    assert sheaf.socket(acme.key).status == 200, "the bound is the caller's own"
    several[0].close()
    assert sheaf.socket(key).status == 200
    several[1].close()
    several[1].close()  # told twice
    assert [sheaf.socket(key).status for _ in range(2)] == [200, 429]


# ---- events ----


def test_a_subscriber_is_sent_each_event_once_and_in_order(sheaf: world.World, acme: world.Tenant, globex: world.Tenant) -> None:
    create(sheaf, acme, "before")
    sheaf.settle()
    socket, other = subscribed(sheaf, acme.key, entity="tasks"), subscribed(sheaf, globex.key, entity="tasks")
    row = create(sheaf, acme, "one")
    sheaf.settle()
    for title in ("two", "three"):
        sheaf.http("PATCH", f"/v1/tasks/{row}", {"title": title}, key=acme.key)
    sheaf.http("DELETE", f"/v1/tasks/{row}", key=acme.key)
    sheaf.settle()
    found = events(socket)
    assert [event["sequence"] for event in found] == [1, 2, 3, 4]
    assert [event["data"].get("title") for event in found] == ["one", "two", "three", None]
    assert found[-1]["data"] == {"id": row}
    assert [event["previousEventId"] for event in found[1:]] == [event["id"] for event in found[:-1]]
    assert events(other) == []
    create(sheaf, globex, "theirs")
    sheaf.settle()
    assert (titles(socket), titles(other)) == ([], ["theirs"])


def test_topics_types_filters_and_fields_choose(sheaf: world.World, acme: world.Tenant) -> None:
    row, other = create(sheaf, acme, "row"), create(sheaf, acme, "other")
    sheaf.settle()
    everything = subscribed(sheaf, acme.key)
    one = subscribed(sheaf, acme.key, entity="tasks", row=row)
    created = subscribed(sheaf, acme.key, types=["task.created"])
    urgent = subscribed(sheaf, acme.key, entity="tasks", filter={"priority": {"in": ["high", "urgent"]}}, fields=["title"])
    for each in (row, other):
        sheaf.http("PATCH", f"/v1/tasks/{each}", {"description": "changed"}, key=acme.key)
    create(sheaf, acme, "new", priority="urgent")
    sheaf.http("POST", "/v1/contacts", {"first_name": "A", "last_name": "B", "email": "a@b.example"}, key=acme.key)
    sheaf.settle()
    assert sorted(event["type"] for event in events(everything)) == [
        "contact.created",
        "task.created",
        "task.updated",
        "task.updated",
    ]
    assert [event["data"]["id"] for event in events(one)] == [row]
    assert titles(created) == ["new"]
    [found] = events(urgent)
    assert set(found["data"]) == {"id", "title"}


def test_one_socket_may_have_several_subscriptions(sheaf: world.World, acme: world.Tenant) -> None:
    socket = subscribed(sheaf, acme.key, entity="tasks", id="all")
    socket.say({"action": "subscribe", "entity": "tasks", "id": "urgent", "filter": {"priority": "urgent"}})
    sheaf.settle()
    socket.heard()
    create(sheaf, acme, "a", priority="urgent")
    sheaf.settle()
    [message] = socket.heard()
    assert sorted(entry["id"] for entry in message["events"]) == ["all", "urgent"], "in one message"
    socket.say({"action": "unsubscribe", "id": "all"})
    sheaf.settle()
    assert socket.heard() == [{"type": "unsubscribed", "id": "all"}]
    create(sheaf, acme, "b", priority="urgent")
    sheaf.settle()
    [message] = socket.heard()
    assert [entry["id"] for entry in message["events"]] == ["urgent"]
    socket.say({"action": "subscribe", "entity": "contacts", "id": "urgent"})  # another under the same name
    sheaf.settle()
    create(sheaf, acme, "c", priority="urgent")
    sheaf.settle()
    assert [message["type"] for message in socket.heard()] == ["subscribed"]


# contract: 45
def test_older_names_of_events_are_an_option(sheaf: world.World, acme: world.Tenant) -> None:
    socket = subscribed(sheaf, acme.key, entity="contacts", names="colon")
    sheaf.http("POST", "/v1/contacts", {"first_name": "A", "last_name": "B", "email": "a@b.example"}, key=acme.key)
    sheaf.settle()
    [message] = socket.heard()
    assert message["event"] == "contact:created" and message["data"]["first_name"] == "A" and message["cursor"]


def test_a_new_socket_goes_on_where_the_last_one_ended(sheaf: world.World, acme: world.Tenant) -> None:
    first = subscribed(sheaf, acme.key, entity="tasks")
    create(sheaf, acme, "one")
    sheaf.settle()
    [message] = first.heard()
    first.close()
    for number in range(230):  # more than a page
        sheaf.http("POST", "/v1/tasks", {"title": str(number)}, key=acme.key)
    sheaf.settle()
    again = sheaf.socket(acme.key)
    again.say({"action": "resume", "entity": "tasks", "after": message["cursor"]})
    create(sheaf, acme, "meanwhile")
    sheaf.settle()
    create(sheaf, acme, "live")
    sheaf.settle()
    heard = again.heard()
    found = [entry["event"]["data"]["title"] for each in heard if each["type"] == "events" for entry in each["events"]]
    assert sorted(found[:230], key=int) == [str(number) for number in range(230)]
    assert found[230:] == ["meanwhile", "live"]
    assert "subscribed" in [each["type"] for each in heard]
    log = sheaf.http("GET", f"/v1/events?after={heard[-1]['cursor']}", key=acme.key)
    assert log.data == [], "the cursor is the log's own"


def test_a_gap_is_told(sheaf: world.World, acme: world.Tenant) -> None:
    start = sheaf.http("GET", "/v1/tasks", key=acme.key).headers["X-Event-Cursor"]
    for number in range(8):
        create(sheaf, acme, str(number))
    sheaf.settle()
    with world.later((EVENT_DAYS + 2) * 86_400):
        create(sheaf, acme, "new")
        sheaf.settle()
        socket = sheaf.socket(acme.key)
        socket.say({"action": "resume", "entity": "tasks", "after": start})
        sheaf.settle()
        gap, told = socket.heard()
        assert (gap["type"], gap["id"], told["type"]) == ("gap", "tasks", "subscribed") and gap["oldest"] and gap["cursor"]


@pytest.mark.parametrize(
    ("asked", "code", "field"),
    [
        ("nonsense", "invalid_json", None),
        ("", "invalid_json", None),
        ([], "validation_failed", ""),
        ({}, "validation_failed", "action"),
        ({"action": "odd"}, "validation_failed", "action"),
        ({"action": "subscribe", "entity": "nothing"}, "validation_failed", "entity"),
        ({"action": "subscribe", "entity": "audience_uploads"}, "validation_failed", "entity"),
        ({"action": "subscribe", "entity": 5}, "validation_failed", "entity"),
        ({"action": "subscribe", "entity": "tasks", "row": "x"}, "validation_failed", "row"),
        ({"action": "subscribe", "entity": "tasks", "filter": {"nothing": 1}}, "validation_failed", "filter.nothing"),
        ({"action": "subscribe", "filter": {"status": "todo"}}, "validation_failed", "filter"),
        ({"action": "subscribe", "entity": "tasks", "filter": {"or": [{"title": "x" * 5000}]}}, "validation_failed", "filter"),
        ({"action": "subscribe", "entity": "tasks", "fields": ["nothing"]}, "validation_failed", "fields"),
        ({"action": "subscribe", "entity": "tasks", "types": ["nothing.created"]}, "validation_failed", "types"),
        ({"action": "subscribe", "entity": "tasks", "after": "x" * 30}, "invalid_cursor", None),
        ({"action": "resume", "entity": "tasks"}, "validation_failed", "after"),
        ({"action": "subscribe", "entity": "tasks", "id": "a b"}, "validation_failed", "id"),
        ({"action": "subscribe", "entity": "tasks", "odd": 1}, "validation_failed", "odd"),
        ({"action": "subscribe", "presence": True}, "validation_failed", "presence"),
        ({"action": "subscribe", "names": "dash"}, "validation_failed", "names"),
        ({"action": "subscribe", "channel": "a b"}, "validation_failed", "channel"),
        ({"action": "subscribe", "channel": "room", "filter": {}}, "validation_failed", "filter"),
        ({"action": "unsubscribe"}, "validation_failed", "id"),
        ({"action": "publish", "channel": "room"}, "validation_failed", "data"),
        ({"action": "publish", "data": 1}, "validation_failed", "channel"),
        ({"action": "publish", "channel": "room", "data": "x" * 17_000}, "too_large", None),
        ({"action": "ping", "pad": "x" * 33_000}, "too_large", None),
    ],
)
def test_mistakes_are_told_and_close_nothing(
    sheaf: world.World, acme: world.Tenant, asked: Any, code: str, field: str | None
) -> None:
    socket = sheaf.socket(acme.key)
    assert socket.say(asked) in (400, 413, 422)
    sheaf.settle()
    [told] = socket.heard()
    assert (told["type"], told["code"]) == ("error", code) and told["message"]
    assert field is None or field in told["errors"], told
    if isinstance(asked, dict) and isinstance(asked.get("action"), str) and code != "too_large":
        assert told["action"] == asked["action"]
    socket.say({"action": "ping"})
    assert [message["type"] for message in socket.heard()] == ["pong"]


def test_there_is_a_bound_of_subscriptions(sheaf: world.World, acme: world.Tenant) -> None:
    socket = sheaf.socket(acme.key)
    for number in range(SUBSCRIPTIONS):
        assert socket.say({"action": "subscribe", "entity": "tasks", "id": str(number)}) == 200
    assert socket.say({"action": "subscribe", "entity": "tasks", "id": "more"}) == 429
    assert socket.say({"action": "subscribe", "entity": "contacts", "id": "0"}) == 200, "one that is there may be changed"
    socket.say({"action": "unsubscribe", "id": "1"})
    assert socket.say({"action": "subscribe", "entity": "tasks", "id": "more"}) == 200


def test_messages_come_from_the_callers_window(sheaf: world.World) -> None:
    small = sheaf.tenant("Small", tier="free")
    with sheaf.still():
        socket = sheaf.socket(small.key)
        told = [socket.say({"action": "ping"}) for _ in range(101)]
    assert told.count(200) == 99 and told[-1] == 429
    assert [message["type"] for message in socket.heard()][-1] == "error"


# ---- who sees what ----


def test_every_message_is_authorised_again(sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "ask", lambda *_: None)  # nobody has the sockets looked at
    boss = sheaf.token_of(acme, "boss@acme.example", "admin")
    ann = sheaf.token_of(acme, "ann@acme.example", "admin")
    user = sheaf.http("GET", "/v1/me", key=ann).data["user"]["id"]
    socket = subscribed(sheaf, ann)
    create(sheaf, acme, "one")
    sheaf.http("POST", "/v1/webhooks", {"url": "http://127.0.0.1:1/", "events": ["task.deleted"]}, key=acme.key)
    sheaf.settle()
    assert titles(socket) == ["one"]
    assert sheaf.http("PATCH", f"/v1/admin/users/{user}", {"status": "banned"}, key=boss).status == 200
    create(sheaf, acme, "two")
    sheaf.settle()
    assert titles(socket) == [], "from the ban on nothing is sent"
    assert socket.say({"action": "ping"}) == 401
    assert not socket.is_open


def test_a_narrow_key_is_sent_what_it_may_read(sheaf: world.World, acme: world.Tenant) -> None:
    narrow = sheaf.key(acme, "admin", "contacts:read", "events:read")
    socket = subscribed(sheaf, narrow)
    create(sheaf, acme, "secret")
    sheaf.http("POST", "/v1/contacts", {"first_name": "A", "last_name": "B", "email": "a@b.example"}, key=acme.key)
    sheaf.settle()
    assert [event["type"] for event in events(socket)] == ["contact.created"]
    assert socket.say({"action": "subscribe", "entity": "tasks"}) == 422
    assert socket.say({"action": "subscribe", "channel": "room"}) == 403
    assert socket.say({"action": "publish", "channel": "room", "data": 1}) == 403
    assert sheaf.socket(sheaf.key(acme, "admin", "contacts:read")).say({"action": "subscribe"}) == 403


@pytest.mark.parametrize("how", ["logout", "ban", "key", "tenant"])
def test_sockets_are_closed_soon_after_their_caller_may_not_any_more(sheaf: world.World, acme: world.Tenant, how: str) -> None:
    sheaf.open_site(acme)
    globex = sheaf.tenant("Globex")
    boss, ann = sheaf.token_of(globex, "boss@globex.example", "admin"), sheaf.token_of(globex, "ann@globex.example")
    made = sheaf.http("POST", "/v1/api-keys", {"name": "x"}, key=boss).data
    mine, stays = sheaf.socket(made["key"] if how == "key" else ann), sheaf.socket(acme.key)
    user = sheaf.http("GET", "/v1/me", key=ann).data["user"]["id"]
    on_schedule = world.function("on_schedule")
    on_schedule.AGAIN_SECONDS = 0
    sweep(sheaf)
    assert mine.is_open and stays.is_open
    answer = {
        "logout": lambda: sheaf.http("POST", "/v1/auth/logout", key=ann),
        "ban": lambda: sheaf.http("PATCH", f"/v1/admin/users/{user}", {"status": "banned"}, key=boss),
        "key": lambda: sheaf.http("DELETE", f"/v1/api-keys/{made['id']}", key=boss),
        "tenant": lambda: sheaf.http("PATCH", f"/v1/tenants/{globex.id}", {"status": "disabled"}, key=acme.key),
    }[how]()
    assert answer.status == 200, answer.text
    with world.later(2):
        from sheaf.access import tenants

        tenants.forget()
        sweep(sheaf)
    assert not mine.is_open and stays.is_open


@pytest.mark.parametrize("how", ["logout", "ban", "key"])
def test_subscribers_are_closed_at_once(sheaf: world.World, acme: world.Tenant, how: str) -> None:
    boss, ann = sheaf.token_of(acme, "boss@acme.example", "admin"), sheaf.token_of(acme, "ann@acme.example")
    made = sheaf.http("POST", "/v1/api-keys", {"name": "x"}, key=boss).data
    mine = subscribed(sheaf, made["key"] if how == "key" else ann, entity="tasks")
    stays = subscribed(sheaf, acme.key, entity="tasks")
    user = sheaf.http("GET", "/v1/me", key=ann).data["user"]["id"]
    answer = {
        "logout": lambda: sheaf.http("POST", "/v1/auth/logout", key=ann),
        "ban": lambda: sheaf.http("PATCH", f"/v1/admin/users/{user}", {"status": "banned"}, key=boss),
        "key": lambda: sheaf.http("DELETE", f"/v1/api-keys/{made['id']}", key=boss),
    }[how]()
    assert answer.status == 200, answer.text
    sheaf.settle()
    assert not mine.is_open and stays.is_open


# ---- presence and channels ----


def test_who_is_there_is_told(sheaf: world.World, acme: world.Tenant, globex: world.Tenant) -> None:
    ann, bob = sheaf.token_of(acme, "ann@acme.example"), sheaf.token_of(acme, "bob@acme.example")
    ids = [sheaf.http("GET", "/v1/me", key=token).data["user"]["id"] for token in (ann, bob)]
    topic = {"channel": "room", "presence": True}
    foreign = sheaf.socket(globex.key)
    foreign.say({"action": "subscribe", **topic})
    one = sheaf.socket(ann)
    one.say({"action": "subscribe", **topic})
    sheaf.settle()
    assert one.heard()[0]["members"] == [ids[0]]
    two, again = sheaf.socket(bob), sheaf.socket(bob)
    for socket in (two, again):
        socket.say({"action": "subscribe", **topic})
        sheaf.settle()
    assert two.heard()[0]["members"] == sorted(ids)
    assert one.heard() == [{"type": "presence", "topic": "channel:room", "joined": [ids[1]]}], "once, however many sockets"
    one.say({"action": "presence", "channel": "room"})
    sheaf.settle()
    assert one.heard() == [{"type": "presence", "topic": "channel:room", "members": sorted(ids)}]
    two.close()
    sheaf.settle()
    assert one.heard() == []
    again.close()
    sheaf.settle()
    assert one.heard() == [{"type": "presence", "topic": "channel:room", "left": [ids[1]]}]
    assert [len(message["members"]) for message in foreign.heard()] == [1]


def test_what_is_published_on_a_channel_reaches_its_subscribers(
    sheaf: world.World, acme: world.Tenant, globex: world.Tenant
) -> None:
    ann = sheaf.token_of(acme, "ann@acme.example")
    one, other, foreign = (
        subscribed(sheaf, ann, channel="room"),
        subscribed(sheaf, ann, channel="hall"),
        subscribed(sheaf, globex.key, channel="room"),
    )
    silent = subscribed(sheaf, acme.key, entity="tasks")
    one.say({"action": "publish", "channel": "room", "data": {"text": "hello"}})
    for number in range(5):
        one.say({"action": "publish", "channel": "room", "data": number})
    sheaf.settle()
    heard = one.heard()
    assert [message["type"] for message in heard].count("published") == 6
    found = [message for message in heard if message["type"] == "message"]
    assert [message["data"] for message in found] == [{"text": "hello"}, 0, 1, 2, 3, 4]
    assert set(found[0]) == {"type", "id", "channel", "from", "at", "data"} and found[0]["from"].startswith("usr_")
    assert other.heard() == foreign.heard() == silent.heard() == []


# ---- trouble ----


def test_a_socket_that_has_vanished_is_forgotten(sheaf: world.World, acme: world.Tenant) -> None:
    gone, there = subscribed(sheaf, acme.key, entity="tasks"), subscribed(sheaf, acme.key, entity="tasks")
    gone.vanish()
    create(sheaf, acme, "one")
    sheaf.settle()
    assert titles(there) == ["one"]
    items = json.dumps(aws.client("dynamodb").scan(TableName="LimitsTable")["Items"])
    assert gone.id not in items and there.id in items


def test_nothing_is_read_or_sent_for_a_tenant_without_sockets(sheaf: world.World, acme: world.Tenant) -> None:
    socket = subscribed(sheaf, acme.key, entity="tasks")
    socket.close()
    sheaf.settle()
    create(sheaf, acme, "one")
    sheaf.settle()
    create(sheaf, acme, "two")
    for records in (sheaf.changes(),):
        world.function("on_change").handler({"Records": records}, world.CONTEXT)
    assert sheaf.messages("SocketsQueue.fifo") == []


def test_a_socket_that_takes_nothing_is_closed(sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client cannot know what it has missed, so it has to come again and say where it was."""
    from sheaf.base.errors import Unavailable
    from sheaf.store import sockets as wires

    slow, well = subscribed(sheaf, acme.key, entity="tasks"), subscribed(sheaf, acme.key, entity="tasks")
    post = wires.post

    def posted(connection: str, text: str) -> None:
        if connection == slow.id:
            raise Unavailable("it takes no messages")
        post(connection, text)

    monkeypatch.setattr(wires, "post", posted)
    create(sheaf, acme, "one")
    sheaf.settle()
    assert titles(well) == ["one"] and not slow.is_open


def test_only_matching_sockets_are_sent_to(sheaf: world.World, acme: world.Tenant, globex: world.Tenant) -> None:
    wanted = [subscribed(sheaf, acme.key, entity="tasks", filter={"priority": "urgent"}) for _ in range(3)]
    others = [subscribed(sheaf, acme.key, entity=name) for name in ("contacts", "posts")] + [subscribed(sheaf, globex.key)]
    before = {socket.id: len(world.sockets()[socket.id].data) for socket in (*wanted, *others)}
    for number in range(5):
        create(sheaf, acme, str(number), priority="urgent")
    create(sheaf, acme, "low", priority="low")
    sheaf.settle()
    touched = {each for each, size in before.items() if len(world.sockets()[each].data) > size}
    assert touched == {socket.id for socket in wanted}
    for socket in wanted:
        [message] = socket.heard()  # five events at once
        assert len(message["events"]) == 5
