"""Operations on the deployed stack: the 25 endpoints, a log whose chain holds under many writers, backups and the way back."""

import json
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from persons import Patient, login, made
from test_large import contacts, watched

import template
from client import Client, Receiver, fetch, until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def people(stack: dict[str, Any]) -> list[tuple[Client, Client]]:
    """Of each demo tenant its key, and an admin who is somebody else."""
    anybody, found = Client(stack["base_url"]), []
    for tenant in stack["tenants"]:
        owner = Client(stack["base_url"], tenant["api_key"])
        admin = Client(stack["base_url"], login(anybody, tenant["admin"]["email"], tenant["admin"]["password"])["token"])
        found.append((owner, admin))
    return found


def done(client: Client, job: str, seconds: float = 300) -> dict[str, Any]:
    shown, _ = watched(client, job, seconds)
    assert shown["status"] == "succeeded", shown
    return shown


# ---- the 25 endpoints ----


# contract: 108-132, 134
def test_all_25_endpoints_do_what_they_say(stack: dict[str, Any], people: list[tuple[Client, Client]]) -> None:
    key, admin = people[0]  # of the tenant that owns the installation: an operator
    mine = stack["tenants"][0]["admin"]
    login(Client(stack["base_url"]), mine["email"], mine["password"])  # the session that is ended at last
    done_by: list[str] = []

    def ask(number: int, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = (admin if number >= 24 else key).call(method, f"/v1/{path}", body)
        assert answer.status == status, (number, path, answer.body)
        envelope = answer.json
        assert envelope["success"] is True and envelope["requestId"] and envelope["timestamp"], (number, envelope)
        assert number == len(done_by) + 1, "each in its turn"
        done_by.append(f"{method} /v1/{path.partition('?')[0]}")
        return envelope["data"]

    video = key.post("/v1/videos", {"title": "Before", "url": "https://v.example/1"}).data["id"]
    user, _ = made(stack, key, Client(stack["base_url"]))
    contact = key.post("/v1/contacts", contacts(1, f"op{time.time_ns()}")[0]).data

    assert ask(1, "GET", "rate-limits/status")["principal"]["remaining"] > 0
    assert ask(2, "POST", "rate-limits/reset", {"principal": user}) is not None
    health = ask(3, "GET", "system/health")
    assert {"database", "cache", "storage", "api"} <= health["checks"].keys() and health["status"] in ("ok", "degraded")
    figures = until(lambda: (found := key.get("/v1/metrics").data) and found["requests"]["total"] and found, 60)
    assert figures["latencyMs"]["p95"] > 0
    assert ask(4, "GET", "system/metrics")["process"]["memoryMb"] > 0
    backup = ask(5, "POST", "backup/create", {"entity": "contacts"}, 202)["id"]
    until(lambda: key.get(f"/v1/backup/{backup}").data["status"] == "succeeded", 120)
    assert backup in {each["id"] for each in ask(6, "GET", "backup/list")}
    assert ask(7, "POST", "backup/restore", {"backup": backup}, 202)["status"] == "planning"
    logged = until(lambda: key.get(f"/v1/audit/logs?target={contact['id']}").data, 120)
    assert logged[0]["action"] == "contact.created" and logged[0]["after"]["email"] == contact["email"]
    assert ask(8, "GET", "audit/logs?entity=contacts")[0]["entity"] == "contacts"
    assert done(key, ask(9, "POST", "audit/export", {"format": "csv", "entity": "contacts"}, 202)["id"])["result"]["rows"] >= 1
    packed = done(key, ask(10, "POST", "gdpr/export-data", {"userId": user}, 202)["id"])["result"]
    assert packed["url"] and fetch(packed["url"]).body[:2] == b"PK"
    assert ask(11, "POST", "cache/clear", {"all": True}) is not None
    assert "hitRate" in ask(12, "GET", "cache/stats")
    updated = ask(13, "POST", "batch/videos/update", {"updates": [{"id": video, "title": "After"}]})
    assert updated["failed"] == 0 and key.get(f"/v1/videos/{video}").data["title"] == "After"
    action = ask(14, "POST", "batch/users/action", {"action": "ban", "userIds": [user]}, 202)["id"]
    assert done(key, action)["counts"]["updated"] == 1
    assert key.get(f"/v1/users/{user}").data["status"] == "banned"
    assert ask(15, "GET", f"batch/status?id={action}")["status"] == "succeeded"
    assert ask(16, "POST", "import/videos", {"items": [{"title": "V", "url": "https://v.example/2"}]})["created"] == 1
    export = ask(17, "POST", "export/data", {"type": "analytics", "format": "json"}, 202)["id"]
    done(key, export)
    assert ask(18, "GET", f"export/status?id={export}")["result"]["url"]
    with Receiver() as receiver:
        webhook = ask(19, "POST", "webhooks/register", {"url": receiver.url, "events": ["task.*"]}, 201)["id"]
        assert webhook in {each["id"] for each in ask(20, "GET", "webhooks/list")}
        assert ask(21, "POST", "webhooks/test", {"id": webhook})["status"] == "delivered" and len(receiver.received) == 1
        assert key.call("DELETE", f"/v1/webhooks/{webhook}").status == 200
    flag = f"f{time.time_ns()}"
    assert key.call("PUT", f"/v1/features/{flag}", {"enabled": False}).status == 201
    assert flag in {each["key"] for each in ask(22, "GET", "features/list")}
    assert ask(23, "POST", "features/toggle", {"feature": flag, "enabled": True})["enabled"] is True
    other = next(each["id"] for each in ask(24, "GET", "sessions/list") if not each["current"])
    ask(25, "DELETE", f"sessions/{other}")
    table = Path(template.ROOT / "docs/operations.md").read_text().partition("## The 25 endpoints")[2]
    for number, called in enumerate(done_by, 1):
        named = called.replace(f"/{other}", "/{id}")
        assert f"| {number} | `{named}` |" in table, named


def test_dead_messages_go_back_and_are_worked_on(stack: dict[str, Any], people: list[tuple[Client, Client]]) -> None:
    """A message that only its dead-letter queue has is sent back by the script, and its consumer does what it asks for."""
    key, _ = people[0]
    sqs = botocore.session.get_session().create_client("sqs", region_name=stack["region"], endpoint_url=stack["endpoint_url"],
                                                       aws_access_key_id="test", aws_secret_access_key="test")  # fmt: skip
    url = next(each for each in sqs.list_queues()["QueueUrls"] if "ChangesDeadQueue" in each)
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"eventSourceARN": "arn:nobody", "dynamodb": {}}))
    before = {each["name"]: each["dead"] for each in key.get("/v1/system/queues").data}
    assert before["changes_aside"] >= 1
    assert key.get("/v1/system/health").data["checks"]["queues"]["parts"]["changes_aside"]["status"] == "degraded"
    environment = {"BASE": stack["base_url"], "KEY": stack["tenants"][0]["api_key"], "PATH": "/usr/bin:/bin"}
    ran = subprocess.run([sys.executable, "scripts/redrive", "changes_aside"], cwd=template.ROOT, env=environment, check=False,
                         capture_output=True, text=True)  # fmt: skip
    assert ran.returncode == 0 and "moved, 0 left" in ran.stdout, ran.stdout + ran.stderr

    def depth() -> dict[str, int]:
        return next(each for each in key.get("/v1/system/queues").data if each["name"] == "changes_aside")

    until(lambda: (now := depth())["dead"] == 0 and now["depth"] + now["inFlight"] + now["delayed"] == 0, 60)


# ---- the audit log ----


def chained(stack: dict[str, Any], client: Client, writers: int, changes: int, tmp_path: Path) -> None:
    """So many writers change rows at once: each change is in the chain, which holds here and offline."""
    rows = [client.post("/v1/tasks", {"title": "T"}).data["id"] for _ in range(writers)]

    def write(row: str) -> None:
        own = Patient(stack["base_url"], client._credential)
        for number in range(changes):
            answer = own.call("PATCH", f"/v1/tasks/{row}", {"title": f"T{number}"})
            assert answer.status == 200, answer.body

    started = time.monotonic()
    with ThreadPoolExecutor(writers) as threads:
        list(threads.map(write, rows))
    wrote = time.monotonic() - started
    found = sealed(client, rows, changes + 1)
    assert found["problems"] == [] and found["valid"] is True
    job = done(client, client.post("/v1/audit/export", {"chain": True}).data["id"], 900)
    text = fetch(job["result"]["url"]).body
    (tmp_path / "audit.ndjson").write_bytes(text)
    kept = f"{found['head']['segment']}:{found['head']['hash']}"
    ran = subprocess.run([sys.executable, "scripts/verify-audit", str(tmp_path / "audit.ndjson"), "--head", kept],
                         cwd=template.ROOT, check=False, capture_output=True, text=True)  # fmt: skip
    assert ran.returncode == 0 and ran.stdout.startswith("valid: "), ran.stdout + ran.stderr
    entries, windows = read_chain(text, set(rows))
    assert entries == sorted((row, version) for row in rows for version in range(1, changes + 2)), "none missing, none twice"
    print(f"\n{writers} writers × {changes} changes in {wrote:.0f} s: {len(entries):,} entries of theirs in the chain, none missing; "
          f"unsealed for {windows[len(windows) // 2]:.1f} s (median) to {windows[-1]:.1f} s; {ran.stdout.strip()}", flush=True)  # fmt: skip


def sealed(client: Client, rows: list[str], versions: int) -> dict[str, Any]:
    """The report of the whole chain, once the newest change of every row is known and nothing is left unsealed."""
    for row in rows:
        until(lambda row=row: versions in _versions(client, row), 1_800, pause=1)  # type: ignore[misc]
    first, problems, deadline = 1, [], time.monotonic() + 1_800
    while time.monotonic() < deadline:
        found = client.get(f"/v1/audit/verify?segment={first}").data
        problems += found["problems"]
        first = found["nextSegment"] or found["head"]["segment"] + 1
        if found["complete"] and found["unsealed"] == 0:
            return {**found, "problems": problems}
        if found["complete"]:
            time.sleep(1)
    raise TimeoutError("the log is still not sealed")


def _versions(client: Client, row: str) -> list[int]:
    return [each["version"] for each in client.get(f"/v1/tasks/{row}/history?limit=1").data]


def read_chain(text: bytes, rows: set[str]) -> tuple[list[tuple[str, int]], list[float]]:
    """Each entry of some rows, as row and version, and for how many seconds each was not sealed, the shortest first."""
    entries, windows, sealed_at = [], [], 0
    for line in map(json.loads, text.splitlines()):
        if line["kind"] == "segment":
            sealed_at = line["sealedAt"]
        elif line["kind"] == "entry" and line["entry"]["row"] in rows:
            entries.append((line["entry"]["row"], line["entry"]["sequence"]))
            windows.append((sealed_at - line["entry"]["at"]) / 1_000)
    return sorted(entries), sorted(windows)


def test_four_writers_are_all_in_the_chain(stack: dict[str, Any], people: list[tuple[Client, Client]], tmp_path: Path) -> None:
    chained(stack, people[1][0], 4, 12, tmp_path)


@pytest.mark.soak
def test_audit_writers(stack: dict[str, Any], people: list[tuple[Client, Client]], tmp_path: Path) -> None:
    """Soak: 16 writers × 500 changes."""
    chained(stack, people[1][0], 16, 500, tmp_path)


# ---- backups ----


@dataclass
class Shop:
    """A tenant whose rows are backed up, changed at random, and restored."""

    key: Client
    admin: Client
    mark: str

    def rows(self) -> dict[str, dict[str, Any]]:
        """Every row, without what each version has of its own."""
        found: dict[str, dict[str, Any]] = {}
        cursor: str | None = ""
        while cursor is not None:
            page = self.key.get(f"/v1/contacts?limit=100{cursor and f'&cursor={cursor}'}").json
            found |= {each["id"]: each for each in page["data"]}
            cursor = page["meta"]["nextCursor"]
        return {row_id: {name: value for name, value in row.items() if name not in ("version", "updatedAt")}
                for row_id, row in found.items()}  # fmt: skip

    def add(self, count: int, mark: str) -> None:
        answer = self.key.post("/v1/contacts/bulk", {"items": contacts(min(count, 100), mark)}) if count <= 100 else None
        if answer is None:
            answer = self.key.post("/v1/import/contacts", contacts(count, mark))
        if answer.status == 202:
            done(self.key, answer.data["id"], 1_800)
        else:
            assert answer.status in (200, 201) and answer.data["failed"] == 0, answer.body

    def disturb(self, rng: random.Random, ids: list[str], each: int) -> None:
        """Change, delete and add so many rows."""
        chosen = rng.sample(ids, 2 * each)
        edits = [{"id": row, "first_name": "Changed"} for row in chosen[:each]]
        for start in range(0, each, 100):
            answer = self.key.call("PATCH", "/v1/contacts/bulk", {"updates": edits[start : start + 100]})
            assert answer.status == 200 and answer.data["failed"] == 0, answer.body
            answer = self.key.call("DELETE", "/v1/contacts/bulk", {"ids": chosen[each:][start : start + 100]})
            assert answer.status == 200 and answer.data["failed"] == 0, answer.body
        self.add(each, f"{self.mark}new")

    def restore(self, backup: str, **more: Any) -> dict[str, Any]:
        asked = self.key.post("/v1/backup/restore", {"backup": backup, **more})
        assert asked.status == 202, asked.body
        path = f"/v1/backup/restores/{asked.data['id']}"
        planned = until(lambda: (found := self.key.get(path).data)["status"] != "planning" and found, 1_200, pause=0.5)
        assert planned["status"] == "planned", planned
        said = {"restore": planned["id"], "confirmation": planned["confirmation"]}
        assert self.key.post("/v1/backup/restore", said).data["status"] == "confirmed"
        again = {"confirmation": planned["confirmation"]}
        assert self.key.post(f"{path}/approve", again).status == 403, "one person alone cannot restore"
        approved = self.admin.post(f"{path}/approve", again)
        assert approved.status == 202, approved.body
        ended: dict[str, Any] = until(lambda: (found := self.key.get(path).data)["status"] == "done" and found, 2_400, pause=0.5)
        return ended


def backed_up(people: list[tuple[Client, Client]], rows: int, tenants: int, each: int) -> None:
    """Rows of several tenants at once: backed up, disturbed, restored, and held against what they were, item by item."""
    mark = f"b{time.time_ns()}"
    shops = []
    for number, (key, admin) in enumerate(people[:tenants]):
        made = admin.post("/v1/api-keys", {"name": "approves", "role": "admin"})  # the large run outlives a token
        clients = (Patient(key.base_url, credential) for credential in (key._credential, made.data["key"]))
        shops.append(Shop(*clients, f"{mark}t{number}"))

    def life(shop: Shop) -> str:
        rng = random.Random(shop.mark)
        shop.add(rows, shop.mark)
        before = shop.rows()
        assert len(before) >= rows
        begun = time.monotonic()
        backup = shop.key.post("/v1/backup/create", {"entity": "contacts"}).data
        done(shop.key, backup["job"], 1_200)
        took = time.monotonic() - begun
        shop.disturb(rng, sorted(before), each)
        assert shop.rows() != before
        begun = time.monotonic()
        ended = shop.restore(backup["id"])
        restored = time.monotonic() - begun
        assert ended["outcome"] == {"created": 0, "updated": each, "deleted": each, "skipped": 0, "failed": 0} | (
            {"created": each} if ended["outcome"]["created"] else {}
        ), ended
        assert shop.rows() == before, "item by item"
        return f"{len(before):,} rows backed up in {took:.0f} s, {3 * each} of them restored in {restored:.0f} s"

    with ThreadPoolExecutor(tenants) as threads:
        told = list(threads.map(life, shops))
    print("\n" + "\n".join(told), flush=True)


def test_two_hundred_rows_of_two_tenants_come_back(people: list[tuple[Client, Client]]) -> None:
    backed_up(people, 200, 2, 20)


@pytest.mark.soak
def test_large_backups(people: list[tuple[Client, Client]]) -> None:
    """Soak: 10,000 rows of three tenants."""
    backed_up(people, 10_000, 3, 300)


# contract: 36, 140
def test_load_of_many_tenants(stack: dict[str, Any], tmp_path: Path) -> None:
    """The command of the load test, small: nothing fails, every tenant is served, the report adds up. `make load` is the whole."""
    for tenant in stack["tenants"]:  # the tests before may have used up their windows
        key = Patient(stack["base_url"], tenant["api_key"])
        until(lambda key=key: key.get("/v1/rate-limits/status").data["principal"]["remaining"] >= 40, 90, pause=5)  # type: ignore[misc]
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps([tenant["api_key"] for tenant in stack["tenants"]]))
    ran = subprocess.run([sys.executable, "scripts/load", "--tenants", "3", "--requests", "60", "--concurrency", "4", "--json",
                          "--base-url", stack["base_url"], "--keys", str(keys)],
                         cwd=template.ROOT, check=False, capture_output=True, text=True)  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(ran.stdout)
    assert (found["requests"], found["tenants"], found["errors"]) == (60, 3, 0)
    assert sum(each["requests"] for each in found["routes"].values()) == 60 == sum(found["statuses"].values())
    assert found["fairness"]["index"] > 0.5 and found["latencyMs"]["p50"] <= found["latencyMs"]["p95"]
    print(f"\nmean {found['latencyMs']['mean']} ms at a concurrency of 4, {found['perSecond']} requests/s", flush=True)
