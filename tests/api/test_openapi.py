"""The description is the API: nothing missing, nothing too much, and answers as it says (schemathesis)."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import openapi_spec_validator
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.engine import events, from_schema
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

import template
import world
from shape.routes import every_route
from sheaf.describe.operations import OPERATIONS

HOME = template.ROOT / "layers/core/sheaf/describe"
DOCUMENTS = {version: json.loads((HOME / f"openapi.v{version}.json").read_text()) for version in (1, 2)}


def test_the_committed_documents_are_those_of_the_routes_and_entities() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/openapi.py", "--check"], cwd=template.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("version", [1, 2])
def test_the_document_is_valid_openapi(version: int) -> None:
    openapi_spec_validator.validate(DOCUMENTS[version])
    identifiers = [each["operationId"] for item in DOCUMENTS[version]["paths"].values() for each in item.values()]
    assert len(identifiers) == len(set(identifiers))


def test_every_route_is_described_and_nothing_else(sheaf: world.World) -> None:
    registered = {(method, "/" + "/".join(rule)) for _, rule, methods in every_route() for method in methods}
    assert registered == set(OPERATIONS)


@pytest.mark.parametrize("version", [1, 2])
def test_every_route_of_the_template_is_described(sheaf: world.World, version: int) -> None:
    """A described path leads to the function that registers it, and every resource of the API has a described path."""
    folders = {rule: folder for folder, rule, _ in every_route()}
    reached = set()
    for path in DOCUMENTS[version]["paths"]:
        resource, folder, _ = template.route_of(path.replace("{", "x").replace("}", "x"))
        plain = tuple(path.replace(f"/v{version}/", "v1/", 1).replace("{", "<").replace("}", ">").split("/"))
        registered = [known for known, rule in ((folders[rule], rule) for rule in folders) if len(rule) == len(plain) and all(
            one == other or one == "<entity>" for one, other in zip(rule, plain, strict=True))]  # fmt: skip
        assert folder in registered, f"{path} goes to {folder}, which does not know it"
        reached.add(resource)
    ours = {path for path in template.routes() if path.startswith(f"/v{version}/")}
    elsewhere = {
        f"/v{version}/{{entity}}/{{id}}/bulk",
        f"/v{version}/{{entity}}/{{id}}/export",
    }  # tenant in the path
    assert ours - reached == elsewhere


def test_a_clash_of_names_is_refused() -> None:
    from sheaf.describe.openapi import _join

    with pytest.raises(ValueError, match="Task"):
        _join({"Task": {"type": "object"}}, {"Task": {"type": "string"}})


def test_the_api_serves_its_description(sheaf: world.World) -> None:
    for version in (1, 2):
        answer = sheaf.http("GET", f"/v{version}/openapi.json", headers={"Origin": "https://editor.example"})
        assert answer.json == DOCUMENTS[version] and answer.headers["Access-Control-Allow-Origin"] == "*"
        assert len(answer.text.encode()) < 1_000_000
    page = sheaf.http("GET", "/v1/docs")
    assert (
        page.headers["Content-Type"].startswith("text/html") and "script-src 'nonce-" in page.headers["Content-Security-Policy"]
    )
    nonce = page.headers["Content-Security-Policy"].partition("script-src 'nonce-")[2].partition("'")[0]
    assert page.text.count(f'nonce="{nonce}"') == 2 and "{nonce}" not in page.text and "https://" not in page.text
    assert sheaf.http("GET", "/v1/docs").text != page.text


# ---- schemathesis ----

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance, response_headers_conformance,
          ignored_auth, unsupported_method, allow_header_conformance)  # fmt: skip


@schemathesis.serializer("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "application/x-ndjson", "text/csv")
def as_it_is(_: Any, value: Any) -> bytes:
    """A generated file is a text that is hardly ever one."""
    return value.encode("utf-8", "replace") if isinstance(value, str) else json.dumps(value).encode()


class Server:
    """The world behind a socket of this machine, so that a client sees what clients see."""

    def __init__(self, sheaf: world.World) -> None:
        self.calls = 0
        outer, one_at_a_time = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version, wbufsize, disable_nagle_algorithm = "HTTP/1.1", 1 << 16, True  # one packet an answer

            def answer(self) -> None:
                with one_at_a_time:  # a client may hold several connections
                    self.reply()

            def reply(self) -> None:
                outer.calls += 1
                if outer.calls % 25 == 0:
                    sheaf.settle()
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path, mark, query = self.path.partition("?")
                answer = sheaf.http(
                    self.command, unquote(path, errors="replace").replace("?", "%3F") + mark + query.replace("+", "%20"),
                    (raw if "multipart/" in self.headers.get("Content-Type", "") else raw.decode("utf-8", "surrogateescape")) if raw else None,
                    headers={"Content-Type": "application/json", **dict(self.headers.items())}, source_ip=f"192.0.2.{outer.calls % 250}",
                )  # fmt: skip
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, str(value))
                content = answer.text.encode()
                if answer.status not in (204, 304):
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD" and answer.status not in (204, 304):
                    self.wfile.write(content)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_QUERY = answer

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Server":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def fuzz(
    sheaf: world.World, acme: world.Tenant, version: int, *, examples: int, seed: int, paths: str = "."
) -> tuple[int, list[str], set[str]]:
    """All phases of schemathesis against the handlers: the number of calls, what was wrong, and the phases that ran."""
    sheaf.open_site(acme)
    fill(sheaf, acme)
    with Server(sheaf) as server:
        schema = schemathesis.openapi.from_dict(DOCUMENTS[version]).include(path_regex=paths)
        schema.config.update(
            base_url=server.url, headers={"Authorization": f"Bearer {acme.key}"}, continue_on_failure=True, request_timeout=300
        )
        schema.config.generation.update(max_examples=examples, database="none", no_shrink=True, deterministic=seed == 0)
        schema.config.checks.update(included_check_names=[check.__name__ for check in CHECKS])
        wrong: list[str] = []
        phases: set[str] = set()
        for event in from_schema(schema).execute():
            if isinstance(event, events.ScenarioFinished):
                phases.add(event.phase.name)
                failed = [check.failure_info for found in event.recorder.checks.values() for check in found if check.failure_info]
                wrong += [f"{each.failure.title}: {each.failure.message}\n{each.code_sample}"[:1_500] for each in failed]
            elif isinstance(event, events.NonFatalError):
                wrong.append(f"{event.label}: {event.value}")
            elif isinstance(event, events.FatalError):
                raise event.exception
        return server.calls, wrong, phases


def fill(sheaf: world.World, acme: world.Tenant) -> dict[str, list[str]]:
    """A few rows of everything, by path."""
    user = sheaf.user(acme, "ann@acme.example")
    found: dict[str, list[str]] = {"users": [user]}
    bodies: dict[str, Any] = {
        "tasks": {"title": "Water", "assignee": user}, "contacts": {"first_name": "A", "last_name": "B", "email": "a@b.example"},
        "leads": {"first_name": "A", "last_name": "B", "email": "a@b.example"}, "posts": {"title": "Title", "content": "Long enough text"},
        "appointments": {"title": "A", "start_time": "2026-01-01T10:00:00Z", "end_time": "2026-01-01T11:00:00Z", "contact_email": "a@b.example"},
        "projects": {"name": "P"}, "videos": {"title": "V", "url": "https://v.example/1"},
    }  # fmt: skip
    for path, body in bodies.items():
        made = sheaf.http("POST", f"/v1/{path}", body, key=acme.key, headers={"Prefer": "profile=canonical"})
        found[path] = [made.data["id"]]
    found["comments"] = [sheaf.http("POST", "/v1/comments", {"post": found["posts"][0], "content": "x"}, key=acme.key).data["id"]]
    found["jobs"] = [sheaf.http("POST", "/v1/tasks/export", {"format": "csv"}, key=acme.key).data["id"]]
    found["webhooks"] = [
        sheaf.http("POST", "/v1/webhooks", {"url": "http://127.0.0.1:1/", "events": ["lead.created"]}, key=acme.key).data["id"]
    ]  # what the generated calls do seldom: every delivery fails, and each takes its time
    found["uploads"] = [
        sheaf.http("POST", "/v1/uploads", {"filename": "a.txt", "size": 5, "type": "text/plain"}, key=acme.key).data["id"]
    ]
    sheaf.settle()
    return found


@pytest.mark.parametrize(
    ("version", "paths", "least"),
    [
        (1, "/(tasks|posts|jobs|webhooks|uploads|health|hello|contact$)", 2_000),
        (1, "/(auth/(login|refresh|tickets)|me|sessions|rate-limits)", 500),
        (2, "/contacts", 500),
    ],
)
def test_answers_are_as_described(sheaf: world.World, acme: world.Tenant, version: int, paths: str, least: int) -> None:
    """Thousands of generated calls: no 5xx, no deviation from the document, no bad credential accepted. The soak asks for every path."""
    calls, wrong, phases = fuzz(sheaf, acme, version, examples=1, seed=0, paths=paths)
    print(f"\nv{version}: {calls:,} calls, {len(wrong)} deviations, phases {', '.join(sorted(phases))}")
    assert wrong == [] and calls >= least
    assert "STATEFUL_TESTING" in phases


@pytest.mark.soak
def test_schemathesis() -> None:
    """Soak: at least 20,000 generated calls, every path of both versions."""
    total = 0
    for number in range(20):
        with world.a_world() as sheaf:
            calls, wrong, phases = fuzz(sheaf, sheaf.tenant(), 1 + number % 2, examples=6, seed=number + 1)
        assert wrong == [] and "STATEFUL_TESTING" in phases
        total += calls
        print(f"{total:,} calls, 0 deviations", flush=True)
        if total >= 20_000:
            return
    raise AssertionError(f"only {total} calls")
