"""Safe writes: keys, versions, merges, dry runs, the trash, history, and the rules that an entity declares."""

from typing import Any

import pytest

import world
from gadgets import TASK, Api, Gadget
from sheaf.base import clock
from sheaf.entity import registry
from sheaf.entity.registry import entity_type


@pytest.fixture
def gadgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._known, "gadgets", entity_type(Gadget, "gadgets"))


@pytest.fixture
def api(sheaf: world.World, acme: world.Tenant) -> Api:
    return Api(sheaf, acme.key)


def everything(table: str) -> int:
    from sheaf.store import aws

    return int(aws.client("dynamodb").scan(TableName=table, Select="COUNT")["Count"])


# ---- Idempotency-Key ----


def seen(answer: world.Answer) -> tuple[int, Any]:
    return answer.status, {name: value for name, value in answer.json.items() if name not in ("requestId", "timestamp")}


WRITES: list[tuple[str, str, Any]] = [
    ("POST", "/v1/tasks", TASK),
    ("PUT", "/v1/tasks/{task}", {"title": "New"}),
    ("PATCH", "/v1/tasks/{task}", {"title": "New"}),
    ("DELETE", "/v1/tasks/{task}", None),
    ("POST", "/v1/tasks/{gone}/restore", None),
    ("POST", "/v1/tasks/{task}/revert", {"version": 1}),
    ("POST", "/v1/tasks/{task}/complete", None),
    ("POST", "/v1/posts", {"title": "Title", "content": "Long enough text"}),
    ("PUT", "/v1/posts/{post}", {"title": "Other"}),
    ("PATCH", "/v1/posts/{post}", {"title": "Other"}),
    ("DELETE", "/v1/posts/{post}", None),
    ("POST", "/v1/tasks/bulk", [TASK, {"title": ""}, TASK]),
    ("POST", "/v1/tasks/bulk", [TASK] * 101),
    ("POST", "/v1/import/tasks", {"items": [TASK]}),
    ("POST", "/v1/tasks/export", {"format": "csv"}),
    ("POST", "/v1/webhooks", {"url": "http://127.0.0.1:1/", "events": ["*"]}),
    ("DELETE", "/v1/webhooks/{webhook}", None),
    ("POST", "/v1/uploads", {"filename": "a.txt", "size": 5, "type": "text/plain"}),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=[f"{case[0]} {case[1]} {len(str(case[2]))}" for case in WRITES])
def test_a_key_has_one_effect_and_one_answer(sheaf: world.World, api: Api, method: str, path: str, body: Any) -> None:
    """The first request, then the same again, after its row has moved on, with another body, and without a key."""
    task = api("POST", "/v1/tasks", TASK).data["id"]
    gone = api("POST", "/v1/tasks", TASK).data["id"]
    api("DELETE", f"/v1/tasks/{gone}")
    post = api("POST", "/v1/posts", {"title": "First", "content": "Long enough text"}).json["post"]["id"]
    webhook = api("POST", "/v1/webhooks", {"url": "http://127.0.0.1:1/", "events": ["video.uploaded"]}).data["id"]
    path = path.format(task=task, gone=gone, post=post, webhook=webhook)
    first = api(method, path, body, Idempotency_Key="key-1")
    assert first.status < 300 and "Idempotent-Replayed" not in first.headers, first.text
    sheaf.settle()
    rows, control = everything("RecordsTable"), everything("ControlTable")
    again = api(method, path, body, Idempotency_Key="key-1")
    assert again.headers["Idempotent-Replayed"] == "true"
    if "/uploads" in path:
        assert again.data["id"] == first.data["id"]
    elif (method, path) == ("POST", "/v1/webhooks"):  # the secret was told once; deliveries may have failed meanwhile
        known = first.data.keys() - {"secret", "failingSince", "disablesAt"}
        assert "secret" in first.data and "secret" not in again.data
        assert {name: again.data[name] for name in known} == {name: first.data[name] for name in known}
    elif not path.endswith("/bulk") and not path.endswith("/export"):  # a job has moved on meanwhile
        assert seen(again) == seen(first)
    elif "id" in first.data:
        assert again.data["id"] == first.data["id"]
    else:
        assert again.data == first.data
    assert (everything("RecordsTable"), everything("ControlTable")) == (rows, control), "nothing was written again"
    other = api(method, path, {"another": "body"}, Idempotency_Key="key-1")
    assert other.status == 422
    if "posts" not in path:
        assert other.json["code"] in ("idempotency_key_reused", "validation_failed")


def test_a_replay_shows_the_version_that_it_made(sheaf: world.World, api: Api) -> None:
    made = api("POST", "/v1/tasks", TASK, Idempotency_Key="k")
    path = f"/v1/tasks/{made.data['id']}"
    for number in range(3):
        api("PATCH", path, {"title": str(number)})
    sheaf.settle()
    assert api("POST", "/v1/tasks", TASK, Idempotency_Key="k").data == made.data
    api("DELETE", path)
    sheaf.settle()
    assert api("POST", "/v1/tasks", TASK, Idempotency_Key="k").data == made.data
    assert api("GET", path).status == 404


def test_a_replay_before_its_event_is_written_asks_for_patience_and_writes_nothing(sheaf: world.World, api: Api) -> None:
    made = api("POST", "/v1/tasks", TASK, Idempotency_Key="k")
    api("PATCH", f"/v1/tasks/{made.data['id']}", {"title": "x"})
    assert api("POST", "/v1/tasks", TASK, Idempotency_Key="k").status == 503
    sheaf.settle()
    assert api("POST", "/v1/tasks", TASK, Idempotency_Key="k").data == made.data


def test_a_key_belongs_to_its_principal_its_route_and_its_day(
    sheaf: world.World, acme: world.Tenant, globex: world.Tenant
) -> None:
    mine, colleague, theirs = (Api(sheaf, key) for key in (acme.key, sheaf.key(acme, "admin"), globex.key))
    ids = [each("POST", "/v1/tasks", TASK, Idempotency_Key="same").data["id"] for each in (mine, colleague, theirs)]
    assert len(set(ids)) == 3
    assert theirs("POST", "/v1/tasks", {"title": "other"}, Idempotency_Key="same").status == 422
    path = f"/v1/tasks/{ids[0]}"
    assert "Idempotent-Replayed" not in mine("PATCH", path, {"title": "x"}, Idempotency_Key="same").headers
    later = clock.now() + 24 * 3600 + 60
    with clock.using(lambda: later):
        assert mine("POST", "/v1/tasks", TASK, Idempotency_Key="same").data["id"] != ids[0]


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "ü", "a\nb"])
def test_a_key_that_cannot_be_is_named(api: Api, key: str) -> None:
    answer = api("POST", "/v1/tasks", TASK, Idempotency_Key=key)
    assert answer.status == 400 and "Idempotency-Key" in answer.json["errors"]
    assert api("GET", "/v1/tasks").data == []


def test_a_refusal_leaves_the_key_free(api: Api) -> None:
    assert api("POST", "/v1/tasks", {"title": ""}, Idempotency_Key="k").status == 422
    assert api("POST", "/v1/tasks", TASK, Idempotency_Key="k").status == 201


def test_a_bulk_under_a_key_that_is_in_flight_waits(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from sheaf.features.bulk import engine

    inside: list[world.Answer] = []
    real = engine.run

    def slow(*args: Any, **more: Any) -> Any:
        if not inside:
            inside.append(api("POST", "/v1/tasks/bulk", [TASK], Idempotency_Key="k"))
        return real(*args, **more)

    monkeypatch.setattr(engine, "run", slow)
    assert api("POST", "/v1/tasks/bulk", [TASK], Idempotency_Key="k").data["created"] == 1
    assert (inside[0].status, inside[0].json["code"], inside[0].headers["Retry-After"]) == (409, "idempotency_in_flight", "1")
    assert len(api("GET", "/v1/tasks").data) == 1


def test_a_bulk_whose_worker_died_goes_on_where_it_was(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from sheaf.features.bulk import engine

    real = engine.run

    def dying(caller: Any, entity: Any, operation: Any, lines: Any, **more: Any) -> Any:
        real(caller, entity, operation, lines[:2], **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "run", dying)
    with pytest.raises(KeyboardInterrupt):
        api("POST", "/v1/tasks/bulk", [TASK] * 5, Idempotency_Key="k")
    monkeypatch.setattr(engine, "run", real)
    assert api("POST", "/v1/tasks/bulk", [TASK] * 5, Idempotency_Key="k").status == 409
    later = clock.now() + 40
    with clock.using(lambda: later):
        assert api("POST", "/v1/tasks/bulk", [TASK] * 5, Idempotency_Key="k").data["created"] == 5
    assert len(api("GET", "/v1/tasks").data) == 5


# ---- If-Match, merge, dry run, minimal ----


def test_a_stale_version_gets_a_three_way_comparison(sheaf: world.World, api: Api) -> None:
    made = api("POST", "/v1/tasks", TASK).data
    path = f"/v1/tasks/{made['id']}"
    api("PATCH", path, {"status": "completed", "priority": "low"})
    sheaf.settle()
    stale = api("PATCH", path, {"title": "Mine", "priority": "urgent"}, If_Match='"1"')
    assert (stale.status, stale.json["currentVersion"], stale.headers["ETag"]) == (412, 2, '"2"')
    assert stale.json["diff"] == {
        "title": {"base": "Water", "yours": "Mine", "theirs": "Water", "conflict": False},
        "status": {"base": "todo", "yours": "todo", "theirs": "completed", "conflict": False},
        "priority": {"base": "high", "yours": "urgent", "theirs": "low", "conflict": True},
    }
    assert api("GET", path).data["version"] == 2
    assert api("PATCH", path, {"title": "Mine", "priority": "urgent"}, If_Match='"1"', Prefer="merge=disjoint").status == 412
    merged = api("PATCH", path, {"title": "Mine", "status": "completed"}, If_Match='"1"', Prefer="merge=disjoint")
    assert (merged.status, merged.headers["Preference-Applied"]) == (200, "merge=disjoint")
    assert (merged.data["title"], merged.data["status"], merged.data["priority"], merged.data["version"]) == (
        "Mine",
        "completed",
        "low",
        3,
    )


def test_a_put_merges_too_and_a_delete_never(sheaf: world.World, api: Api) -> None:
    path = f"/v1/tasks/{api('POST', '/v1/tasks', TASK).data['id']}"
    api("PATCH", path, {"status": "completed"})
    sheaf.settle()
    put = api("PUT", path, {**TASK, "title": "Mine"}, If_Match='"1"', Prefer="merge=disjoint")
    assert (put.status, put.data["title"], put.data["status"]) == (200, "Mine", "completed")
    assert api("DELETE", path, If_Match='"1"', Prefer="merge=disjoint").status == 412


@pytest.mark.parametrize(
    ("header", "status"),
    [('"1"', 200), ("1", 200), ('"7", "1"', 200), ("*", 200), ('"7"', 412), ('W/"1"', 412), ('"x"', 412), ('""', 412), ("x", 400), ('"1', 400),
     ("", 400), ('"99999999999999999999"', 412)],
)  # fmt: skip
def test_if_match_is_read_as_rfc_9110_has_it(api: Api, header: str, status: int) -> None:
    path = f"/v1/tasks/{api('POST', '/v1/tasks', TASK).data['id']}"
    assert api("PATCH", path, {"title": "x"}, If_Match=header).status == status


def test_a_known_version_is_not_sent_again(api: Api) -> None:
    path = f"/v1/tasks/{api('POST', '/v1/tasks', TASK).data['id']}"
    for header in ('"1"', 'W/"1"', '"3", "1"', "*"):
        known = api("GET", path, If_None_Match=header)
        assert (known.status, known.text, known.headers["ETag"]) == (304, "", '"1"')
    assert api("GET", path, If_None_Match='"2"').status == 200


def test_an_entity_may_demand_a_version(api: Api) -> None:
    made = api("POST", "/v1/projects", {"name": "One"})
    path = f"/v1/projects/{made.data['id']}"
    for method, body in (("PUT", {"name": "x"}), ("PATCH", {"name": "x"}), ("DELETE", None)):
        refused = api(method, path, body)
        assert (refused.status, refused.json["code"], refused.headers["ETag"]) == (428, "precondition_required", '"1"')
    assert api("PATCH", path, {"name": "x"}, If_Match='"1"').status == 200


def test_minimal_answers_have_no_body(api: Api) -> None:
    made = api("POST", "/v1/tasks", TASK, Prefer="return=minimal")
    assert (made.status, made.text, made.headers["ETag"], made.headers["Preference-Applied"]) == (
        201,
        "",
        '"1"',
        "return=minimal",
    )
    path = f"/v1/{made.headers['Location']}"
    assert api("GET", path).data["title"] == "Water"
    changed = api("PATCH", path, {"title": "x"}, Prefer="return=minimal")
    assert (changed.status, changed.text, changed.headers["ETag"]) == (204, "", '"2"')
    assert api("PATCH", path, {"title": "x"}, Prefer="return=representation").data["version"] == 3


def test_a_dry_run_says_what_the_run_would_and_writes_nothing(sheaf: world.World, api: Api, gadgets: None) -> None:
    one = api("POST", "/v1/gadgets", {"name": "One", "serial": "s1"}).data["id"]
    sheaf.settle()
    for method, path, body, headers in (
        ("POST", "/v1/gadgets", {"name": "Two"}, {}), ("POST", "/v1/gadgets", {"name": "One"}, {}), ("POST", "/v1/gadgets", {"name": ""}, {}),
        ("POST", "/v1/gadgets", {"name": "Two", "parts": ["gad_01h00000000000000000000000"]}, {}),
        ("PATCH", f"/v1/gadgets/{one}", {"level": 4}, {}), ("PATCH", f"/v1/gadgets/{one}", {"level": 40}, {}),
        ("PATCH", f"/v1/gadgets/{one}", {"level": 4}, {"If-Match": '"9"'}), ("PUT", f"/v1/gadgets/{one}", {"name": "Uno"}, {}),
        ("DELETE", f"/v1/gadgets/{one}", None, {"If-Match": '"9"'}), ("DELETE", f"/v1/gadgets/{one}", None, {}),
        ("POST", f"/v1/gadgets/{one}/restore", None, {}), ("POST", f"/v1/gadgets/{one}/revert", {"version": 1}, {}),
        ("POST", f"/v1/gadgets/{one}/revert", {"version": 8}, {}),
    ):  # fmt: skip
        before = everything("RecordsTable"), everything("LimitsTable"), api("GET", f"/v1/gadgets/{one}").text[:200]
        dry = api(
            method,
            path,
            body,
            Prefer="dry-run",
            Idempotency_Key=f"{method}{path}",
            **{k.replace("-", "_"): v for k, v in headers.items()},
        )
        assert (everything("RecordsTable"), everything("LimitsTable"), api("GET", f"/v1/gadgets/{one}").text[:200]) == before
        assert sheaf.changes() == []
        with_key = {"Idempotency_Key": f"{method}{path}{body}{headers}"}
        real = api(method, path, body, **with_key, **{k.replace("-", "_"): v for k, v in headers.items()})
        assert dry.status == real.status and dry.json.get("errors") == real.json.get("errors"), (
            method,
            path,
            body,
            dry.text,
            real.text,
        )
        if dry.status < 300:
            assert dry.headers["Preference-Applied"] == "dry-run"
        if real.status == 200 and method == "DELETE":
            assert api("POST", f"/v1/gadgets/{one}/restore").status == 200
        sheaf.settle()


# ---- the trash, history, revert ----


def test_a_deleted_row_comes_back_with_its_past(sheaf: world.World, api: Api) -> None:
    made = api("POST", "/v1/tasks", TASK).data
    path = f"/v1/tasks/{made['id']}"
    assert api("POST", f"{path}/restore").status == 409
    api("DELETE", path)
    listed = api("GET", "/v1/tasks?trash=true").data
    assert [row["id"] for row in listed] == [made["id"]] and api("GET", "/v1/tasks").data == []
    back = api("POST", f"{path}/restore")
    assert (back.status, back.data["version"], back.data["title"], back.headers["ETag"]) == (200, 3, "Water", '"3"')
    assert [row["id"] for row in api("GET", "/v1/tasks?priority=high").data] == [made["id"]]
    assert api("GET", "/v1/tasks?trash=true").data == []
    sheaf.settle()
    past = api("GET", f"{path}/history").data
    assert [(each["version"], each["type"]) for each in past] == [(3, "task.restored"), (2, "task.deleted"), (1, "task.created")]
    assert api("POST", "/v1/tasks/tsk_01h00000000000000000000000/restore").status == 404


def test_what_lay_in_the_trash_too_long_is_gone_whether_or_not_it_was_removed(api: Api) -> None:
    path = f"/v1/tasks/{api('POST', '/v1/tasks', TASK).data['id']}"
    api("DELETE", path)
    later = clock.now() + 30 * 86_400 + 60
    with clock.using(lambda: later):
        assert api("POST", f"{path}/restore").status == 404
        assert api("GET", "/v1/tasks?trash=true").data == []


def test_history_tells_who_when_and_what_page_by_page(sheaf: world.World, acme: world.Tenant, api: Api) -> None:
    path = f"/v1/tasks/{api('POST', '/v1/tasks', TASK).data['id']}"
    other = Api(sheaf, sheaf.key(acme, "user"))
    for number in range(2, 8):
        other("PATCH", path, {"title": f"Title {number}"}, X_Request_Id=f"request-{number}")
    sheaf.settle()
    found: list[Any] = []
    cursor = ""
    while True:
        answer = api("GET", f"{path}/history?limit=3{cursor}")
        found += answer.data
        if not answer.json["meta"]["hasMore"]:
            break
        assert len(answer.data) == 3
        cursor = f"&cursor={answer.json['meta']['nextCursor']}"
    assert [each["version"] for each in found] == [7, 6, 5, 4, 3, 2, 1]
    assert found[0]["changes"] == {"title": {"from": "Title 6", "to": "Title 7"}}
    assert found[0]["requestId"] == "request-7" and found[0]["actor"] != found[-1]["actor"]
    assert found[-1]["changes"]["title"] == {"from": None, "to": "Water"}
    for wrong in ("limit=0", "cursor=x", "color=red"):
        assert api("GET", f"{path}/history?{wrong}").status == 400
    assert api("GET", "/v1/projects/" + path.rpartition("/")[2] + "/history").status == 404


def test_a_row_goes_back_to_a_version(sheaf: world.World, api: Api) -> None:
    path = f"/v1/tasks/{api('POST', '/v1/tasks', TASK).data['id']}"
    api("PATCH", path, {"title": "Two", "status": "completed"})
    api("PATCH", path, {"priority": "low"})
    sheaf.settle()
    assert api("POST", f"{path}/revert", {"version": 1}, If_Match='"2"').status == 412
    back = api("POST", f"{path}/revert", {"version": 1}, If_Match='"3"')
    assert (back.status, back.data["title"], back.data["status"], back.data["priority"], back.data["version"]) == (
        200,
        "Water",
        "todo",
        "high",
        4,
    )
    for body, status in (
        ({"version": 9}, 404),
        ({"version": 0}, 422),
        ({"version": "1"}, 422),
        ({"version": True}, 422),
        ({}, 422),
        ({"v": 1}, 422),
    ):
        assert api("POST", f"{path}/revert", body).status == status, body


# ---- what an entity declares ----


def test_unique_values_are_unique_free_again_and_named(sheaf: world.World, api: Api, gadgets: None) -> None:
    one = f"/v1/gadgets/{api('POST', '/v1/gadgets', {'name': 'One', 'serial': 's'}).data['id']}"
    two = f"/v1/gadgets/{api('POST', '/v1/gadgets', {'name': 'Two'}).data['id']}"
    for method, path, body, wrong in (("POST", "/v1/gadgets", {"name": "One"}, "name"), ("PATCH", two, {"name": "One"}, "name"),
                                      ("PUT", two, {"name": "One"}, "name"), ("POST", "/v1/gadgets", {"name": "x", "serial": "s"}, "serial")):  # fmt: skip
        refused = api(method, path, body)
        assert (refused.status, refused.json["code"]) == (409, "not_unique") and wrong in refused.json["errors"]
    assert api("PATCH", one, {"name": "Uno"}).status == 200
    assert api("PATCH", two, {"name": "One"}).status == 200, "a value that was given up is free"
    assert api("DELETE", one).status == 200
    assert api("POST", "/v1/gadgets", {"name": "Uno"}).status == 201, "so is that of a deleted row"
    assert api("POST", f"{one}/restore").status == 409
    assert api("GET", one).status == 404
    sheaf.settle()
    results = api("POST", "/v1/gadgets/bulk", [{"name": "A"}, {"name": "A"}, {"name": "One"}]).data
    assert (results["created"], results["failed"]) == (1, 2)


def test_another_tenants_value_is_free(sheaf: world.World, api: Api, globex: world.Tenant, gadgets: None) -> None:
    assert api("POST", "/v1/gadgets", {"name": "One"}).status == 201
    assert sheaf.http("POST", "/v1/gadgets", {"name": "One"}, key=globex.key).status == 201


def test_only_what_may_be_set_is_set(api: Api, gadgets: None) -> None:
    """Mass assignment: at creation and at any change, what is the server's stays the server's."""
    for name, value in (
        ("slug", "x"),
        ("maker", "usr_x"),
        ("id", "gad_1"),
        ("version", 9),
        ("createdAt", "x"),
        ("tenant", "x"),
        ("pk", "x"),
    ):
        answer = api("POST", "/v1/gadgets", {"name": "One", name: value})
        assert answer.status == 422 and name in answer.json["errors"], name
    made = api("POST", "/v1/gadgets", {"name": "One", "serial": "s1"}).data
    path = f"/v1/gadgets/{made['id']}"
    for method in ("PUT", "PATCH"):
        for name, value in (
            ("slug", "x"),
            ("maker", "usr_x"),
            ("serial", "s2"),
            ("id", "gad_1"),
            ("version", 9),
            ("updatedAt", "x"),
        ):
            answer = api(method, path, {"name": "One", name: value})
            assert answer.status == 422 and name in answer.json["errors"], (method, name)
        assert "cannot be changed" in api(method, path, {"name": "One", "serial": "s2"}).json["errors"]["serial"]
    several = api("POST", "/v1/gadgets", {"slug": "x", "level": 99})
    assert set(several.json["errors"]) == {"slug", "name", "level"}
    assert api("PUT", path, made).status == 200, "a row that is sent back as it was read"


def test_fields_are_computed_kept_and_hidden(sheaf: world.World, api: Api, gadgets: None) -> None:
    made = api("POST", "/v1/gadgets", {"name": "One", "note": "secret", "serial": "s"})
    path = f"/v1/gadgets/{made.data['id']}"
    assert made.data["slug"] == "one-created" and made.data["maker"].startswith("key_") and "note" not in made.data
    changed = api("PATCH", path, {"level": 2}).data
    assert (changed["slug"], changed["maker"], changed["serial"]) == ("one-updated", made.data["maker"], "s")
    put = api("PUT", path, {"name": "Uno"})
    assert (put.data["level"], put.data["serial"], put.data["maker"]) == (1, "s", made.data["maker"])
    sheaf.settle()
    for asked in (
        "note=secret",
        "sort=note",
        "fields=note",
        "aggregate=min(note)",
        "aggregate=count&groupBy=note",
        'filter={"note":"x"}',
    ):
        assert api("GET", f"/v1/gadgets?{asked}").status == 400, asked
    for text in (api("GET", path).text, api("GET", "/v1/gadgets").text, api("GET", f"{path}/history").text):
        assert "secret" not in text and "note" not in text
    from sheaf.store import aws

    assert "secret" not in str(aws.client("dynamodb").scan(TableName="EventsTable")["Items"])
    rows = aws.client("dynamodb").scan(TableName="RecordsTable")["Items"]
    assert [row["h"]["S"] for row in rows if "h" in row] == ['{"note":"secret"}'], "kept, and after a PUT that could not name it"
    assert api("POST", "/v1/gadgets", {"name": "forbidden"}).json["errors"] == {"name": "is forbidden"}


def test_relations_must_exist(sheaf: world.World, api: Api, globex: world.Tenant, gadgets: None) -> None:
    one = api("POST", "/v1/gadgets", {"name": "One"}).data["id"]
    foreign = sheaf.http("POST", "/v1/gadgets", {"name": "Theirs"}, key=globex.key).data["id"]
    for parts in ([one, "gad_01h00000000000000000000000"], [foreign], ["x"], ["tsk_01h00000000000000000000000"]):
        refused = api("POST", "/v1/gadgets", {"name": "Two", "parts": parts})
        assert refused.status == 422 and "there is no gadget" in refused.json["errors"]["parts"]
    whole = api("POST", "/v1/gadgets", {"name": "Two", "parts": [one]})
    assert whole.status == 201
    api("DELETE", f"/v1/gadgets/{one}")
    assert api("PATCH", f"/v1/gadgets/{whole.data['id']}", {"level": 3}).status == 200, "what does not change is not asked about"
    assert api("PATCH", f"/v1/gadgets/{whole.data['id']}", {"parts": [one, one]}).status == 422


def test_a_row_belongs_to_who_made_it(sheaf: world.World, acme: world.Tenant, gadgets: None) -> None:
    mine, colleague = Api(sheaf, sheaf.key(acme, "user")), Api(sheaf, sheaf.key(acme, "user"))
    path = f"/v1/gadgets/{mine('POST', '/v1/gadgets', {'name': 'One'}).data['id']}"
    assert colleague("GET", path).status == 200
    for method, end, body in (
        ("PUT", "", {"name": "x"}),
        ("PATCH", "", {"name": "x"}),
        ("DELETE", "", None),
        ("POST", "/revert", {"version": 1}),
    ):
        refused = colleague(method, path + end, body)
        assert (refused.status, refused.json["code"]) == (403, "not_owner")
    assert Api(sheaf, sheaf.key(acme, "moderator"))("PATCH", path, {"level": 2}).status == 200
    assert mine("DELETE", path).status == 200
    assert colleague("POST", f"{path}/restore").status == 403
    assert mine("POST", f"{path}/restore").status == 200


PATCHES: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
    ({"description": None}, {"description": None}),
    ({"priority": None}, {"priority": "medium"}),
    ({"title": None}, None),
    ({}, {"title": "Water", "priority": "high"}),
]


@pytest.mark.parametrize(("body", "expected"), PATCHES)
def test_a_merge_patch_clears_and_resets(api: Api, body: dict[str, Any], expected: dict[str, Any] | None) -> None:
    path = f"/v1/tasks/{api('POST', '/v1/tasks', {**TASK, 'description': 'x'}).data['id']}"
    answer = api("PATCH", path, body, Content_Type="application/merge-patch+json")
    if expected is None:
        assert answer.status == 422 and answer.json["errors"] == {"title": "is required"}
    else:
        assert answer.status == 200 and {name: answer.data[name] for name in expected} == expected


# contract: 25
def test_an_endpoint_of_ones_own_stands_beside_the_declared_ones(api: Api) -> None:
    path = f"/v1/tasks/{api('POST', '/v1/tasks', TASK).data['id']}"
    done = api("POST", f"{path}/complete", If_Match='"1"')
    assert (done.status, done.data["status"], done.headers["ETag"]) == (200, "completed", '"2"')
    assert api("POST", f"{path}/complete", If_Match='"1"').status == 412
    assert api("GET", f"{path}/complete").headers["Allow"] == "POST, OPTIONS"
