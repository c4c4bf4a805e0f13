"""Lists over HTTP: pages and totals, fields, relations, search, sums, what is refused. The law itself is in tests/sim."""

from typing import Any

import pytest

import world
from sheaf.base import clock

Rows = list[dict[str, Any]]


@pytest.fixture
def get(sheaf: world.World, acme: world.Tenant) -> Any:
    def call(path: str, **headers: str) -> world.Answer:
        return sheaf.http("GET", path, key=acme.key, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return call


@pytest.fixture
def post(sheaf: world.World, acme: world.Tenant) -> Any:
    def call(path: str, body: Any) -> Any:
        answer = sheaf.http("POST", path, body, key=acme.key, headers={"Prefer": "profile=canonical"})
        assert answer.status == 201, answer.text
        return answer.data

    return call


# contract: 47, 74
def test_pages_by_number_have_totals_and_go_on_by_cursor(get: Any, post: Any) -> None:
    made = [post("/v1/tasks", {"title": f"{n:02}", "status": "todo" if n % 2 else "completed"})["id"] for n in range(25)]
    for query, expected in (("", made[::-1]), ("&status=todo", made[1::2][::-1]), ("&title[gt]=04", made[5:][::-1]), ("&sort=title", made),
                            ("&sort=-title&status=todo", made[1::2][::-1])):  # fmt: skip
        for number in (1, 2, 3, 4):
            answer = get(f"/v1/tasks?page={number}&limit=10{query}")
            rest = expected[(number - 1) * 10 :]
            assert [row["id"] for row in answer.data] == rest[:10], (query, number)
            meta = answer.json["meta"]
            assert (meta["page"], meta["limit"], meta["total"], meta["hasMore"]) == (number, 10, len(expected), len(rest) > 10)
            if meta["hasMore"]:
                following = get(f"/v1/tasks?limit=10{query}&cursor={meta['nextCursor']}").data
                assert [row["id"] for row in following] == rest[10:20]
    counted = get("/v1/tasks?limit=1&total=true&status=todo").json["meta"]
    assert counted["total"] == 12 and "page" not in counted
    assert "total" not in get("/v1/tasks?limit=1").json["meta"]
    assert get("/v1/projects?page=1&limit=10").json["meta"] == {
        "limit": 10,
        "hasMore": False,
        "nextCursor": None,
        "page": 1,
        "total": 0,
    }


# contract: 99, C26
def test_limits_are_exact_in_strict_handling_and_clamped_in_lenient(get: Any, post: Any) -> None:
    post("/v1/tasks", {"title": "x"})
    for limit in ("0", "101", "-1", "x", "1e2", "９"):
        assert get(f"/v1/tasks?limit={limit}").json["errors"]["limit"]
        lenient = get(f"/v1/tasks?limit={limit}", Prefer="handling=lenient")
        assert lenient.status == 200 and 1 <= lenient.json["meta"]["limit"] <= 100
        assert lenient.headers["Preference-Applied"] == "handling=lenient"
    for page in ("0", "-1", "x", "1.5", "99999999"):
        assert get(f"/v1/tasks?page={page}").json["errors"]["page"]
    assert "cursor" in get("/v1/tasks?page=1&cursor=abc").json["errors"]["page"]


@pytest.mark.parametrize(
    "query",
    ["sort=color", "sort=title,status,priority,assignee", "sort=", "fields=color", "fields=", "expand=color", "expand=title",
     "expand=assignee.assignee.assignee.assignee", "expand=tasks_via_title", "expand=comments_via_post", "expand=,", "search=", "search=!!!",
     "search=a b c d e f", "aggregate=count(*)", "aggregate=sum(title)", "aggregate=sum(color)", "aggregate=", "groupBy=status",
     "aggregate=count&groupBy=color", "aggregate=count&groupBy=status,priority,assignee,title", "total=1", "trash=yes", "filter=x",
     "filter={\"status\":\"x\"}", "status[is]=todo", "status[in]=todo,x", "[eq]=1", "status[eq]]=1", "createdAt=yesterday"],
)  # fmt: skip
def test_a_wrong_query_is_400_and_names_its_parameter(get: Any, query: str) -> None:
    answer = get(f"/v1/tasks?{query}")
    assert (answer.status, answer.json["code"]) == (400, "invalid_parameter"), answer.text
    parameter = query.split("=", maxsplit=1)[0]
    assert any(name.startswith(parameter.split("&")[0]) or name in query for name in answer.json["errors"]), answer.json["errors"]


def test_fields_leave_the_rest_out(get: Any, post: Any) -> None:
    task = post("/v1/tasks", {"title": "x"})["id"]
    assert get("/v1/tasks?fields=title,version").data == [{"id": task, "title": "x", "version": 1}]
    assert get(f"/v1/tasks/{task}?fields=status").data == {"id": task, "status": "todo"}
    assert get(f"/v1/tasks/{task}?limit=1").status == 400


@pytest.fixture
def blog(sheaf: world.World, acme: world.Tenant, post: Any) -> dict[str, Any]:
    """A post of Ann with comments, one of them answered."""
    ann = sheaf.user(acme, "ann@acme.example")
    key = sheaf.http("POST", "/v1/auth/login", {"email": "ann@acme.example", "password": "correct horse battery"}).json
    token = key["data"]["token"] if "data" in key else key["token"]
    written = sheaf.http("POST", "/v1/posts", {"title": "Hello", "content": "Hello to the world"}, key=token).json["post"]["id"]
    first = post("/v1/comments", {"post": written, "content": "first"})["id"]
    second = post("/v1/comments", {"post": written, "content": "second", "parent": first})["id"]
    return {"ann": ann, "post": written, "first": first, "second": second}


def test_relations_are_expanded_in_both_directions_and_three_deep(get: Any, blog: dict[str, Any]) -> None:
    canonical = {"Prefer": "profile=canonical"}
    shown = get(f"/v1/posts/{blog['post']}?expand=author,comments_via_post", **canonical).data
    assert shown["expand"]["author"]["email"] == "ann@acme.example"
    assert [each["id"] for each in shown["expand"]["comments_via_post"]] == [blog["second"], blog["first"]]
    [answer] = get("/v1/comments?expand=parent.post.author&parent[null]=false").data
    assert answer["expand"]["parent"]["expand"]["post"]["expand"]["author"]["id"] == blog["ann"]
    [top] = get("/v1/comments?expand=post&fields=content&parent[null]=true").data
    assert set(top) == {"id", "content", "expand"} and top["expand"]["post"]["id"] == blog["post"]
    user = get(f"/v1/users/{blog['ann']}?expand=posts_via_author.comments_via_post").data
    assert len(user["expand"]["posts_via_author"][0]["expand"]["comments_via_post"]) == 2


def test_a_dangling_relation_is_null(sheaf: world.World, acme: world.Tenant, get: Any, blog: dict[str, Any]) -> None:
    sheaf.http("DELETE", f"/v1/comments/{blog['first']}", key=acme.key)
    [answer] = get("/v1/comments?expand=parent").data
    assert answer["expand"] == {"parent": None} and answer["parent"] == blog["first"]


def test_expansion_reads_in_batches_and_says_what_it_left_out(
    sheaf: world.World, acme: world.Tenant, get: Any, post: Any, blog: dict[str, Any]
) -> None:
    from sim.faults import kill_at

    for number in range(30):
        post("/v1/comments", {"post": blog["post"], "content": f"comment {number}"})
    with kill_at(0, "before-call") as counter:
        rows = get("/v1/comments?limit=30&expand=post.author,parent").data
    assert len(rows) == 30 and all(row["expand"]["post"]["expand"]["author"] for row in rows)
    assert counter.calls <= 6, "principal, tenant, list, and one read for each relation: no more for thirty rows than for one"
    answer = get("/v1/posts?expand=comments_via_post", Prefer="profile=canonical")
    assert len(answer.data[0]["expand"]["comments_via_post"]) == 20
    assert answer.json["meta"]["expand"] == {"truncated": {"comments_via_post": 1}}


def test_expanded_rows_have_a_budget(get: Any, post: Any, blog: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from sheaf.records import relations

    monkeypatch.setattr(relations, "EXPAND_BYTES", 500)
    answer = get("/v1/comments?expand=post")
    left = answer.json["meta"]["expand"]["omitted"]["post"]
    assert left == sum(row["expand"]["post"] is None for row in answer.data) == 1


# contract: 37, 47
def test_search_finds_words_by_their_beginning_in_any_case(sheaf: world.World, acme: world.Tenant, get: Any, post: Any) -> None:
    plants = post("/v1/tasks", {"title": "Water the PLANTS", "description": "every Ärger-free week"})["id"]
    plan = post("/v1/tasks", {"title": "Plan a trip", "description": "water slides"})["id"]
    assert get("/v1/tasks?search=plan").data == [], "the index is kept after the answer"
    sheaf.settle()
    for text, expected in (("plan", [plan, plants]), ("WATER%20pla", [plan, plants]), ("plants", [plants]), ("lants", []), ("%C3%A4rg", [plants]),
                           ("trip%20water", [plan]), ("x", [])):  # fmt: skip
        assert [row["id"] for row in get(f"/v1/tasks?search={text}").data] == expected, text
    assert [row["id"] for row in get("/v1/tasks?search=water&sort=title").data] == [plan, plants]
    assert get("/v1/tasks?search=water&limit=1&page=2").json["meta"]["total"] == 2
    assert get("/v1/comments?search=x").json["errors"]["search"].startswith("comments has no searchable field")
    sheaf.http("PATCH", f"/v1/tasks/{plants}", {"title": "Feed the cat"}, key=acme.key)
    assert [row["id"] for row in get("/v1/tasks?search=plants").data] == [], (
        "a row that changed is checked before the index knows"
    )
    sheaf.settle()
    assert [row["id"] for row in get("/v1/tasks?search=feed").data] == [plants]
    sheaf.http("DELETE", f"/v1/tasks/{plan}", key=acme.key)
    sheaf.settle()
    assert get("/v1/tasks?search=trip").data == []
    sheaf.http("POST", f"/v1/tasks/{plan}/restore", key=acme.key)
    sheaf.settle()
    assert [row["id"] for row in get("/v1/tasks?search=trip").data] == [plan]


def test_the_word_index_stands_whatever_order_changes_come_in(
    sheaf: world.World, acme: world.Tenant, get: Any, post: Any
) -> None:
    import random

    task = post("/v1/tasks", {"title": "one two"})["id"]
    for title in ("two three", "one three", "four", "one two"):
        sheaf.http("PATCH", f"/v1/tasks/{task}", {"title": title}, key=acme.key)
    changes = sheaf.changes()
    for seed in range(6):
        shuffled = changes * 2
        random.Random(seed).shuffle(shuffled)
        world.function("on_change").handler({"Records": shuffled}, world.CONTEXT)
        for word, expected in (("one", [task]), ("two", [task]), ("three", []), ("four", [])):
            assert [row["id"] for row in get(f"/v1/tasks?search={word}").data] == expected, (seed, word)


def test_sums_by_group(get: Any, post: Any) -> None:
    for seconds, status in ((10, "draft"), (20, "draft"), (None, "draft"), (7, "published")):
        post("/v1/videos", {"title": "x", "status": status, "duration_seconds": seconds})
    answer = get("/v1/videos?aggregate=count,sum(duration_seconds),avg(duration_seconds),max(title)&groupBy=status")
    assert answer.data == [
        {"status": "draft", "count": 3, "sum": {"duration_seconds": 30}, "avg": {"duration_seconds": 15}, "max": {"title": "x"}},
        {
            "status": "published",
            "count": 1,
            "sum": {"duration_seconds": 7},
            "avg": {"duration_seconds": 7},
            "max": {"title": "x"},
        },
    ]
    assert get("/v1/videos?aggregate=count&status=draft").data == [{"count": 3}]
    assert get("/v1/videos?aggregate=count").data == [{"count": 4}]


def test_what_no_index_serves_says_which_line_would(get: Any, post: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        post("/v1/tasks", {"title": f"{number}", "description": "x"})
    assert get("/v1/tasks?description=y").status == 200, "a small table is read as a whole"
    strict = get("/v1/tasks?description=y", Prefer="handling=strict")
    assert (strict.status, strict.json["code"], strict.json["index"]) == (
        400,
        "index_required",
        "description = field(…, index=True)",
    )
    assert get("/v1/tasks?status=todo", Prefer="handling=strict").headers["Preference-Applied"] == "handling=strict"
    monkeypatch.setattr("sheaf.records.plan.SCANNED_ROWS", 10)
    assert get("/v1/tasks?sort=description").json["index"] == "description = field(…, sort=True)"
    assert get("/v1/tasks?description=y").status == 400


def test_a_list_keeps_its_moment_from_page_to_page(sheaf: world.World, get: Any, post: Any) -> None:
    for number in range(4):
        post("/v1/tasks", {"title": f"{number}"})
    first = get("/v1/tasks?createdAt[le]=$now&limit=2")
    late = clock.now() + 60
    with clock.using(lambda: late):
        post("/v1/tasks", {"title": "later"})
        rest = get(f"/v1/tasks?createdAt[le]=$now&limit=100&cursor={first.json['meta']['nextCursor']}").data
        assert [row["title"] for row in first.data + rest] == ["3", "2", "1", "0"]
        everything = get("/v1/tasks?sort=createdAt&createdAt[le]=$now").data
        assert [row["title"] for row in everything] == ["0", "1", "2", "3", "later"]


def test_an_export_takes_the_same_filter(sheaf: world.World, acme: world.Tenant, post: Any) -> None:
    for number in range(5):
        post("/v1/tasks", {"title": f"{number}", "priority": "high" if number > 2 else "low"})
    body = {
        "format": "csv",
        "filter": {"or": [{"priority": "high"}, {"title": {"startswith": "0"}}], "createdAt": {"le": "$now"}},
    }
    job = sheaf.http("POST", "/v1/tasks/export", body, key=acme.key).data["id"]
    sheaf.settle()
    assert sheaf.http("GET", f"/v1/jobs/{job}", key=acme.key).data["result"]["rows"] == 3


# contract: 21
def test_a_user_is_an_entity_without_its_credentials(sheaf: world.World, acme: world.Tenant, get: Any, post: Any) -> None:
    ann = sheaf.user(acme, "ann@acme.example")
    [user] = get("/v1/users?email=ANN@acme.example").data
    assert user["id"] == ann and not {"password", "hash", "pw", "sessions"} & set(user)
    task = post("/v1/tasks", {"title": "x", "assignee": ann})
    assert get(f"/v1/tasks/{task['id']}?expand=assignee").data["expand"]["assignee"]["name"] == "Ann"
    assert get(f"/v1/users/{ann}?expand=tasks_via_assignee").data["expand"]["tasks_via_assignee"][0]["id"] == task["id"]
    assert sheaf.http("PATCH", f"/v1/users/{ann}", {"role": "admin"}, key=acme.key).status == 405
