"""What reviews found in batches and GraphQL, one test each."""

import time
from typing import Any

import pytest
from test_batch import call

import world
from gadgets import Api
from sheaf import Entity, ValidationFailed, field
from sheaf.edge.api import Api as Door
from sheaf.edge.envelope import Reply
from sheaf.edge.graphql import loading, run
from sheaf.entity import registry
from sheaf.entity.registry import entity_type
from sheaf.store import table

POST = {"title": "A post", "content": "Ten letters and more"}


@pytest.fixture
def api(sheaf: world.World, acme: world.Tenant) -> Api:
    return Api(sheaf, acme.key)


def batch(api: Api, *requests: dict[str, Any], **headers: str) -> dict[str, Any]:
    answer = api("POST", "/v1/batch", {"requests": list(requests)}, **headers)
    assert answer.status == 200, answer.text
    return {each["id"]: each for each in answer.json["responses"]}


def statuses(found: dict[str, Any]) -> list[int]:
    return [each["status"] for each in found.values()]


def ask(api: Api, query: str, **variables: Any) -> world.Answer:
    return api("POST", "/v1/graphql", {"query": query, "variables": variables})


def chain(api: Api, length: int) -> str:
    post = api("POST", "/v2/posts", POST).data["id"]
    above = None
    for number in range(length):
        above = api("POST", "/v1/comments", {"post": post, "content": str(number), "parent": above}).data["id"]
    return str(above)


# ---- GraphQL ----

DEEP = "id parent { id parent { id parent { id } } }"


@pytest.mark.parametrize("same", [False, True])
def test_an_error_beside_a_row_that_others_wait_for_takes_only_its_own_field(api: Api, same: bool) -> None:
    """It once hung the process, or ended it: giving up one field took the row from the others."""
    one = chain(api, 4)
    two = one if same else chain(api, 4)
    query = f'{{ b: comment(id: "{two}") {{ {DEEP} }} a: comment(id: "{one}") {{ {DEEP} commentsViaParent(first: 1, last: 1) {{ nodes {{ id }} }} }} }}'
    started = time.monotonic()
    answer = ask(api, query)
    assert answer.status == 200 and time.monotonic() - started < 5
    assert answer.json["data"]["a"] is None and answer.json["data"]["b"]["parent"]["parent"]["parent"]["id"]
    assert [error["extensions"]["code"] for error in answer.json["errors"]] == ["invalid_parameter"]


def test_nothing_goes_on_behind_an_answer(
    sheaf: world.World, acme: world.Tenant, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = sheaf.user(acme, "ann@acme.example")
    for number in range(4):
        api("POST", "/v1/tasks", {"title": str(number), "assignee": ann})
    query = ("query($f: TaskOrderField = title) { users(first: 1) { nodes { tasksViaAssignee(first: 3) { nodes { assignee { tasksViaAssignee(first: 3) "
             "{ nodes { id } } } } } } } tasks(first: 1, orderBy: [{field: $f}]) { nodes { id } } }")  # fmt: skip
    answer = ask(api, query, f=None)
    assert answer.json["errors"]
    calls: list[str] = []
    real = table.call
    monkeypatch.setattr(table, "call", lambda name, **given: (calls.append(name), real(name, **given))[1])
    other = sheaf.tenant("Other")
    calls.clear()
    assert sheaf.http("POST", "/v1/graphql", {"query": "{ __typename }"}, key=other.key).status == 200
    time.sleep(0.3)
    assert not {"query", "batch_get_item"} & set(calls), calls


@pytest.mark.parametrize("size", [40, 40.0, "40", True])
def test_a_size_costs_the_same_however_it_is_written(api: Api, size: Any) -> None:
    query = ("query($n: Int) { tasks(first: $n) { nodes { assignee { tasksViaAssignee(first: $n) { nodes { id } } } } } }")  # fmt: skip
    answer = ask(api, query, n=size)
    assert answer.status == 400 and "data" not in answer.json


def test_an_answer_is_not_built_beyond_its_bound(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    real = loading.Work.__init__
    monkeypatch.setattr(loading.Work, "__init__", lambda work, request: real(work, request, room=100_000))
    long = {**POST, "content": "x" * 9_000}
    post = api("POST", "/v2/posts", long).data["id"]
    for number in range(8):
        api("POST", "/v1/comments", {"post": post, "content": str(number)})
    query = "{ comments(first: 8) { nodes { post { " + " ".join(f"a{n}: content" for n in range(30)) + " } } } }"
    answer = ask(api, query)
    assert (answer.status, answer.json["errors"][0]["extensions"]["code"]) == (413, "too_large")
    made = ask(
        api,
        f'mutation {{ createComment(input: {{post: "{post}", content: "new"}}) {{ post {{ {" ".join(f"a{n}: content" for n in range(30))} }} }} }}',
    )
    assert made.status == 413 and made.json["errors"][0]["extensions"]["completed"] == ["createComment"]


@pytest.mark.parametrize("literal", ["1" * 51, "9" * 400, "1e999", "[" * 40 + "1" + "]" * 40, "9" * 5_000])
def test_values_in_a_document_have_the_bounds_of_a_body(api: Api, literal: str) -> None:
    for query in (f'mutation {{ createVideo(input: {{title: "x", durationSeconds: {literal}}}) {{ id }} }}',
                  f"{{ videos(filter: {{durationSeconds: {literal}}}) {{ nodes {{ id }} }} }}"):  # fmt: skip
        answer = ask(api, query)
        told = answer.json["errors"][0]["extensions"]
        assert told["status"] in (400, 422) and told["code"] != "internal_error", answer.text
    assert api("GET", "/v1/videos").data == []
    whole = ask(api, "query($f: VideoFilter) { videos(filter: $f) { nodes { id } } }", f={"durationSeconds": {"ge": 10}})
    assert whole.json["data"] == {"videos": {"nodes": []}}


class Deep(Entity, prefix="dee"):
    """Holds anything."""

    held: dict[str, Any]
    parts: list[str] = field(default_factory=list, ref="deeps", max_length=300)


def test_a_value_that_is_put_together_is_bounded_as_a_whole(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._known, "deeps", entity_type(Deep, "deeps"))
    made = run.describe.schema([registry.find("deeps")], run.Running())  # type: ignore[attr-defined]
    monkeypatch.setattr(run, "schema", lambda: made)
    run._prepared.cache_clear()
    inner: Any = 1
    for _ in range(20):
        inner = {"a": inner}
    literal = "{a: " * 20 + "$v" + "}" * 20
    answer = ask(api, f"mutation($v: JSON) {{ createDeep(input: {{held: {literal}}}) {{ id }} }}", v=inner)
    assert "nested deeper" in answer.text, answer.text
    assert api("GET", "/v1/deeps").data == []
    one = api("POST", "/v1/deeps", {"held": {}}).data["id"]
    dear = ask(api, f'{{ deep(id: "{one}") {{ parts {{ parts {{ id }} }} }} }}')
    assert dear.json["errors"][0]["extensions"]["code"] == "query_too_complex"
    run._prepared.cache_clear()


def test_a_direction_may_be_null(api: Api) -> None:
    assert ask(api, "{ tasks(orderBy: [{field: title, direction: null}]) { nodes { id } } }").json["data"] == {
        "tasks": {"nodes": []}
    }


def test_the_list_of_operations_leaves_their_texts_out(api: Api) -> None:
    made = api("POST", "/v1/graphql/operations", {"query": "query Q { __typename }"}).data
    assert "query" not in api("GET", "/v1/graphql/operations").data[0]
    assert api("GET", f"/v1/graphql/operations/{made['id']}").data == made
    assert api("GET", "/v1/graphql/operations/zz").status == 404


# ---- batches ----


def test_a_replay_tells_what_was_done_though_all_has_moved_on(sheaf: world.World, api: Api) -> None:
    one, two = (api("POST", "/v1/tasks", {"title": title}).data["id"] for title in "ab")
    asked = [
        call("list", "GET", "/tasks?status=todo&limit=1"),
        call("patch", "PATCH", "/tasks/@{list.body.0.id}", {"status": "completed"}),
        call("get", "GET", f"/tasks/{one}"),
        call("gone", "DELETE", f"/tasks/{one}", dependsOn=["get"]),
        call("g1", "PATCH", "/tasks/@{list.body.0.id}", {"title": "grouped"}, atomicityGroup="g", dependsOn=["patch", "gone"]),
        call("g2", "POST", "/tasks", {"title": "of @{g1.body.title}"}, atomicityGroup="g"),
    ]
    first = batch(api, *asked, Idempotency_Key="k")
    assert statuses(first) == [200, 200, 200, 200, 200, 201], first
    sheaf.settle()
    again = batch(api, *asked, Idempotency_Key="k")
    for name in ("patch", "gone", "g1", "g2"):
        assert again[name]["body"] == first[name]["body"] and again[name]["headers"]["Idempotent-Replayed"] == "true", again[name]
    assert again["get"]["status"] == 404 and api("GET", f"/v1/tasks/{two}").data["version"] == 3
    assert len(api("GET", "/v1/tasks").data) == 2


def test_references_stand_for_a_bounded_number_of_bytes(api: Api) -> None:
    api("POST", "/v1/tasks/bulk", {"items": [{"title": "T", "description": "y" * 9_000}] * 20})
    bodies: list[Any] = [{"title": "x", "description": ["@{a.body}"] * 1_000}, {"title": "@{a.body.0.description}" * 2_000}]
    for body in bodies:
        found = batch(api, call("a", "GET", "/tasks"), call("b", "POST", "/tasks", body))
        assert (found["b"]["status"], found["b"]["body"]["code"]) == (413, "too_large")
    long = "&".join(f"p{number}=@{{a.body.0.description}}" for number in range(9))
    found = batch(api, call("a", "GET", "/tasks"), call("b", "GET", f"/tasks?{long}"))
    assert found["b"]["status"] == 413


def test_a_group_knows_what_it_makes_and_deletes(api: Api) -> None:
    post = api("POST", "/v2/posts", POST).data["id"]
    wrong = batch(
        api,
        call("a", "POST", "/contacts", {"first_name": "A", "last_name": "B", "email": "a@b.example"}, atomicityGroup="g"),
        call("b", "POST", "/tasks", {"title": "x", "assignee": "@{a.body.id}"}, atomicityGroup="g"),
    )
    assert statuses(wrong) == [424, 422] and "assignee" in wrong["b"]["body"]["errors"]
    dangling = batch(
        api,
        call("a", "DELETE", f"/v2/posts/{post}", atomicityGroup="g"),
        call("b", "POST", "/comments", {"post": post, "content": "x"}, atomicityGroup="g"),
    )
    assert statuses(dangling) == [424, 422] and api("GET", f"/v2/posts/{post}").status == 200
    gone = api("POST", "/v2/posts", POST).data["id"]
    api("DELETE", f"/v2/posts/{gone}")
    back = batch(
        api,
        call("a", "POST", f"/v2/posts/{gone}/restore", atomicityGroup="g"),
        call("b", "POST", "/comments", {"post": gone, "content": "x"}, atomicityGroup="g"),
    )
    assert statuses(back) == [200, 201]


def test_writes_that_point_to_a_row_keep_their_order_with_its_own(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever is slower."""
    real = table.call

    def slow(name: str, **given: Any) -> Any:
        time.sleep(0.05 if name in ("transact_write_items", "put_item") else 0)
        return real(name, **given)

    monkeypatch.setattr(table, "call", slow)
    for order, expected in (("delete first", [200, 422]), ("comment first", [201, 200])):
        post = api("POST", "/v2/posts", POST).data["id"]
        pair = [
            call("delete", "DELETE", f"/v2/posts/{post}"),
            call("comment", "POST", "/comments", {"post": post, "content": "x"}),
        ]
        assert statuses(batch(api, *(pair if order == "delete first" else pair[::-1]))) == expected, order


def test_a_forward_reference_leaves_the_rest_in_order(api: Api) -> None:
    x, y = (api("POST", "/v1/tasks", {"title": title}).data["id"] for title in "xy")
    found = batch(
        api,
        call("w", "PATCH", f"/tasks/{x}", {"title": "of @{n.body.title}"}),
        call("r", "GET", f"/tasks/{x}"),
        call("n", "GET", f"/tasks/{y}"),
    )
    assert found["r"]["body"]["title"] == "of y"


def test_references_may_be_percent_encoded(api: Api) -> None:
    found = batch(
        api,
        call("b", "GET", "/tasks/%40%7Ba.body.id%7D"),
        call("c", "GET", "/tasks?title=%40%7Ba.body.title%7D"),
        call("d", "GET", "/tasks?title=%40%40%7Bx"),
        call("a", "POST", "/tasks", {"title": "x"}),
    )
    assert statuses(found) == [200, 200, 200, 201] and found["c"]["body"][0]["id"] == found["a"]["body"]["id"]
    for path in ("/tasks/%40%7Bhello", "/tasks?title=%40%7Bhello", "/tasks/@{a.body.x/y}"):
        asked = {"requests": [call("a", "POST", "/tasks", {"title": "x"}), call("b", "GET", path)]}
        assert "cannot be read" in api("POST", "/v1/batch", asked).json["errors"]["requests.1.path"]


def test_what_cannot_be_tried_dry_is_not_run(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    door, ran = Door(), []
    door.post("/v1/tasks/<row_id>/ping", permission="tasks:update")(lambda request, row_id: (ran.append(row_id), Reply({}))[1])
    inside = world.function("batch").inside
    monkeypatch.setattr(inside.router, "_rules", {**inside.router._rules, 4: [*inside.router._rules[4], *door.router._rules[4]]})
    found = batch(api, call("a", "POST", "/tasks/x/ping", headers={"Prefer": "dry-run"}), call("b", "POST", "/tasks/x/ping"))
    assert statuses(found) == [400, 200] and ran == ["x"]


def test_what_lies_below_a_row_and_searches_run_in_a_batch_and_in_graphql(sheaf: world.World, api: Api) -> None:
    task = api("POST", "/v1/tasks", {"title": "Water the plants"}).data["id"]
    sheaf.settle()
    found = batch(api, call("h", "GET", f"/tasks/{task}/history"), call("s", "GET", "/tasks?search=water"))
    assert [each["type"] for each in found["h"]["body"]] == ["task.created"] and found["s"]["body"][0]["id"] == task
    assert ask(api, '{ tasks(search: "plants") { nodes { id } } }').json["data"] == {"tasks": {"nodes": [{"id": task}]}}


def test_an_endpoint_whose_answer_is_kept_gives_its_key_back_when_it_refuses(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    door, tries = Door(), []

    def flaky(request: Any, row_id: str) -> Reply:
        tries.append(row_id)
        if len(tries) == 1:
            raise ValidationFailed("not yet")
        return Reply({"tries": len(tries)})

    door.post("/v1/tasks/<row_id>/ping", permission="tasks:update", remember=True)(flaky)
    inside = world.function("batch").inside
    monkeypatch.setattr(inside.router, "_rules", {**inside.router._rules, 4: [*inside.router._rules[4], *door.router._rules[4]]})
    asked = call("a", "POST", "/tasks/x/ping", headers={"Idempotency-Key": "k"})
    assert [batch(api, asked)["a"]["status"] for _ in range(3)] == [422, 200, 200] and len(tries) == 2


def test_a_failing_shared_read_fails_nothing_else(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (api("POST", "/v1/tasks", {"title": title}).data["id"] for title in "ab")
    from sheaf.base.errors import Unavailable
    from sheaf.edge.batch import run as running

    def refuse(*_: Any) -> Any:
        raise Unavailable("The database is busy; try again")

    monkeypatch.setattr(running, "by_id", refuse)
    found = batch(
        api, call("w", "POST", "/tasks", {"title": "w"}), call("a", "GET", f"/tasks/{one}"), call("b", "GET", f"/tasks/{two}")
    )
    assert statuses(found) == [201, 200, 200]


@pytest.mark.parametrize("verb", ["POST", "PATCH"])
def test_a_group_of_one_whose_answer_is_lost_takes_effect_once(api: Api, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    task = api("POST", "/v1/tasks", {"title": "x"}).data["id"]
    real = table.call

    def twice(name: str, **given: Any) -> Any:
        if name == "put_item":
            real(name, **given)  # its answer is lost, and the client library sends it again
        return real(name, **given)

    monkeypatch.setattr(table, "call", twice)
    asked = call("a", verb, "/tasks" if verb == "POST" else f"/tasks/{task}", {"title": "y"}, atomicityGroup="g")
    if verb == "PATCH":
        asked["headers"] = {"If-Match": '"1"'}
    assert statuses(batch(api, asked)) == [201 if verb == "POST" else 200]
    rows = [row for row in api("GET", "/v1/tasks").data if row["title"] == "y"]
    assert len(rows) == 1 and rows[0]["version"] == (1 if verb == "POST" else 2)


def test_complaints_are_bounded(api: Api) -> None:
    strange = {f"member{number}": 1 for number in range(50_000)}
    answer = api("POST", "/v1/batch", {"requests": [{**strange, "id": "a", "method": "GET", "path": "/tasks"}] * 3})
    assert answer.status == 422 and len(answer.text) < 20_000
    many = api("POST", "/v1/batch", {"requests": [{"id": f"r{number}", "nope": 1, "no": 2} for number in range(50)]})
    assert many.status == 422 and len(many.json["errors"]) < 120


def test_stopping_names_the_request_that_failed(api: Api) -> None:
    asked = [
        call("x", "POST", "/tasks", {"title": "x"}, atomicityGroup="g"),
        call("y", "POST", "/tasks", {"title": ""}, atomicityGroup="g"),
        call("z", "GET", "/tasks"),
    ]
    found = batch(api, *asked, Prefer="continue-on-error=false")
    assert statuses(found) == [424, 422, 424] and "'y'" in found["z"]["body"]["error"]


def test_errors_of_a_group_have_the_names_of_their_version(api: Api) -> None:
    ann = {"firstName": "", "lastName": "Lee", "email": "a@b.example"}
    asked = {
        "requests": [
            call("a", "POST", "/contacts", ann, atomicityGroup="g"),
            call("b", "POST", "/tasks", {"title": "x"}, atomicityGroup="g"),
        ]
    }
    told = api("POST", "/v2/batch", asked).data["responses"]
    assert told[0]["body"]["errors"].keys() == {"firstName"} and told[1]["status"] == 424
