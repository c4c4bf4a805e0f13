"""Backups and restores: every row as it was, by two people, to any moment, and back again."""

import gzip
import json
import random
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import pytest
from pydantic_core import from_json

import rights
import world
from sheaf.base import clock
from sheaf.features.backups import taking
from sheaf.records import past
from sheaf.store import aws, keys, table
from sim.faults import kill_at
from sim.sources import Killed
from world import Answer, Tenant, World, later

MODELS = ("tasks", "projects", "contacts")


class Admins:
    """Two admins of a tenant, who confirm and approve."""

    def __init__(self, sheaf: World, tenant: Tenant) -> None:
        self.sheaf, self.tenant = sheaf, tenant
        self.first = sheaf.token_of(tenant, f"first@{tenant.id}.example".replace("_", "-"), "admin")
        self.second = sheaf.token_of(tenant, f"second@{tenant.id}.example".replace("_", "-"), "admin")

    @cached_property
    def keys(self) -> list[str]:
        """A key of each of the two: for tests that last longer than a session."""
        body = {"name": "K", "role": "admin"}
        return [self.call("POST", "/v1/api-keys", body, who=who).data["key"] for who in (self.first, self.second)]

    def call(self, method: str, path: str, body: Any = None, *, who: str = "", **more: Any) -> Answer:
        return self.sheaf.http(method, path, body, key=who or self.tenant.key, **more)

    def backup(self, body: Any = None) -> dict[str, Any]:
        made = self.call("POST", "/v1/backup/create", body or {})
        assert made.status == 202, made.text
        self.sheaf.settle()
        found = self.call("GET", f"/v1/backup/{made.data['id']}").data
        assert found["status"] == "succeeded", found
        return dict(found)

    def plan(self, backup: str, **more: Any) -> dict[str, Any]:
        asked = self.call("POST", "/v1/backup/restore", {"backup": backup, **more}, who=self.first)
        assert asked.status == 202, asked.text
        self.sheaf.settle()
        return dict(self.call("GET", f"/v1/backup/restores/{asked.data['id']}").data)

    def restore(self, backup: str, **more: Any) -> dict[str, Any]:
        planned = self.plan(backup, **more)
        assert planned["status"] == "planned", planned
        return self.carry_out(planned)

    def carry_out(self, planned: dict[str, Any]) -> dict[str, Any]:
        said = {"restore": planned["id"], "confirmation": planned["confirmation"]}
        assert self.call("POST", "/v1/backup/restore", said, who=self.first).data["status"] == "confirmed"
        path = f"/v1/backup/restores/{planned['id']}"
        approved = self.call("POST", f"{path}/approve", {"confirmation": planned["confirmation"]}, who=self.second)
        assert approved.status == 202, approved.text
        self.sheaf.settle()
        done = dict(self.call("GET", path).data)
        assert done["status"] == "done", done
        return done

    def edit(self, path: str, row: str, body: dict[str, Any]) -> None:
        """Change a row of whatever entity, also of one that wants to be told which version."""
        version = self.call("GET", f"/v1/{path}/{row}").headers["ETag"]
        assert self.call("PATCH", f"/v1/{path}/{row}", body, headers={"If-Match": version}).status == 200

    def rows(self) -> dict[str, dict[str, Any]]:
        """Every row of the entities under test, by id, without what each version has of its own."""
        return {key: {name: value for name, value in row.items() if name not in ("version", "updatedAt")}
                for key, row in _rows(self.sheaf, self.tenant).items()}  # fmt: skip


def _rows(sheaf: World, tenant: Tenant) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for path in MODELS:
        cursor = ""
        while cursor is not None:
            answer = sheaf.http("GET", f"/v1/{path}?limit=100{cursor and '&cursor=' + cursor}", key=tenant.key).json
            found |= {each["id"]: each for each in answer["data"]}
            cursor = answer["meta"]["nextCursor"]
    return found


@pytest.fixture
def admins(sheaf: World, acme: Tenant) -> Admins:
    return Admins(sheaf, acme)


def add(admins: Admins, number: int) -> list[str]:
    made = [admins.call("POST", "/v1/tasks", {"title": f"T{each}"}).data["id"] for each in range(number)]
    admins.sheaf.settle()
    return made


# ---- backups ----


def test_a_backup_from_its_request_to_its_files(sheaf: World, admins: Admins) -> None:  # contract: 112
    add(admins, 3)
    project = admins.call("POST", "/v1/projects", {"name": "P"}).data
    made = admins.backup({"name": "Before the move"})
    assert (made["name"], made["scope"], made["scheduled"]) == ("Before the move", "tenant", False) and made["rows"] >= 4
    found = admins.call("GET", f"/v1/backup/{made['id']}/download").data
    files = {each["name"]: each["url"] for each in found["files"]}
    manifest = json.loads(_download(files["manifest.json"]))
    assert manifest["rows"] == made["rows"] and manifest["tenant"] == admins.tenant.id
    rows = [
        json.loads(line) for part in manifest["parts"] for line in gzip.decompress(_download(files[part["name"]])).splitlines()
    ]
    assert len(rows) == made["rows"] and any(row["id"] == project["id"] and row["fields"]["name"] == "P" for row in rows)
    assert {part["path"] for part in manifest["parts"]} >= {"tasks", "projects", "users"}
    sheaf.settle()
    assert [each["action"] for each in admins.call("GET", "/v1/audit/logs?action=backup.*").data] == [
        "backup.downloaded",
        "backup.created",
    ]


def _download(url: str) -> bytes:
    from urllib.parse import unquote, urlsplit

    path = unquote(urlsplit(url).path).lstrip("/").removeprefix("backups/")
    return bytes(aws.client("s3").get_object(Bucket="backups", Key=path)["Body"].read())


def test_list_pages_filters_and_deletion(sheaf: World, admins: Admins, globex: Tenant) -> None:  # contract: 113
    ids = [admins.backup()["id"] for _ in range(3)]
    with later(3_600):
        ids.append(admins.backup()["id"])
        assert [each["id"] for each in admins.call("GET", "/v1/backup/list").data] == ids[::-1]
        first = admins.call("GET", "/v1/backup?limit=3").json
        assert [each["id"] for each in first["data"]] == ids[:0:-1] and first["meta"]["hasMore"]
        rest = admins.call("GET", f"/v1/backup/list?limit=3&cursor={first['meta']['nextCursor']}").json
        assert [each["id"] for each in rest["data"]] == [ids[0]] and not rest["meta"]["hasMore"]
        since = clock.iso((clock.now() - 60) * 1000)
        assert [each["id"] for each in admins.call("GET", f"/v1/backup/list?from={since}").data] == [ids[3]]
        assert [each["id"] for each in admins.call("GET", f"/v1/backup/list?to={since}").data] == ids[2::-1]
        assert admins.call("GET", "/v1/backup/list?from=x").json["errors"].keys() == {"from"}
        assert sheaf.http("GET", f"/v1/backup/{ids[0]}", key=globex.key).status == 404, "nobody else's"
        assert sheaf.http("GET", "/v1/backup/list", key=sheaf.key(admins.tenant, "moderator")).status == 403
        assert admins.call("DELETE", f"/v1/backup/{ids[0]}").data == {"id": ids[0], "removed": True}
        assert admins.call("GET", f"/v1/backup/{ids[0]}").status == 404
        left = aws.client("s3").list_object_versions(Bucket="backups", Prefix=f"{admins.tenant.id}/backups/{ids[0]}/")
        assert not left.get("Versions") and not left.get("DeleteMarkers")


@pytest.mark.parametrize(("body", "fields"), [
    ({"scope": "all"}, {"scope"}), ({"entity": "nothing"}, {"entity"}), ({"scope": "tenant", "entity": "tasks"}, {"entity"}),
    ({"entity": "tasks", "ids": []}, {"ids"}), ({"scope": "entity", "entity": "tasks", "ids": ["x"]}, {"ids"}), ({"name": 3}, {"name"}),
    ({"ids": ["x"]}, {"entity"}),
])  # fmt: skip
def test_wrong_backups_name_their_fields(admins: Admins, body: dict[str, Any], fields: set[str]) -> None:
    answer = admins.call("POST", "/v1/backup/create", body)
    assert answer.status == 422 and set(answer.json["errors"]) == fields, answer.text


def test_a_backup_holds_rows_as_they_were_when_it_was_asked_for(sheaf: World, admins: Admins) -> None:
    """Whatever is written between the request and the work is not in it; whatever is deleted then still is."""
    kept, changed, gone = add(admins, 3)
    with later(10):
        made = admins.call("POST", "/v1/backup/create", {}).data["id"]
    with later(12):
        admins.call("PATCH", f"/v1/tasks/{changed}", {"title": "Later"})
        admins.call("DELETE", f"/v1/tasks/{gone}")
        new = admins.call("POST", "/v1/tasks", {"title": "New"}).data["id"]
        sheaf.settle()
        parts = from_json(_object(admins, made, "manifest.json"))["parts"]
    rows = {
        row["id"]: row
        for part in parts
        if part["path"] == "tasks"
        for row in map(json.loads, gzip.decompress(_object(admins, made, part["name"])).splitlines())
    }
    assert rows.keys() == {kept, changed, gone} and new not in rows
    assert rows[changed]["fields"]["title"] == "T1" and rows[gone]["fields"]["title"] == "T2"


def _object(admins: Admins, backup: str, name: str) -> bytes:
    return bytes(aws.client("s3").get_object(Bucket="backups", Key=f"{admins.tenant.id}/backups/{backup}/{name}")["Body"].read())


# ---- restores ----


def test_a_restore_puts_everything_back(sheaf: World, admins: Admins, globex: Tenant) -> None:  # contract: 114, 139
    kept, changed, gone, purged = add(admins, 4)
    other = sheaf.http("POST", "/v1/tasks", {"title": "Theirs"}, key=globex.key).data["id"]
    before = admins.rows()
    backup = admins.backup()
    with later(10):
        admins.call("PATCH", f"/v1/tasks/{changed}", {"title": "Changed", "priority": "high"})
        admins.call("DELETE", f"/v1/tasks/{gone}")
        admins.call("DELETE", f"/v1/tasks/{purged}")
        new = admins.call("POST", "/v1/tasks", {"title": "New"}).data["id"]
        sheaf.settle()
        table.take("RecordsTable", keys.trash(admins.tenant.setup, "tasks", purged))  # thirty days later
        planned = admins.plan(backup["id"])
        assert planned["changes"] == {"delete": 1, "update": 1, "restore": 1, "create": 1}
        lines = [json.loads(line) for line in sheaf.download(planned["differencesUrl"]).splitlines()]
        assert {line["id"]: line["action"] for line in lines} == {
            new: "delete",
            changed: "update",
            gone: "restore",
            purged: "create",
        }
        assert admins.rows() != before, "nothing is restored by planning"
        done = admins.carry_out(planned)
        assert done["outcome"] == {"created": 2, "updated": 1, "deleted": 1, "skipped": 0, "failed": 0}
        assert admins.rows() == before
        assert sheaf.http("GET", f"/v1/tasks/{other}", key=globex.key).data["title"] == "Theirs"
        versions = [each["version"] for each in admins.call("GET", f"/v1/tasks/{purged}/history").data]
        assert versions == sorted(versions, reverse=True) and len(set(versions)) == len(versions)
        undone = admins.call("POST", f"/v1/backup/restores/{planned['id']}/undo", who=admins.first)
        assert undone.status == 202, undone.text
        sheaf.settle()
        after = admins.rows()
        assert new in after and gone not in after and purged not in after and after[changed]["title"] == "Changed"
        assert after[kept] == before[kept]


def test_one_person_alone_cannot_restore(sheaf: World, admins: Admins) -> None:
    add(admins, 1)
    backup = admins.backup()
    planned = admins.plan(backup["id"])
    path, said = f"/v1/backup/restores/{planned['id']}", {"confirmation": planned["confirmation"]}
    assert admins.call("POST", f"{path}/approve", said, who=admins.second).status == 409, "nobody has confirmed it"
    assert admins.call("POST", "/v1/backup/restore", {"restore": planned["id"], **said}, who=admins.first).status == 202
    assert admins.call("POST", f"{path}/approve", said, who=admins.first).status == 403
    mine = admins.call("POST", "/v1/api-keys", {"name": "K", "role": "admin"}, who=admins.first).data["key"]
    assert admins.call("POST", f"{path}/approve", said, who=mine).status == 403, "a key of one's own is oneself"
    assert sheaf.http("POST", f"{path}/approve", said, key=sheaf.key(admins.tenant, "moderator")).status == 403
    assert admins.call("GET", path).data["status"] == "confirmed"
    assert admins.call("POST", f"{path}/approve", said, who=admins.second).status == 202


def test_a_confirmation_is_for_these_differences_and_not_for_ever(sheaf: World, admins: Admins) -> None:
    task = add(admins, 1)[0]
    backup = admins.backup()
    with later(5):
        first = admins.plan(backup["id"])
        admins.call("PATCH", f"/v1/tasks/{task}", {"title": "x"})
        sheaf.settle()
        second = admins.plan(backup["id"])
        for wrong in (first["confirmation"], "x", None, 3, "99999999999.ff", second["confirmation"][:-1]):
            answer = admins.call("POST", "/v1/backup/restore", {"restore": second["id"], "confirmation": wrong}, who=admins.first)
            assert answer.status == 422 and "confirmation" in answer.json["errors"], wrong
    with later(4_000):
        late = {"restore": second["id"], "confirmation": second["confirmation"]}
        assert sheaf.http("POST", "/v1/backup/restore", late, key=admins.tenant.key).status == 422


def test_a_row_that_was_changed_after_the_plan_is_left_alone(sheaf: World, admins: Admins) -> None:
    one, two = add(admins, 2)
    backup = admins.backup()
    with later(5):
        for each in (one, two):
            admins.call("PATCH", f"/v1/tasks/{each}", {"title": "Changed"})
        sheaf.settle()
        planned = admins.plan(backup["id"])
        admins.call("PATCH", f"/v1/tasks/{one}", {"title": "Changed once more"})
        done = admins.carry_out(planned)
        assert done["outcome"]["updated"] == 1 and done["outcome"]["skipped"] == 1
        assert admins.call("GET", f"/v1/tasks/{one}").data["title"] == "Changed once more"


@pytest.mark.parametrize("what", ["part", "manifest", "missing"])
def test_a_flipped_bit_anywhere_is_refused(sheaf: World, admins: Admins, what: str) -> None:
    add(admins, 5)
    backup = admins.backup()
    manifest = from_json(_object(admins, backup["id"], "manifest.json"))
    before = admins.rows()
    names = ["manifest.json"] if what == "manifest" else [part["name"] for part in manifest["parts"] if part["path"] != "users"]
    for name in names:
        data = bytearray(_object(admins, backup["id"], name))
        good = bytes(data)
        data[random.Random(1).randrange(len(data))] ^= 1
        key = f"{admins.tenant.id}/backups/{backup['id']}/{name}"
        if what == "missing":
            aws.client("s3").delete_object(Bucket="backups", Key=key)
        else:
            aws.client("s3").put_object(Bucket="backups", Key=key, Body=bytes(data))
        planned = admins.plan(backup["id"])
        assert planned["status"] == "failed", planned
        assert "backup" in admins.call("GET", f"/v1/jobs/{planned['planJob']}").data["error"]
        assert admins.rows() == before
        aws.client("s3").put_object(Bucket="backups", Key=key, Body=good)


def test_webhooks_are_told_only_if_that_is_asked_for(sheaf: World, admins: Admins) -> None:
    from client import Receiver

    with Receiver() as told:
        admins.call("POST", "/v1/webhooks", {"url": told.url, "events": ["task.*"]})
        task = add(admins, 1)[0]
        backup = admins.backup()
        for number, asked in enumerate((False, True)):
            with later(10 * number + 5):
                admins.call("PATCH", f"/v1/tasks/{task}", {"title": f"Changed {number}"})
                sheaf.settle()
                heard = len(told.received)
                admins.restore(backup["id"], webhooks=asked)
                sheaf.settle()
                assert len(told.received) - heard == int(asked)
        with later(60):
            logged = admins.call("GET", "/v1/audit/logs?action=task.updated").data
            assert "T0" in {each["after"]["title"] for each in logged}, "but the log knows"


def test_a_backup_of_an_entity_or_of_single_rows_restores_no_more(sheaf: World, admins: Admins) -> None:
    one, two = add(admins, 2)
    project = admins.call("POST", "/v1/projects", {"name": "P"}).data["id"]
    whole, single = admins.backup({"entity": "tasks"}), admins.backup({"entity": "tasks", "ids": [one]})
    assert (whole["rows"], single["rows"], single["scope"]) == (2, 1, "record")
    with later(5):
        for path in (f"/v1/tasks/{one}", f"/v1/tasks/{two}"):
            admins.call("PATCH", path, {"title": "Changed"})
        admins.edit("projects", project, {"name": "Changed"})
        new = admins.call("POST", "/v1/tasks", {"title": "New"}).data["id"]
        sheaf.settle()
        admins.restore(single["id"])
        assert [admins.call("GET", f"/v1/tasks/{each}").data["title"] for each in (one, two)] == ["T0", "Changed"]
        sheaf.settle()
        admins.restore(whole["id"])
        assert (
            admins.call("GET", f"/v1/tasks/{two}").data["title"] == "T1" and admins.call("GET", f"/v1/tasks/{new}").status == 404
        )
        assert admins.call("GET", f"/v1/projects/{project}").data["name"] == "Changed"


def test_people_are_not_restored(sheaf: World, admins: Admins) -> None:
    backup = admins.backup()
    with later(5):
        user = sheaf.user(admins.tenant, "late@acme.example")
        planned = admins.plan(backup["id"])
        assert planned["changes"] == {"delete": 0, "update": 0, "restore": 0, "create": 0}
        assert admins.call("GET", f"/v1/admin/users/{user}").status == 200


def test_erased_values_do_not_come_back(sheaf: World, admins: Admins) -> None:
    contact = {"first_name": "Ann", "last_name": "Lee", "email": "ann@example.com"}
    made = admins.call("POST", "/v1/contacts", contact).data["id"]
    backup = admins.backup()
    table.put("ControlTable", keys.erased(admins.tenant.setup, made), {"f": ["first_name", "email"]})
    with later(5):
        admins.call("DELETE", f"/v1/contacts/{made}")
        sheaf.settle()
        table.take("RecordsTable", keys.trash(admins.tenant.setup, "contacts", made))
        admins.restore(backup["id"])
        row = admins.call("GET", f"/v1/contacts/{made}").data
        assert row["first_name"] == "[erased]" and row["email"].endswith("@erased.invalid") and row["last_name"] == "Lee"


@pytest.mark.parametrize(("body", "fields"), [
    ({}, {"backup"}), ({"backup": "bak_x", "to": "x"}, {"to"}), ({"backup": 3, "webhooks": 1}, {"backup", "webhooks"}),
    ({"backup": "bak_x", "restore": "rst_x"}, {"restore"}),
])  # fmt: skip
def test_wrong_restores_name_their_fields(admins: Admins, body: dict[str, Any], fields: set[str]) -> None:
    answer = admins.call("POST", "/v1/backup/restore", body)
    assert answer.status == 422 and set(answer.json["errors"]) == fields, answer.text


def test_what_is_not_there_or_not_possible(sheaf: World, admins: Admins, globex: Tenant) -> None:
    backup = admins.backup()
    assert admins.call("POST", "/v1/backup/restore", {"backup": "bak_x"}).status == 404
    assert sheaf.http("POST", "/v1/backup/restore", {"backup": backup["id"]}, key=globex.key).status == 404
    for moment in ("2020-01-01T00:00:00Z", "2090-01-01T00:00:00Z"):
        assert admins.call("POST", "/v1/backup/restore", {"backup": backup["id"], "to": moment}).json["errors"].keys() == {"to"}
    assert admins.call("GET", "/v1/backup/restores/rst_x").status == 404
    planned = admins.plan(backup["id"])
    assert admins.call("POST", f"/v1/backup/restores/{planned['id']}/undo").status == 409
    assert [each["id"] for each in admins.call("GET", "/v1/backup/restores").data] == [planned["id"]]


# ---- any moment ----


def at(second: int) -> Any:
    """The same place at a second of the epoch."""
    return clock.using(lambda: float(second))


def history(admins: Admins, rng: random.Random, steps: int, start: int) -> Iterator[tuple[int, dict[str, dict[str, Any]]]]:
    """A random life of some rows; after each step the moment and what there is."""
    living: dict[str, str] = {}
    dead: dict[str, str] = {}
    for number in range(steps):
        with at(start + number * 2):
            what = rng.choice(["add", "add", "edit", "edit", "edit", "delete", "restore"])
            if what == "add" or not living:
                path = rng.choice(MODELS)
                body = {"tasks": {"title": f"T{number}"}, "projects": {"name": f"P{number}"},
                        "contacts": {"first_name": "A", "last_name": f"L{number}", "email": f"a{number}@example.com"}}[path]  # fmt: skip
                living[admins.call("POST", f"/v1/{path}", body).data["id"]] = path
            elif what == "edit":
                row = rng.choice(sorted(living))
                field = {"tasks": "title", "projects": "name", "contacts": "last_name"}[living[row]]
                admins.edit(living[row], row, {field: f"E{number}"})
            elif what == "delete":
                row = rng.choice(sorted(living))
                admins.call("DELETE", f"/v1/{living[row]}/{row}")
                dead[row] = living.pop(row)
            elif dead:
                row = rng.choice(sorted(dead))
                admins.call("POST", f"/v1/{dead[row]}/{row}/restore")
                living[row] = dead.pop(row)
        with at(start + number * 2 + 1):
            yield start + number * 2 + 1, admins.rows()


@pytest.mark.parametrize("seed", range(3))
def test_a_restore_to_a_random_second_equals_the_model(sheaf: World, admins: Admins, seed: int) -> None:
    rng = random.Random(seed)
    start = clock.now()
    for _ in history(admins, rng, 8, start + 10):
        pass
    with at(start + 100):
        sheaf.settle()
        backup = admins.backup()
    states = list(history(admins, rng, 14, start + 110))
    for number, (moment, state) in enumerate(rng.sample(states, 4)):
        with at(start + 300 + number * 20):
            sheaf.settle()
            admins.restore(backup["id"], to=clock.iso(moment * 1000))
            sheaf.settle()
            assert admins.rows() == state, f"seed {seed}, the moment {moment}"


# ---- deaths ----


def cycle(sheaf: World, admins: Admins, number: int, when: Any) -> bool:
    """Back up, change, plan, confirm, approve, restore, the worker dying at a call; whether there was such a call."""
    first, second = admins.keys
    rows = sorted(row for row in admins.rows() if row.startswith("tsk_"))
    start, left, before = clock.now() + 1_000, number, admins.rows()
    with at(start):
        backup = admins.call("POST", "/v1/backup/create", {}).data["id"]
        left -= killed_once(sheaf, left, when)
    with at(start + 200):  # the lease of a dead worker is over
        sheaf.settle()
        assert admins.call("GET", f"/v1/backup/{backup}").data["status"] == "succeeded", f"killed at call {number}"
        admins.call("PATCH", f"/v1/tasks/{rows[0]}", {"title": f"Changed {number}"})
        admins.call("DELETE", f"/v1/tasks/{rows[1]}")
        new = admins.call("POST", "/v1/tasks", {"title": "New"}).data["id"]
        sheaf.settle()
        planned = admins.call("POST", "/v1/backup/restore", {"backup": backup}, who=first).data["id"]
        left -= killed_once(sheaf, left, when)
    path = f"/v1/backup/restores/{planned}"
    with at(start + 400):
        sheaf.settle()
        confirmation = admins.call("GET", path).data["confirmation"]
        said = {"restore": planned, "confirmation": confirmation}
        assert admins.call("POST", "/v1/backup/restore", said, who=first).status == 202
        assert admins.call("POST", f"{path}/approve", {"confirmation": confirmation}, who=second).status == 202
        left -= killed_once(sheaf, left, when)
    with at(start + 600):
        sheaf.settle()
        assert admins.call("GET", path).data["status"] == "done", f"killed at call {number}"
        assert admins.rows() == before, f"killed at call {number}"
        assert admins.call("GET", f"/v1/tasks/{new}").status == 404
        aws.client("dynamodb").delete_item(TableName="RecordsTable", Key=_item(keys.trash(admins.tenant.setup, "tasks", new)))
    return left <= 0


def _item(key: keys.Key) -> dict[str, Any]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def deaths(sheaf: World, admins: Admins, first: int, step: int) -> int:
    """Die at every so many-th call; how many calls there are."""
    add(admins, 3)
    start, number, passed = clock.now(), first, 0
    while True:
        with at(start + passed * 2_000):
            passed += 1
            if not cycle(sheaf, admins, number, "before-call" if passed % 2 else "after-call"):
                return number
        number += step


def test_a_death_at_any_call_changes_nothing_of_the_result(sheaf: World, admins: Admins) -> None:
    """Every thirteenth call of the three jobs; the soak has all of them."""
    assert deaths(sheaf, admins, 2, 13) >= 40


@pytest.mark.soak
@pytest.mark.parametrize("first", [1, 2])
def test_backup_deaths(sheaf: World, admins: Admins, first: int) -> None:
    """Soak: every call of the three jobs, before it in one run and after it in the other."""
    called = deaths(sheaf, admins, 1, 1) if first == 1 else deaths(sheaf, admins, 0, 1)
    print(f"died at each of {called} calls, nothing lost, nothing doubled", flush=True)


def killed_once(sheaf: World, number: int, when: Any) -> int:
    """Carry the job on, its worker dying at a call; how many calls there were."""
    world.function("on_change").handler({"Records": sheaf.changes()}, world.CONTEXT)
    found = sheaf.messages("JobsQueue")
    done = []
    with kill_at(number, when) as counter:
        for record in found:
            try:
                answer = world.function("on_job").handler({"Records": [record]}, world.CONTEXT)
            except Killed:
                break
            if not answer["batchItemFailures"]:
                done.append(record)
    for record in done:
        sheaf.done("JobsQueue", record)
    return counter.calls


def test_a_large_backup_comes_in_parts_and_steps(sheaf: World, admins: Admins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "BACKUP_PART_ROWS", 4)
    monkeypatch.setattr(taking, "_PARTS", 2)
    monkeypatch.setattr(past, "_PAGE", 3)
    from sheaf.features.backups import planning, restoring

    monkeypatch.setattr(planning, "_LOOKED", 5)
    for module in (planning, restoring):
        monkeypatch.setattr(module, "RESTORE_LINES", 3)
    rows = add(admins, 23)
    before = admins.rows()
    backup = admins.backup()
    assert backup["rows"] >= 23
    with later(10):
        for row in rows[::2]:
            admins.call("DELETE", f"/v1/tasks/{row}")
        for row in rows[1::2]:
            admins.call("PATCH", f"/v1/tasks/{row}", {"title": "Changed"})
        sheaf.settle()
        done = admins.restore(backup["id"])
        assert done["outcome"] == {"created": 12, "updated": 11, "deleted": 0, "skipped": 0, "failed": 0}
        assert admins.rows() == before


# ---- by itself ----


def tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.function("on_schedule"), "AGAIN_SECONDS", 0.0)
    with rights.of("on_schedule"):
        world.function("on_schedule").handler(world.event("on_schedule.minute"), world.CONTEXT)


def test_a_schedule_makes_backups_and_keeps_the_newest(sheaf: World, admins: Admins, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand = admins.backup()["id"]
    assert admins.call("GET", "/v1/backup/schedule").status == 404
    assert admins.call("PUT", "/v1/backup/schedule", {"every": "day", "keep": 2}).data["keep"] == 2
    start = clock.now()
    tick(monkeypatch)
    sheaf.settle()
    assert len(admins.call("GET", "/v1/backup/list").data) == 1, "its time has not come"
    for day in range(1, 5):
        with at(start + day * 86_400 + 60 * day):
            tick(monkeypatch)
            sheaf.settle()
            tick(monkeypatch)  # a minute later nothing is due
            sheaf.settle()
            found = admins.call("GET", "/v1/backup/list").data
            assert [each["scheduled"] for each in found] == [True] * min(day, 2) + [False], day
            assert all(each["status"] == "succeeded" for each in found)
    with at(start + 6 * 86_400):
        assert admins.call("GET", f"/v1/backup/{by_hand}").status == 200
        admins.call("PUT", "/v1/backup/schedule", {"every": "week"})
        assert admins.call("DELETE", "/v1/backup/schedule").data == {"removed": True}
    with at(start + 30 * 86_400):
        tick(monkeypatch)
        sheaf.settle()
        assert len(admins.call("GET", "/v1/backup/list").data) == 3
    for body, field in (
        ({"every": "minute"}, "every"),
        ({"every": "day", "keep": 0}, "keep"),
        ({"every": "day", "keep": True}, "keep"),
    ):
        assert admins.call("PUT", "/v1/backup/schedule", body).json["errors"].keys() == {field}
