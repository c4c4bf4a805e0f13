"""What a review of operations found: each case once more, as a user would meet it."""

import json
from typing import Any
from unittest.mock import patch

import pytest
import sheaf_audit
from test_backups import Admins, at, tick
from test_erasure import everything
from test_package import EXPORT, packed

import rights
import world
from sheaf.base import clock
from sheaf.features.audit import anchors, exporting, sealer, verifying
from sheaf.features.backups import schedule, stored
from sheaf.features.privacy import erasing
from sheaf.jobs import machine
from sheaf.store import aws, keys, table
from world import Answer, Tenant, World, later

CONTACT = {"first_name": "Annabella", "last_name": "Leetham", "email": "annabella@example.com"}


@pytest.fixture
def admins(sheaf: World, acme: Tenant) -> Admins:
    return Admins(sheaf, acme)


@pytest.fixture
def site(sheaf: World, acme: Tenant) -> Tenant:
    sheaf.open_site(acme)
    return acme


def erase(sheaf: World, tenant: Tenant, key: str = "", **who: str) -> Answer:
    said = {**who, "confirmation": next(iter(who.values()))}
    return sheaf.http("POST", "/v1/gdpr/erase", said, key=key or tenant.key)


def erased(sheaf: World, tenant: Tenant, **who: str) -> None:
    accepted = erase(sheaf, tenant, **who)
    assert accepted.status == 202, accepted.text
    sheaf.settle()
    shown = sheaf.http("GET", f"/v1/jobs/{accepted.data['id']}", key=tenant.key).data
    assert shown["status"] == "succeeded", shown


# ---- who may ----


@pytest.mark.parametrize("whom", ["email", "userId"])
def test_a_key_of_a_user_packs_nobody(sheaf: World, acme: Tenant, whom: str) -> None:
    user = sheaf.user(acme, "ann@example.com", "admin")
    body = {"userId": user} if whom == "userId" else {"email": "ann@example.com"}
    for key in (sheaf.key(acme, "user"), sheaf.key(acme, "admin", "me:read")):
        assert sheaf.http("POST", EXPORT, body, key=key).status == 403
    assert sheaf.http("POST", EXPORT, body, key=sheaf.key(acme, "admin", "me:read", "members:read")).status == 202


def test_somebody_elses_package_is_for_admins_at_their_addresses_and_refusals_are_noted(sheaf: World, acme: Tenant) -> None:
    user = sheaf.user(acme, "ann@example.com")
    bob = sheaf.token_of(acme, "bob@example.com")
    assert sheaf.http("POST", EXPORT, {"userId": user}, key=bob).status == 403
    sheaf.settle()
    assert sheaf.http("GET", "/v1/audit/logs?action=access.denied", key=acme.key).data[0]["target"] == "members:read"
    body = {"adminIps": ["203.0.113.0/24"]}
    assert sheaf.http("PATCH", f"/v1/tenants/{acme.id}", body, key=acme.key, source_ip="203.0.113.5").status == 200
    with later(60):
        assert sheaf.http("POST", EXPORT, {"userId": user}, key=acme.key, source_ip="198.51.100.1").status == 403
        assert sheaf.http("POST", EXPORT, {"userId": user}, key=acme.key, source_ip="203.0.113.5").status == 202


def test_nobody_erases_himself_by_a_key_of_his_own_nor_the_last_admin(sheaf: World, acme: Tenant) -> None:
    token = sheaf.token_of(acme, "me@example.com", "admin")
    me = sheaf.http("GET", "/v1/me", key=token).data["user"]["id"]
    mine = sheaf.http("POST", "/v1/api-keys", {"name": "K", "role": "admin"}, key=token).data["key"]
    assert erase(sheaf, acme, mine, userId=me).json["errors"].keys() == {"userId"}
    refused = erase(sheaf, acme, userId=me)
    assert (refused.status, refused.json["code"]) == (409, "last_admin")
    sheaf.user(acme, "second@example.com", "admin")
    assert erase(sheaf, acme, userId=me).status == 202


# ---- flags ----


def test_a_rule_for_nobody_breaks_no_flags(sheaf: World, site: Tenant, globex: Tenant) -> None:
    answer = sheaf.http("PUT", "/v1/features/f", {"enabled": True, "rules": [{"variant": "on", "when": []}]}, key=site.key)
    assert answer.status == 422 and answer.json["errors"].keys() == {"rules.0"}
    assert sheaf.http("GET", "/v1/features", key=globex.key).status == 200


def test_a_flag_of_just_the_size_can_be_switched(sheaf: World, site: Tenant) -> None:
    low, high = 0, 20_000
    while high - low > 1:  # the longest text that is taken
        middle = (low + high) // 2
        body = {"enabled": True, "variants": {"on": "x" * middle, "off": ""}}
        low, high = (middle, high) if sheaf.http("PUT", "/v1/features/f", body, key=site.key).status < 300 else (low, middle)
    assert low > 10_000
    body = {"enabled": True, "variants": {"on": "x" * low, "off": ""}}
    assert sheaf.http("PUT", "/v1/features/f", body, key=site.key).status == 200
    assert sheaf.http("POST", "/v1/features/toggle", {"feature": "f", "enabled": False}, key=site.key).status == 200
    assert sheaf.http("GET", "/v1/features", key=site.key).status == 200
    assert sheaf.http("DELETE", "/v1/features/f", key=site.key).status == 200


@pytest.mark.parametrize(("body", "status"), [
    ({"guard": {"routes": ["x"], "errorRate": 0.5, "minutes": None, "requests": None}}, 201),
    ({"rules": [{"variant": "on", "when": [{"action": [], "key": "k", "value": 1}]}]}, 422),
    ({"rules": [{"variant": "on", "when": [{"action": {}, "key": "k", "value": 1}]}]}, 422),
])  # fmt: skip
def test_odd_flags_are_no_failures_of_ours(sheaf: World, site: Tenant, body: dict[str, Any], status: int) -> None:
    assert sheaf.http("PUT", "/v1/features/f", body, key=site.key).status == status


@pytest.mark.parametrize("every", [[], {}, 5, None])
def test_odd_schedules_are_no_failures_of_ours(sheaf: World, acme: Tenant, every: Any) -> None:
    answer = sheaf.http("PUT", "/v1/backup/schedule", {"every": every}, key=acme.key)
    assert answer.status == 422 and answer.json["errors"].keys() == {"every"}


# ---- backups ----


def test_a_full_queue_of_one_tenant_stops_nobodys_backup_and_its_own_comes_later(
    sheaf: World, acme: Tenant, globex: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tenant in (acme, globex):
        assert sheaf.http("PUT", "/v1/backup/schedule", {"every": "hour"}, key=tenant.key).status == 200
    full, real = {min(acme.id, globex.id)}, machine.accept

    def accept(caller: Any, *args: Any, **more: Any) -> Any:
        if caller.tenant in full:
            raise machine.TooManyJobs("full")
        return real(caller, *args, **more)

    monkeypatch.setattr(machine, "accept", accept)
    with later(3_700):
        tick(monkeypatch)
        sheaf.settle()
        full.clear()
        tick(monkeypatch)
        sheaf.settle()
        for tenant in (acme, globex):
            assert [each["status"] for each in sheaf.http("GET", "/v1/backup/list", key=tenant.key).data] == ["succeeded"]


def test_a_run_that_dies_before_it_moves_on_makes_no_second_backup_and_loses_none(
    sheaf: World, admins: Admins, monkeypatch: pytest.MonkeyPatch
) -> None:
    admins.call("PUT", "/v1/backup/schedule", {"every": "day"})
    with later(86_500):
        with patch.object(schedule, "_move_on", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
            tick(monkeypatch)
        tick(monkeypatch)
        tick(monkeypatch)
        sheaf.settle()
        assert [each["status"] for each in admins.call("GET", "/v1/backup/list").data] == ["succeeded"]


def test_failed_backups_of_the_schedule_do_not_pile_up(sheaf: World, admins: Admins, monkeypatch: pytest.MonkeyPatch) -> None:
    admins.call("PUT", "/v1/backup/schedule", {"every": "day", "keep": 2})
    start = clock.now()
    for day in range(1, 4):
        with at(start + day * 86_500):
            tick(monkeypatch)
            if day == 1:
                made = admins.call("GET", "/v1/backup/list").data[0]
                assert admins.call("POST", f"/v1/jobs/{made['job']}/cancel").status == 202
            sheaf.settle()
    with at(start + 4 * 86_500):
        assert [each["status"] for each in admins.call("GET", "/v1/backup/list").data] == ["succeeded"] * 2


def files_of(admins: Admins, backup: str) -> list[str]:
    found = aws.client("s3").list_object_versions(Bucket="backups", Prefix=f"{admins.tenant.id}/backups/{backup}/")
    return [each["Key"] for each in [*found.get("Versions", []), *found.get("DeleteMarkers", [])]]


def test_a_backup_that_is_deleted_while_it_is_made_leaves_nothing(sheaf: World, admins: Admins) -> None:
    admins.call("POST", "/v1/tasks", {"title": "T"})
    sheaf.settle()
    made = admins.call("POST", "/v1/backup/create", {}).data
    real, once = stored.find, []

    def find(scope: Any, backup_id: str) -> Any:
        found = real(scope, backup_id)
        if not once:
            once.append(admins.call("DELETE", f"/v1/backup/{made['id']}").status)
        return found

    with patch.object(stored, "find", find):
        sheaf.settle()
    assert once == [200] and files_of(admins, made["id"]) == []
    assert admins.call("GET", f"/v1/backup/{made['id']}").status == 404


def test_a_deletion_that_died_is_gone_on_with(sheaf: World, admins: Admins) -> None:
    admins.call("POST", "/v1/tasks", {"title": "T"})
    sheaf.settle()
    backup, headers = admins.backup()["id"], {"Idempotency-Key": "once"}
    with patch.object(stored, "purge", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        admins.call("DELETE", f"/v1/backup/{backup}", headers=headers)
    assert files_of(admins, backup) and admins.call("GET", f"/v1/backup/{backup}").status == 404
    assert admins.call("GET", "/v1/backup/list").data == []
    assert admins.call("DELETE", f"/v1/backup/{backup}", headers=headers).status == 200
    assert files_of(admins, backup) == [] and admins.call("DELETE", f"/v1/backup/{backup}").status == 404
    assert admins.call("DELETE", f"/v1/backup/{backup}", headers=headers).status == 200


def test_a_restore_that_was_stopped_says_so_and_is_undone(sheaf: World, admins: Admins, monkeypatch: pytest.MonkeyPatch) -> None:
    from sheaf.features.backups import planning, restoring

    for module in (planning, restoring):
        monkeypatch.setattr(module, "RESTORE_LINES", 2)
    rows = [admins.call("POST", "/v1/tasks", {"title": f"T{n}"}).data["id"] for n in range(6)]
    sheaf.settle()
    backup = admins.backup()["id"]
    with later(5):
        for row in rows:
            admins.call("PATCH", f"/v1/tasks/{row}", {"title": "Changed"})
        sheaf.settle()
        changed = admins.rows()
        planned = admins.plan(backup)
        path, said = f"/v1/backup/restores/{planned['id']}", {"confirmation": planned["confirmation"]}
        admins.call("POST", "/v1/backup/restore", {"restore": planned["id"], **said}, who=admins.first)
        job = admins.call("POST", f"{path}/approve", said, who=admins.second).data["job"]
        real = restoring.RestoreWork.run

        def run(self: Any, task: Any) -> Any:
            if task.number == 1:
                admins.call("POST", f"/v1/jobs/{job}/cancel")
            return real(self, task)

        with patch.object(restoring.RestoreWork, "run", run):
            sheaf.settle()
        assert admins.call("GET", path).data["status"] == "incomplete"
        assert 0 < sum(row["title"] != "Changed" for row in admins.rows().values() if row["id"] in rows) < 6
        assert admins.call("POST", f"{path}/undo", who=admins.first).status == 202
        sheaf.settle()
        assert admins.rows() == changed
        undo = admins.call("GET", path).data["undoJob"]
        assert admins.call("GET", f"/v1/jobs/{undo}").data["status"] == "succeeded"


def test_a_row_whose_time_in_the_trash_is_over_is_made_again(sheaf: World, admins: Admins) -> None:
    row = admins.call("POST", "/v1/tasks", {"title": "T"}).data["id"]
    sheaf.settle()
    backup = admins.backup()["id"]
    admins.call("DELETE", f"/v1/tasks/{row}")
    sheaf.settle()
    with later(31 * 86_400):
        admins.first, admins.second = admins.keys if "keys" in vars(admins) else (_key(admins), _key(admins))
        assert admins.plan(backup)["changes"]["create"] == 1


def _key(admins: Admins) -> str:
    return admins.sheaf.key(admins.tenant, "admin")


# ---- erasure ----


def personal_left() -> list[str]:
    return [line for line in everything().splitlines() if "nnabella" in line or "Leetham" in line]


def test_a_purged_row_and_one_that_was_theirs_do_not_come_back(sheaf: World, admins: Admins) -> None:
    acme = admins.tenant
    purged, reused = (admins.call("POST", "/v1/contacts", {**CONTACT, "email": mail}).data["id"]
                      for mail in (CONTACT["email"], "annabella@example.org"))  # fmt: skip
    sheaf.settle()
    backup = admins.backup()["id"]
    with later(5):
        admins.call("DELETE", f"/v1/contacts/{purged}")
        admins.call("PATCH", f"/v1/contacts/{reused}", {"first_name": "Bob", "last_name": "B", "email": "bob@example.com"})
        sheaf.settle()
        table.take("RecordsTable", keys.trash(acme.setup, "contacts", purged))  # thirty days later
        for mail in (CONTACT["email"], "annabella@example.org"):
            erased(sheaf, acme, email=mail)
        assert personal_left() == []
        assert admins.call("GET", f"/v1/contacts/{reused}").data["first_name"] == "Bob"
        sheaf.seal(acme)
        assert sheaf.http("GET", "/v1/audit/verify", key=acme.key).data["valid"]
        admins.restore(backup)
        sheaf.settle()
        again = {row_id: row for row_id, row in admins.rows().items() if row_id in (purged, reused)}
        assert {row["first_name"] for row in again.values()} == {"[erased]"} and len(again) == 2
        assert personal_left() == []


def test_an_edit_between_rows_and_log_does_not_stop_an_erasure(sheaf: World, acme: Tenant) -> None:
    row = sheaf.http("POST", "/v1/contacts", CONTACT, key=acme.key).data["id"]
    sheaf.settle()
    real, edited = erasing._of_log, []

    def late(*given: Any) -> Any:
        if not edited:
            edited.append(sheaf.http("PATCH", f"/v1/contacts/{row}", {"last_name": "New"}, key=acme.key).status)
            world.function("on_change").handler({"Records": sheaf.changes()}, world.CONTEXT)
        return real(*given)

    with patch.object(erasing, "_of_log", late):
        erased(sheaf, acme, email=CONTACT["email"])
    assert edited == [200] and personal_left() == []
    assert sheaf.http("GET", f"/v1/contacts/{row}", key=acme.key).data["last_name"] == "New"


def test_an_erasure_is_carried_to_its_end_and_one_that_failed_is_made_up_for(sheaf: World, acme: Tenant) -> None:
    sheaf.http("POST", "/v1/contacts", CONTACT, key=acme.key)
    sheaf.settle()
    first = erase(sheaf, acme, email=CONTACT["email"]).data["id"]
    assert sheaf.http("POST", f"/v1/jobs/{first}/cancel", key=acme.key).status == 409
    with patch.object(erasing, "_of_log", side_effect=RuntimeError("broken")):
        for _ in range(20):
            with later(100):
                try:
                    sheaf.settle(20)
                except AssertionError:
                    continue
    assert sheaf.http("GET", f"/v1/jobs/{first}", key=acme.key).data["status"] == "failed" and personal_left() != []
    for record in sheaf.messages("JobsQueue"):
        sheaf.done("JobsQueue", record)  # dead by now
    erased(sheaf, acme, email=CONTACT["email"])
    assert [line for line in personal_left() if first not in line] == [], "but for the job that failed"


def test_what_somebody_did_by_keys_and_from_where_goes_too(sheaf: World, acme: Tenant) -> None:
    sheaf.user(acme, "annabella@example.com", "admin")
    sheaf.user(acme, "other@example.com", "admin")
    token = sheaf.token("annabella@example.com", source_ip="203.0.113.77")
    user = sheaf.http("GET", "/v1/me", key=token, source_ip="203.0.113.77").data["user"]["id"]
    made = sheaf.http("POST", "/v1/api-keys", {"name": "K", "role": "admin"}, key=token, source_ip="203.0.113.77").data
    task = sheaf.http("POST", "/v1/tasks", {"title": "By key"}, key=made["key"], source_ip="203.0.113.77").data["id"]
    sheaf.http("DELETE", f"/v1/api-keys/{made['id']}", key=token, source_ip="203.0.113.77")
    sheaf.settle()
    found = packed(sheaf, acme.key, {"userId": user})
    assert task in {each["target"] for each in json.loads(found["activity.json"])}, "by a key that is gone"
    erased(sheaf, acme, userId=user)
    kept = [line for line in everything().splitlines() if "203.0.113.77" in line]
    assert [line for line in kept if not any(place in line for place in ("#noted", "#session#", "@address#"))] == [], (
        "but for what is over in days"
    )
    assert sheaf.http("GET", f"/v1/tasks/{task}", key=acme.key).data["title"] == "By key"


def test_a_package_has_what_lies_in_the_trash(sheaf: World, acme: Tenant) -> None:
    kept, dropped = (sheaf.http("POST", "/v1/contacts", {**CONTACT, "last_name": name}, key=acme.key).data["id"] for name in "AB")
    sheaf.http("DELETE", f"/v1/contacts/{dropped}", key=acme.key)
    sheaf.settle()
    rows = json.loads(packed(sheaf, acme.key, {"email": CONTACT["email"]})["rows/contacts.json"])
    assert {row["id"]: row.get("inTrash", False) for row in rows} == {kept: False, dropped: True}


# ---- the audit log ----


def test_sealing_meanwhile_is_no_problem_of_the_log(sheaf: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "_AGAIN_SECONDS", 0.01)
    sheaf.http("POST", "/v1/tasks", {"title": "T"}, key=acme.key)
    sheaf.seal(acme)
    real, once = verifying._of_segment, []

    def meanwhile(*given: Any) -> Any:
        if not once:
            once.append(1)
            sheaf.http("POST", "/v1/tasks", {"title": "New"}, key=acme.key)
            sheaf.settle()
            sealer.seal(acme.setup)
        return real(*given)

    with patch.object(verifying, "_of_segment", meanwhile):
        found = verifying.verify(acme.setup, 1, 30)
    assert once and found.problems == []


def test_an_export_beside_the_sealer_is_valid(sheaf: World, acme: Tenant) -> None:
    sheaf.http("POST", "/v1/tasks", {"title": "T"}, key=acme.key)
    sheaf.seal(acme)
    real = exporting._anchors

    def late(*given: Any) -> Any:
        with rights.nobody():
            sheaf.http("POST", "/v1/tasks", {"title": "New"}, key=acme.key)
            world.function("on_change").handler({"Records": sheaf.changes()}, world.CONTEXT)
            sealer.seal(acme.setup)
        return real(*given)

    job = sheaf.http("POST", "/v1/audit/export", {"chain": True}, key=acme.key).data["id"]
    with patch.object(exporting, "_anchors", late):
        sheaf.settle()
    url = sheaf.http("GET", f"/v1/jobs/{job}", key=acme.key).data["result"]["url"]
    assert sheaf_audit.verify(sheaf.download(url).splitlines()).problems == []
    assert len(list(anchors.since(acme.setup, 1))) > 1


def test_a_segment_far_behind_the_end_is_no_problem_of_the_log(sheaf: World, acme: Tenant) -> None:
    sheaf.seal(acme)
    assert sheaf.http("GET", "/v1/audit/verify?segment=900", key=acme.key).status == 404


def test_a_time_in_the_future_is_now(sheaf: World, acme: Tenant) -> None:
    sheaf.http("POST", "/v1/tasks", {"title": "T"}, key=acme.key)
    sheaf.settle()
    page = sheaf.http("GET", "/v1/audit/logs?to=2099-01-01T00:00:00Z&entity=tasks", key=acme.key).json
    assert len(page["data"]) == 1 and not page["meta"]["hasMore"]
