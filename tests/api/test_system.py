"""Health, redirects, requests as such, the event files, and an entity that is added at run time."""

import json
from pathlib import Path
from typing import Any

import pytest

import entities
import template
import world
from sheaf.entity import registry


# contract: 33
def test_health_says_ok_to_all_and_more_to_those_who_may_know(sheaf: world.World, acme: world.Tenant) -> None:
    public = sheaf.http("GET", "/v1/health")
    assert (public.status, set(public.json), public.json["status"]) == (200, {"status", "timestamp"}, "ok")
    known = sheaf.http("GET", "/v1/health", key=acme.key)
    assert known.json["database"] == "connected"
    assert sheaf.http("GET", "/v1/health", key=sheaf.key(acme, "user")).status == 403
    assert sheaf.http("GET", "/v1/health", key="sk_local_x").status == 401


@pytest.mark.parametrize(
    ("method", "path", "location"),
    [("GET", "/health", "v1/health"), ("POST", "/contacts/bulk", "../v1/contacts/bulk"), ("GET", "/tasks?limit=1", "v1/tasks?limit=1"),
     ("PUT", "/users/usr_1/posts/post_1", "../../../v1/users/usr_1/posts/post_1"), ("GET", "/tasks/", "../v1/tasks/"),
     ("GET", "/a\r\nb: c", "v1/a%0D%0Ab%3A%20c"), ("GET", "/apiary/x", "../v1/apiary/x")],
)  # fmt: skip
def test_a_path_without_version_is_308_and_relative(sheaf: world.World, method: str, path: str, location: str) -> None:
    answer = sheaf.http(method, path, {} if method != "GET" else None)
    assert (answer.status, answer.headers["Location"]) == (308, location)


def test_every_answer_names_its_request(sheaf: world.World, acme: world.Tenant) -> None:
    given = sheaf.http("GET", "/v1/tasks", key=acme.key, headers={"X-Request-Id": "my-request-0001"})
    assert given.headers["X-Request-Id"] == given.json["requestId"] == "my-request-0001"
    for bad in ("short", "x" * 65, "with space 1", "a\r\nb: c-12345"):
        made = sheaf.http("GET", "/v1/nothings", key=acme.key, headers={"X-Request-Id": bad})
        assert made.headers["X-Request-Id"] == made.json["requestId"] != bad


def test_an_unforeseen_error_is_500_in_our_shape_and_tells_nothing(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sheaf.records import read

    def broken(*_: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(read, "one", broken)
    answer = sheaf.http("GET", "/v1/tasks/tsk_1", key=acme.key)
    assert (answer.status, answer.json["code"]) == (500, "internal_error")
    assert "secret detail" not in answer.text and answer.json["requestId"]


def test_a_broken_event_still_gets_an_answer(sheaf: world.World) -> None:
    for event in (
        {},
        {"httpMethod": "GET", "path": "/v1/tasks"},
        {"httpMethod": "POST", "path": "/v1/tasks", "isBase64Encoded": True, "body": "!"},
    ):
        answer = world.function("records").handler(dict(event), world.CONTEXT)
        assert answer["statusCode"] in (400, 401, 404, 500) and json.loads(answer["body"])["success"] is False


EXPECTED = {"auth.login": 401, "records.create": 201, "records.list": 200, "bulk.import": 200, "jobs.get": 404, "uploads.create": 201,
            "webhooks.register": 201, "system.health": 200, "site.hello": 200, "auth.register": 201, "admin.users": 200,
            "batch.several": 200, "graphql.list": 200, "realtime.stream": 200, "sockets.connect": 200,
            "sockets.subscribe": 401, "audit.logs": 200}  # fmt: skip


@pytest.mark.parametrize("path", sorted((template.ROOT / "events").glob("*.json")), ids=lambda path: path.stem)
def test_every_event_file_goes_through_its_function(sheaf: world.World, acme: world.Tenant, path: Path) -> None:
    event = json.loads(path.read_text().replace("REPLACE_WITH_AN_API_KEY", acme.key))
    folder = path.stem.split(".")[0]
    if folder == "on_job":
        job = sheaf.http("POST", "/v1/tasks/bulk", [{"title": "x"}] * 101, key=acme.key).data["id"]
        event["Records"][0]["body"] = json.dumps({"tenant": acme.id, "job": job, "chunk": 0, "requestId": "r"})
    if folder == "on_delivery":
        task = sheaf.http("POST", "/v1/tasks", {"title": "x"}, key=acme.key).data["id"]
        sheaf.settle()
        event["Records"][0]["body"] = json.dumps({"tenant": acme.id, "webhook": "wh_x", "rows": [{"r": task, "p": 8}]})
    answer = world.function(folder).handler(event, world.CONTEXT)
    if path.stem in EXPECTED:
        assert answer["statusCode"] == EXPECTED[path.stem], answer
    else:
        assert answer in (None, {"batchItemFailures": []})


def test_every_function_has_an_event_file() -> None:
    folders = {Path(properties["CodeUri"]).name for properties in template.functions().values()}
    assert folders == {path.stem.split(".")[0] for path in (template.ROOT / "events").glob("*.json")}


DECLARATION = '''"""Gadgets."""

from typing import Literal

from sheaf import Entity, field


class SpareGadget(Entity, prefix="gad"):
    name: str = field(min_length=1)
    color: Literal["red", "blue"] = field("red", index=True)
'''


@pytest.fixture
def gadgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gadgets.py").write_text(DECLARATION)
    monkeypatch.setattr(entities, "__path__", [*entities.__path__, str(tmp_path)])
    monkeypatch.setattr(registry, "_known", {})


def test_one_more_file_is_one_more_entity_on_every_surface(sheaf: world.World, acme: world.Tenant, gadgets: None) -> None:
    from client import Receiver

    with Receiver() as receiver:
        sheaf.http("POST", "/v1/webhooks", {"url": receiver.url, "events": ["spare_gadget.*"]}, key=acme.key)
        made = sheaf.http("POST", "/v1/gadgets", {"name": "Lamp", "color": "blue"}, key=acme.key)
        assert made.status == 201 and made.data["id"].startswith("gad_")
        path = f"/v1/gadgets/{made.data['id']}"
        assert sheaf.http("PATCH", path, {"color": "red"}, key=acme.key).data["color"] == "red"
        assert sheaf.http("PUT", path, {"name": "Lamp 2"}, key=acme.key).data["version"] == 3
        assert sheaf.http("POST", "/v1/gadgets", {"color": "green"}, key=acme.key).status == 422
        assert len(sheaf.http("GET", "/v1/gadgets?color=red", key=acme.key).data) == 1
        assert sheaf.http("POST", "/v1/import/gadgets", {"items": [{"name": "a"}]}, key=acme.key).data["created"] == 1
        job = sheaf.http("POST", "/v1/gadgets/bulk", [{"name": str(n)} for n in range(101)], key=acme.key).data["id"]
        sheaf.settle()
        assert sheaf.http("GET", f"/v1/jobs/{job}", key=acme.key).data["counts"]["created"] == 101
        export = sheaf.http("POST", "/v1/gadgets/export", {"format": "csv"}, key=acme.key).data["id"]
        assert sheaf.http("DELETE", path, key=acme.key).status == 200
        sheaf.settle()
        assert sheaf.http("GET", f"/v1/jobs/{export}", key=acme.key).data["result"]["rows"] == 102
        kinds = {json.loads(body)["type"] for _, body in receiver.received}
        assert kinds == {"spare_gadget.created", "spare_gadget.updated", "spare_gadget.deleted"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("from sheaf import Entity, field\n", "exactly one"),
        (DECLARATION + '\n\nclass Two(Entity, prefix="two"):\n    pass\n', "exactly one"),
        (DECLARATION.replace("name:", "id:"), "the server's"),
        (DECLARATION + "".join(f'    f{n}: str = field("", index=True)\n' for n in range(3)), "3 is the most"),
    ],
)
def test_a_wrong_declaration_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str) -> None:
    import sys

    (tmp_path / "wrongs.py").write_text(text)
    monkeypatch.setattr(entities, "__path__", [*entities.__path__, str(tmp_path)])
    sys.modules.pop("entities.wrongs", None)
    with pytest.raises(registry.DeclarationError, match=reason):
        registry.find("wrongs")
    with pytest.raises(registry.DeclarationError, match="taken"):
        registry.entity_type(registry.find("tasks").model, "jobs")


# contract: 21, 46, 73, 147
def test_the_entities_of_the_seeds_are_declared_on_one_screen_each() -> None:
    wanted = {"tasks": "tsk", "contacts": "con", "leads": "lead", "appointments": "apt", "posts": "post", "comments": "cmt",
              "projects": "prj", "videos": "vid", "users": "usr", "contact_messages": "contact"}  # fmt: skip
    assert {path: registry.find(path).prefix for path in registry.paths()} == wanted
    for path in wanted:
        file = template.ROOT / "layers/core/entities" / f"{path}.py"
        assert len(file.read_text().splitlines()) <= 40
