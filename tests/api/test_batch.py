"""Batches: what comes back, in which order, what an atomicity group means, and what is refused."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

import world
from gadgets import Api, Gadget
from sheaf import Entity
from sheaf.entity import registry
from sheaf.entity.registry import entity_type
from sheaf.store import aws
from sim.faults import kill_at

Batch = Callable[..., dict[str, Any]]


@pytest.fixture
def api(sheaf: world.World, acme: world.Tenant) -> Api:
    return Api(sheaf, acme.key)


@pytest.fixture
def batch(api: Api) -> Batch:
    """The responses of a batch, by their ids."""

    def run(*requests: Mapping[str, Any], **headers: str) -> dict[str, Any]:
        answer = api("POST", "/v1/batch", {"requests": list(requests)}, **headers)
        assert answer.status == 200, answer.text
        assert [each["id"] for each in answer.json["responses"]] == [each["id"] for each in requests]
        return {each["id"]: each for each in answer.json["responses"]}

    return run


@pytest.fixture
def gadgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._known, "gadgets", entity_type(Gadget, "gadgets"))


ANN = {"firstName": "Ann", "lastName": "Lee"}


class Thing(Entity, prefix="thg"):
    """Takes values of any type."""

    made_of: dict[str, Any]
    count: int
    texts: list[Any]


def call(name: str, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
    sent = {"body": body} if body is not None else {}
    return {"id": name, "method": method, "path": path, **sent, **more}


def rows_there() -> int:
    return int(aws.client("dynamodb").scan(TableName="RecordsTable", Select="COUNT")["Count"])


# ---- the shape ----


def test_the_example_of_the_seed(api: Api) -> None:  # contract: 19, 20
    """Word for word but for the ids, which the server makes."""
    one, two = (api("POST", "/v1/tasks", {"title": title}).data["id"] for title in ("Task 1", "Task 2"))
    asked = {
        "requests": [
            {"id": "req1", "method": "GET", "path": f"/tasks/{one}"},
            {"id": "req2", "method": "POST", "path": "/tasks", "body": {"title": "New task"}},
            {"id": "req3", "method": "PATCH", "path": f"/tasks/{two}", "body": {"status": "completed"}},
        ]
    }
    answer = api("POST", "/v1/batch", asked)
    assert answer.status == 200 and answer.json["success"] is True
    first, second, third = answer.json["responses"]
    assert (first["id"], first["status"], first["body"]["id"], first["body"]["title"]) == ("req1", 200, one, "Task 1")
    assert (second["id"], second["status"], second["body"]["title"]) == ("req2", 201, "New task")
    assert (third["id"], third["status"], third["body"]["id"], third["body"]["status"]) == ("req3", 200, two, "completed")
    alone = api("GET", f"/v1/tasks/{second['body']['id']}")
    assert alone.data == second["body"] and alone.headers["ETag"] == second["headers"]["ETag"]
    assert second["headers"]["Location"] == f"tasks/{second['body']['id']}"


@pytest.mark.parametrize("begin", ["/tasks", "/v1/tasks", "/api/v1/tasks", "/v2/tasks", "/v1/{tenant}/tasks"])
def test_paths_may_carry_the_version(batch: Batch, acme: world.Tenant, begin: str) -> None:  # contract: C17
    assert batch(call("a", "POST", begin.format(tenant=acme.id), {"title": "x"}))["a"]["status"] == 201


def test_lists_have_their_cursor_beside_them(api: Api, batch: Batch) -> None:
    for title in "abc":
        api("POST", "/v1/tasks", {"title": title})
    page = batch(call("a", "GET", "/tasks?limit=2&sort=title&fields=title"))["a"]
    assert [row["title"] for row in page["body"]] == ["a", "b"] and page["meta"]["hasMore"] is True
    rest = batch(call("a", "GET", f"/tasks?limit=2&sort=title&fields=title&cursor={page['meta']['nextCursor']}"))["a"]
    assert [row["title"] for row in rest["body"]] == ["c"]
    assert batch(call("a", "GET", "/tasks?aggregate=count"))["a"]["body"] == [{"count": 3}]
    assert batch(call("a", "GET", "/comments"))["a"]["body"] == []


def test_the_second_version_has_camel_case_and_an_envelope(api: Api) -> None:
    made = api("POST", "/v2/batch", {"requests": [call("a", "POST", "/contacts", {**ANN, "email": "a@b.example"})]})
    assert made.data["responses"][0]["body"]["firstName"] == "Ann", made.text
    wrong = api("POST", "/v2/batch", {"requests": [call("a", "POST", "/contacts", {"first_name": "Ann"})]})
    assert "is called firstName" in wrong.data["responses"][0]["body"]["errors"]["firstName"]
    assert "responses" in api("POST", "/v1/batch", {"requests": [call("a", "GET", "/tasks")]}, Prefer="profile=canonical").data


# ---- what other APIs show in their documents, in our words ----


def test_the_composite_example_of_salesforce(batch: Batch) -> None:
    """An account and its contact, all or none, and then the account is read: a post and its comment."""
    found = batch(
        call(
            "refPost",
            "POST",
            "/v2/posts",
            {"title": "Salesforce", "content": "All or none, they say"},
            atomicityGroup="allOrNone",
        ),
        call(
            "refComment", "POST", "/comments", {"post": "@{refPost.body.id}", "content": "John Doe"}, atomicityGroup="allOrNone"
        ),
        call("refPostAgain", "GET", "/v2/posts/@{refPost.body.id}?fields=title"),
        call("refCommentsOfPost", "GET", "/comments?post=@{refPost.body.id}&fields=content"),
    )
    assert [each["status"] for each in found.values()] == [201, 201, 200, 200]
    assert found["refCommentsOfPost"]["body"][0]["content"] == "John Doe"


def test_the_example_of_microsoft_graph(api: Api) -> None:
    """`url`, numbers as ids, headers on a request with a body, and requests in a row by dependsOn."""
    asked = {"requests": [
        {"id": "1", "method": "GET", "url": "/tasks?limit=1"},
        {"id": "2", "dependsOn": ["1"], "method": "POST", "url": "/tasks", "body": {"title": "Notebook"}, "headers": {"Content-Type": "application/json"}},
        {"id": "3", "dependsOn": ["2"], "method": "GET", "url": "/projects?limit=2"},
        {"id": "4", "dependsOn": ["3"], "method": "GET", "url": "/me/drive"},
    ]}  # fmt: skip
    answers = api("POST", "/v1/batch", asked).json["responses"]
    assert [(each["id"], each["status"]) for each in answers] == [("1", 200), ("2", 201), ("3", 200), ("4", 422)]


def test_the_json_batch_example_of_odata(api: Api) -> None:
    """Methods in lower case, a group that is depended on by its name, a minimal answer."""
    task = api("POST", "/v1/tasks", {"title": "ALFKI"}).data["id"]
    asked = {"requests": [
        {"id": "0", "method": "get", "url": f"/tasks/{task}"},
        {"id": "1", "atomicityGroup": "group1", "dependsOn": ["0"], "method": "patch", "url": f"/tasks/{task}",
         "headers": {"Prefer": "return=minimal"}, "body": {"title": "changed"}},
        {"id": "2", "atomicityGroup": "group1", "method": "post", "url": "/tasks", "body": {"title": "new"}},
        {"id": "3", "dependsOn": ["group1"], "method": "get", "url": "/tasks?sort=title&fields=title"},
    ]}  # fmt: skip
    answers = {each["id"]: each for each in api("POST", "/v1/batch", asked).json["responses"]}
    assert [each["status"] for each in answers.values()] == [200, 204, 201, 200]
    assert [row["title"] for row in answers["3"]["body"]] == ["changed", "new"] and answers["1"]["body"] is None
    asked["requests"][2]["body"] = {"title": ""}
    failed = {each["id"]: each["status"] for each in api("POST", "/v1/batch", asked).json["responses"]}
    assert failed == {"0": 200, "1": 424, "2": 422, "3": 424}


# ---- a batch that is wrong as a whole runs nothing ----

GET = call("a", "GET", "/tasks")
NEW = call("new", "POST", "/tasks", {"title": "must not come"})
WRONG: dict[str, tuple[Any, str, str]] = {
    "no object": ([GET], "", "must be an object"),
    "nothing": ({}, "requests", "at least one"),
    "none": ({"requests": []}, "requests", "at least one"),
    "no list": ({"requests": {"a": GET}}, "requests", "list"),
    "another member": ({"requests": [GET], "atomic": True}, "atomic", "not known"),
    "no request": ({"requests": [NEW, "GET /tasks"]}, "requests.1", "object"),
    "another member of a request": ({"requests": [NEW, {**GET, "timeout": 1}]}, "requests.1.timeout", "not known"),
    "no id": ({"requests": [NEW, {"method": "GET", "path": "/tasks"}]}, "requests.1.id", "text"),
    "a number as the id": ({"requests": [NEW, {**GET, "id": 1}]}, "requests.1.id", "text"),
    "an id twice": ({"requests": [NEW, GET, GET]}, "requests.2.id", "request 1"),
    "no method": ({"requests": [NEW, {"id": "a", "path": "/tasks"}]}, "requests.1.method", "one of"),
    "another method": ({"requests": [NEW, {**GET, "method": "TRACE"}]}, "requests.1.method", "one of"),
    "no path": ({"requests": [NEW, {"id": "a", "method": "GET"}]}, "requests.1.path", "path"),
    "another host": ({"requests": [NEW, {**GET, "path": "https://evil.example/v1/tasks"}]}, "requests.1.path", "path of this API"),
    "another host, shorter": ({"requests": [NEW, {**GET, "path": "//evil.example/tasks"}]}, "requests.1.path", "path of this API"),
    "a fragment": ({"requests": [NEW, {**GET, "path": "/tasks#top"}]}, "requests.1.path", "fragment"),
    "a parameter twice": ({"requests": [NEW, {**GET, "path": "/tasks?limit=1&limit=2"}]}, "requests.1.path", "more than once"),
    "a slash in a segment": ({"requests": [NEW, {**GET, "path": "/tasks/..%2Fusers"}]}, "requests.1.path", "slash"),
    "two paths": ({"requests": [NEW, {**GET, "url": "/tasks"}]}, "requests.1.url", "only one"),
    "a body of a GET": ({"requests": [NEW, {**GET, "body": {}}]}, "requests.1.body", "GET"),
    "a credential": ({"requests": [NEW, {**GET, "headers": {"Authorization": "Bearer x"}}]}, "requests.1.headers.Authorization", "not for one"),
    "another tenant's name": ({"requests": [NEW, {**GET, "headers": {"X-Tenant-Id": "t"}}]}, "requests.1.headers.X-Tenant-Id", "not for one"),
    "headers that are no texts": ({"requests": [NEW, {**GET, "headers": {"If-Match": 1}}]}, "requests.1.headers", "texts"),
    "dependsOn of nothing": ({"requests": [NEW, {**GET, "dependsOn": ["b"]}]}, "requests.1", "'b'"),
    "dependsOn of itself": ({"requests": [NEW, {**GET, "dependsOn": ["a"]}]}, "requests.1", "itself"),
    "dependsOn that is no list": ({"requests": [NEW, {**GET, "dependsOn": "b"}]}, "requests.1.dependsOn", "list"),
    "a reference to nothing": ({"requests": [NEW, {**GET, "path": "/tasks/@{b.body.id}"}]}, "requests.1", "'b'"),
    "half a reference": ({"requests": [NEW, {**GET, "path": "/tasks/@{new.body"}]}, "requests.1.path", "cannot be read"),
    "a reference to no part": ({"requests": [NEW, call("b", "POST", "/tasks", {"title": "@{new.id}"})]}, "requests.1.body", "cannot be read"),
    "a circle of two": ({"requests": [NEW, {**GET, "dependsOn": ["b"]}, {**GET, "id": "b", "dependsOn": ["a"]}]}, "requests.1.dependsOn", "a → b → a"),
    "a circle by references": (
        {"requests": [NEW, {**GET, "path": "/tasks/@{b.body.id}"}, call("b", "GET", "/tasks/@{c.body.id}"), call("c", "GET", "/tasks/@{a.body.id}")]},
        "requests.1.dependsOn", "a → b → c → a"),
    "a circle through a group": (
        {"requests": [call("b", "POST", "/tasks", {"title": "x"}, atomicityGroup="g"), call("c", "GET", "/tasks", dependsOn=["b"]),
                      call("d", "POST", "/tasks", {"title": "@{c.status}"}, atomicityGroup="g"), NEW]}, "requests.0.dependsOn", "circular"),
    "a group without a name": ({"requests": [NEW, {**GET, "atomicityGroup": ""}]}, "requests.1.atomicityGroup", "text"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "field", "told"), WRONG.values(), ids=WRONG.keys())
def test_a_batch_that_is_wrong_runs_nothing(api: Api, body: Any, field: str, told: str) -> None:
    before = rows_there()
    answer = api("POST", "/v1/batch", body)
    assert answer.status == 422 and told in answer.json["errors"][field], answer.text
    assert rows_there() == before


def test_fifty_are_the_most(api: Api) -> None:
    fifty = [call(f"r{number}", "GET", "/tasks?limit=1") for number in range(50)]
    assert [each["status"] for each in api("POST", "/v1/batch", {"requests": fifty}).json["responses"]] == [200] * 50
    answer = api("POST", "/v1/batch", {"requests": [*fifty, call("new", "POST", "/tasks", {"title": "x"})]})
    assert (answer.status, answer.json["code"]) == (413, "too_large") and "51" in answer.json["message"]
    assert rows_there() == 0


def test_all_that_is_wrong_is_told_at_once(api: Api) -> None:
    answer = api("POST", "/v1/batch", {"requests": [{"id": "", "method": "GET", "path": "/tasks"}, {"id": "b", "path": "x"}]})
    assert answer.json["errors"].keys() == {"requests.0.id", "requests.1.method", "requests.1.path"}


# ---- each request as if it came alone ----


@pytest.mark.parametrize(
    "path", ["/batch", "/api/v1/batch", "/graphql", "/auth/login", "/webhooks", "/uploads", "/jobs", "/tasks/bulk", "/admin/users", "/nothing", "/"]
)  # fmt: skip
def test_other_paths_are_refused_with_the_reason(batch: Batch, path: str) -> None:
    """A batch within a batch above all: no function calls another."""
    found = batch(call("x", "POST", path, {}), call("y", "GET", "/tasks"))
    assert found["y"]["status"] == 200
    if path == "/tasks/bulk":  # to the routes of rows it is a row called bulk
        assert found["x"]["status"] == 405
    else:
        assert found["x"]["status"] == 422 and "call it by itself" in found["x"]["body"]["error"]


def test_errors_are_those_of_the_request_alone(api: Api, batch: Batch, sheaf: world.World) -> None:
    mine = api("POST", "/v1/tasks", {"title": "x"}).data["id"]
    other = sheaf.tenant("Other")
    theirs = sheaf.http("POST", "/v1/tasks", {"title": "secret"}, key=other.key).data["id"]
    cases: list[tuple[dict[str, Any], int, str]] = [
        (call("a", "GET", f"/tasks/{theirs}"), 404, "not_found"),
        (call("a", "PATCH", f"/tasks/{theirs}", {"title": "mine"}), 404, "not_found"),
        (call("a", "GET", f"/{other.id}/tasks"), 403, "tenant_mismatch"),
        (call("a", "GET", f"/v1/{other.id}/tasks"), 403, "tenant_mismatch"),
        (call("a", "GET", "/tasks?limit=0"), 400, "invalid_parameter"),
        (call("a", "POST", "/tasks", {"title": ""}), 422, "validation_failed"),
        (call("a", "POST", "/tasks", [1]), 422, "validation_failed"),
        (call("a", "POST", "/tasks"), 400, "invalid_json"),
        (call("a", "PATCH", "/tasks", {}), 405, "method_not_allowed"),
        (call("a", "PATCH", f"/tasks/{mine}", {"title": "y"}, headers={"If-Match": '"7"'}), 412, "precondition_failed"),
        (call("a", "POST", "/tasks", {"title": "y"}, headers={"Content-Type": "text/xml"}), 415, "unsupported_media_type"),
    ]
    for asked, status, code in cases:
        found = batch(asked)["a"]
        assert (found["status"], found["body"]["code"]) == (status, code), (asked, found)
        headers = {name.replace("-", "_"): text for name, text in asked.get("headers", {}).items()}
        path = asked["path"] if asked["path"].startswith("/v1") else f"/v1{asked['path']}"
        alone = api(asked["method"], path, asked.get("body"), **headers)
        if status != 422 or asked["method"] != "GET":
            assert alone.status == status and alone.json["message"] == found["body"]["error"], (asked, alone.text)
            assert alone.json.get("errors") == found["body"].get("errors")


def test_headers_belong_to_their_request(api: Api, batch: Batch) -> None:
    task = api("POST", "/v1/tasks", {"title": "x"}).data["id"]
    found = batch(
        call("known", "GET", f"/tasks/{task}", headers={"If-None-Match": '"1"'}),
        call("small", "POST", "/tasks", {"title": "y"}, headers={"Prefer": "return=minimal"}),
        call("dry", "POST", "/tasks", {"title": "z"}, headers={"prefer": "dry-run"}),
        call("once", "POST", "/tasks", {"title": "w"}, headers={"Idempotency-Key": "k1"}),
    )
    assert (found["known"]["status"], found["known"]["body"]) == (304, None)
    assert (found["small"]["status"], found["small"]["body"]) == (201, None) and "Location" in found["small"]["headers"]
    assert found["small"]["headers"]["Preference-Applied"] == "return=minimal"
    assert found["dry"]["meta"] == {"dryRun": True}
    again = batch(call("x", "POST", "/tasks", {"title": "w"}, headers={"Idempotency-Key": "k1"}), Idempotency_Key="of the batch")
    assert again["x"]["body"] == found["once"]["body"] and again["x"]["headers"]["Idempotent-Replayed"] == "true"
    assert [row["title"] for row in api("GET", "/v1/tasks?sort=title").data] == ["w", "x", "y"]


def test_a_path_with_an_older_shape_keeps_it(api: Api, batch: Batch) -> None:
    body = {"title": "Title", "content": "Long enough text"}
    found = batch(
        call("old", "POST", "/posts", body),
        call("new", "POST", "/posts", body, headers={"Prefer": "profile=canonical"}),
        call("missing", "GET", "/posts/pst_1"),
        call("missing-new", "GET", "/v2/posts/pst_1"),
    )
    assert found["old"]["body"]["post"]["title"] == found["new"]["body"]["title"] == "Title"
    assert found["missing"]["body"]["error"] == "Post not found"
    assert found["missing-new"]["body"]["code"] == "not_found"


def test_each_request_needs_its_own_permission(sheaf: world.World, acme: world.Tenant) -> None:
    task = sheaf.http("POST", "/v1/tasks", {"title": "x"}, key=acme.key).data["id"]
    narrow = Api(sheaf, sheaf.key(acme, "admin", "tasks:read"))
    asked = [call("r", "GET", f"/tasks/{task}"), call("w", "DELETE", f"/tasks/{task}"), call("c", "GET", "/contacts")]
    answer = narrow("POST", "/v1/batch", {"requests": asked})
    assert [(each["status"], each["body"].get("code")) for each in answer.json["responses"]] == [
        (200, None), (403, "permission_denied"), (403, "permission_denied")]  # fmt: skip
    group = [{**each, "atomicityGroup": "g"} for each in asked[1:2]]
    assert narrow("POST", "/v1/batch", {"requests": group}).json["responses"][0]["status"] == 403
    assert sheaf.http("GET", f"/v1/tasks/{task}", key=acme.key).status == 200
    assert sheaf.http("POST", "/v1/batch", {"requests": asked}).status == 401


# ---- references ----


def test_references_reach_paths_parameters_headers_and_bodies(api: Api, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._known, "things", entity_type(Thing, "things"))
    user_of = call("me", "POST", "/tasks", {"title": "Parent 7", "description": "@@{not a reference}"})
    found = batch(
        user_of,
        call("path", "GET", "/tasks/@{me.body.id}"),
        call("query", "GET", "/tasks?title=@{me.body.title}&limit=1"),
        call("header", "PATCH", "/tasks/@{me.body.id}", {"title": "@{me.body.title} of @{me.status}"}, headers={"If-Match": "@{me.headers.etag}"},
             dependsOn=["path", "query"]),
        call("typed", "POST", "/things", {"made_of": "@{me.body}", "count": "@{me.body.version}", "texts": ["@{me.body.title}", 1, None]}),
        call("list", "GET", "/tasks/@{query.body.0.id}", dependsOn=["header"]),
    )  # fmt: skip
    assert found["me"]["body"]["description"] == "@{not a reference}"
    assert found["path"]["body"] == found["me"]["body"] == found["query"]["body"][0]
    assert found["header"]["body"]["title"] == "Parent 7 of 201"
    assert found["list"]["body"]["version"] == 2
    typed = found["typed"]["body"]
    assert (typed["made_of"], typed["count"], typed["texts"]) == (found["me"]["body"], 1, ["Parent 7", 1, None])


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/tasks/@{a.body.nothing}", None, "has no 'nothing'"),
        ("/tasks/@{a.body.title.x}", None, "has no 'x'"),
        ("/tasks/@{a.body.assignee}", None, "no text"),
        ("/tasks/@{a.body}", None, "no text"),
        ("/tasks/@{a.body.title}", None, "slash"),
        ("/tasks/@{a.body.description}", None, "nothing"),
        ("/tasks", {"title": "of @{a.body}"}, "no text"),
        ("/tasks", {"title": "@{a.headers.authorization}"}, "has no 'authorization'"),
    ],
)
def test_a_reference_that_stands_for_nothing_is_its_requests_error(batch: Batch, path: str, body: Any, told: str) -> None:
    first = call("a", "POST", "/tasks", {"title": "with/slash", "description": ""})
    found = batch(first, call("b", "POST" if body else "GET", path, body), call("c", "GET", "/tasks", dependsOn=["b"]))
    assert found["b"]["status"] == 422 and told in found["b"]["body"]["error"], found["b"]
    assert (found["a"]["status"], found["c"]["status"]) == (201, 424)


def test_a_value_cannot_add_parameters_or_segments(api: Api, batch: Batch) -> None:
    evil = "x&limit=100&status=todo"
    found = batch(call("a", "POST", "/tasks", {"title": evil}), call("b", "GET", "/tasks?title=@{a.body.title}"))
    assert [row["title"] for row in found["b"]["body"]] == [evil]


# ---- order ----


def test_a_dependant_of_a_failed_request_is_not_run(api: Api, batch: Batch) -> None:
    found = batch(
        call("bad", "PATCH", "/tasks/tsk_1", {"title": "x"}),
        call("child", "POST", "/tasks", {"title": "child"}, dependsOn=["bad"]),
        call("grandchild", "POST", "/tasks", {"title": "grandchild of @{child.body.id}"}),
        call("free", "POST", "/tasks", {"title": "free"}),
    )
    assert [each["status"] for each in found.values()] == [404, 424, 424, 201]
    assert found["child"]["body"]["code"] == "failed_dependency" and "'bad'" in found["child"]["body"]["error"]
    assert [row["title"] for row in api("GET", "/v1/tasks").data] == ["free"]


def test_what_touches_the_same_rows_keeps_its_order(api: Api, batch: Batch) -> None:
    """Though nothing says dependsOn: the outcome is that of running them one by one."""
    task = api("POST", "/v1/tasks", {"title": "0"}).data["id"]
    changes = [call(f"c{number}", "PATCH", f"/tasks/{task}", {"title": str(number)}) for number in range(1, 16)]
    reads = [call(f"r{number}", "GET", f"/tasks/{task}") for number in range(1, 16)]
    mixed = [each for pair in zip(changes, reads, strict=True) for each in pair]
    found = batch(*mixed, call("all", "GET", "/tasks"), call("new", "POST", "/tasks", {"title": "later"}))
    assert [found[f"r{number}"]["body"]["title"] for number in range(1, 16)] == [str(number) for number in range(1, 16)]
    assert [found[f"c{number}"]["body"]["version"] for number in range(1, 16)] == list(range(2, 17))
    assert [row["title"] for row in found["all"]["body"]] == ["15"]


def test_a_later_request_may_be_named_first(batch: Batch) -> None:
    found = batch(call("b", "GET", "/tasks/@{a.body.id}"), call("a", "POST", "/tasks", {"title": "x"}))
    assert found["b"]["body"] == found["a"]["body"]


def test_it_stops_at_the_first_failure_where_that_is_asked_for(api: Api) -> None:
    asked = {"requests": [NEW, call("bad", "GET", "/tasks/tsk_1"), {**NEW, "id": "more"}, {**GET}]}
    stopped = api("POST", "/v1/batch", asked, Prefer="continue-on-error=false")
    assert [each["status"] for each in stopped.json["responses"]] == [201, 404, 424, 424]
    assert stopped.headers["Preference-Applied"] == "continue-on-error=false"
    assert "'bad'" in stopped.json["responses"][2]["body"]["error"]
    assert len(api("GET", "/v1/tasks").data) == 1
    for prefer in ("continue-on-error", "continue-on-error=true", ""):
        on = api("POST", "/v1/batch", asked, Prefer=prefer)
        assert [each["status"] for each in on.json["responses"]] == [201, 404, 201, 200]


def test_a_plan_tells_order_verdicts_and_cost_and_runs_nothing(sheaf: world.World, acme: world.Tenant) -> None:
    narrow = Api(sheaf, sheaf.key(acme, "admin", "tasks:read", "tasks:create"))
    asked = [
        NEW, call("b", "DELETE", "/tasks/@{new.body.id}"), call("c", "GET", "/webhooks"), call("d", "GET", "/contacts"),
        call("e", "POST", "/tasks", {"title": "x"}, atomicityGroup="g", dependsOn=["b"]),
    ]  # fmt: skip
    before = rows_there()
    answer = narrow("POST", "/v1/batch", {"requests": asked}, Prefer="plan")
    left = narrow("GET", "/v1/rate-limits", Prefer="").headers.get("X-RateLimit-Remaining")
    plan = answer.json["plan"]
    assert plan["order"] == [["new", "c", "d"], ["b"], ["e"]] and plan["cost"] == 5
    told = {each["id"]: (each.get("permission"), each["allowed"], each.get("status")) for each in plan["requests"]}
    assert told == {
        "new": ("tasks:create", True, None), "b": ("tasks:delete", False, 403), "c": (None, False, 422),
        "d": ("contacts:read", False, 403), "e": ("tasks:create", True, None),
    }  # fmt: skip
    assert rows_there() == before and answer.headers["Preference-Applied"] == "plan"
    assert left is None or int(answer.headers["X-RateLimit-Remaining"]) - int(left) <= 1


# ---- groups ----


def grouped(*calls: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**each, "atomicityGroup": "g"} for each in calls]


def test_a_group_is_one_transaction(gadgets: None, api: Api, batch: Batch) -> None:
    old = api("POST", "/v1/gadgets", {"name": "old"}).data["id"]
    gone = api("POST", "/v1/gadgets", {"name": "gone"}).data["id"]
    api("DELETE", f"/v1/gadgets/{gone}")
    with kill_at(0, "before-call") as counter:
        found = batch(*grouped(
            call("a", "POST", "/gadgets", {"name": "a"}),
            call("b", "POST", "/gadgets", {"name": "of @{a.body.name}", "parts": ["@{a.body.id}"]}),
            call("c", "PATCH", f"/gadgets/{old}", {"parts": ["@{b.body.id}"]}, headers={"If-Match": '"1"'}),
            call("d", "POST", f"/gadgets/{gone}/restore"),
        ), call("e", "GET", "/gadgets/@{b.body.id}"))  # fmt: skip
    assert [each["status"] for each in found.values()] == [201, 201, 200, 200, 200]
    assert found["b"]["body"]["parts"] == [found["a"]["body"]["id"]] and found["e"]["body"] == found["b"]["body"]
    assert api("GET", f"/v1/gadgets/{old}").data["parts"] == [found["b"]["body"]["id"]]
    assert counter.calls < 20


FAILURES: dict[str, tuple[dict[str, Any], int, str]] = {
    "a field": (call("x", "POST", "/gadgets", {"name": "n", "level": 10}), 422, "level"),
    "a version": (call("x", "PATCH", "/gadgets/{old}", {"level": 2}, headers={"If-Match": '"9"'}), 412, "version 1"),
    "no row": (call("x", "DELETE", "/gadgets/gad_1"), 404, "no gadget"),
    "a value that is taken": (call("x", "POST", "/gadgets", {"name": "taken"}), 409, "taken"),
    "a value twice": (call("x", "POST", "/gadgets", {"name": "first"}), 409, "another item"),
    "a row twice": (call("x", "PATCH", "/gadgets/{other}", {"level": 3}), 422, "same row"),
    "a row of the group": (call("x", "PATCH", "/gadgets/@{first.body.id}", {"level": 3}), 404, "no gadget"),
    "a relation": (call("x", "POST", "/gadgets", {"name": "n", "parts": ["gad_01h00000000000000000000000"]}), 422, "no gadget"),
    "a reference": (call("x", "POST", "/gadgets", {"name": "@{first.body.nothing}"}), 422, "has no 'nothing'"),
    "a read": (call("x", "GET", "/gadgets"), 422, "atomicity group"),
    "an own endpoint": (call("x", "POST", "/tasks/{task}/complete"), 422, "atomicity group"),
    "an older shape": (call("x", "POST", "/posts", {"title": "Title", "content": "Long enough text"}), 422, "canonical"),
    "another path": (call("x", "POST", "/webhooks", {}), 422, "call it by itself"),
    "its own key": (call("x", "POST", "/gadgets", {"name": "n"}, headers={"Idempotency-Key": "k"}), 422, "Idempotency-Key"),
    "a dry run": (call("x", "POST", "/gadgets", {"name": "n"}, headers={"Prefer": "dry-run"}), 422, "dry-run"),
}  # fmt: skip


@pytest.mark.parametrize(("bad", "status", "told"), FAILURES.values(), ids=FAILURES.keys())
@pytest.mark.parametrize("place", ["last", "first"])
def test_one_failure_undoes_the_group(
    gadgets: None, api: Api, batch: Batch, bad: dict[str, Any], status: int, told: str, place: str
) -> None:
    old, other = (api("POST", "/v1/gadgets", {"name": name}).data["id"] for name in ("taken", "other"))
    task = api("POST", "/v1/tasks", {"title": "x"}).data["id"]
    bad = {**bad, "path": bad["path"].replace("{old}", old).replace("{other}", other).replace("{task}", task)}
    good = [call("first", "POST", "/gadgets", {"name": "first"}), call("second", "PATCH", f"/gadgets/{other}", {"level": 2})]
    before = rows_there()
    found = batch(
        *grouped(*([*good, bad] if place == "last" else [bad, *good])), call("after", "GET", "/gadgets", dependsOn=["first"])
    )
    statuses = {name: each["status"] for name, each in found.items()}
    culprit = next(name for name, each in statuses.items() if each != 424)
    assert statuses[culprit] == status and told in json.dumps(found[culprit]["body"]), found
    assert all(each == 424 for name, each in statuses.items() if name != culprit), statuses
    assert culprit == "x" or place == "first"  # of two that cannot both be, the later one is told
    if culprit == "x":
        assert "'x'" in found["first"]["body"]["error"]
    assert rows_there() == before
    assert api("GET", f"/v1/gadgets/{other}").data["version"] == 1


def test_a_group_has_a_hundred_actions(gadgets: None, api: Api, batch: Batch) -> None:
    """Marks of unique values count, deletions twice, and so does the record of the batch's key."""
    fits = [call(f"g{number}", "POST", "/gadgets", {"name": f"n{number}"}) for number in range(50)]  # a row and a mark each
    assert {each["status"] for each in batch(*grouped(*fits)).values()} == {201}
    more = [call(f"g{number}", "POST", "/gadgets", {"name": f"m{number}"}) for number in range(50)]
    before = rows_there()
    refused = api("POST", "/v1/batch", {"requests": grouped(*more)}, Idempotency_Key="k")  # one for the key
    assert {(each["status"], each["body"]["code"]) for each in refused.json["responses"]} == {(413, "too_large")}
    assert "take 101" in refused.json["responses"][0]["body"]["error"]
    assert rows_there() == before


def test_groups_and_single_requests_mix(api: Api, batch: Batch) -> None:
    found = batch(
        {**call("a", "POST", "/tasks", {"title": "a"}), "atomicityGroup": "one"},
        {**call("b", "POST", "/tasks", {"title": ""}), "atomicityGroup": "two"},
        {**call("c", "POST", "/tasks", {"title": "c"}), "atomicityGroup": "two"},
        call("d", "POST", "/tasks", {"title": "d"}),
        {**call("e", "POST", "/tasks", {"title": "e of @{d.body.title}"}), "atomicityGroup": "one"},
    )
    assert [each["status"] for each in found.values()] == [201, 422, 424, 201, 201]
    assert sorted(row["title"] for row in api("GET", "/v1/tasks").data) == ["a", "d", "e of d"]


# ---- once more ----


def test_a_batch_under_a_key_has_one_effect(sheaf: world.World, api: Api, batch: Batch) -> None:
    task = api("POST", "/v1/tasks", {"title": "0"}).data["id"]
    asked = [
        call("single", "POST", "/tasks", {"title": "single"}),
        *grouped(call("one", "POST", "/tasks", {"title": "one"}), call("two", "DELETE", f"/tasks/{task}")),
        call("newest", "GET", "/tasks?limit=1", dependsOn=["single"]),
        call("bad", "PATCH", "/tasks/tsk_1", {"title": "x"}),
        call("moved", "PATCH", "/tasks/@{newest.body.0.id}", {"title": "moved"}),
    ]
    first = batch(*asked, Idempotency_Key="k")
    assert [each["status"] for each in first.values()] == [201, 201, 200, 200, 404, 200]
    api("POST", "/v1/tasks", {"title": "another is the newest now"})
    sheaf.settle()
    before = rows_there()
    again = batch(*asked, Idempotency_Key="k")
    assert rows_there() == before
    for name in ("single", "one", "two", "moved"):
        assert again[name]["body"] == first[name]["body"] and again[name]["headers"]["Idempotent-Replayed"] == "true", name
    assert again["newest"]["body"][0]["title"] == "another is the newest now"  # what only reads is read anew
    other = api("POST", "/v1/batch", {"requests": asked[:1]}, Idempotency_Key="k")
    assert (other.status, other.json["code"]) == (422, "idempotency_key_reused")


# ---- cost ----


def test_every_request_is_paid_for_before_any_runs(sheaf: world.World) -> None:
    small = sheaf.tenant("Small", tier="free")  # 100 a minute
    api = Api(sheaf, small.key)
    ten = [call(f"r{number}", "POST", "/tasks", {"title": "x"}) for number in range(10)]
    with sheaf.still():
        left = [int(api("POST", "/v1/batch", {"requests": ten}).headers["X-RateLimit-Remaining"]) for _ in range(9)]
        assert left == [90 - 10 * number for number in range(9)]
        before = rows_there()
        refused = api("POST", "/v1/batch", {"requests": [*ten, call("more", "GET", "/tasks")]})
        assert (refused.status, refused.json["code"]) == (429, "rate_limited") and rows_there() == before
        assert api("GET", "/v1/tasks?limit=1").status == 200


def test_rows_are_read_together(api: Api, batch: Batch) -> None:
    tasks = [api("POST", "/v1/tasks", {"title": str(number)}).data["id"] for number in range(40)]
    posts = [
        api("POST", "/v1/contacts", {"first_name": "A", "last_name": "B", "email": f"a{number}@b.example"}).data["id"]
        for number in range(9)
    ]
    asked = [call(f"t{each}", "GET", f"/tasks/{each}") for each in tasks]
    asked += [call(f"c{each}", "GET", f"/contacts/{each}") for each in posts] + [
        call("no", "GET", "/tasks/tsk_01h00000000000000000000000")
    ]
    with kill_at(0, "before-call") as counter:
        found = batch(*asked)
    assert [each["status"] for each in found.values()] == [200] * 49 + [404]
    assert [found[f"t{each}"]["body"]["title"] for each in tasks] == [str(number) for number in range(40)]
    # The caller and the cost take a write each (a first one of the window two), each kind of row one read; the missing one is looked for again.
    assert counter.calls <= 8, counter.calls


def test_answers_are_bounded(api: Api) -> None:
    big = {"title": "big", "description": "x" * 9_000}
    assert api("POST", "/v1/tasks/bulk", {"items": [big] * 100}).status == 200
    asked = [call(f"r{number}", "GET", "/tasks?limit=100") for number in range(8)] + [call("w", "POST", "/tasks", big)]
    answer = api("POST", "/v1/batch", {"requests": asked})
    statuses = [each["status"] for each in answer.json["responses"]]
    assert statuses.count(200) == 3 and statuses[:-1].count(413) == 5 and statuses[-1] == 201
    assert len(json.dumps(answer.text)) < 6_000_000 and answer.json["responses"][-1]["body"]["title"] == "big"
