"""The audit log: who did what, on which, from where, and a chain that its readers can check."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
import sheaf_audit

import rights
import template
import world
from sheaf import Entity, field
from sheaf.base import bounds
from sheaf.edge import consume
from sheaf.entity import registry
from sheaf.entity.registry import entity_type
from sheaf.features.audit import entries, sealer
from sheaf.store import queues, table
from world import Tenant, World, later


def logs(sheaf: World, tenant: Tenant, query: str = "", key: str = "") -> list[dict[str, Any]]:
    sheaf.settle()
    answer = sheaf.http("GET", f"/v1/audit/logs{query}", key=key or tenant.key)
    assert answer.status == 200, answer.text
    return list(answer.data)


def actions(sheaf: World, tenant: Tenant, query: str = "") -> list[str]:
    return [each["action"] for each in reversed(logs(sheaf, tenant, query))]


def finished(sheaf: World, tenant: Tenant, body: dict[str, Any]) -> str:
    accepted = sheaf.http("POST", "/v1/audit/export", body, key=tenant.key)
    assert accepted.status == 202, accepted.text
    sheaf.settle()
    job = sheaf.http("GET", f"/v1/jobs/{accepted.data['id']}", key=tenant.key).data
    assert job["status"] == "succeeded", job
    return sheaf.download(job["result"]["url"])


# ---- what is in it ----


def test_a_change_of_a_row_is_an_entry_with_who_what_and_from_where(sheaf: World, acme: Tenant) -> None:  # contract: 115
    sent = {"X-Request-Id": "my-request-1"}
    made = sheaf.http("POST", "/v1/tasks", {"title": "One"}, key=acme.key, headers=sent, source_ip="192.0.2.77").data
    sheaf.http("PATCH", f"/v1/tasks/{made['id']}", {"title": "Two"}, key=acme.key)
    sheaf.http("DELETE", f"/v1/tasks/{made['id']}", key=acme.key)
    sheaf.http("POST", f"/v1/tasks/{made['id']}/restore", key=acme.key)
    restored, deleted, updated, created = logs(sheaf, acme, "?entity=tasks")
    assert [each["action"] for each in (created, updated, deleted, restored)] == [
        "task.created", "task.updated", "task.deleted", "task.restored"]  # fmt: skip
    assert created["target"] == made["id"] and created["requestId"] == "my-request-1" and created["address"] == "192.0.2.77"
    assert created["actor"].startswith("key_") and created["actorType"] == "key"
    assert created["before"] is None and created["after"]["title"] == "One"
    assert (updated["before"]["title"], updated["after"]["title"]) == ("One", "Two")
    assert deleted["after"] is None and deleted["before"]["title"] == "Two"
    assert "erased" not in created


STEPS: list[tuple[str, Callable[[World, Tenant], Any]]] = [
    ("api_key.created", lambda s, t: s.http("POST", "/v1/api-keys", {"name": "CI"}, key=t.key)),
    ("webhook.created", lambda s, t: s.http("POST", "/v1/webhooks", {"url": "https://a.example.com/", "events": ["*"]}, key=t.key)),
    ("inbound_hook.created", lambda s, t: s.http("POST", "/v1/inbound-hooks", {"entity": "leads"}, key=t.key)),
    ("graphql_operation.registered", lambda s, t: s.http("POST", "/v1/graphql/operations", {"query": "{tasks{totalCount}}"}, key=t.key)),
    ("tenant.updated", lambda s, t: s.http("PATCH", f"/v1/tenants/{t.id}", {"name": "Acme 2"}, key=t.key)),
    ("invitation.created", lambda s, t: s.http("POST", f"/v1/tenants/{t.id}/invitations", {"email": "bob@example.com"}, key=t.key)),
    ("job.created", lambda s, t: s.http("POST", "/v1/tasks/export", {"format": "csv"}, key=t.key)),
    ("user.created", lambda s, t: s.http("POST", "/v1/admin/users", {"name": "Bob", "email": "bob@acme.example"}, key=t.key)),
]  # fmt: skip


@pytest.mark.parametrize(("action", "step"), STEPS, ids=[name for name, _ in STEPS])
def test_what_admins_do_is_an_entry(sheaf: World, acme: Tenant, action: str, step: Callable[[World, Tenant], Any]) -> None:
    answer = step(sheaf, acme)
    assert answer.status < 300, answer.text
    [found] = logs(sheaf, acme, f"?action={action}&user={key_id(sheaf, acme)}")
    assert found["target"] and found["actorType"] == "key" and found["address"] == "192.0.2.10"
    assert "whsec_" not in json.dumps(found) and "sk_local" not in json.dumps(found), "never a secret"


def key_id(sheaf: World, tenant: Tenant) -> str:
    return str(sheaf.http("GET", "/v1/me", key=tenant.key).data["apiKey"]["id"])


def test_the_life_of_a_key_a_webhook_and_a_session(sheaf: World, acme: Tenant) -> None:
    key = sheaf.http("POST", "/v1/api-keys", {"name": "CI"}, key=acme.key).data["id"]
    sheaf.http("PATCH", f"/v1/api-keys/{key}", {"name": "CI 2"}, key=acme.key)
    sheaf.http("POST", f"/v1/api-keys/{key}/rotate", key=acme.key)
    sheaf.http("DELETE", f"/v1/api-keys/{key}", key=acme.key)
    assert actions(sheaf, acme, f"?target={key}") == ["api_key.created", "api_key.updated", "api_key.rotated", "api_key.revoked"]
    hook = sheaf.http("POST", "/v1/webhooks", {"url": "https://a.example.com/", "events": ["*"]}, key=acme.key).data["id"]
    sheaf.http("PATCH", f"/v1/webhooks/{hook}", {"events": ["task.*"]}, key=acme.key)
    sheaf.http("POST", f"/v1/webhooks/{hook}/rotate", {}, key=acme.key)
    sheaf.http("POST", f"/v1/webhooks/{hook}/disable", key=acme.key)
    sheaf.http("POST", f"/v1/webhooks/{hook}/enable", key=acme.key)
    sheaf.http("DELETE", f"/v1/webhooks/{hook}", key=acme.key)
    assert [each for each in actions(sheaf, acme, f"?target={hook}") if each.startswith("webhook.")] == [
        "webhook.created", "webhook.updated", "webhook.secret_rotated", "webhook.disabled", "webhook.enabled", "webhook.deleted",
    ]  # fmt: skip
    user = sheaf.user(acme, "ann@acme.example")
    token = sheaf.token("ann@acme.example", source_ip="203.0.113.9")
    sheaf.http("POST", "/v1/auth/logout", key=token)
    found = [(each["action"], each["address"]) for each in logs(sheaf, acme, f"?user={user}&action=session.*")]
    assert found == [("session.ended", "192.0.2.10"), ("session.created", "203.0.113.9")]


FOLDERS_THAT_REFUSE = {  # an administrative call of each function that has one
    "records": ("GET", "/v1/vaults"), "batch": ("POST", "/v1/batch"), "system": ("GET", "/v1/health"),
    "auth": ("GET", "/v1/api-keys"), "admin": ("GET", "/v1/admin/users"), "webhooks": ("GET", "/v1/webhooks"),
    "graphql": ("POST", "/v1/graphql/operations"), "realtime": ("POST", "/v1/events"), "audit": ("GET", "/v1/audit/logs"),
}  # fmt: skip


class Vault(Entity, prefix="vlt", access={"read": "admin"}):
    """An entity that only admins may read."""

    name: str = field()


@pytest.fixture
def vaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._known, "vaults", entity_type(Vault, "vaults"))


@pytest.mark.parametrize("folder", sorted(FOLDERS_THAT_REFUSE))
def test_a_refused_administrative_call_is_an_entry(sheaf: World, acme: Tenant, vaults: None, folder: str) -> None:
    method, path = FOLDERS_THAT_REFUSE[folder]
    assert template.route_of(path)[1] == folder
    body = (
        {"requests": [{"id": "a", "method": "GET", "path": "/vaults"}]} if folder == "batch" else {} if method == "POST" else None
    )
    plain = sheaf.key(acme, "user")
    answer = sheaf.http(method, path, body, key=plain, source_ip="198.51.100.4")
    assert answer.status == 403 or (folder == "batch" and '"permission_denied"' in answer.text), answer.text
    [found] = logs(sheaf, acme, "?action=access.denied")
    inner = ("GET", "/v1/vaults") if folder == "batch" else (method, path)
    assert (found["after"]["method"], found["after"]["path"]) == inner
    assert found["address"] == "198.51.100.4" and found["actorType"] == "key"


def test_what_only_operators_may_is_noted_where_an_admin_asks(sheaf: World, acme: Tenant) -> None:
    assert sheaf.http("POST", "/v1/tenants", {"name": "Mine"}, key=acme.key).status == 403
    [found] = logs(sheaf, acme, "?action=access.denied")
    assert found["target"] == "tenants:write" and found["after"]["path"] == "/v1/tenants"


def test_what_users_are_refused_among_themselves_is_none(sheaf: World, acme: Tenant) -> None:
    owner, other = (sheaf.token_of(acme, f"{name}@acme.example") for name in ("ann", "bob"))
    post = sheaf.http("POST", "/v2/posts", {"title": "Hello", "content": "World, hello"}, key=owner).data["id"]
    assert sheaf.http("DELETE", f"/v2/posts/{post}", key=other).status == 403
    assert sheaf.http("POST", "/v1/tasks", {}, key=owner).status == 422
    assert logs(sheaf, acme, "?action=access.denied") == []


def test_an_operators_change_of_a_tenant_is_in_both_logs(sheaf: World, acme: Tenant, globex: Tenant) -> None:
    sheaf.open_site(acme)
    assert sheaf.http("PATCH", f"/v1/tenants/{globex.id}", {"tier": "pro"}, key=acme.key).status == 200
    for tenant in (acme, globex):
        [found] = logs(sheaf, tenant, "?action=tenant.updated")
        assert (found["target"], found["before"]["tier"], found["after"]["tier"]) == (globex.id, "enterprise", "pro")


def test_nobody_sees_anothers_log_and_no_other_door_shows_notes(sheaf: World, acme: Tenant, globex: Tenant) -> None:
    sheaf.http("POST", "/v1/api-keys", {"name": "CI"}, key=acme.key)
    assert all(each["actor"] != key_id(sheaf, acme) for each in logs(sheaf, globex))
    for role in ("user", "moderator"):
        assert sheaf.http("GET", "/v1/audit/logs", key=sheaf.key(acme, role)).status == 403  # type: ignore[arg-type]
    events = sheaf.http("GET", "/v1/events", key=acme.key).data
    assert not [each for each in events if each["type"].startswith(("api_key.", "access."))]


# ---- reading it ----


def test_filters_and_pages(sheaf: World, acme: Tenant) -> None:
    other = sheaf.key(acme, "admin")
    for number in range(7):
        sheaf.http("POST", "/v1/tasks", {"title": f"T{number}"}, key=acme.key if number % 2 else other)
    sheaf.settle()
    seen: list[str] = []
    cursor = ""
    while True:
        answer = sheaf.http("GET", f"/v1/audit/logs?entity=tasks&limit=3{cursor}", key=acme.key).json
        seen += [each["after"]["title"] for each in answer["data"]]
        if not answer["meta"]["hasMore"]:
            break
        cursor = f"&cursor={answer['meta']['nextCursor']}"
    assert seen == [f"T{number}" for number in range(6, -1, -1)]
    mine = logs(sheaf, acme, f"?entity=tasks&user={key_id(sheaf, acme)}")
    assert [each["after"]["title"] for each in mine] == ["T5", "T3", "T1"]
    assert logs(sheaf, acme, "?action=project.*,task.deleted") == []
    middle = logs(sheaf, acme, "?entity=tasks")[3]["at"]
    assert {each["after"]["title"] for each in logs(sheaf, acme, f"?entity=tasks&from={middle}")} >= {"T6", "T5", "T4", "T3"}
    assert "T6" not in {each["after"]["title"] for each in logs(sheaf, acme, f"?entity=tasks&to={middle}")}


def test_an_empty_log_and_long_silences(sheaf: World, acme: Tenant) -> None:
    with later(250 * 86_400):
        sheaf.http("POST", "/v1/tasks", {"title": "Late"}, key=acme.key)
        assert [each["after"]["title"] for each in logs(sheaf, acme, "?entity=tasks")] == ["Late"]
        assert logs(sheaf, acme, "?entity=projects") == []
        pages, cursor = 0, ""
        while True:  # a page may be short, for it has looked at a hundred days, but it leads on
            answer = sheaf.http("GET", f"/v1/audit/logs?entity=projects{cursor}", key=acme.key).json
            pages += 1
            if answer["meta"]["nextCursor"] is None:
                break
            cursor = f"&cursor={answer['meta']['nextCursor']}"
        assert pages == 3


@pytest.mark.parametrize(("query", "field"), [
    ("from=yesterday", "from"), ("to=2026-01-01", "to"), ("from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "to"),
    ("who=me", "who"), ("limit=0", "limit"), ("cursor=nonsense", ""),
])  # fmt: skip
def test_wrong_filters_are_named(sheaf: World, acme: Tenant, query: str, field: str) -> None:
    answer = sheaf.http("GET", f"/v1/audit/logs?{query}", key=acme.key)
    assert answer.status in (400, 422) and (not field or field in answer.json["errors"]), answer.text


def test_a_page_looks_at_so_many_entries_and_leads_on(sheaf: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "AUDIT_LOOKED_AT", 4)
    for number in range(6):
        sheaf.http("POST", "/v1/tasks", {"title": f"T{number}"}, key=acme.key)
    first = sheaf.http("POST", "/v1/projects", {"name": "P"}, key=acme.key)
    assert first.status == 201, first.text
    sheaf.settle()
    found, cursor, pages = [], "", 0
    while cursor is not None:
        answer = sheaf.http("GET", f"/v1/audit/logs?action=task.created{cursor and '&cursor=' + cursor}", key=acme.key).json
        found += [each["after"]["title"] for each in answer["data"]]
        cursor, pages = answer["meta"]["nextCursor"], pages + 1
    assert found == [f"T{number}" for number in range(5, -1, -1)] and pages >= 2


# ---- the chain ----


def test_the_chain_holds_and_an_export_of_it_is_checked_offline(
    sheaf: World, acme: Tenant, tmp_path: Any
) -> None:  # contract: 142
    for number in range(5):
        contact = {"first_name": "Ann", "last_name": f"Lee{number}", "email": f"a{number}@example.com"}
        sheaf.http("POST", "/v1/contacts", contact, key=acme.key)
    sheaf.seal(acme)
    found = sheaf.http("GET", "/v1/audit/verify", key=acme.key).data
    assert found["valid"] and found["complete"] and found["unsealed"] == 0 and found["entries"] >= 5, found
    text = finished(sheaf, acme, {"chain": True})
    result = sheaf_audit.verify(text.splitlines())
    assert result.problems == [] and result.entries == found["entries"]
    assert result.head == (found["head"]["segment"], found["head"]["hash"])
    (tmp_path / "audit.ndjson").write_text(text)
    kept = f"{found['head']['segment']}:{found['head']['hash']}"
    assert sheaf_audit.main([str(tmp_path / "audit.ndjson"), "--head", kept]) == 0
    assert sheaf_audit.main([str(tmp_path / "audit.ndjson"), "--head", f"1:{'0' * 64}"]) == 1
    (tmp_path / "audit.ndjson").write_text("{}\n")
    assert sheaf_audit.main([str(tmp_path / "audit.ndjson")]) == 2


def test_an_empty_log_holds(sheaf: World) -> None:
    from sheaf.access import tenants
    from sheaf.features.audit import verifying

    nobody = tenants.create("Nobody", "free")
    assert sealer.seal(nobody) == 0
    assert verifying.verify(nobody, 1, 5).shown() == {
        "valid": True, "complete": True, "segments": 0, "entries": 0, "problems": [], "nextSegment": None, "head": None, "unsealed": 0,
    }  # fmt: skip


def test_verify_goes_on_where_its_time_was_over(sheaf: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealer, "SEGMENT_ENTRIES", 2)
    for number in range(5):
        sheaf.http("POST", "/v1/tasks", {"title": f"T{number}"}, key=acme.key)
    sheaf.seal(acme)
    whole = sheaf.http("GET", "/v1/audit/verify", key=acme.key).data
    assert whole["segments"] >= 3 and whole["valid"], whole
    rest = sheaf.http("GET", "/v1/audit/verify?segment=3", key=acme.key).data
    assert rest["segments"] == whole["segments"] - 2 and rest["valid"] and rest["head"] == whole["head"]
    from sheaf.features.audit import verifying

    cut = verifying.verify(acme.setup, 1, -1.0)
    assert cut.following == 1 and not cut.shown()["complete"]
    for wrong in ("0", "x", "-1", "1.5"):
        assert sheaf.http("GET", f"/v1/audit/verify?segment={wrong}", key=acme.key).json["errors"].keys() == {"segment"}


def test_sealing_twice_late_and_by_two_at_once_makes_one_chain(
    sheaf: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = sheaf.http("POST", "/v1/tasks", {"title": "One"}, key=acme.key).data["id"]
    sheaf.seal(acme)
    sheaf.seal(acme)
    head = sheaf.http("GET", "/v1/audit/verify", key=acme.key).data["head"]
    sheaf.seal(acme)
    assert sheaf.http("GET", "/v1/audit/verify", key=acme.key).data["head"] == head, "nothing new, no new segment"
    sheaf.http("PATCH", f"/v1/tasks/{task}", {"title": "Two"}, key=acme.key)
    world.function("on_change").handler({"Records": sheaf.changes()}, world.CONTEXT)
    put = table.put_new

    def overtaken(*segment: Any) -> bool:
        monkeypatch.setattr(table, "put_new", put)
        assert sealer.seal(acme.setup) == 1
        return put(*segment)

    monkeypatch.setattr(table, "put_new", overtaken)
    assert sealer.seal(acme.setup) == 0, "the other one was first"
    found = sheaf.http("GET", "/v1/audit/verify", key=acme.key).data
    assert found["valid"] is True and found["unsealed"] == 0 and found["head"]["segment"] == head["segment"] + 1


def test_a_seal_that_fails_comes_again_after_a_pause(sheaf: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    sheaf.http("POST", "/v1/tasks", {"title": "T"}, key=acme.key)
    world.function("on_change").handler({"Records": sheaf.changes()}, world.CONTEXT)
    [record] = sheaf.messages("SealsQueue.fifo")
    monkeypatch.setattr(consume, "_LONGEST_IN_ORDER", 60)
    record["attributes"]["ApproximateReceiveCount"] = "7"  # the pause doubles, from a second on
    with monkeypatch.context() as patched, rights.of("on_seal"):
        patched.setattr(sealer, "seal", lambda _: 1 / 0)
        answer = world.function("on_seal").handler({"Records": [record]}, world.CONTEXT)
    assert answer == {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}
    assert sheaf.messages("SealsQueue.fifo") == [], "not at once"
    queues.again_in(sheaf.url("SealsQueue.fifo"), record["receiptHandle"], 0)
    sheaf.settle()
    assert sheaf.http("GET", "/v1/audit/verify", key=acme.key).data["unsealed"] == 0


def test_no_function_may_change_or_remove_a_segment_or_an_anchor() -> None:
    for folder in rights.folders():
        for action, place in rights.granted(folder):
            if place == "AuditTable":
                assert action in ("dynamodb:PutItem", "dynamodb:GetItem", "dynamodb:Query"), (folder, action)
                assert action != "dynamodb:PutItem" or folder == "on_seal"
            if place.startswith("audit"):
                assert action in ("s3:PutObject", "s3:ListBucket"), (folder, action)
    locked = template.resources("AWS::S3::Bucket")["AuditBucket"]
    assert locked["ObjectLockEnabled"] is True
    assert locked["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]["Days"] == {"Ref": "AuditLockDays"}


# ---- exports ----


@pytest.mark.parametrize("form", ["csv", "json", "ndjson"])
def test_an_export_has_the_entries_of_the_filter(sheaf: World, acme: Tenant, form: str) -> None:  # contract: 116
    for title in ("One", "=2+2", "Zürich, “x”"):
        sheaf.http("POST", "/v1/tasks", {"title": title}, key=acme.key)
    sheaf.http("POST", "/v1/projects", {"name": "P"}, key=acme.key)
    sheaf.settle()
    text = finished(sheaf, acme, {"format": form, "entity": "tasks"})
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        titles = [json.loads(row["after"])["title"] for row in rows]
        assert list(rows[0]) == list(entries.COLUMNS)
    else:
        found = json.loads(text) if form == "json" else [json.loads(line) for line in text.splitlines()]
        titles = [each["after"]["title"] for each in found]
        assert {each["action"] for each in found} == {"task.created"}
    assert titles == ["One", "=2+2", "Zürich, “x”"], "the oldest first"
    [noted] = logs(sheaf, acme, "?action=job.created")
    assert noted["after"]["type"] == "audit", "and that it was exported is an entry too"


def test_an_export_of_nothing_is_an_empty_file(sheaf: World, acme: Tenant) -> None:
    assert json.loads(finished(sheaf, acme, {"format": "json", "entity": "projects"})) == []
    assert finished(sheaf, acme, {"format": "csv", "entity": "projects"}).strip() == ",".join(entries.COLUMNS)


@pytest.mark.parametrize(("body", "fields"), [
    ({}, {"format"}), ({"format": "xml"}, {"format"}), ({"format": "csv", "chain": True}, {"format"}), ({"chain": "yes"}, {"chain"}),
    ({"chain": True, "user": "usr_x"}, {"user"}), ({"format": "csv", "from": 3, "who": 1}, {"who"}), ({"format": "csv", "from": 3}, {"from"}),
])  # fmt: skip
def test_wrong_exports_name_their_fields(sheaf: World, acme: Tenant, body: dict[str, Any], fields: set[str]) -> None:
    answer = sheaf.http("POST", "/v1/audit/export", body, key=acme.key)
    assert answer.status == 422 and set(answer.json["errors"]) == fields, answer.text


def test_a_replayed_export_is_the_same_job(sheaf: World, acme: Tenant) -> None:
    sent = {"Idempotency-Key": "export-1"}
    first = sheaf.http("POST", "/v1/audit/export", {"format": "csv"}, key=acme.key, headers=sent).data
    sheaf.settle()
    again = sheaf.http("POST", "/v1/audit/export", {"format": "csv"}, key=acme.key, headers=sent)
    assert again.data["id"] == first["id"] and again.data["result"]["url"], again.text
    assert again.headers["Idempotent-Replayed"] == "true"


def test_many_steps_make_one_export(sheaf: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    from sheaf.features.audit import exporting

    monkeypatch.setattr(exporting, "_READ", 3)
    monkeypatch.setattr(exporting, "_STEP_ENTRIES", 3)
    monkeypatch.setattr(sealer, "SEGMENT_ENTRIES", 4)
    for number in range(10):
        sheaf.http("POST", "/v1/tasks", {"title": f"T{number}"}, key=acme.key)
    sheaf.seal(acme)
    found = [
        json.loads(line)["after"]["title"] for line in finished(sheaf, acme, {"format": "ndjson", "entity": "tasks"}).splitlines()
    ]
    assert found == [f"T{number}" for number in range(10)]
    sheaf.seal(acme)
    result = sheaf_audit.verify(finished(sheaf, acme, {"chain": True}).splitlines())
    assert result.problems == [] and result.segments >= 4


def test_the_bound_of_the_queue_is_that_of_the_code() -> None:
    assert template.resources("AWS::SQS::Queue")["SealsQueue"]["DelaySeconds"] == bounds.SEAL_SECONDS
