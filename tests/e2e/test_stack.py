"""The deployed stack, over HTTP: the tour, and what only real parts can show. IAM is enforced by the local AWS."""

import gzip
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

import template
from client import Client, Receiver, fetch, until

pytestmark = pytest.mark.e2e
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def test_the_tour_reaches_its_end(stack: dict[str, Any], tmp_path: Path) -> None:
    import json

    described = tmp_path / "stack.json"
    described.write_text(json.dumps(stack))
    done = subprocess.run(
        [sys.executable, "scripts/tour.py", str(described)], cwd=template.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The tour is complete" in done.stdout


def test_the_tour_stops_at_a_wrong_answer(stack: dict[str, Any], tmp_path: Path) -> None:
    import json

    described = tmp_path / "stack.json"
    described.write_text(json.dumps({**stack, "base_url": stack["base_url"] + "/nowhere"}))
    done = subprocess.run(
        [sys.executable, "scripts/tour.py", str(described)], cwd=template.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "the tour stopped here" in done.stderr


def test_the_local_aws_enforces_iam(stack: dict[str, Any]) -> None:
    """A stranger's credentials are refused, so the tour's success is the success of the functions' own policies."""
    session = botocore.session.get_session()
    stranger = session.create_client("dynamodb", region_name=stack["region"], endpoint_url=stack["endpoint_url"],
                                     aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="x")  # fmt: skip
    with pytest.raises(ClientError):
        stranger.list_tables()


# contract: 7 is for a later issue; this is 2, 26 at full length
def test_a_thousand_rows_through_the_queue_with_true_counts(client: Client) -> None:
    mark = str(time.time_ns())
    started = time.monotonic()
    answer = client.post(
        "/v1/leads/bulk",
        [{"first_name": "A", "last_name": mark, "email": f"a{n}@b.example", "source": mark} for n in range(1_000)],
    )
    accepted = time.monotonic() - started
    assert answer.status == 202 and accepted < 5
    job, seen = answer.data["id"], []

    def ended() -> Any:
        shown = client.get(f"/v1/jobs/{job}").data
        seen.append(shown["counts"]["created"])
        return shown if shown["status"] in ("succeeded", "failed") else None

    shown = until(ended, seconds=90)
    assert shown["status"] == "succeeded" and shown["counts"]["created"] == 1_000 and shown["counts"]["failed"] == 0
    assert seen == sorted(seen), "counts never go back"
    found, cursor = [], ""
    while cursor is not None:
        page = client.get(f"/v1/leads?source={mark}&limit=100{cursor and '&cursor=' + cursor}")
        found += [row["id"] for row in page.data]
        cursor = page.json["meta"]["nextCursor"]
    assert len(found) == len(set(found)) == 1_000
    print(f"\n1,000 rows: accepted in {accepted:.2f} s, done in {time.monotonic() - started:.1f} s")


CURL = """#!{python}
# Stands for curl where that is not installed: the options that the script uses.
import sys, urllib3
given = sys.argv[1:]
value = lambda name: given[given.index(name) + 1]
headers = dict(given[place + 1].split(": ", 1) for place, word in enumerate(given) if word == "-H")
body = open(value("--data-binary")[1:], "rb").read()
url = next(word for word in given if word.startswith("http"))
answer = urllib3.request(value("-X"), url, body=body, headers=headers, redirect=False, retries=False)
open(value("-o"), "wb").write(answer.data)
print(answer.status, end="")
"""


# contract: 61
def test_the_script_of_the_batch_upload(stack: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "curl").write_text(CURL.replace("{python}", sys.executable))
    (tmp_path / "curl").chmod(0o755)
    done = subprocess.run(
        ["scripts/test-batch-upload-api.sh"], cwd=template.ROOT, capture_output=True, text=True, check=False,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "BASE": stack["base_url"], "KEY": stack["tenants"][0]["api_key"]})  # fmt: skip
    assert done.returncode == 0 and done.stdout.count("ok ") == 5, done.stdout + done.stderr


def test_a_table_and_a_workbook_reach_the_function_as_they_were_sent(client: Client) -> None:
    mark = str(time.time_ns())
    table = f"title\tdescription\r\nÄ {mark}\t=1+1\r\n".encode("utf-16")
    made = client.call("POST", "/v1/import/tasks", table, {"Content-Type": "text/csv"})
    assert made.status == 202, made.body
    assert client.get(f"/v1/jobs/{made.data['id']}?wait=20").data["counts"]["created"] == 1
    job = client.post(
        "/v1/tasks/export", {"format": "xlsx", "filter": {"title": f"Ä {mark}"}, "fields": ["title", "description"]}
    )
    shown = client.get(f"/v1/jobs/{job.data['id']}?wait=20").data
    again = client.call("POST", "/v1/import/tasks", fetch(shown["result"]["url"]).body, {"Content-Type": XLSX})
    assert again.status == 202 and client.get(f"/v1/jobs/{again.data['id']}?wait=20").data["counts"]["created"] == 1

    def found() -> Any:
        rows = client.get(f"/v1/tasks?search={mark}").data
        return rows if len(rows) == 2 else None

    assert [(row["title"], row["description"]) for row in until(found, 30)] == [(f"Ä {mark}", "=1+1")] * 2
    assert client.post(f"/v1/jobs/{again.data['id']}/revert", {}).status == 202
    until(lambda: len(client.get(f"/v1/tasks?search={mark}").data) == 1 or None, 30)


def test_another_tenant_finds_nothing(client: Client, other: Client) -> None:
    task = client.post("/v1/tasks", {"title": "Secret"}).data["id"]
    upload = client.post("/v1/uploads", {"filename": "a.txt", "size": 5, "type": "text/plain"}).data["id"]
    webhook = client.post("/v1/webhooks", {"url": "http://127.0.0.1:1/", "events": ["comment.created"]}).data["id"]
    job = client.post("/v1/tasks/export", {"format": "csv"}).data["id"]
    client.post("/v1/tasks", {"title": "Another"})
    cursor = client.get("/v1/tasks?limit=1").json["meta"]["nextCursor"]
    for path in (
        f"/v1/tasks/{task}",
        f"/v1/uploads/{upload}",
        f"/v1/webhooks/{webhook}",
        f"/v1/webhooks/{webhook}/attempts",
        f"/v1/jobs/{job}",
    ):
        assert (client.get(path).status, other.get(path).status) == (200, 404), path
    for method in ("PATCH", "PUT", "DELETE"):
        assert other.call(method, f"/v1/tasks/{task}", {"title": "mine"}).status == 404
    assert other.get(f"/v1/tasks?limit=1&cursor={cursor}").status == 400
    assert task not in other.get("/v1/tasks?status=todo&limit=100").body.decode()
    assert client.get(f"/v1/tasks/{task}").data["version"] == 1


def test_a_batch_with_a_group_and_its_key(client: Client, other: Client) -> None:  # contract: 19, 20
    """Transactions, references and replays on the real parts; many writers of the same rows get all of a group or nothing."""
    mark = str(time.time_ns())
    asked = {"requests": [
        {"id": "a", "method": "POST", "path": "/projects", "body": {"name": f"A {mark}"}, "atomicityGroup": "g"},
        {"id": "b", "method": "POST", "path": "/tasks", "body": {"title": f"of @{{a.body.id}} {mark}"}, "atomicityGroup": "g"},
        {"id": "c", "method": "PATCH", "path": "/api/v1/tasks/@{b.body.id}", "body": {"status": "completed"}, "headers": {"If-Match": "@{b.headers.etag}"}},
        {"id": "d", "method": "GET", "path": "/tasks/@{b.body.id}", "dependsOn": ["c"]},
        {"id": "e", "method": "GET", "path": "/webhooks"},
    ]}  # fmt: skip
    first = client.call("POST", "/v1/batch", asked, {"Idempotency-Key": f"batch-{mark}"})
    found = {each["id"]: each for each in first.json["responses"]}
    assert {name: each["status"] for name, each in found.items()} == {"a": 201, "b": 201, "c": 200, "d": 200, "e": 422}
    assert found["d"]["body"]["version"] == 2 and found["a"]["body"]["id"] in found["d"]["body"]["title"]
    again = client.call("POST", "/v1/batch", asked, {"Idempotency-Key": f"batch-{mark}"})
    assert {each["id"]: each["body"]["id"] for each in again.json["responses"][:4]} == {
        name: found[name]["body"]["id"] for name in "abcd"}  # fmt: skip
    assert other.get(f"/v1/tasks/{found['b']['body']['id']}").status == 404

    tasks = [client.post("/v1/tasks", {"title": f"{mark} {number}"}).data["id"] for number in range(3)]

    def write(number: int) -> list[int]:
        changes = [{"id": f"r{place}", "method": "PATCH", "path": f"/tasks/{task}", "body": {"description": str(number)},
                    "atomicityGroup": "g"} for place, task in enumerate(tasks)]  # fmt: skip
        return [each["status"] for each in client.post("/v1/batch", {"requests": changes}).json["responses"]]

    with ThreadPoolExecutor(6) as threads:
        outcomes = list(threads.map(write, range(12)))
    assert all(len(set(statuses)) == 1 for statuses in outcomes), outcomes
    rows = [client.get(f"/v1/tasks/{task}").data for task in tasks]
    through = sum(statuses[0] == 200 for statuses in outcomes)
    assert len({row["description"] for row in rows}) == 1 and {row["version"] for row in rows} == {1 + through}
    assert through >= 1


def test_graphql_on_the_stack(client: Client, other: Client) -> None:  # contract: 21, 23
    mark = str(time.time_ns())
    query = "mutation($i: CreateTaskInput!) { createTask(input: $i) { id title version } }"
    made = client.post("/v1/graphql", {"query": query, "variables": {"i": {"title": f"GraphQL {mark}"}}}).json["data"][
        "createTask"
    ]
    listed = client.post("/v1/graphql", {"query": "query($f: TaskFilter) { tasks(filter: $f) { nodes { id assignee { name } } totalCount } }",
                                         "variables": {"f": {"title": {"contains": mark}}}})  # fmt: skip
    assert listed.json["data"]["tasks"] == {"nodes": [{"id": made["id"], "assignee": None}], "totalCount": 1}
    assert listed.json["extensions"]["cost"]["requests"] == 1
    theirs = other.post("/v1/graphql", {"query": f'{{ task(id: "{made["id"]}") {{ id }} }}'})
    assert theirs.json["data"] == {"task": None}
    wrong = client.post("/v1/graphql", {"query": "{ tasks { nodes { nope } } }"})
    assert wrong.status == 400 and wrong.json["errors"][0]["extensions"]["code"] == "invalid_query"
    operation = client.post("/v1/graphql/operations", {"query": "query Mine { tasks(first: 1) { nodes { id } } }"}).data["id"]
    by_hash = client.post("/v1/graphql", {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": operation}}})
    assert len(by_hash.json["data"]["tasks"]["nodes"]) == 1
    assert client.call("DELETE", f"/v1/graphql/operations/{operation}").status == 204


def test_the_limit_is_exact_under_concurrency(stack: dict[str, Any]) -> None:
    """Thirty-two clients at once on a tier of 100 a minute, inside one window: 100 are let in."""
    free = Client(stack["base_url"], stack["tenants"][2]["api_key"])
    for _ in range(4):  # a machine that is too slow for one window says nothing about the limit
        free.get("/v1/tasks")  # the function is awake
        time.sleep(60.5 - time.time() % 60)
        window = int(time.time() // 60)
        with ThreadPoolExecutor(32) as threads:
            statuses = list(threads.map(lambda _: free.get("/v1/tasks").status, range(140)))
        if int(time.time() // 60) == window:
            break
    else:
        raise AssertionError("140 requests never fitted into one window")
    assert (statuses.count(200), statuses.count(429)) == (100, 40)


def test_a_failing_receiver_is_tried_again_and_attempts_are_listed(client: Client) -> None:
    with Receiver(answers=[500, 200]) as receiver:
        webhook = client.post("/v1/webhooks", {"url": receiver.url, "events": ["comment.created"]}).data["id"]
        post = client.post("/v1/posts", {"title": "A post", "content": "Ten letters and more"}).json["post"]["id"]
        client.post("/v1/comments", {"post": post, "content": "hello"})
        path = f"/v1/webhooks/{webhook}/attempts"
        until(lambda: len(client.get(path).data) == 2, seconds=30)
        assert [(each["attempt"], each["statusCode"]) for each in client.get(path).data] == [(2, 200), (1, 500)]
        client.call("DELETE", f"/v1/webhooks/{webhook}")


def test_the_gateway_redirects_and_refuses_in_our_shape(client: Client) -> None:
    assert client.get("/tasks?limit=1").headers["Location"] == "v1/tasks?limit=1"
    for method, path, status in (
        ("GET", "/v1/nothings", 404),
        ("PATCH", "/v1/tasks", 405),
        ("DELETE", "/v1/health", 405),
        ("GET", "/v1/a/b/c/d", 404),
    ):
        answer = client.call(method, path, {} if method != "GET" else None)
        assert (answer.status, answer.json["success"]) == (status, False)
        assert answer.json["requestId"] == answer.headers["X-Request-Id"]
    options = client.call("OPTIONS", "/v1/tasks")
    assert (options.status, options.headers["Allow"]) == (204, "GET, HEAD, POST, OPTIONS")


# contract: 72
def test_the_contact_form_reaches_the_mailbox(client: Client, stack: dict[str, Any]) -> None:
    mark = str(time.time_ns())
    form = {"name": "Ann", "email": "ann@b.example", "subject": f"Question {mark}", "message": "How does it work?"}
    anybody = Client(stack["base_url"])
    assert anybody.post("/v1/contact", form).status == 201
    found = until(lambda: [each for each in mails(stack) if mark in str(each)], seconds=30)
    assert len(found) == 1 and "operator@example.com" in str(found[0]) and "ann@b.example" in str(found[0])
    assert [row["subject"] for row in client.get(f"/v1/contact_messages?subject={form['subject'].replace(' ', '%20')}").data] == [
        form["subject"]
    ]


def mails(stack: dict[str, Any]) -> list[Any]:
    answer = fetch(f"{stack['endpoint_url']}/_ministack/ses/messages")
    return [each for account in answer.json["messages"].values() for each in account]


def test_queries_of_every_kind_on_real_indexes(client: Client, other: Client) -> None:
    mark = f"q{time.time_ns()}"
    for number in range(7):
        body = {
            "title": f"{mark} {number}",
            "duration_seconds": None if number == 3 else 10 - number,
            "tags": ["a"] * (number % 2),
        }
        assert client.post("/v1/videos", body).status == 201
    mine = f"title[startswith]={mark}"
    by_length = client.get(f"/v1/videos?{mine}&sort=duration_seconds&page=1&limit=3")
    assert [row["title"][-1] for row in by_length.data] == ["3", "6", "5"] and by_length.json["meta"]["total"] == 7
    following = client.get(f"/v1/videos?{mine}&sort=duration_seconds&limit=3&cursor={by_length.json['meta']['nextCursor']}")
    assert [row["title"][-1] for row in following.data] == ["4", "2", "1"]
    assert [
        row["title"][-1] for row in client.get(f"/v1/videos?{mine}&duration_seconds[between]=5,8&sort=-duration_seconds").data
    ] == ["2", "4", "5"]
    assert client.get(f"/v1/videos?{mine}&aggregate=count,sum(duration_seconds)").data == [
        {"count": 7, "sum": {"duration_seconds": 42}}
    ]
    found = until(lambda: client.get(f"/v1/videos?search={mark}&limit=2&total=true").json, seconds=30)
    until(lambda: client.get(f"/v1/videos?search={mark}&total=true").json["meta"]["total"] == 7, seconds=30)
    assert other.get(f"/v1/videos?search={mark}").data == [] and found["success"]
    row = client.get(f"/v1/videos?{mine}&limit=1").data[0]["id"]
    assert client.call("PATCH", f"/v1/videos/{row}", {"title": f"{mark} new"}).status == 200
    until(lambda: len(client.get(f"/v1/videos/{row}/history").data) == 2, seconds=30)
    stale = client.call("PATCH", f"/v1/videos/{row}", {"title": "mine"}, {"If-Match": '"1"'})
    assert stale.status == 412 and stale.json["diff"]["title"]["conflict"] is True
    dry = client.call("DELETE", f"/v1/videos/{row}", None, {"Prefer": "dry-run"})
    assert dry.json["meta"] == {"dryRun": True} and client.get(f"/v1/videos/{row}").status == 200
    assert client.call("DELETE", f"/v1/videos/{row}").status == 200
    assert client.call("POST", f"/v1/videos/{row}/restore").data["version"] == 4
    assert client.call("POST", f"/v1/videos/{row}/revert", {"version": 1}).data["title"] == f"{mark} 6"
    assert client.get(f"/v1/users/{stack_user(client)}?expand=posts_via_author").status == 200


def stack_user(client: Client) -> str:
    return str(client.get("/v1/users?limit=1").data[0]["id"])


def test_the_second_version_the_description_and_the_preflight_are_routed(client: Client, stack: dict[str, Any]) -> None:
    made = client.post("/v2/contacts", {"firstName": "Ann", "lastName": "Lee", "email": "ann@b.example"})
    assert (made.status, made.data["firstName"], made.headers["X-API-Version"]) == (201, "Ann", "v2")
    tenant = stack["tenants"][0]["id"]
    assert client.get(f"/v1/{tenant}/contacts/{made.data['id']}").data["first_name"] == "Ann"
    assert (
        client.post(f"/v1/{tenant}/contacts/bulk", [{"first_name": "A", "last_name": "B", "email": "a@b.example"}]).data[
            "created"
        ]
        == 1
    )
    assert client.get(f"/v1/{stack['tenants'][1]['id']}/contacts").status == 403
    packed = urllib.request.Request(f"{stack['base_url']}/v1/tasks", gzip.compress(b'{"title": "packed"}'), method="POST",
                                    headers={"Content-Type": "application/gzip", "Authorization": f"Bearer {stack['tenants'][0]['api_key']}"})  # fmt: skip
    with urllib.request.urlopen(packed) as answer:
        assert answer.status == 201
    anybody = Client(stack["base_url"])
    assert anybody.get("/v1/openapi.json").json["openapi"] == "3.1.0" and b"<!doctype html>" in anybody.get("/v1/docs").body
    assert anybody.get("/v1/hello").json["message"]
    preflight = anybody.call(
        "OPTIONS", "/v1/tasks", None, {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
    )
    assert (preflight.status, preflight.headers["Access-Control-Allow-Origin"]) == (204, "http://localhost:3000")
