"""Health and figures: what is told to whom, and that the counts are those of the requests that were sent."""

import json
import random
import re
from collections import Counter
from typing import Any

import pytest

import template
from sheaf.base import clock
from sheaf.base.config import config
from sheaf.edge import metering
from sheaf.features import health
from sheaf.features.metrics import counts
from sheaf.store import aws, keys, queues, table
from world import Tenant, World, function, later


def figures(sheaf: World, tenant: Tenant, query: str = "", path: str = "/v1/metrics") -> dict[str, Any]:
    metering.flush()
    answer = sheaf.http("GET", f"{path}{query}", key=tenant.key)
    assert answer.status == 200, answer.text
    return dict(answer.data)


def by_route(found: dict[str, Any]) -> dict[str, int]:
    return {each["route"]: each["requests"]["total"] for each in found["routes"]}


# ---- health ----


def test_the_public_is_told_ok_and_no_more(sheaf: World) -> None:  # contract: 33
    assert sheaf.http("GET", "/v1/health").json.keys() == {"status", "timestamp"}
    assert sheaf.http("GET", "/v1/system/health").status == 401


def test_every_part_is_looked_at(sheaf: World, acme: Tenant) -> None:  # contract: 110
    found = sheaf.http("GET", "/v1/system/health", key=acme.key)
    assert found.status == 200, found.text
    data = found.data
    assert data["status"] == "ok" and data["stage"] == "local" and data["versions"]["api"] == ["v1", "v2"]
    assert data["checks"].keys() == {"database", "cache", "storage", "queues", "secrets", "api"}
    assert data["checks"]["database"]["parts"].keys() == {"records", "control", "events", "audit"}
    assert data["checks"]["queues"]["parts"].keys() == set(queues.QUEUES)
    assert all(
        part["status"] == "ok" and part["latencyMs"] >= 0 for check in data["checks"].values() for part in check["parts"].values()
    )
    assert sheaf.http("GET", "/v1/system/health", key=sheaf.key(acme, "moderator")).status == 403


def test_a_part_that_is_gone_is_down_and_the_answer_says_so(sheaf: World, acme: Tenant) -> None:
    aws.client("dynamodb").delete_table(TableName="AuditTable")
    answer = sheaf.http("GET", "/v1/system/health", key=acme.key)
    assert answer.status == 503 and answer.data["status"] == "down"
    parts = answer.data["checks"]["database"]["parts"]
    assert parts["audit"]["status"] == "down" and parts["audit"]["error"] and parts["records"]["status"] == "ok"


def test_a_part_that_does_not_answer_in_time_is_down(sheaf: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "HEALTH_PROBE_SECONDS", 0.0)
    found = health.check()
    assert found["status"] == "down" and "no answer within" in found["checks"]["secrets"]["parts"]["signing"]["error"]


def test_a_queue_that_is_busy_for_long_or_has_dead_messages_is_degraded(sheaf: World, acme: Tenant) -> None:
    sqs = aws.client("sqs")
    arn = sqs.get_queue_attributes(QueueUrl=sheaf.url("DeliveriesDeadQueue"), AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
    sqs.set_queue_attributes(QueueUrl=sheaf.url("DeliveriesQueue"), Attributes={"RedrivePolicy": policy})
    sqs.send_message(QueueUrl=sheaf.url("MailsQueue"), MessageBody="{}")
    health.look_at_queues()
    young = health.check()["checks"]["queues"]
    assert young["status"] == "ok" and young["parts"]["mails"]["depth"] == 1
    with later(1_000):
        health.look_at_queues()
        old = health.check()["checks"]["queues"]["parts"]["mails"]
        assert old["status"] == "degraded" and old["ageSeconds"] >= 1_000
    sqs.purge_queue(QueueUrl=sheaf.url("MailsQueue"))
    assert "mails" not in health.look_at_queues() and table.get("LimitsTable", keys.busy_queue("mails")) is None
    sqs.send_message(QueueUrl=sheaf.url("DeliveriesDeadQueue"), MessageBody="{}")
    answer = sheaf.http("GET", "/v1/system/health", key=acme.key)
    assert answer.status == 200 and answer.data["status"] == "degraded"
    assert answer.data["checks"]["queues"]["parts"]["deliveries"]["dead"] == 1


# ---- figures ----


def test_figures_are_those_of_the_requests(sheaf: World, acme: Tenant, globex: Tenant) -> None:  # contract: 35, 111
    for number in range(7):
        sheaf.http("POST", "/v1/tasks", {"title": f"T{number}"}, key=acme.key)
    sheaf.http("POST", "/v1/tasks", {}, key=acme.key)
    sheaf.http("GET", "/v1/tasks/tsk_x", key=acme.key)
    sheaf.http("GET", "/v1/nothing", key=acme.key)
    sheaf.http("GET", "/v1/tasks", key=globex.key)
    found = figures(sheaf, acme)
    assert by_route(found) == {"POST /v1/tasks": 8, "GET /v1/tasks/{row_id}": 1, "GET /v1/{entity}": 1}
    assert found["requests"]["total"] == 10 and found["requests"]["clientErrors"] == 3 and found["requests"]["serverErrors"] == 0
    assert found["scope"] == "tenant" and found["resolution"] == "minute"
    assert sum(each["requests"]["total"] for each in found["history"]) == 10
    assert 0 < found["latencyMs"]["p50"] <= found["latencyMs"]["p95"] <= found["latencyMs"]["p99"]
    assert found["process"]["memoryMb"] > 10 and found["process"]["cpuMsPerRequest"] > 0
    assert by_route(figures(sheaf, acme, path="/v1/system/metrics"))["GET /v1/metrics"] == 1, "asking is counted, too"
    assert by_route(figures(sheaf, acme, "?route=GET%20/v1/tasks/{row_id}")) == {"GET /v1/tasks/{row_id}": 1}


def test_random_traffic_is_counted_to_the_last_request(sheaf: World, acme: Tenant, globex: Tenant) -> None:
    """Three processes' worth of counts, written down at random moments, against a count by hand."""
    rng, sent = random.Random(5), Counter[tuple[str, str, int]]()
    calls = [("POST", "/v1/tasks", {"title": "x"}, "/v1/tasks"), ("GET", "/v1/tasks", None, "/v1/tasks"),
             ("POST", "/v1/tasks", {}, "/v1/tasks"), ("GET", "/v1/health", None, "/v1/health"),
             ("GET", "/v1/projects/prj_1", None, "/v1/projects/{row_id}")]  # fmt: skip
    for _ in range(150):
        method, path, body, route = rng.choice(calls)
        tenant = rng.choice((acme, globex))
        answer = sheaf.http(method, path, body, key=None if "health" in path else tenant.key)
        sent[tenant.id if "health" not in path else "", f"{method} {route}", answer.status] += 1
        if rng.random() < 0.1:
            metering.flush()
    for tenant in (acme, globex):
        wanted = Counter[str]()
        for (name, route, _), number in sent.items():
            if name == tenant.id:
                wanted[route] += number
        found = by_route(figures(sheaf, tenant))
        assert {route: number for route, number in found.items() if "metrics" not in route} == dict(wanted)
    sheaf.open_site(acme)
    whole = figures(sheaf, acme, "?scope=all")
    everything = Counter[str]()
    for (_, route, _), number in sent.items():
        everything[route] += number
    assert {route: number for route, number in by_route(whole).items() if "metrics" not in route} == dict(everything)
    failed = sum(number for (_, _, status), number in sent.items() if 400 <= status < 500)
    assert whole["requests"]["clientErrors"] == failed


def test_only_operators_see_the_figures_of_all(sheaf: World, acme: Tenant) -> None:
    assert sheaf.http("GET", "/v1/metrics?scope=all", key=acme.key).status == 403
    assert sheaf.http("GET", "/v1/metrics", key=sheaf.key(acme, "user")).status == 403


def test_a_long_time_is_told_by_hours(sheaf: World, acme: Tenant) -> None:
    sheaf.http("GET", "/v1/tasks", key=acme.key)
    metering.flush()
    with later(3 * 3_600):
        sheaf.http("GET", "/v1/tasks", key=acme.key)
        start = clock.iso((clock.now() - 86_400) * 1000)
        found = figures(sheaf, acme, f"?from={start}&route=GET%20/v1/tasks")
        assert found["resolution"] == "hour" and [each["requests"]["total"] for each in found["history"]] == [1, 1]
    with later(40 * 86_400):
        begin, end = (clock.iso((clock.now() - 40 * 86_400 + add) * 1000) for add in (-600, 600))
        found = figures(sheaf, acme, f"?from={begin}&to={end}&route=GET%20/v1/tasks")
        assert found["resolution"] == "hour" and found["requests"]["total"] == 1, "its minutes are not kept any more"


@pytest.mark.parametrize(("query", "field"), [
    ("from=x", "from"), ("scope=mine", "scope"), ("a=1", "a"), ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "to"),
    ("from=2026-01-01T00:00:00Z", "from"), ("from=2099-01-01T00:00:00Z", "from"),
])  # fmt: skip
def test_wrong_questions_are_named(sheaf: World, acme: Tenant, query: str, field: str) -> None:
    with clock.using(lambda: 1_795_700_000.0):  # 2026-11-26
        answer = sheaf.http("GET", f"/v1/metrics?{query}", key=acme.key)
    assert answer.status in (400, 422) and field in answer.json["errors"], answer.text


def test_counts_that_cannot_be_written_fail_nobodys_request(sheaf: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metering, "METRICS_SECONDS", -1.0)
    aws.client("dynamodb").delete_table(TableName="AuditTable")
    monkeypatch.setenv("SHEAF_LIMITS_TABLE", "LimitsTable")
    from sheaf.store import own

    def broken(_: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(own, "write", broken)
    assert sheaf.http("GET", "/v1/tasks", key=acme.key).status == 200


def test_a_log_line_is_a_metric_of_cloudwatch(sheaf: World, acme: Tenant, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="sheaf"):
        sheaf.http("GET", "/v1/tasks", key=acme.key)
    [line] = [record for record in caplog.records if record.getMessage() == "request"]
    told = line.__dict__
    [directive] = told["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Sheaf" and all(
        told[name] is not None for names in directive["Dimensions"] for name in names
    )
    assert {each["Name"] for each in directive["Metrics"]} <= told.keys()
    assert (told["requests"], told["errors"], told["limited"]) == (1, 0, 0)
    assert abs(told["_aws"]["Timestamp"] / 1000 - clock.now()) < 5


def test_percentiles_are_within_their_bucket_of_the_truth() -> None:
    rng = random.Random(1)
    times = [rng.lognormvariate(3.5, 0.8) for _ in range(5_000)]
    counted = counts.total(counts.of_request(200, ms, cold=False, cpu_ms=1, memory_mb=100) for ms in times)
    for percent in (50, 95, 99):
        truth = sorted(times)[len(times) * percent // 100]
        assert abs(counts.percentile(counted, percent) - truth) <= 0.25 * truth, percent
    assert counts.latency({}) is None and counts.error_rate({}) == 0.0


def test_the_schedule_notes_queues_and_goes_on_where_a_step_fails(
    sheaf: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.client("sqs").send_message(QueueUrl=sheaf.url("MailsQueue"), MessageBody="{}")
    monkeypatch.setattr(function("on_schedule"), "AGAIN_SECONDS", 0.0)
    import world

    function("on_schedule").handler(world.event("on_schedule.minute"), world.CONTEXT)
    assert table.get(config().limits_table, keys.busy_queue("mails"))


# ---- dead letters ----


def with_dead(sheaf: World, queue: str, dead: str) -> None:
    sqs = aws.client("sqs")
    sqs.create_queue(QueueName=dead, Attributes={"FifoQueue": "true"} if dead.endswith(".fifo") else {})
    arn = sqs.get_queue_attributes(QueueUrl=sheaf.url(dead), AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
    sqs.set_queue_attributes(QueueUrl=sheaf.url(queue), Attributes={"RedrivePolicy": policy})


@pytest.mark.parametrize(
    ("name", "queue", "dead"),
    [
        ("jobs", "JobsQueue", "JobsDeadQueue"),
        ("deliveries", "DeliveriesQueue", "DeliveriesDeadQueue"),
        ("slow_deliveries", "SlowDeliveriesQueue", "DeliveriesDeadQueue"),
        ("mails", "MailsQueue", "MailsDeadQueue"),
        ("images", "ImagesQueue", "ImagesDeadQueue"),
        ("changes_aside", "ChangesAsideQueue", "ChangesDeadQueue"),
        ("sockets", "SocketsQueue.fifo", "SocketsDeadQueue.fifo"),
        ("seals", "SealsQueue.fifo", "SealsDeadQueue.fifo"),
    ],
)
def test_dead_messages_are_sent_back(sheaf: World, acme: Tenant, name: str, queue: str, dead: str) -> None:
    sheaf.open_site(acme)
    with_dead(sheaf, queue, dead)
    for number in range(23):
        named = {"MessageGroupId": acme.id, "MessageDeduplicationId": str(number)} if dead.endswith(".fifo") else {}
        aws.client("sqs").send_message(QueueUrl=sheaf.url(dead), MessageBody=json.dumps({"n": number}), **named)
    listed = {each["name"]: each for each in sheaf.http("GET", "/v1/system/queues", key=acme.key).data}
    assert listed[name]["dead"] == 23 and listed["mails" if name == "jobs" else "jobs"]["dead"] == 0
    answer = sheaf.http("POST", f"/v1/system/queues/{name}/redrive", key=acme.key)
    assert answer.data == {"name": name, "moved": 23, "dead": 0}, answer.text
    found = set()
    while some := sheaf.messages(queue):
        for record in some:
            found.add(json.loads(record["body"])["n"])
            sheaf.done(queue, record)
    assert found == set(range(23))
    sheaf.settle()
    assert [each["target"] for each in sheaf.http("GET", "/v1/audit/logs?action=queue.redriven", key=acme.key).data] == [name]


def test_only_operators_send_back_and_only_what_there_is(sheaf: World, acme: Tenant) -> None:
    assert sheaf.http("GET", "/v1/system/queues", key=acme.key).status == 403
    assert sheaf.http("POST", "/v1/system/queues/mails/redrive", key=acme.key).status == 403
    sheaf.open_site(acme)
    assert sheaf.http("POST", "/v1/system/queues/nothing/redrive", key=acme.key).status == 404
    assert sheaf.http("POST", "/v1/system/queues/mails/redrive", key=acme.key).status == 404, "it has no dead-letter queue here"


# contract: 136, 137
def test_every_kind_of_record_is_kept_where_the_docs_say(sheaf: World, acme: Tenant) -> None:
    sheaf.open_site(acme)
    text = (template.ROOT / "docs/operations.md").read_text().partition("## What is kept where")[2].partition("##")[0]
    places = re.findall(r"^\| ([^|]+) \| (\w+) \| `([^`]+)`", text, re.MULTILINE)
    assert len(places) == 10
    sheaf.token_of(acme, "ann@example.com")
    task = sheaf.http("POST", "/v1/tasks", {"title": "T"}, key=acme.key)
    assert task.status == 201
    for path, body in (("backup/create", {}), ("tasks/bulk", [{"title": "T"}] * 101), ("tasks/export", {"format": "csv"}),
                       ("webhooks", {"url": "https://example.com/", "events": ["*"]})):  # fmt: skip
        assert sheaf.http("POST", f"/v1/{path}", body, key=acme.key).status in (201, 202), path
    assert sheaf.http("PUT", "/v1/features/f", {}, key=acme.key).status == 201
    sheaf.settle()
    metering.flush()
    aws.client("sqs").send_message(QueueUrl=sheaf.url("MailsQueue"), MessageBody="{}")
    health.look_at_queues()
    for kind, name, place in places:
        wanted = place.replace("{tenant}", acme.id)
        pages = aws.client("dynamodb").get_paginator("scan").paginate(TableName=f"{name}Table")
        found = [item["pk"]["S"] for page in pages for item in page["Items"]]
        assert any(each.startswith(wanted) for each in found), (kind, place)
