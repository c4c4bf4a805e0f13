"""The tour: the whole main job against a running stack, each call printed, each answer checked.

`tour.py .local/stack.json` exits with 1 and says what was wrong where an answer is not as it must be.
"""

import base64
import csv
import hmac
import io
import json
import sys
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from client import Answer, Client, Receiver, fetch, send_form, until

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
ROWS = 1_000


class WrongAnswer(Exception):
    """An answer is not as the tour must find it."""


class Tour:
    """One walk through the API as one tenant."""

    def __init__(self, stack: Mapping[str, Any]) -> None:
        self.tenant, self.other = stack["tenants"][0], stack["tenants"][1]
        self.base_url = stack["base_url"]
        self.client = Client(self.base_url, self.tenant["api_key"])

    def run(self) -> None:
        """Everything, in the order in which a newcomer meets it."""
        self.health()
        self.login()
        self.keys()
        with Receiver() as receiver:
            webhook = self.webhook(receiver)
            cursor = self.client.get("/v1/tasks?limit=1").headers["X-Event-Cursor"]
            task = self.records()
            self.delivered(receiver, webhook, task)
        self.followed(cursor, task)
        self.together()
        self.bulk()
        self.job()
        self.export()
        self.upload()
        self.isolation(task)

    def health(self) -> None:
        heading("Health, and the way from an unversioned path")
        answer = self.step("GET", "/health", expect=308)
        check(answer.headers["Location"] == "v1/health", "the redirect must be relative")
        check(self.step("GET", "/v1/health").json["status"] == "ok", "the status must be ok")

    def login(self) -> None:
        heading("Log in as a member and list the users")
        answer = Client(self.base_url).post("/v1/auth/login", self.tenant["member"])
        show("POST", "/v1/auth/login", {**self.tenant["member"], "password": "…"}, answer, hide="token refreshToken")
        check(answer.status == 200, "the login must succeed")
        member = Client(self.base_url, answer.data["token"])
        users = member.get("/v1/users?limit=1")
        show("GET", "/v1/users?limit=1", None, users)
        check(users.status == 200 and users.json["meta"]["hasMore"], "a second user must be on the next page")
        self.sessions(member)

    def sessions(self, member: Client) -> None:
        heading("From where am I logged in; a session that is ended is refused at the next request")
        sessions = member.get("/v1/sessions")
        show("GET", "/v1/sessions", None, sessions)
        current = next(each["id"] for each in sessions.data if each["current"])
        ended = member.call("DELETE", f"/v1/sessions/{current}")
        show("DELETE", f"/v1/sessions/{current}", None, ended)
        refused = member.get("/v1/me")
        show("GET", "/v1/me", None, refused)
        check(refused.status == 401, "the token of an ended session must be refused")

    def keys(self) -> None:
        heading("An API key that may only read tasks, until it is revoked")
        made = self.step("POST", "/v1/api-keys", {"name": "reader", "scopes": ["tasks:read"]}, expect=201, hide="key").data
        reader = Client(self.base_url, made["key"])
        for method, path, body, status in (("GET", "/v1/tasks?limit=1", None, 200), ("POST", "/v1/tasks", {"title": "No"}, 403)):
            answer = reader.call(method, path, body)
            show(f"{method}", f"{path} (with the new key)", body, answer)
            check(answer.status == status, f"the status must be {status}")
        self.step("DELETE", f"/v1/api-keys/{made['id']}")
        check(reader.get("/v1/tasks").status == 401, "a revoked key must be refused")

    def webhook(self, receiver: Receiver) -> Mapping[str, Any]:
        heading("Register a webhook, for a receiver on this machine")
        answer = self.step("POST", "/v1/webhooks", {"url": receiver.url, "events": ["task.*"]}, expect=201, hide="secret")
        check(answer.data["secret"].startswith("whsec_"), "the server must make a secret")
        webhook: Mapping[str, Any] = answer.data
        return webhook

    def records(self) -> Mapping[str, Any]:
        heading("Create, change and list a task; a stale version and a wrong field are refused")
        task = self.step("POST", "/v1/tasks", {"title": "Water the plants", "priority": "high"}, expect=201).data
        path = f"/v1/tasks/{task['id']}"
        changed = self.step("PATCH", path, {"status": "in_progress"}, headers={"If-Match": '"1"'})
        check(changed.headers["ETag"] == '"2"', "the version must be 2")
        self.step("PATCH", path, {"status": "todo"}, headers={"If-Match": '"1"'}, expect=412)
        wrong = self.step("POST", "/v1/tasks", {"title": "", "status": "done"}, expect=422)
        check(set(wrong.json["errors"]) == {"title", "status"}, "each wrong field must have its message")
        listed = self.step("GET", "/v1/tasks?status=in_progress&limit=1").data
        check(listed[0]["id"] == task["id"], "the newest task in progress must be this one")
        return changed.data  # type: ignore[no-any-return]

    def delivered(self, receiver: Receiver, webhook: Mapping[str, Any], task: Mapping[str, Any]) -> None:
        heading("The webhook has received both changes, signed")
        until(lambda: len(receiver.received) >= 2)
        kinds = []
        for headers, body in receiver.received:
            event = json.loads(body)
            kinds.append(event["type"])
            key = base64.b64decode(webhook["secret"].removeprefix("whsec_"))
            signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
            expected = base64.b64encode(hmac.digest(key, signed, sha256)).decode()
            check(hmac.compare_digest(headers["webhook-signature"], f"v1,{expected}"), "the signature must verify")
            check(event["data"]["id"] == task["id"], "the event must be of this task")
            print(f"  received {event['type']} {event['id']} sequence {event['sequence']}, signature good")
        check(sorted(kinds) == ["task.created", "task.updated"], "one event a change")
        path = f"/v1/webhooks/{webhook['id']}/attempts"
        until(lambda: len(self.client.get(path).data) == 2)
        attempts = self.step("GET", path).data
        check([each["status"] for each in attempts] == ["succeeded"] * 2, "both attempts must be listed")
        self.step("DELETE", f"/v1/webhooks/{webhook['id']}")

    def followed(self, cursor: str, task: Mapping[str, Any]) -> None:
        heading("The same two changes in the event log, from the place at which a list was read; and as a stream")
        found = self.step("GET", f"/v1/events?after={cursor}&entity=tasks&wait=10").data
        told = [(each["type"], each["data"]["id"]) for each in found]
        check(told == [("task.created", task["id"]), ("task.updated", task["id"])], "the log must hold both, in order")
        path = f"/v1/stream/tasks?after={cursor}"
        answer = self.client.get(path)
        print(f"  GET {path}\n  → {answer.status}")
        for line in answer.body.decode().splitlines():
            print(f"  {line[:300]}{'…' if len(line) > 300 else ''}" if line else "")
        check(answer.body.count(b'"task":{') == 2, "the stream must hold both")

    def together(self) -> None:
        heading("A project and its task in one transaction; both again by GraphQL")
        requests = [
            {"id": "p", "method": "POST", "path": "/projects", "body": {"name": "Garden"}, "atomicityGroup": "both"},
            {"id": "t", "method": "POST", "path": "/tasks", "body": {"title": "Plan @{p.body.name}"}, "atomicityGroup": "both"},
        ]
        answer = self.step("POST", "/v1/batch", {"requests": requests})
        made = {each["id"]: each["body"]["id"] for each in answer.json["responses"] if each["status"] == 201}
        check(made.keys() == {"p", "t"}, "both must be created")
        query = f'{{ task(id: "{made["t"]}") {{ title }} project(id: "{made["p"]}") {{ name }} }}'
        told = self.step("POST", "/v1/graphql", {"query": query}).json["data"]
        check(told == {"task": {"title": "Plan Garden"}, "project": {"name": "Garden"}}, "GraphQL must show the same rows")

    def bulk(self) -> None:
        heading("Import three at once, one of them wrong")
        items = [{"title": "Task 1"}, {"title": "Task 2"}, {"title": "Task 3", "status": "lost"}]
        options = {"skipInvalid": True, "returnFailures": True}
        data = self.step("POST", "/v1/import/tasks", {"items": items, "options": options}).data
        check((data["created"], data["failed"], data["failures"][0]["index"]) == (2, 1, 2), "two created, the third failed")

    def job(self) -> None:
        heading(f"Create {ROWS:,} contacts through the queue")
        mark = str(time.time_ns())
        people = [{"first_name": "Ann", "last_name": f"No. {n}", "email": f"ann.{mark}.{n}@people.example"} for n in range(ROWS)]
        answer = self.client.post("/v1/contacts/bulk", people)
        show("POST", "/v1/contacts/bulk", f"[{ROWS:,} contacts]", answer)
        check(answer.status == 202, "the job must be accepted")
        job = self.wait(answer.data["id"])
        counts = job["counts"]
        check(
            job["status"] == "succeeded" and counts["created"] == ROWS and counts["failed"] == 0, "every contact must be created"
        )

    def export(self) -> None:
        heading("Export the contacts as CSV")
        answer = self.step("POST", "/v1/contacts/export", {"format": "csv", "fields": ["id", "last_name", "email"]}, expect=202)
        job = self.wait(answer.data["id"])
        check(job["status"] == "succeeded", "the export must succeed")
        content = fetch(job["result"]["url"]).body
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        check(len(rows) == job["result"]["rows"] >= ROWS, "every contact must be in the file")
        check(sha256(content).hexdigest() == job["result"]["sha256"], "the checksum must fit")
        print(f"  downloaded {len(content):,} bytes, {len(rows):,} rows, SHA-256 as stated; the first:")
        print(f"  {content.decode().splitlines()[1]}")

    def upload(self) -> None:
        heading("Upload a picture by a presigned form; a text that claims to be one is rejected")
        for content, verdict in ((PNG, "ready"), (b"#!/bin/sh\necho not a picture\n", "rejected")):
            announced = {"filename": "dot.png", "size": len(content), "type": "image/png"}
            file = self.step("POST", "/v1/uploads", announced, expect=201, hide="upload").data
            sent = send_form(file["upload"], content)
            print(f"  POST {file['upload']['url']}  ← {len(content)} bytes\n  → {sent.status}")
            check(sent.status == 204, "the bucket must take the file")
            path = f"/v1/uploads/{file['id']}"
            settled = self.step("GET", f"{path}?wait=20", hide="download").data
            check(settled["status"] == verdict, f"the file must be {verdict}")
            if verdict == "ready":
                check(fetch(settled["download"]["url"]).body == content, "the download must be the same bytes")

    def isolation(self, task: Mapping[str, Any]) -> None:
        heading("Another tenant does not see the task")
        other = Client(self.base_url, self.other["api_key"])
        answer = other.get(f"/v1/tasks/{task['id']}")
        show("GET", f"/v1/tasks/{task['id']}   (as {self.other['name']})", None, answer)
        check(answer.status == 404, "another tenant's task must not be there")

    def wait(self, job_id: str) -> dict[str, Any]:
        """Follow a job to its end, a line for each new count."""
        last = ""
        while True:
            job: dict[str, Any] = self.client.get(f"/v1/jobs/{job_id}").data
            counts = job["counts"]
            done = f"{counts['created']:,} created, {counts['failed']:,} failed of " if job["type"] == "bulk" else ""
            line = f"  {job['status']}: {done}{counts['total']:,} rows"
            if line != last:
                print(line, flush=True)
            if job["status"] in ("succeeded", "failed"):
                return job
            last = line
            time.sleep(0.1)

    def step(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        expect: int = 200,
        hide: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One call as the tenant, printed, its status checked."""
        answer = self.client.call(method, path, body, headers)
        show(method, path, body, answer, hide)
        check(answer.status == expect, f"the status must be {expect}, not {answer.status}")
        return answer


def heading(text: str) -> None:
    """A step's title."""
    print(f"\n# {text}", flush=True)


def show(method: str, path: str, body: Any, answer: Answer, hide: str = "") -> None:
    """A call and its answer, cut to what fits a terminal."""
    sent = f"  ← {body if isinstance(body, str) else json.dumps(body)}" if body is not None else ""
    data = dict(answer.json) if answer.body else {}
    if isinstance(data.get("data"), dict):
        data["data"] = {name: "…" if name in hide.split() else value for name, value in data["data"].items()}
    data = {name: "…" if name in hide.split() else value for name, value in data.items()}
    text = json.dumps({name: value for name, value in data.items() if name not in ("requestId", "timestamp", "docUrl")})
    print(f"  {method} {path}{sent}\n  → {answer.status} {text[:400]}{'…' if len(text) > 400 else ''}", flush=True)


def check(good: object, sentence: str) -> None:
    """Stop the tour where something is not as it must be."""
    if not good:
        raise WrongAnswer(sentence)


def main() -> None:
    """The command line."""
    stack = json.loads(Path(sys.argv[1]).read_text())
    started = time.monotonic()
    try:
        Tour(stack).run()
    except (WrongAnswer, TimeoutError) as wrong:
        sys.exit(f"\nsheaf: the tour stopped here: {wrong}")
    print(f"\nThe tour is complete: every answer was as it must be ({time.monotonic() - started:.1f} s).", flush=True)


if __name__ == "__main__":
    main()
