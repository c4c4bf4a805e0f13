"""Defects that a review found, each with the scenario that showed it: none may come back."""

import json
from typing import Any

import pytest

import world
from gadgets import TASK, Api, Gadget
from sheaf import Entity, field
from sheaf.entity import registry
from sheaf.entity.registry import DeclarationError, entity_type
from sheaf.store import aws, table


class Lamp(Entity, prefix="lmp"):
    """Fields of the kinds that the demo entities lack."""

    name: str = field(max_length=50)
    pin: str | None = field(None, hidden=True)
    sealed: str | None = field(None, hidden=True, once=True)
    price: float = field(0.0, index=True)
    meta: dict[str, Any] = field(default_factory=dict)
    burning_hours: int | None = field(None, sort=True)
    maker_code: str | None = field(None, ref="lamps", index=True, max_length=64)


@pytest.fixture
def api(sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setitem(registry._known, "lamps", entity_type(Lamp, "lamps"))
    monkeypatch.setitem(registry._known, "gadgets", entity_type(Gadget, "gadgets"))
    return Api(sheaf, acme.key)


def test_a_comparison_never_shows_what_is_hidden(sheaf: world.World, api: Api) -> None:
    path = f"/v1/lamps/{api('POST', '/v1/lamps', {'name': 'a', 'pin': 'SECRET', 'sealed': 'SEALED'}).data['id']}"
    api("PATCH", path, {"name": "b"})
    sheaf.settle()
    stale = api("PATCH", path, {"name": "c"}, If_Match='"1"')
    assert stale.status == 412 and set(stale.json["diff"]) == {"name"} and "SE" not in stale.text
    merged = api("PATCH", path, {"pin": "NEW"}, If_Match='"1"', Prefer="merge=disjoint")
    assert merged.status == 200 and merged.data["name"] == "b"
    rows = aws.client("dynamodb").scan(TableName="RecordsTable")["Items"]
    assert [row["h"]["S"] for row in rows if "h" in row] == ['{"pin":"NEW","sealed":"SEALED"}']


def test_a_hidden_value_cannot_be_guessed(api: Api) -> None:
    path = f"/v1/lamps/{api('POST', '/v1/lamps', {'name': 'a', 'sealed': 'SEALED'}).data['id']}"
    answers = [api("PATCH", path, {"sealed": guess}, Prefer="dry-run") for guess in ("SEALED", "other", None)]
    assert len({(each.status, str(each.json["errors"])) for each in answers}) == 1 and answers[0].status == 422


def test_a_merge_computes_anew_and_replaces_whole_values(sheaf: world.World, api: Api) -> None:
    canonical = {"Prefer": "profile=canonical, merge=disjoint"}
    post = f"/v1/posts/{api('POST', '/v1/posts', {'title': 'Title', 'content': 'Long enough text'}, Prefer='profile=canonical').data['id']}"
    api("PATCH", post, {"title": "Another"})
    sheaf.settle()
    published = api("PATCH", post, {"status": "published"}, If_Match='"1"', **canonical)
    assert published.status == 200 and published.data["publishedAt"] and published.data["title"] == "Another"
    lamp = f"/v1/lamps/{api('POST', '/v1/lamps', {'name': 'a', 'meta': {'x': 1, 'y': 2}}).data['id']}"
    api("PATCH", lamp, {"name": "b"})
    sheaf.settle()
    put = api("PUT", lamp, {"name": "a", "meta": {"x": 1}}, If_Match='"1"', **canonical)
    assert (put.status, put.data["meta"], put.data["name"]) == (200, {"x": 1}, "b")


def test_a_bulk_that_comes_again_tries_nothing_again(api: Api) -> None:
    taken = api("POST", "/v1/videos", {"title": "A", "url": "https://v.example/1"}).data["id"]
    body = [{"title": "B", "url": "https://v.example/1"}, {"title": "C"}]
    first = api("POST", "/v1/videos/bulk", body, Idempotency_Key="b")
    assert (first.data["created"], first.data["failed"]) == (1, 1)
    api("DELETE", f"/v1/videos/{taken}")
    again = api("POST", "/v1/videos/bulk", body, Idempotency_Key="b")
    assert again.data == first.data and again.headers["Idempotent-Replayed"] == "true"


TWINS = [("POST", "/v1/videos", {"title": "A", "url": "https://v.example/2"}, {}), ("PATCH", "/v1/tasks/{task}", {"title": "x"}, {"If_Match": '"1"'}),
         ("PUT", "/v1/tasks/{task}", {"title": "x"}, {"If_Match": '"1"'}), ("DELETE", "/v1/tasks/{task}", None, {}),
         ("POST", "/v1/tasks/{gone}/restore", None, {}), ("DELETE", "/v1/webhooks/{hook}", None, {}), ("POST", "/v1/tasks", TASK, {})]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "headers"), TWINS, ids=[f"{case[0]} {case[1]}" for case in TWINS])
def test_a_twin_that_wins_meanwhile_gives_its_answer(
    sheaf: world.World, api: Api, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: Any, headers: dict[str, str]
) -> None:
    """The client timed out and asks again while its first request still runs: both get the same answer."""
    from sheaf.records.once import Once

    task, gone = (api("POST", "/v1/tasks", TASK).data["id"] for _ in range(2))
    api("DELETE", f"/v1/tasks/{gone}")
    hook = api("POST", "/v1/webhooks", {"url": "http://127.0.0.1:1/", "events": ["video.uploaded"]}).data["id"]
    path = path.format(task=task, gone=gone, hook=hook)
    real, twin = Once.found, []

    def late(self: Once) -> Any:
        seen = real(self)
        if not twin:
            twin.append(1)
            twin.append(api(method, path, body, Idempotency_Key="k", **headers))
        return seen

    monkeypatch.setattr(Once, "found", late)
    answer = api(method, path, body, Idempotency_Key="k", **headers)
    first = twin[1]
    assert (answer.status, answer.data) == (first.status, first.data)  # type: ignore[attr-defined]
    assert answer.headers["Idempotent-Replayed"] == "true"


def test_the_author_of_a_list_is_looked_up_within_the_budget(
    sheaf: world.World, acme: world.Tenant, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sheaf.records import write

    users = registry.find("users")
    monkeypatch.setattr("endpoints.posts.FILTER_VALUES", 12)
    for number in range(15):
        write.create(acme.setup, users, {"name": f"Ann {number}", "email": f"a{number}@acme.example"})
    answer = api("GET", "/v1/posts?author=ann")
    assert answer.status == 400 and "names" in answer.json["message"]
    monkeypatch.setattr("sheaf.records.plan.SCANNED_ROWS", 10)
    assert api("GET", "/v1/posts?author=zzz").json["error"] == "Query needs an index"


def test_a_row_goes_back_without_what_is_the_servers(sheaf: world.World, api: Api) -> None:
    post = f"/v1/posts/{api('POST', '/v1/posts', {'title': 'Title', 'content': 'Long enough text'}).json['post']['id']}"
    first = api("PUT", post, {"status": "published"}).json["post"]["publishedAt"]
    sheaf.settle()
    back = api("POST", f"{post}/revert", {"version": 1}, Prefer="profile=canonical")
    assert (back.data["status"], back.data["publishedAt"]) == ("draft", first)


def test_endless_numbers_and_long_keys_in_a_query_are_refused(api: Api) -> None:
    nines = "9" * 401
    assert api("GET", f'/v1/videos?filter={{"duration_seconds":{{"ge":{nines}}}}}').status == 400
    for query in (
        "id=",
        "id[in]=a,,b",
        f"id={'x' * 1_100}",
        f"sort=title&title[startswith]={'x' * 1_100}",
        f"search={'x' * 500}",
    ):
        assert api("GET", f"/v1/videos?{query}").data == [], query
    assert api("GET", f"/v1/projects?name[startswith]={'ü' * 900}").data == []
    assert api("GET", f"/v1/tasks/{'x' * 1_100}/history").status == 404


def test_an_export_request_is_bounded(api: Api) -> None:
    for body in ({"filter": {"title": "x" * 20_000}}, {"fields": ["id"] * 90}):
        refused = api("POST", "/v1/tasks/export", {"format": "csv", **body})
        assert refused.status == 422 and set(refused.json["errors"]) <= {"filter", "fields"}


def test_a_number_is_found_however_it_is_written(api: Api) -> None:
    lamp = api("POST", "/v1/lamps", {"name": "a", "price": 1}).data["id"]
    for query in ("price=1", "price=1.0", "price[in]=1,2", 'filter={"price":1}', "price[ge]=1&price[le]=1.0"):
        assert [row["id"] for row in api("GET", f"/v1/lamps?{query}").data] == [lamp], query


def test_a_cursor_that_was_given_out_is_taken(api: Api) -> None:
    for letter in "abc":
        api("POST", "/v1/tasks", {"title": letter, "description": letter * 5_000})
    found, cursor = [], ""
    while True:
        answer = api("GET", f"/v1/tasks?sort=description&limit=1{cursor}")
        found += [row["title"] for row in answer.data]
        if not answer.json["meta"]["hasMore"]:
            break
        cursor = f"&cursor={answer.json['meta']['nextCursor']}"
    assert found == ["a", "b", "c"] and len(cursor) < 1_000


def test_what_cannot_be_tried_dry_says_so(api: Api) -> None:
    for path, body in (("/v1/tasks/export", {"format": "csv"}), ("/v1/webhooks", {"url": "http://127.0.0.1:1/", "events": ["*"]}),
                       ("/v1/uploads", {"filename": "a", "size": 1, "type": "text/plain"}), ("/v1/contact", {})):  # fmt: skip
        refused = api("POST", path, body, Prefer="dry-run")
        assert refused.status == 400 and "dry-run" in refused.json["message"], path
    assert api("GET", "/v1/tasks").data == [] and api("GET", "/v1/webhooks").data == []
    for path in ("/v1/tasks/bulk", "/v1/import/tasks"):
        tried = api("POST", path, [TASK, {}], Prefer="dry-run", Idempotency_Key="never kept")
        assert (tried.status, tried.headers["Preference-Applied"], tried.data["dryRun"]) == (200, "dry-run", True)
        assert (tried.data["created"], tried.data["failed"]) == (1, 1) and api("GET", "/v1/tasks").data == []
    made = api("POST", "/v1/tasks", TASK, Prefer="dry-run")
    assert made.json["meta"] == {"dryRun": True} and "Location" not in made.headers


def test_expansion_has_a_bound_of_queries(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from sheaf.records import relations
    from sim.faults import kill_at

    monkeypatch.setattr(relations, "EXPAND_QUERIES", 5)
    for number in range(12):
        api("POST", "/v1/posts", {"title": f"Title {number}", "content": "Long enough text"})
    with kill_at(0, "before-call") as counter:
        answer = api("GET", "/v1/posts?limit=12&expand=comments_via_post", Prefer="profile=canonical")
    assert answer.json["meta"]["expand"] == {"omitted": {"comments_via_post": 7}} and counter.calls <= 8


@pytest.mark.parametrize("body", [{"and": [{}]}, {"not": {}}, {"or": [{"title": "x"}, {}]}, {"and": [{"and": [{}, {}]}]}])
def test_empty_groups_are_refused(api: Api, body: Any) -> None:
    assert api("GET", f"/v1/tasks?filter={json.dumps(body)}").status == 400


def test_a_search_reads_a_bounded_number_of_words(sheaf: world.World, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        api("POST", "/v1/tasks", {"title": " ".join(f"a{n:02}" for n in range(40))})
    sheaf.settle()
    monkeypatch.setattr("sheaf.records.searching.SEARCH_MATCHES", 100)
    assert api("GET", "/v1/tasks?search=a").json["code"] == "index_required"
    assert len(api("GET", "/v1/tasks?search=a07").data) == 3


def test_the_second_version_is_camel_case_to_the_end(sheaf: world.World, api: Api) -> None:
    lamp = api("POST", "/v2/lamps", {"name": "a", "burningHours": 5, "meta": {"my_key": {"in_ner": 1}}})
    path = f"/v2/lamps/{lamp.data['id']}"
    assert lamp.data["meta"] == {"my_key": {"in_ner": 1}}, "what a field holds is the client's"
    other = api("POST", "/v2/lamps", {"name": "b", "makerCode": lamp.data["id"]}).data["id"]
    [deep] = api("GET", f"/v2/lamps?id={other}&expand=makerCode.makerCode").data
    assert deep["expand"]["makerCode"]["burningHours"] == 5 and deep["expand"]["makerCode"]["meta"] == {"my_key": {"in_ner": 1}}
    assert (
        api("GET", f"{path}?expand=lamps_via_maker_code").data["expand"]["lamps_via_maker_code"][0]["makerCode"]
        == lamp.data["id"]
    )
    assert api("GET", "/v2/lamps?aggregate=sum(burningHours)").data == [{"sum": {"burningHours": 5}}]
    api("PATCH", path, {"burningHours": 6})
    sheaf.settle()
    assert api("GET", f"{path}/history").data[0]["changes"] == {"burningHours": {"from": 5, "to": 6}}
    assert set(api("PATCH", path, {"burningHours": 7}, If_Match='"1"').json["diff"]) == {"burningHours"}
    refused = api("POST", "/v2/lamps", {"name": "a", "burningHours": 5, "burning_hours": 6})
    assert refused.json["errors"] == {"burningHours": "is called burningHours in this version"}
    bulk = api("POST", "/v2/contacts/bulk", [{"firstName": "A", "lastName": "B", "email": "a@b.example"}, {"firstName": ""}])
    assert bulk.data["items"][0]["firstName"] == "A" and set(bulk.data["failures"][0]["errors"]) == {
        "firstName",
        "lastName",
        "email",
    }
    job = api("POST", "/v2/contacts/export", {"format": "csv", "fields": ["firstName"], "filter": {"or": [{"firstName": "A"}]}})
    assert job.status == 202
    sheaf.settle()
    assert api("GET", f"/v1/jobs/{job.data['id']}").data["result"]["rows"] == 1


def test_visitors_do_not_share_their_keys(sheaf: world.World, acme: world.Tenant) -> None:
    sheaf.open_site(acme)
    form = {"name": "Ann", "email": "ann@b.example", "subject": "A question", "message": "How does it work?"}
    answers = [sheaf.http("POST", "/v1/contact", {**form, "name": name}, headers={"Idempotency-Key": "1"}, source_ip=address)
               for name, address in (("Ann", "192.0.2.1"), ("Bob", "192.0.2.2"), ("Ann", "192.0.2.3"))]  # fmt: skip
    assert [each.status for each in answers] == [201] * 3 and len({each.json["id"] for each in answers}) == 3


def test_a_rule_of_uniqueness_that_came_later_holds_nobody_up(api: Api) -> None:
    old = api("POST", "/v1/gadgets", {"name": "Same"}).data["id"]
    marks = [item for item in aws.client("dynamodb").scan(TableName="RecordsTable")["Items"] if "#unique#" in item["pk"]["S"]]
    for item in marks:
        aws.client("dynamodb").delete_item(TableName="RecordsTable", Key={"pk": item["pk"], "sk": item["sk"]})
    newer = api("POST", "/v1/gadgets", {"name": "Same"})
    assert newer.status == 201
    assert api("DELETE", f"/v1/gadgets/{old}", Prefer="dry-run").status == 200
    assert api("DELETE", f"/v1/gadgets/{old}").status == 200
    assert api("POST", "/v1/gadgets", {"name": "Same"}).status == 409, "the newer row's mark still stands"


def test_a_known_version_is_no_answer_to_an_expansion(sheaf: world.World, acme: world.Tenant, api: Api) -> None:
    path = f"/v1/tasks/{api('POST', '/v1/tasks', {**TASK, 'assignee': sheaf.user(acme, 'a@acme.example')}).data['id']}"
    assert api("GET", path, If_None_Match='"1"').status == 304
    for query in ("expand=assignee", "fields=title"):
        assert api("GET", f"{path}?{query}", If_None_Match='"1"').status == 200


def test_a_request_that_cannot_be_read_keeps_its_manners(sheaf: world.World, acme: world.Tenant) -> None:
    headers = {"Origin": "https://app.example.com", "X-Request-Id": "abcdefgh-1", "Accept": "application/problem+json"}
    answer = sheaf.http("GET", "/v2/tasks?a=1&a=2", key=acme.key, headers=headers)
    assert (answer.status, answer.headers["X-Request-Id"], answer.headers["X-API-Version"]) == (400, "abcdefgh-1", "v2")
    assert (
        answer.headers["Content-Type"] == "application/problem+json"
        and answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    )
    assert set(sheaf.http("GET", "/v1/posts?page=1&page=2", key=acme.key).json) == {"error", "message"}
    preflight = sheaf.http("OPTIONS", "/tasks", headers=headers)
    assert (preflight.status, preflight.headers["Access-Control-Allow-Origin"]) == (204, "https://app.example.com")


def test_small_print(sheaf: world.World, acme: world.Tenant, api: Api) -> None:
    path = f"/v1/tasks/{api('POST', '/v1/tasks', TASK).data['id']}"
    assert api("PATCH", path, {"nope": None}).json["errors"] == {"nope": "is not a field of Task"}
    assert api("HEAD", path, Prefer="return=minimal").status == 200
    assert api("POST", "/v1/tasks/", TASK).headers["Location"].startswith("../tasks/tsk_")
    assert api("POST", f"/v1/{acme.id}/tasks", TASK).headers["Location"].startswith("tasks/tsk_")
    project = api("POST", "/v1/projects", {"name": "One"}).data["id"]
    api("DELETE", f"/v1/projects/{project}", If_Match='"1"')
    assert api("POST", f"/v1/projects/{project}/restore").status == 428
    assert api("POST", f"/v1/projects/{project}/restore", If_Match='"2"').status == 200
    for lamp in ({"price": 1.7e308}, {"price": 1.7e308}):
        api("POST", "/v1/lamps", {"name": "a", **lamp})
    assert api("GET", "/v1/lamps?aggregate=sum(price),avg(price)").data == [{"sum": {"price": None}, "avg": {"price": None}}]
    for parameter in ("expand=nonsense", "fields=title", "aggregate=count", "cursor=abc"):
        assert parameter.split("=")[0] in api("GET", f"/v1/posts?{parameter}").json["message"]
    assert api("OPTIONS", "/v1/users").headers["Allow"] == "GET, HEAD, OPTIONS"
    assert api("OPTIONS", "/v1/users/bulk").headers["Allow"] == "OPTIONS"


def test_a_settled_upload_meets_a_faster_one_without_reading_events(
    sheaf: world.World, acme: world.Tenant, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """on_upload has no right to the table of events: a stale version is told to it without the story."""
    file = api("POST", "/v1/uploads", {"filename": "a.txt", "size": 5, "type": "text/plain"}).data["id"]
    real, once = table.get, []

    def raced(name: str, key: Any) -> Any:
        assert name != "EventsTable"
        found = real(name, key)
        if found and key.sk == file and not once:
            once.append(1)
            sheaf.tell_upload(acme, file)
        return found

    aws.client("s3").put_object(Bucket="uploads", Key=f"{acme.id}/uploads/{file}", Body=b"hello")
    monkeypatch.setattr(table, "get", raced)
    sheaf.tell_upload(acme, file)
    monkeypatch.undo()
    assert sheaf.http("GET", f"/v1/uploads/{file}", key=acme.key).data["status"] == "ready"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({"first_name": str, "firstName": str}, "camelCase"), ({"or": str}, "the server's"), ({"a": (str, field(sort=True))}, "max_length"),
     ({"a": (str, field(hidden=True, search=True))}, "hides"), ({"a": (list[str], field(sort=True))}, "no single value"),
     ({"a": (dict[str, int], field(index=True))}, "no single value")],
)  # fmt: skip
def test_a_declaration_that_would_mislead_is_refused(fields: dict[str, Any], reason: str) -> None:
    made = {name: kind[1] for name, kind in fields.items() if isinstance(kind, tuple)}
    hints = {name: kind[0] if isinstance(kind, tuple) else kind for name, kind in fields.items()}
    model = type("Odd", (Entity,), {"__annotations__": hints, **made, "__module__": "odd"}, prefix="odd")
    with pytest.raises(DeclarationError, match=reason):
        entity_type(model, "odds")


def test_no_answer_outgrows_lambda(sheaf: world.World, api: Api) -> None:
    """Six megabytes, escaped: of history, of sums, of expanded rows."""
    big = '"' * 10_000
    path = f"/v1/tasks/{api('POST', '/v1/tasks', {'title': 'x', 'description': big}).data['id']}"
    for number in range(110):
        api("PATCH", path, {"description": f"{number}{big[:-4]}"})
    for letter in range(60):
        api("POST", "/v1/tasks", {"title": "x", "description": f"{letter}{big[:-2]}"})
    sheaf.settle()
    first = api("GET", f"{path}/history?limit=100")
    assert len(json.dumps(first.text)) < 6_000_000 and first.json["meta"]["hasMore"]
    rest = api("GET", f"{path}/history?limit=100&cursor={first.json['meta']['nextCursor']}")
    assert [each["version"] for each in first.data + rest.data][:120] == list(range(111, 111 - len(first.data + rest.data), -1))
    refused = api("GET", "/v1/tasks?aggregate=count&groupBy=description")
    assert refused.status == 400 and "bytes" in refused.json["message"]
