"""HTTP as such: versions, origins, problem details, tenants in the path, bodies of every kind."""

import base64
import gzip
import json
import zlib
from typing import Any

import pytest

import template
import world
from sheaf.base.config import config

TASK = {"title": "Water"}


# contract: 44, C23
def test_versions_tell_themselves(sheaf: world.World, acme: world.Tenant) -> None:
    one = sheaf.http("GET", "/v1/tasks", key=acme.key).headers
    assert (one["X-API-Version"], one["X-API-Deprecation"]) == ("v1", "v1 will be deprecated on 2027-01-01")
    assert (one["Deprecation"], one["Sunset"]) == ("@1798761600", "Sat, 01 Jan 2028 00:00:00 GMT")
    two = sheaf.http("GET", "/v2/tasks", key=acme.key).headers
    assert two["X-API-Version"] == "v2" and not {"X-API-Deprecation", "Deprecation", "Sunset"} & set(two)
    assert sheaf.http("GET", "/v1/nothings", key=acme.key).headers["X-API-Version"] == "v1"
    assert sheaf.http("GET", "/v3/tasks", key=acme.key).status == 404


# contract: 43, 44
def test_version_two_speaks_camel_case_and_knows_no_profiles(sheaf: world.World, acme: world.Tenant) -> None:
    def call(method: str, path: str, body: Any = None) -> world.Answer:
        return sheaf.http(method, path, body, key=acme.key)

    body = {"firstName": "Ann", "lastName": "Lee", "email": "ann@b.example"}
    made = call("POST", "/v2/contacts", body)
    assert made.status == 201 and {name: made.data[name] for name in body} == body and "first_name" not in made.data
    path = made.data["id"]
    assert call("GET", f"/v1/contacts/{path}").data["first_name"] == "Ann"
    assert call("PATCH", f"/v2/contacts/{path}", {"lastName": "Low"}).data["lastName"] == "Low"
    for query in (
        "lastName=Low",
        "lastName[startswith]=L",
        "sort=lastName",
        "sort=-lastName,firstName",
        'filter={"or":[{"firstName":"Ann"}]}',
    ):
        assert [row["firstName"] for row in call("GET", f"/v2/contacts?{query}").data] == ["Ann"], query
    assert call("GET", "/v2/contacts?fields=firstName").data == [{"id": path, "firstName": "Ann"}]
    assert call("GET", "/v2/contacts?aggregate=count&groupBy=firstName").data == [{"firstName": "Ann", "count": 1}]
    assert set(call("POST", "/v2/contacts", {"firstName": ""}).json["errors"]) == {"firstName", "lastName", "email"}
    post = call("POST", "/v2/posts", {"title": "Title", "content": "Long enough text"})
    assert post.data["title"] == "Title" and call("GET", "/v2/posts").json["meta"]["limit"] == 20
    assert call("GET", f"/v2/posts/{post.data['id']}/nothing").json["code"] == "not_found"


# contract: 43
def test_the_tenant_may_stand_in_the_path_and_must_be_ones_own(
    sheaf: world.World, acme: world.Tenant, globex: world.Tenant
) -> None:
    for version in ("v1", "v2"):
        made = sheaf.http("POST", f"/{version}/{acme.id}/tasks", TASK, key=acme.key)
        assert made.status == 201
        own = f"/{version}/{acme.id}/tasks/{made.data['id']}"
        for path in (own, f"{own}/history", f"/{version}/{acme.id}/tasks", f"/{version}/tasks/{made.data['id']}"):
            assert sheaf.http("GET", path, key=acme.key).status == 200, path
        assert sheaf.http("POST", f"/{version}/{acme.id}/tasks/bulk", [TASK], key=acme.key).status == 200
        assert sheaf.http("POST", f"/{version}/{acme.id}/tasks/export", {"format": "csv"}, key=acme.key).status == 202
        for tenant in (acme.id, "tnt_01h00000000000000000000000", "tnt_x"):
            refused = sheaf.http("GET", f"/{version}/{tenant}/tasks/{made.data['id']}", key=globex.key)
            assert (refused.status, refused.json["code"]) == (403, "tenant_mismatch")
        assert sheaf.http("GET", f"/{version}/{acme.id}/uploads/x", key=acme.key).status == 404


# contract: 90
@pytest.mark.parametrize(
    ("origin", "path", "allowed", "credentials"),
    [("https://app.example.com", "/v1/tasks", "https://app.example.com", "true"), ("https://admin.example.com", "/v2/tasks/tsk_1", "https://admin.example.com", "true"),
     ("https://app.example.com.evil.example", "/v1/tasks", None, None), ("null", "/v1/tasks", None, None), ("http://app.example.com", "/v1/tasks", None, None),
     ("https://any.example", "/v1/hello", "*", None), ("https://app.example.com", "/v1/contact", "https://app.example.com", "true"),
     ("https://app.example.com", "/v1/nothings/a/b/c/d", "https://app.example.com", "true")],
)  # fmt: skip
def test_pages_of_named_origins_may_call(
    sheaf: world.World, acme: world.Tenant, origin: str, path: str, allowed: str | None, credentials: str | None
) -> None:
    answer = sheaf.http("GET", path, key=acme.key, headers={"Origin": origin})
    assert answer.headers.get("Access-Control-Allow-Origin") == allowed
    assert answer.headers.get("Access-Control-Allow-Credentials") == credentials
    assert allowed == "*" or answer.headers["Vary"] == "Origin"
    preflight = sheaf.http("OPTIONS", path, headers={"Origin": origin, "Access-Control-Request-Method": "PATCH"})
    if preflight.status < 300:
        assert preflight.headers.get("Access-Control-Allow-Origin") == allowed
        assert ("Access-Control-Allow-Methods" in preflight.headers) == (allowed is not None)
        assert preflight.headers.get("Access-Control-Allow-Methods", preflight.headers["Allow"]) == preflight.headers["Allow"]


def test_a_star_never_comes_with_credentials(sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHEAF_CORS_ORIGINS", "*")
    config.cache_clear()
    headers = sheaf.http("GET", "/v1/tasks", key=acme.key, headers={"Origin": "https://any.example"}).headers
    assert headers["Access-Control-Allow-Origin"] == "*" and "Access-Control-Allow-Credentials" not in headers
    monkeypatch.setenv("SHEAF_CORS_ORIGINS", "none")
    config.cache_clear()
    assert (
        "Access-Control-Allow-Origin"
        not in sheaf.http("GET", "/v1/tasks", key=acme.key, headers={"Origin": "https://any.example"}).headers
    )
    config.cache_clear()


# contract: 77, 100, C2
@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [("GET", "/v1/tasks/tsk_1", None, 404, "not_found"), ("POST", "/v1/tasks", {"title": ""}, 422, "validation_failed"),
     ("PATCH", "/v1/tasks", {}, 405, "method_not_allowed"), ("GET", "/v1/posts/post_1", None, 404, "not_found"),
     ("GET", "/v1/tasks?limit=0", None, 400, "invalid_parameter"), ("POST", "/v1/contact", {}, 503, "unavailable")],
)  # fmt: skip
def test_problem_details_where_they_are_asked_for(
    sheaf: world.World, acme: world.Tenant, method: str, path: str, body: Any, status: int, kind: str
) -> None:
    answer = sheaf.http(method, path, body, key=acme.key, headers={"Accept": "application/problem+json, application/json;q=0.5"})
    assert answer.headers["Content-Type"] == "application/problem+json" and answer.status == status
    problem = answer.json
    assert (problem["status"], problem["code"], problem["type"]) == (status, kind, f"docs/errors.md#{kind}")
    assert problem["title"] and problem["detail"] and problem["instance"].endswith(answer.headers["X-Request-Id"])
    assert "success" not in problem


# contract: 98, C1
def test_the_envelope_is_one(sheaf: world.World, acme: world.Tenant) -> None:
    made = sheaf.http("POST", "/v1/tasks", TASK, key=acme.key).json
    assert set(made) == {"success", "data", "requestId", "timestamp"} and made["success"] is True
    listed = sheaf.http("GET", "/v1/tasks?page=1", key=acme.key).json
    assert set(listed) == {"success", "data", "meta", "requestId", "timestamp"}
    assert set(listed["meta"]) == {"limit", "hasMore", "nextCursor", "page", "total"}


def compressed(sheaf: world.World, key: str, raw: bytes, kind: str = "application/gzip") -> world.Answer:
    text = base64.b64encode(raw).decode()
    event = world.event("records.create")
    event["headers"] |= {"Content-Type": kind, "Authorization": f"Bearer {key}"}
    answer = world.function("records").handler(
        {**event, "path": "/v1/tasks", "body": text, "isBase64Encoded": True}, world.CONTEXT
    )
    return world.Answer(answer["statusCode"], answer["headers"], answer["body"])


def test_gzip_is_read_within_its_bounds(sheaf: world.World, acme: world.Tenant) -> None:
    good = gzip.compress(json.dumps(TASK).encode())
    assert compressed(sheaf, acme.key, good).status == 201
    assert compressed(sheaf, acme.key, good, "application/x-gzip").status == 201
    bomb = gzip.compress(b'{"title": "' + b"x" * 50_000_000 + b'"}')
    assert len(bomb) < 60_000
    for raw, status, text in (
        (bomb, 413, "unpacks"), (gzip.compress(b" " * 500_000 + json.dumps(TASK).encode()), 413, "200 times"), (good[:-9], 400, "gzip"), (b"", 400, "gzip"),
        (b"{}", 400, "gzip"), (good + b"more", 400, "gzip"), (good + good, 400, "gzip"), (gzip.compress(b"{"), 400, "JSON"), (gzip.compress(b""), 400, "empty"),
        (zlib.compress(b"{}"), 400, "gzip"), (good[:10] + bytes(len(good) - 10), 400, "gzip"),
    ):  # fmt: skip
        refused = compressed(sheaf, acme.key, raw)
        assert refused.status == status and text in refused.json["message"], (raw[:20], refused.text)
    encoded = sheaf.http("POST", "/v1/tasks", TASK, key=acme.key, headers={"Content-Encoding": "gzip"})
    assert encoded.status == 415 and "application/gzip" in encoded.json["message"]


def test_the_gateways_own_errors_have_our_shape_and_codes_that_the_docs_know() -> None:
    import re

    answers = template.resources("AWS::Serverless::Api")["Api"]["GatewayResponses"]
    wanted = {"DEFAULT_4XX", "DEFAULT_5XX", "ACCESS_DENIED", "WAF_FILTERED", "MISSING_AUTHENTICATION_TOKEN", "REQUEST_TOO_LARGE", "THROTTLED",
              "QUOTA_EXCEEDED", "INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT", "UNSUPPORTED_MEDIA_TYPE", "RESOURCE_NOT_FOUND"}  # fmt: skip
    assert set(answers) == wanted
    documented = set(re.findall(r"^## (\w+)$", (template.ROOT / "docs/errors.md").read_text(), re.MULTILINE))
    for name, answer in answers.items():
        text = answer["ResponseTemplates"]["application/json"].replace("$context.error.messageString", '"x"')
        shape = json.loads(text)
        assert set(shape) == {"success", "error", "code", "message", "requestId", "timestamp"} and shape["success"] is False, name
        assert shape["code"] in documented
    assert template.resources("AWS::Serverless::Api")["Api"]["BinaryMediaTypes"]["Fn::If"][1] == [
        "application~1gzip",
        "application~1x-gzip",
        "multipart~1form-data",
        "text~1csv",
        "application~1vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ]


def test_every_route_takes_options_and_names_its_methods(sheaf: world.World) -> None:
    from shape.routes import every_route

    for _, rule, methods in every_route():
        path = "/" + "/".join("tasks" if part == "<entity>" else "x" if part.startswith("<") else part for part in rule)
        answer = sheaf.http("OPTIONS", path)
        assert answer.status in (200, 204) and answer.text == "", path
        assert set(answer.headers["Allow"].split(", ")) >= {*methods, "OPTIONS"}, path
