"""The event log and its streams, black box: what is told, to whom, in which order, and what is never told."""

import json
import re
from typing import Any

import pytest

import world
from live import change, create, frames, walk
from sheaf.base.bounds import EVENT_DAYS
from sheaf.features.realtime import cursors
from sheaf.records import journal
from sheaf.store import aws, table


def stream(sheaf: world.World, key: str, path: str = "", last: str = "", **headers: str) -> tuple[list[dict[str, Any]], str]:
    answer = sheaf.http("GET", f"/v1/stream{path}", key=key, headers={**({"Last-Event-ID": last} if last else {}), **headers})
    assert answer.status == 200, answer.text
    found, following, _ = frames(answer.text)
    return found, following


# ---- the log ----


def test_every_change_is_in_the_log_once_and_in_the_order_of_its_row(sheaf: world.World, acme: world.Tenant) -> None:
    rows = [create(sheaf, acme, str(number)) for number in range(7)]
    for row in rows:
        change(sheaf, acme, row, title="changed")
    sheaf.http("DELETE", f"/v1/tasks/{rows[0]}", key=acme.key)
    sheaf.settle()
    found, after = walk(sheaf, acme.key)
    assert len({event["id"] for event in found}) == len(found) == 15
    for row in rows:
        mine = [event for event in found if event["data"]["id"] == row]
        assert [event["sequence"] for event in mine] == list(range(1, len(mine) + 1))
        assert [event["previousEventId"] for event in mine[1:]] == [event["id"] for event in mine[:-1]]
    first = found[0]
    assert set(first) == {"id", "type", "createdAt", "tenant", "sequence", "previousEventId", "data"}
    assert first["data"]["title"] in "0123456" and first["tenant"] == acme.id
    [deleted] = [event for event in found if event["type"] == "task.deleted"]
    assert deleted["data"] == {"id": rows[0]}, "a deletion carries the id only"
    create(sheaf, acme, "later")
    assert walk(sheaf, acme.key, after=after)[0] == [], "nothing is told before it is followed"
    sheaf.settle()
    more, _ = walk(sheaf, acme.key, after=after)
    assert [event["data"]["title"] for event in more] == ["later"]
    assert walk(sheaf, acme.key, after=after) == walk(sheaf, acme.key, after=after), "a cursor can be used again"


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_pages_of_any_size_hold_the_same(sheaf: world.World, acme: world.Tenant, limit: int) -> None:
    for number in range(9):
        create(sheaf, acme, str(number))
    sheaf.settle()
    found, _ = walk(sheaf, acme.key, limit=limit)
    assert sorted(event["data"]["title"] for event in found) == list("012345678")


def test_events_that_a_change_is_besides_come_one_by_one(sheaf: world.World, acme: world.Tenant) -> None:
    """A page may end between the events of one change."""
    made = sheaf.http("POST", "/v1/videos", {"title": "a", "url": "https://example.com/a.mp4"}, key=acme.key)
    assert made.status == 201, made.text
    sheaf.settle()
    found, _ = walk(sheaf, acme.key, limit=1)
    assert [event["type"] for event in found] == ["video.created", "video.uploaded"]
    assert len({event["id"] for event in found}) == 2


def test_types_entities_rows_filters_and_fields_choose(sheaf: world.World, acme: world.Tenant) -> None:
    todo, done = create(sheaf, acme, "a", priority="high"), create(sheaf, acme, "b", status="completed")
    contact = {"first_name": "A", "last_name": "B", "email": "a@b.example"}
    assert sheaf.http("POST", "/v1/contacts", contact, key=acme.key).status == 201
    change(sheaf, acme, todo, status="completed")
    sheaf.settle()

    def kinds(query: str) -> list[str]:
        return sorted(event["type"] for event in walk(sheaf, acme.key, query)[0])

    assert kinds("&types=task.created") == ["task.created"] * 2
    assert kinds("&types=task.*,contact.*") == ["contact.created", "task.created", "task.created", "task.updated"]
    assert kinds("&entity=contacts") == ["contact.created"]
    assert kinds("&entity=contacts,tasks") == ["contact.created", "task.created", "task.created", "task.updated"]
    assert kinds(f"&entity=tasks&row={todo}") == ["task.created", "task.updated"]
    assert kinds("&entity=tasks&status=completed") == ["task.created", "task.updated"]
    assert kinds("&entity=tasks&priority[in]=high,urgent") == ["task.created", "task.updated"]
    assert kinds('&entity=tasks&filter={"status":"todo"}') == ["task.created", "task.updated"], (
        "what leaves a filter is told, too"
    )
    found, _ = walk(sheaf, acme.key, f"&entity=tasks&fields=title&row={done}")
    assert [event["data"] for event in found] == [{"id": done, "title": "b"}]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("types=nothing.created", "types"),
        ("types=TASK", "types"),
        ("entity=nothing", "entity"),
        ("entity=audience_uploads", "entity"),
        ("entity=tasks&row=nonsense", "row"),
        ("row=tsk_01h00000000000000000000000", "row"),
        ("entity=tasks&fields=nothing", "fields"),
        ("fields=title", "fields"),
        ("status=completed", "status"),
        ("entity=tasks,contacts&status=completed", "status"),
        ("entity=tasks&nothing=1", "nothing"),
        ("entity=tasks&filter={", "filter"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("wait=21", "wait"),
        ("wait=x", "wait"),
        ("profile=canonical", "profile"),
    ],
)
def test_mistakes_are_named(sheaf: world.World, acme: world.Tenant, query: str, field: str) -> None:
    answer = sheaf.http("GET", f"/v1/events?{query}", key=acme.key)
    assert answer.status == 400 and field in answer.json["errors"], answer.text


def test_damaged_and_foreign_cursors_are_refused(sheaf: world.World, acme: world.Tenant, globex: world.Tenant) -> None:
    create(sheaf, acme)
    sheaf.settle()
    _, after = walk(sheaf, acme.key)
    for wrong in ("x", "0" * 30, after[:-2], after[:-1] + ("A" if after[-1] != "A" else "B"), "é" * 20):
        answer = sheaf.http("GET", f"/v1/events?after={wrong}", key=acme.key)
        assert (answer.status, answer.json["code"]) == (400, "invalid_cursor")
    assert sheaf.http("GET", f"/v1/events?after={after}", key=globex.key).json["code"] == "invalid_cursor"


def test_a_list_says_at_which_place_it_was_read(sheaf: world.World, acme: world.Tenant, globex: world.Tenant) -> None:
    for path in ("tasks", "uploads", "jobs", "webhooks", "admin/users"):
        empty = sheaf.http("GET", f"/v1/{path}", key=acme.key).headers["X-Event-Cursor"]
        assert walk(sheaf, acme.key, after=empty)[0] == []
    create(sheaf, globex)
    create(sheaf, acme, "before")
    sheaf.settle()
    cursors.forget()
    listed = sheaf.http("GET", "/v1/tasks", key=acme.key)
    create(sheaf, acme, "after")
    sheaf.settle()
    assert [row["title"] for row in listed.data] == ["before"]
    more, _ = walk(sheaf, acme.key, after=listed.headers["X-Event-Cursor"])
    assert [event["data"]["title"] for event in more] == ["after"]
    inner = [{"id": "l", "method": "GET", "path": "/tasks"}]
    [answer] = sheaf.http("POST", "/v1/batch", {"requests": inner}, key=acme.key).json["responses"]
    assert answer["headers"]["X-Event-Cursor"]


def test_a_gap_is_told_and_never_silent(sheaf: world.World, acme: world.Tenant) -> None:
    for number in range(6):
        create(sheaf, acme, str(number))
    sheaf.settle()
    _, after = walk(sheaf, acme.key)
    start = sheaf.http("GET", "/v1/events?limit=1", key=acme.key).json["meta"]["nextCursor"]
    with world.later((EVENT_DAYS + 2) * 86_400):
        assert walk(sheaf, acme.key, after=after)[0] == [], "nothing was lost behind the last event"
        create(sheaf, acme, "new")
        sheaf.settle()
        gone = sheaf.http("GET", f"/v1/events?after={start}", key=acme.key)
        assert (gone.status, gone.json["code"]) == (410, "events_gone")
        assert [event["data"]["title"] for event in walk(sheaf, acme.key)[0]] == ["new"], "without a cursor: what is kept"
        assert [e["data"]["title"] for e in walk(sheaf, acme.key, after=gone.json["oldest"])[0]] == ["new"]
        assert walk(sheaf, acme.key, after=gone.json["latest"])[0] == []
        told, last = stream(sheaf, acme.key, "/tasks", last=start)
        assert [frame["type"] for frame in told] == ["gap"] and "oldest" in told[0]
        assert [frame["type"] for frame in stream(sheaf, acme.key, "/tasks", last=last)[0]] == ["connected"]
        [_, event] = stream(sheaf, acme.key, f"/tasks?after={told[0]['oldest']}")[0]
        assert event["task"]["title"] == "new"
    ahead = cursors.text_of(acme.setup, tuple(place + 800 for place in journal.heads(acme.setup).position))
    assert sheaf.http("GET", f"/v1/events?after={ahead}", key=acme.key).status == 410, "a log that begins anew"
    assert [frame["type"] for frame in stream(sheaf, acme.key, last="nonsense")[0]] == ["gap"]


def test_old_days_are_forgotten_by_the_head(sheaf: world.World, acme: world.Tenant) -> None:
    for day in range(0, 30, 3):
        with world.later(day * 86_400):
            row = create(sheaf, acme, str(day))
            sheaf.settle()
    items = [table.decode(item) for item in aws.client("dynamodb").scan(TableName="EventsTable")["Items"]]
    heads = [item for item in items if item["pk"] == f"{acme.id}#tracks"]
    assert sum(head["n"] for head in heads) == 11 and all(
        len(head["days"]) <= 4 for head in heads
    )  # ten rows, and the key that was made
    assert row


# ---- who sees what ----


def test_nobody_is_told_of_what_they_may_not_read(sheaf: world.World, acme: world.Tenant, globex: world.Tenant) -> None:
    create(sheaf, acme, "ours")
    sheaf.http("POST", "/v1/webhooks", {"url": "http://127.0.0.1:1/", "events": ["*"]}, key=acme.key)
    user = sheaf.key(acme, "user")
    own = sheaf.http("POST", "/v1/tasks/export", {"format": "csv"}, key=sheaf.key(acme, "moderator"))
    assert own.status == 202
    sheaf.settle()
    assert walk(sheaf, globex.key)[0] == []
    types = {event["type"] for event in walk(sheaf, acme.key)[0]}
    assert {"task.created", "job.succeeded"} <= types
    assert {event["type"] for event in walk(sheaf, user)[0]} == {"task.created"}, "another one's job is nobody's business"
    narrow = sheaf.key(acme, "admin", "contacts:read", "events:read")
    assert walk(sheaf, narrow)[0] == []
    assert sheaf.http("GET", "/v1/events", key=sheaf.key(acme, "admin", "contacts:read")).status == 403
    assert sheaf.http("GET", "/v1/stream/tasks", key=narrow).status == 403
    assert sheaf.http("GET", "/v1/events?entity=tasks", key=narrow).json["errors"] == {
        "entity": "there is no entity 'tasks' that you may read"
    }
    assert sheaf.http("GET", "/v1/stream/nothing", key=acme.key).status == 404
    assert sheaf.http("GET", "/v1/events").status == 401


def test_hidden_fields_are_told_to_nobody(sheaf: world.World, acme: world.Tenant) -> None:
    gadget = sheaf.user(acme, "ann@acme.example")
    sheaf.settle()
    found, _ = walk(sheaf, acme.key, "&entity=users")
    assert {event["data"]["id"] for event in found} == {gadget} and "password" not in json.dumps(found).lower()


# ---- streams ----


# contract: 17, 18
def test_a_stream_answers_as_its_older_client_expects(sheaf: world.World, acme: world.Tenant) -> None:
    answer = sheaf.http("GET", "/v1/stream/tasks", key=acme.key)
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["Cache-Control"] == "no-cache" and answer.headers["Connection"] == "keep-alive"
    told, last, retry = frames(answer.text)
    assert told == [{"type": "connected"}] and retry == 15_000, "where no request is held, the client comes again later"
    assert re.search(r'^data: \{"type":"connected"\}$', answer.text, re.M)
    row = create(sheaf, acme, "a")
    change(sheaf, acme, row, title="b")
    sheaf.http("DELETE", f"/v1/tasks/{row}", key=acme.key)
    sheaf.settle()
    told, last = stream(sheaf, acme.key, "/tasks", last=last)
    assert told[0] == {"type": "connected"}
    created, updated, deleted = told[1:]
    assert (created["type"], created["task"]["title"], set(created)) == ("task.created", "a", {"type", "task"})
    assert (updated["type"], updated["task"]["title"], updated["task"]["version"]) == ("task.updated", "b", 2)
    assert deleted == {"type": "task.deleted", "taskId": row}
    assert stream(sheaf, acme.key, "/tasks", last=last)[0] == [{"type": "connected"}]


def test_a_stream_has_a_canonical_shape_too(sheaf: world.World, acme: world.Tenant) -> None:
    start = stream(sheaf, acme.key)[1]
    contact = {"first_name": "A", "last_name": "B", "email": "a@b.example"}
    sheaf.http("POST", "/v1/contacts", contact, key=acme.key)
    create(sheaf, acme)
    sheaf.settle()
    all_, _ = stream(sheaf, acme.key, last=start)
    assert sorted(frame["type"] for frame in all_) == ["connected", "contact.created", "task.created"]
    assert {"id", "sequence", "previousEventId", "data"} <= set(all_[1])
    for path, headers in (("/tasks?profile=canonical", {}), ("/tasks", {"Prefer": "profile=canonical"})):
        told, _ = stream(sheaf, acme.key, path, last=start, **headers)
        assert [frame["type"] for frame in told[1:]] == ["task.created"] and told[1]["data"]["title"] == "x"
    second = frames(sheaf.http("GET", f"/v2/stream/contacts?after={start}", key=acme.key).text)[0]
    assert second[1]["data"]["firstName"] == "A" and "first_name" not in second[1]["data"]
    assert frames(sheaf.http("GET", f"/v2/stream/contacts?after={start}&firstName=B", key=acme.key).text)[0][1:] == []
    assert sheaf.http("GET", "/v1/stream/tasks?profile=odd", key=acme.key).json["errors"] == {"profile": "must be canonical"}
    assert sheaf.http("GET", "/v1/stream?status=completed", key=acme.key).status == 400


def test_an_id_moves_on_past_events_that_are_not_wanted(sheaf: world.World, acme: world.Tenant) -> None:
    start = stream(sheaf, acme.key)[1]
    for number in range(5):
        create(sheaf, acme, str(number))
    sheaf.settle()
    told, last = stream(sheaf, acme.key, "/contacts", last=start)
    assert told == [{"type": "connected"}] and last != start
    assert last == stream(sheaf, acme.key)[1]


def test_a_ticket_opens_one_stream_and_goes_on_for_it(sheaf: world.World, acme: world.Tenant) -> None:
    token = sheaf.token_of(acme, "ann@acme.example")

    def ticket() -> str:
        return str(sheaf.http("POST", "/v1/auth/tickets", key=token).data["ticket"])

    one = ticket()
    path = f"/v1/stream/tasks?ticket={one}"
    opened = sheaf.http("GET", path)
    _, last, _ = frames(opened.text)
    assert opened.status == 200 and "." in last
    assert sheaf.http("GET", path).status == 401, "the address alone opens nothing again"
    assert sheaf.http("GET", f"/v1/me?ticket={one}").status == 401, "nor anything else"
    other = frames(sheaf.http("GET", f"/v1/stream/tasks?ticket={ticket()}").text)[1]
    assert sheaf.http("GET", path, headers={"Last-Event-ID": other}).status == 401, "nor what another stream was sent"
    assert sheaf.http("GET", path, headers={"Last-Event-ID": last.partition(".")[0]}).status == 401


def test_a_stream_of_a_ticket_ends_with_its_session(sheaf: world.World, acme: world.Tenant) -> None:
    token = sheaf.token_of(acme, "ann@acme.example")
    path = f"/v1/stream/tasks?ticket={sheaf.http('POST', '/v1/auth/tickets', key=token).data['ticket']}"
    last = frames(sheaf.http("GET", path).text)[1]
    row = create(sheaf, acme)
    sheaf.settle()
    answer = sheaf.http("GET", path, headers={"Last-Event-ID": last})
    told, last, _ = frames(answer.text)
    assert [frame.get("task", {}).get("id") for frame in told] == [None, row]
    with world.later(13 * 3600):
        assert sheaf.http("GET", path, headers={"Last-Event-ID": last}).status == 401
    assert sheaf.http("POST", "/v1/auth/logout", key=token).status == 200
    assert sheaf.http("GET", path, headers={"Last-Event-ID": last}).status == 401


def test_a_cookie_opens_a_stream(sheaf: world.World, acme: world.Tenant) -> None:
    sheaf.user(acme, "ann@acme.example")
    body = {"email": "ann@acme.example", "password": "correct horse battery", "rememberMe": True}
    cookie = sheaf.http("POST", "/v1/auth/login", body).headers["Set-Cookie"].partition(";")[0]
    answer = sheaf.http("GET", "/v1/stream/tasks", headers={"Cookie": cookie})
    assert frames(answer.text)[0] == [{"type": "connected"}]
