"""Two matrices over every operation of the OpenAPI documents: who may call what, and that no tenant reaches another."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

import template
import world
from sheaf.features.accounts import api_keys
from sheaf.store import aws

HOME = template.ROOT / "layers/core/sheaf/describe"
DOCUMENTS = {version: json.loads((HOME / f"openapi.v{version}.json").read_text()) for version in (1, 2)}
MISSING = {
    "row_id": "{prefix}_01h00000000000000000000000", "job_id": "job_01h00000000000000000000000", "file_id": "fil_01h00000000000000000000000",
    "webhook_id": "wh_01h00000000000000000000000", "session_id": "ses_01h00000000000000000000000", "key_id": "key_01h00000000000000000000000",
    "user_id": "usr_01h00000000000000000000000", "invitation_id": "inv_01h00000000000000000000000", "tenant_id": "tnt_01h00000000000000000000000",
    "upload_id": "upl_01h00000000000000000000000", "segment_id": "seg_01h00000000000000000000000",
    "event_id": "evt_01h00000000000000000000000", "hook_id": "hok_01h00000000000000000000000", "token": "hok_01h00000000000000000000000.x.y",
    "digest": "0" * 64, "backup_id": "bak_01h00000000000000000000000", "restore_id": "rst_01h00000000000000000000000",
    "key": "none", "name": "none",
}  # fmt: skip


@dataclass(frozen=True)
class Call:
    """One operation of a document."""

    method: str
    path: str
    permission: str  # empty for a public one
    body: Any

    @property
    def names(self) -> list[str]:
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    def to(self, values: Mapping[str, str]) -> str:
        return self.path.format(**values)


def operations(version: int) -> Iterator[Call]:
    for path, item in DOCUMENTS[version]["paths"].items():
        for method, operation in item.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            yield Call(method.upper(), path, operation.get("x-permission", ""), content.get("example"))


# ---- who may call what ----

ROLES = ("user", "moderator", "admin")
LEAST = {  # written down here once more: what the code says is not asked
    "read": "user", "create": "user", "update": "user", "delete": "user", "bulk": "moderator", "export": "moderator",
    "jobs:read": "user", "uploads:read": "user", "uploads:write": "user", "me:read": "user", "me:write": "user", "sessions:read": "user",
    "sessions:end": "user", "tickets:create": "user", "rate-limits:read": "user", "tenant:read": "user", "webhooks:read": "admin",
    "webhooks:write": "admin", "health:read": "admin", "rate-limits:reset": "admin", "api-keys:read": "admin", "api-keys:write": "admin",
    "members:read": "admin", "members:write": "admin", "tenant:write": "admin", "tenant:reset": "admin", "tenants:read": "admin",
    "tenants:write": "admin", "jobs:write": "user", "audience:read": "user", "audience:write": "user", "data:export": "moderator",
    "event-types:read": "user", "events:publish": "admin", "batch:run": "user", "graphql:run": "user", "graphql:write": "admin",
    "audit:read": "admin", "metrics:read": "admin", "privacy:erase": "admin", "backups:read": "admin", "backups:write": "admin", "backups:restore": "admin", "cache:read": "admin", "cache:clear": "admin", "queues:read": "admin", "queues:redrive": "admin", "features:read": "user", "features:write": "admin", "audit:export": "admin",
}  # fmt: skip


def least(permission: str) -> str:
    return LEAST.get(permission) or LEAST[permission.partition(":")[2]]


class Doors:
    """Credentials of every kind, each fresh where a call may end it."""

    def __init__(self, sheaf: world.World, tenant: world.Tenant) -> None:
        self._sheaf, self._tenant, self._count = sheaf, tenant, 0

    def token(self, role: str) -> str:
        self._count += 1
        return self._sheaf.token_of(self._tenant, f"p{self._count}@acme.example", role)  # type: ignore[arg-type]

    def key(self, role: str, *scopes: str) -> str:
        return self._sheaf.key(self._tenant, role, *scopes)  # type: ignore[arg-type]


# contract: 88, 133, 138
@pytest.mark.parametrize("version", [1, 2])
def test_every_role_on_every_route(sheaf: world.World, acme: world.Tenant, version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "API_KEYS", 1_000)  # a key for every permission
    sheaf.open_site(acme)
    doors = Doors(sheaf, acme)
    kept = {role: doors.key(role) for role in ROLES}
    scoped: dict[str, str] = {}
    values = {**MISSING, "row_id": "tsk_01h00000000000000000000000", "tenant_id": acme.id}
    cells, visitors = 0, 0
    # The second version leads to the same doors: the roles are enough there.
    kinds = ("nobody", "rubbish", "bare scopes", "right scopes", *ROLES) if version == 1 else ("nobody", *ROLES)
    for call in operations(version):
        personal = "/auth/" in call.path or "/sessions" in call.path or call.path.endswith("/me")
        for who in kinds:
            cells, visitors = cells + 1, visitors + 1
            if who in ROLES:
                key: str | None = doors.token(who) if personal and call.permission else kept[who]
            elif "scopes" in who:
                wanted = call.permission if who == "right scopes" and call.permission else "nothing:nowhere"
                key = scoped.setdefault(wanted, doors.key("admin", wanted))
            else:
                key = None if who == "nobody" else "sk_local_rubbish"
            answer = sheaf.http(
                call.method, call.to(values), call.body, key=key, source_ip=f"10.5.{visitors // 250}.{visitors % 250}"
            )
            where = f"{who}: {call.method} {call.path} -> {answer.status} {answer.text[:200]}"
            if not call.permission:
                # `{}` as the credential of a public route changes nothing, but health shows more to those who may see it.
                assert answer.status not in (401, 403) or "/auth/" in call.path or call.path.endswith("/health"), where
                continue
            if who in ("nobody", "rubbish"):
                assert answer.status == 401, where
            elif who == "bare scopes" and call.permission in ("batch:run", "graphql:run"):
                assert answer.status != 401, where  # each request inside is looked at by itself: tests of batches and GraphQL
            elif who == "bare scopes" or (who in ROLES and ROLES.index(who) < ROLES.index(least(call.permission))):
                assert answer.status == 403, where
            elif who == "right scopes" and (personal or call.path.endswith(("/api-keys", "/inbound-hooks"))):
                assert answer.status != 401, where  # a key has no session of its own, and makes nothing that may more
            else:
                assert answer.status not in (401, 403), where
    print(f"\nv{version}: {cells} cells")
    assert cells >= len(kinds) * 130, cells


# ---- no tenant reaches another ----


@pytest.fixture
def theirs(sheaf: world.World, globex: world.Tenant) -> dict[str, str]:
    """One of everything that the other tenant can have: the id by the place in a path, a row of each entity by its name."""
    key, place = globex.key, f"/v1/tenants/{globex.id}"

    def made(path: str, body: Any = None, by: str = key) -> str:
        answer = sheaf.http("POST", path, body, key=by)
        assert answer.status in (200, 201, 202), (path, answer.text)
        return str((answer.json.get("data") or answer.json["post"])["id"])

    token = sheaf.token_of(globex, "eve@globex.example", "admin")
    found = {
        "user_id": sheaf.user(globex, "ann@globex.example"),
        "session_id": sheaf.http("GET", "/v1/sessions", key=token).data[0]["id"],
        "key_id": made("/v1/api-keys", {"name": "theirs"}),
        "webhook_id": made("/v1/webhooks", {"url": "http://127.0.0.1:1/", "events": ["video.*"]}),
        "hook_id": made("/v1/inbound-hooks", {"entity": "leads"}),
        "file_id": made("/v1/uploads", {"filename": "a.txt", "size": 5, "type": "text/plain"}),
        "invitation_id": made(f"{place}/invitations", {"email": "bob@example.com"}),
        "tenant_id": globex.id,
        "digest": made("/v1/graphql/operations", {"query": "query Theirs { __typename }"}),
    }
    sheaf.arrive(globex, found["file_id"], b"hello")
    batch = sheaf.http("POST", "/v1/audience/batch-upload", {"upload_name": "theirs", "records": [{"domain": "d"}]}, key=key).json
    found["upload_id"] = batch["upload_id"]
    saved = sheaf.http("POST", f"/v1/audience/batch-upload/{batch['upload_id']}/segments", {"segment_name": "theirs"}, key=key)
    found["segment_id"] = saved.json["segment_id"]
    creations = {call.path.removeprefix("/v1/"): call.body for call in operations(1)
                 if call.method == "POST" and call.permission == f"{call.path.removeprefix('/v1/')}:create"}  # fmt: skip
    for entity in sorted(creations, key=lambda name: name == "comments"):  # a comment is on a post
        body = {**creations[entity], **({"post": found["posts"]} if entity == "comments" else {})}
        found[entity] = made(f"/v1/{entity}", body)
    sheaf.http("PATCH", f"/v1/tasks/{found['tasks']}", {"title": "Changed"}, key=key)
    found["users"] = found["user_id"]
    found["job_id"] = made("/v1/tasks/export", {"format": "csv"})
    made("/v1/videos", {"title": "Told"})
    sheaf.settle()
    told = sheaf.http("GET", f"/v1/webhooks/{found['webhook_id']}/deliveries", key=key).data
    found["event_id"] = told[0]["eventId"]
    found["backup_id"] = made("/v1/backup/create", {})
    sheaf.settle()
    found["restore_id"] = made("/v1/backup/restore", {"backup": found["backup_id"]})
    sheaf.settle()
    # Flags and queues are the installation's, not a tenant's.
    return {**found, "key": MISSING["key"], "name": MISSING["name"]}


def snapshot(tenant: world.Tenant) -> str:
    """Everything that the tables hold of a tenant, but for its rate-limit windows."""
    found = []
    for name in world.TABLES[:3]:
        pages = aws.client("dynamodb").get_paginator("scan").paginate(TableName=name)
        found += [json.dumps(item, sort_keys=True, default=sorted) for page in pages for item in page["Items"]
                  if item["pk"]["S"].startswith(tenant.id)]  # fmt: skip
    principals = [{name: value for name, value in item.items() if name not in ("w", "n", "seen", "ss")}
                  for page in aws.client("dynamodb").get_paginator("scan").paginate(TableName="LimitsTable")
                  for item in page["Items"] if item["pk"]["S"].startswith(f"{tenant.id}#principal")]  # fmt: skip
    return "\n".join(sorted([*found, *(json.dumps(each, sort_keys=True, default=sorted) for each in principals)]))


def seen(answer: world.Answer, hide: list[str]) -> tuple[int, str, dict[str, str]]:
    """An answer without what always differs, and without the ids that were asked for."""
    try:
        parsed = {name: value for name, value in answer.json.items() if name not in ("requestId", "timestamp", "instance")}
    except json.JSONDecodeError:
        parsed = {"text": answer.text}
    text = json.dumps(parsed, sort_keys=True)
    for each in hide:
        text = text.replace(each, "…")
    changing = ("X-Request-Id", "X-RateLimit-Remaining", "RateLimit")
    return answer.status, text, {name: value for name, value in answer.headers.items() if name not in changing}


# contract: 29, 54
def test_no_tenant_reaches_another(sheaf: world.World, acme: world.Tenant, globex: world.Tenant, theirs: dict[str, str]) -> None:
    before, attempts = snapshot(globex), 0
    keys = {"admin": acme.key, "moderator": sheaf.key(acme, "moderator"), "user": sheaf.key(acme, "user")}
    people = {role: sheaf.token_of(acme, f"{role}@acme.example", role) for role in ROLES}  # type: ignore[arg-type]
    with sheaf.still():
        for version in (1, 2):
            for call in operations(version):
                if not call.permission or not call.names:
                    continue
                entity = call.path.split("/")[-3 if call.path.count("/") > 3 else -2] if "row_id" in call.names else ""
                entity = next((part for part in reversed(call.path.split("/")) if part in theirs), entity)
                prefix = theirs.get(entity, "x_").rpartition("_")[0]
                foreign = {**theirs, "row_id": theirs.get(entity, "none")}
                missing = {name: text.format(prefix=prefix) for name, text in MISSING.items()}
                for credential in (*keys.values(), *people.values()):
                    answers = [sheaf.http(call.method, call.to(ids), call.body, key=credential) for ids in (foreign, missing)]
                    attempts += 1
                    hide = [text for ids in (foreign, missing) for text in ids.values()]
                    one, other = (seen(answer, hide) for answer in answers)
                    assert one == other, (call.method, call.path, one, other)
                    assert one[0] in (403, 404), (call.method, call.path, one)
        # The tenant named in the header or the path: every route refuses, whatever else the request says.
        for call in operations(1):
            if not call.permission:
                continue
            own = {**MISSING, "row_id": "tsk_01h00000000000000000000000", "tenant_id": acme.id}
            named = sheaf.http(call.method, call.to(own), call.body, key=acme.key, headers={"X-Tenant-Id": globex.id})
            assert (named.status, named.json.get("code", "tenant_mismatch")) == (403, "tenant_mismatch"), (call, named.text)
            attempts += 1
            if "/auth/" in call.path or call.path.count("/") > 4:
                continue
            inside = sheaf.http(call.method, call.to(own).replace("/v1/", f"/v1/{globex.id}/", 1), call.body, key=acme.key)
            assert inside.status in (403, 404), (call, inside.text)
            attempts += 1
        # Their ids in places where a body or a query names rows.
        for relation, entity in (("assignee", "users"), ("project", "projects")):
            for path, body in (("/v1/tasks", {"title": "x"}), ("/v1/comments", {"text": "x"})):
                answer = sheaf.http("POST", path, {**body, relation: theirs[entity]}, key=acme.key)
                absent = sheaf.http("POST", path, {**body, relation: theirs[entity][:-3] + "000"}, key=acme.key)
                assert answer.status == absent.status == 422, (path, answer.text)
                attempts += 1
        for entity, row in theirs.items():
            if entity.endswith("_id") or entity in ("digest", "key", "name"):
                continue
            for query in (
                f"id={row}",
                f"search={row[:20]}",
                f"filter=%7B%22id%22%3A%22{row}%22%7D",
                "trash=true",
                "aggregate=count",
            ):
                answer = sheaf.http("GET", f"/v1/{entity}?{query}", key=acme.key)
                assert row not in answer.text.replace(f"{row[:20]}", ""), (entity, query)
                assert answer.status == 400 or not json.dumps(answer.json).count(globex.id), (entity, query)
                attempts += 1
        body = {"action": "ban", "userIds": [theirs["user_id"]]}
        job = sheaf.http("POST", "/v1/admin/users/actions", body, key=acme.key).data["id"]
    sheaf.settle()
    assert sheaf.http("GET", f"/v1/jobs/{job}", key=acme.key).data["counts"]["failed"] == 1
    assert snapshot(globex) == before, "nothing of theirs was changed"
    assert attempts >= 1_000, attempts
    print(f"\n{attempts} attempts")
