"""Jobs of every kind in small, a queue that carries them to their end through trouble, and what must hold afterwards."""

import csv
import io
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

import rights
import world
from sheaf.base import clock
from sheaf.store import aws
from sim.faults import When, hooked
from sim.sources import Killed, Queue

ENDED = ("succeeded", "failed", "cancelled")
TITLES = [f"{n}" for n in range(10)]
TABLE = "first_name,last_name,email\r\n" + "".join(f"A{n},{'' if n == 4 else 'B'},a{n}@b.example\r\n" for n in range(10))


class Time:
    """A clock that the test moves, so that leases of the dead run out."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now

    def leap(self) -> None:
        self.now += 200


@dataclass
class Run:
    """One job in a world of its own."""

    sheaf: world.World
    acme: world.Tenant
    time: Time
    job: str = ""
    seen: list[tuple[str, str]] = field(default_factory=list)  # every status of every job, in the order of the stream

    def post(self, path: str, body: Any, method: str = "POST", **headers: str) -> Any:
        answer = self.sheaf.http(method, path, body, key=self.acme.key, headers=headers)
        assert answer.status < 300, answer.text
        return answer.data if "data" in answer.json else answer.json

    def shown(self) -> dict[str, Any]:
        return dict(self.sheaf.http("GET", f"/v1/jobs/{self.job}", key=self.acme.key).data)

    def rows(self, path: str) -> list[dict[str, Any]]:
        return list(
            self.sheaf.http("GET", f"/v1/{path}?limit=100", key=self.acme.key, headers={"Prefer": "profile=canonical"}).data
        )

    def follow(self) -> None:
        """The stream of changes since the last look goes to on_change."""
        records = self.sheaf.changes()
        for record in records:
            image = record["dynamodb"].get("NewImage", {})
            if image.get("pk", {}).get("S", "").endswith("#job"):
                self.seen.append((image["sk"]["S"], image["st"]["S"]))
        if records:
            with rights.of("on_change"):
                assert world.function("on_change").handler({"Records": records}, world.CONTEXT) == {"batchItemFailures": []}


def create(run: Run) -> str:
    items = [{"title": title if title != "4" else ""} for title in TITLES]
    return str(run.post("/v1/tasks/bulk", items)["id"])


def made(run: Run, path: str = "tasks") -> list[str]:
    """Ids of rows that are there before the job."""
    body = [{"title": title, **({"url": f"https://v.example/{title}"} if path == "videos" else {})} for title in TITLES[:6]]
    return [each["id"] for each in run.post(f"/v1/import/{path}", {"items": body, "options": {"atomic": True}})["items"]]


def update(run: Run) -> str:
    ids = made(run)
    updates = [{"id": row_id, "title": f"new {number}"} for number, row_id in enumerate(ids)] + [{"id": "tsk_x", "title": "none"}]
    return str(run.post("/v1/tasks/bulk", {"updates": updates}, "PATCH")["id"])


def delete(run: Run) -> str:
    return str(run.post("/v1/tasks/bulk", {"ids": [*made(run), "tsk_x"]}, "DELETE")["id"])


def upsert(run: Run) -> str:
    made(run, "videos")
    items = [{"title": f"new {title}", "url": f"https://v.example/{title}"} for title in TITLES[3:]] + [{"title": "x"}]
    return str(
        run.post("/v1/videos/bulk", {"items": items, "operation": "upsert", "options": {"key": "url", "skipInvalid": True}})["id"]
    )


def importing(run: Run) -> str:
    return str(run.post("/v1/import/contacts", TABLE, **{"Content-Type": "text/csv"})["id"])


def revert(run: Run) -> str:
    first = create(run)
    settle(run)
    for row in run.rows("tasks")[:2]:
        run.post(f"/v1/tasks/{row['id']}", {"title": "edited"}, "PATCH")
    return str(run.post(f"/v1/jobs/{first}/revert", {})["id"])


def export(run: Run) -> str:
    made(run)
    return str(run.post("/v1/tasks/export", {"format": "json"})["id"])


def workbook(run: Run) -> str:
    made(run)
    return str(run.post("/v1/tasks/export", {"format": "xlsx"})["id"])


def analytics(run: Run) -> str:
    made(run)
    return str(run.post("/v1/export/data", {"type": "analytics", "format": "csv"})["id"])


def users(run: Run) -> str:
    ids = [run.sheaf.user(run.acme, f"u{number}@example.com") for number in range(3)]
    return str(run.post("/v1/admin/users/actions", {"action": "suspend", "userIds": [*ids, "usr_x"]})["id"])


def audience(run: Run) -> str:
    content = b'{"email": "a@b.example"}\n{"domain": "b.example"}\n'
    file = {"filename": "a.ndjson", "size": len(content), "type": "application/x-ndjson"}
    answer = run.post("/v1/audience/batch-upload", {"upload_name": "A", "file": file})
    run.follow()
    run.sheaf.arrive(run.acme, answer["file"]["id"], content)
    return str(answer["job"]["id"])


KINDS: dict[str, Callable[[Run], str]] = {each.__name__: each for each in (
    create, update, delete, upsert, importing, revert, export, workbook, analytics, users, audience)}  # fmt: skip


@contextmanager
def accepted(monkeypatch: pytest.MonkeyPatch, kind: str) -> Iterator[Run]:
    """A job that waits for its first chunk."""
    for name, value in {"bulk.lines.CHUNK_ROWS": 3, "bulk.request.BULK_INLINE_ITEMS": 1,
                        "bulk.engine._THREADS": 2, "bulk.engine.PAUSE": 0.0, "export.work._READ_ROWS": 2,
                        "export.work.EXPORT_STEP_SECONDS": 0.0, "accounts.members._CHUNK_USERS": 2}.items():  # fmt: skip
        monkeypatch.setattr(f"sheaf.features.{name}", value)
    monkeypatch.setattr("sheaf.jobs.runner.CHUNK_WINDOW", 2)
    monkeypatch.setattr("sheaf.jobs.shapes.CHUNK_WINDOW", 2)
    time = Time()
    with world.a_world() as sheaf, clock.using(time):
        run = Run(sheaf, sheaf.tenant(), time)
        run.job = KINDS[kind](run)
        run.follow()
        yield run


def on_job(event: dict[str, Any]) -> Any:
    with rights.of("on_job"):
        return world.function("on_job").handler(event, world.CONTEXT)


class Trouble:
    """on_job with something happening at its n-th AWS call, counted over the whole job; 0 for nothing at all."""

    def __init__(self, number: int, when: When, then: Callable[[], None]) -> None:
        self.calls = 0
        self._number, self._when, self._then, self._busy = number, when, then, False

    def __call__(self, event: dict[str, Any]) -> Any:
        with hooked(self._when, self._count):
            return on_job(event)

    def _count(self, **_: Any) -> None:
        if self._busy:
            return  # a call that the trouble itself makes
        self.calls += 1
        if self.calls == self._number:
            self._busy = True
            try:
                self._then()
            finally:
                self._busy = False


def die() -> None:
    raise Killed


def carry(run: Run, queue: Queue) -> None:
    """What the code has sent to SQS goes on through the simulated queue."""
    run.follow()
    for record in run.sheaf.messages("JobsQueue"):
        run.sheaf.done("JobsQueue", record)
        queue.send(json.loads(record["body"]))


def settle(run: Run, handler: Callable[[dict[str, Any]], Any] = on_job, seed: int = 1, duplicates: float = 0.1) -> Queue:
    """Carry everything to its end."""
    queue = Queue(handler, random.Random(seed), duplicates=duplicates, receives=20)
    carry(run, queue)

    def between() -> None:
        run.time.leap()
        carry(run, queue)

    queue.between = between
    queue.drain()
    return queue


def lines(run: Run, shown: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """What a file of the job says, by its links."""
    url = shown["result"]["url"] if name == "results" and shown["result"] else shown.get(f"{name}Url")
    if not url:
        return []
    text = run.sheaf.download(url)
    if "/results.ndjson" in url or "/errors.ndjson" in url or "/unprocessed.ndjson" in url:
        return [json.loads(line) for line in text.splitlines()]
    return [{"index": int(row["_row"]) - 2, "id": row.get("_id"), "outcome": row.get("_outcome"), "version": row.get("_version")}
            for row in csv.DictReader(io.StringIO(text, newline=""))]  # fmt: skip


def check(run: Run) -> dict[str, Any]:
    """Every accepted record in exactly one result, counts that sum to the total, at most one terminal state."""
    shown = run.shown()
    assert shown["status"] in ENDED, shown
    mine = [status for job, status in run.seen if job == run.job]
    ends = [place for place, status in enumerate(mine) if status in ENDED]
    assert mine[-1] == shown["status"] and len({mine[place] for place in ends}) == 1, mine
    assert all(status in ENDED for status in mine[ends[0] :]), mine
    counts = shown["counts"]
    if shown["type"] in ("bulk", "import", "revert"):
        done = {name: counts[name] for name in ("created", "updated", "deleted", "skipped", "failed")}
        assert sum(done.values()) + counts.get("unprocessed", 0) == counts["total"], counts
        check_files(run, shown, counts)
    return shown


def check_files(run: Run, shown: dict[str, Any], counts: dict[str, int]) -> None:
    found = {name: lines(run, shown, name) for name in ("results", "errors", "unprocessed")}
    if not any(found.values()):
        assert shown["status"] != "succeeded" and counts["total"] == counts.get("unprocessed", 0), shown
        return
    indexes = [each["index"] for name in found for each in found[name]]
    assert sorted(indexes) == list(range(counts["total"])), "each record in exactly one result"
    outcomes = [each["outcome"].replace("restored", "created") for each in found["results"]]
    told = {name: outcomes.count(name) for name in ("created", "updated", "deleted", "skipped")} | {
        "failed": len(found["errors"])
    }
    assert told == {name: counts[name] for name in told}
    table = aws.client("dynamodb").scan(TableName="RecordsTable")["Items"]
    live = {row["sk"]["S"]: int(row["v"]["N"]) for row in table if row["pk"]["S"].endswith("#0")}
    stamped = {(row["sk"]["S"], row["n"]["N"]) for row in table if row.get("j", {}).get("S") == run.job}
    changed = [each for each in found["results"] if each["outcome"] != "skipped"]
    assert {(each["id"], str(each["index"])) for each in changed} == stamped, "the table agrees with the file"
    for each in changed:
        assert live.get(each["id"]) == (None if each["outcome"] == "deleted" else int(each["version"])), each


def outcome(run: Run) -> Any:
    """What an undisturbed run and a disturbed one must have in common."""
    shown = run.shown()
    files = {}
    for name in ("results", "errors", "unprocessed"):
        if shown["type"] in ("bulk", "import", "revert"):
            files[name] = sorted((each["index"], each.get("outcome")) for each in lines(run, shown, name))
    rows = {path: sorted((row["version"], row.get("title") or row["email"]) for row in run.rows(path))
            for path in ("tasks", "videos", "contacts")}  # fmt: skip
    content = None
    if shown["type"] in ("export", "analytics") and not shown["result"]["url"].split("?")[0].endswith("xlsx"):
        text = run.sheaf.download(shown["result"]["url"])
        content = [row["title"] for row in json.loads(text)] if text.startswith("[") else text
    rest = {name: shown.get(name) for name in ("status", "counts")}
    batches = sorted(each["rows_received"] for each in run.post("/v1/audience/batch-upload", None, "GET").get("uploads", []))
    return rest, files, rows, content, batches
