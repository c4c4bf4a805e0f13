"""What admins do to users, one by one and many at once; tenants; and the limits that all of them share."""

import json
from typing import Any

import pytest

import world
from sheaf.access import limits
from sheaf.base import clock
from sheaf.base.config import config
from sheaf.features.accounts import members, tenants
from sheaf.store import keys, table

MISSING = "usr_01h00000000000000000000000"


@pytest.fixture
def boss(sheaf: world.World, acme: world.Tenant) -> str:
    return sheaf.token_of(acme, "boss@acme.example", "admin")


def people(sheaf: world.World, tenant: world.Tenant, count: int) -> list[str]:
    return [sheaf.user(tenant, f"p{number}@acme.example") for number in range(count)]


def status_of(sheaf: world.World, tenant: world.Tenant, user: str) -> tuple[str, str, bool]:
    found = sheaf.http("GET", f"/v1/users/{user}", key=tenant.key).data
    return found["status"], found["role"], found["emailVerified"]


# contract: 91, 92
def test_the_list_of_users_in_its_older_shape(sheaf: world.World, acme: world.Tenant, boss: str) -> None:
    for name, email in (("Ann Lee", "a@x.example"), ("Bob Ray", "b@lee.example"), ("Cid", "c@x.example")):
        user = sheaf.user(acme, email)
        sheaf.http("PATCH", f"/v1/admin/users/{user}", {"name": name}, key=boss)
    answer = sheaf.http("GET", "/v1/admin/users?page=1&limit=20&search=LEE", key=boss).json
    assert answer.keys() == {"users", "total", "page"} and (answer["total"], answer["page"]) == (2, 1)
    assert [user["name"] for user in answer["users"]] == ["Bob Ray", "Ann Lee"]
    assert answer["users"][0].keys() == {"id", "name", "email", "role", "createdAt", "lastLogin", "status"}
    everybody = sheaf.http("GET", "/v1/admin/users", key=boss).json
    logins = {user["email"]: user["lastLogin"] for user in everybody["users"]}
    assert logins["boss@acme.example"] and logins["a@x.example"] is None
    banned = answer["users"][0]["id"]
    sheaf.http("PATCH", f"/v1/admin/users/{banned}", {"status": "banned"}, key=boss)
    assert sheaf.http("GET", "/v1/admin/users?status=banned", key=boss).json["users"][0]["status"] == "suspended"
    canonical = sheaf.http("GET", "/v1/admin/users?limit=2", key=boss, headers={"Prefer": "profile=canonical"}).json
    assert canonical["meta"] == {
        "limit": 2,
        "hasMore": True,
        "nextCursor": canonical["meta"]["nextCursor"],
        "page": 1,
        "total": 4,
    }
    second = sheaf.http("GET", f"/v2/admin/users?limit=3&cursor={canonical['meta']['nextCursor']}", key=boss)
    assert second.status == 200 and len(second.data) == 2


def test_the_older_shape_of_its_errors(sheaf: world.World, acme: world.Tenant, boss: str) -> None:
    plain = sheaf.token_of(acme, "plain@acme.example")
    denied = sheaf.http("GET", "/v1/admin/users", key=plain)
    assert (denied.status, denied.json) == (
        403,
        {"error": "Insufficient permissions", "message": "This endpoint requires admin role"},
    )
    none = sheaf.http("GET", "/v1/admin/users")
    assert none.json == {"error": "Authentication required", "message": "No authentication token provided"}
    bad = sheaf.http("GET", "/v1/admin/users", key="x")
    assert bad.json == {"error": "Invalid token", "message": "Authentication token is invalid or expired"}
    verb = sheaf.http("PUT", "/v1/admin/users", {}, key=boss)
    assert (verb.status, verb.json["allowedMethods"]) == (405, ["GET", "POST"])
    for query in ("limit=0", "limit=101", "page=0", "page=x", "status=odd", "nothing=1"):
        assert sheaf.http("GET", f"/v1/admin/users?{query}", key=boss).status == 400, query


# contract: 89, 91
def test_the_list_of_users_has_a_limit_of_its_own(sheaf: world.World, boss: str) -> None:
    with clock.using(world.turn()):
        answers = [sheaf.http("GET", "/v1/admin/users?limit=1", key=boss) for _ in range(52)]
    assert [answer.status for answer in answers] == [200] * 50 + [429] * 2
    assert answers[-1].json == {"error": "Rate limit exceeded", "retryAfter": 60, "retry_after": 60,
                                "message": "Too many requests. Maximum 50 requests per 60 seconds"}  # fmt: skip


def test_a_user_is_added_by_a_mail(sheaf: world.World, acme: world.Tenant, globex: world.Tenant, boss: str) -> None:
    answer = sheaf.http("POST", "/v1/admin/users", {"name": "New", "email": "new@acme.example", "role": "moderator"}, key=boss)
    assert answer.status == 201 and answer.data["status"] == "pending" and answer.data["emailVerified"] is False
    user = answer.data["id"]
    token = sheaf.mail_token("new@acme.example")
    assert sheaf.http("POST", "/v1/auth/login", {"email": "new@acme.example", "password": "x" * 12}).status == 401
    assert sheaf.http("POST", "/v1/auth/reset", {"token": token, "password": "correct horse battery"}).status == 200
    assert sheaf.token("new@acme.example", source_ip="192.0.2.44")
    assert status_of(sheaf, acme, user) == ("active", "moderator", True)
    for wrong in ({}, {"name": "x", "email": "e"}, {"name": "Ann", "email": "a@b.example", "status": "active"}):
        assert sheaf.http("POST", "/v1/admin/users", wrong, key=boss).status == 422
    assert sheaf.http("POST", "/v1/admin/users", {"name": "New", "email": "new@acme.example"}, key=boss).status == 409


def test_adding_an_address_of_another_tenant_tells_nothing(
    sheaf: world.World, acme: world.Tenant, globex: world.Tenant, boss: str
) -> None:
    sheaf.user(globex, "known@globex.example")
    shown = []
    for email in ("known@globex.example", "unknown@globex.example"):
        answer = sheaf.http("POST", "/v1/admin/users", {"name": "Eve", "email": email}, key=boss)
        body = {name: value for name, value in answer.data.items() if name not in ("id", "email", "createdAt", "updatedAt")}
        shown.append((answer.status, body, sorted(answer.headers)))
    assert shown[0] == shown[1]
    listed = sheaf.http("GET", "/v1/admin/users", key=boss).json["users"]
    assert {(each["email"], each["status"]) for each in listed} >= {
        (f"{who}@globex.example", "pending") for who in ("known", "unknown")
    }
    sheaf.settle()
    assert sheaf.token("known@globex.example", source_ip="192.0.2.45"), "and the account over there goes on"
    theirs = next(each["id"] for each in listed if each["email"] == "known@globex.example")
    assert sheaf.http("DELETE", f"/v1/admin/users/{theirs}", key=boss).status == 200
    assert sheaf.token("known@globex.example", source_ip="192.0.2.46"), "even when the unmet user here is removed"


def test_a_removed_user_is_gone_and_the_address_free(sheaf: world.World, acme: world.Tenant, boss: str) -> None:
    user = sheaf.user(acme, "ann@acme.example")
    assert sheaf.http("DELETE", f"/v1/tenants/{acme.id}/members/{user}", key=boss).data == {"id": user, "removed": True}
    assert sheaf.http("GET", f"/v1/users/{user}", key=acme.key).status == 404
    assert sheaf.http("DELETE", f"/v1/tenants/{acme.id}/members/{user}", key=boss).status == 404
    assert sheaf.user(acme, "ann@acme.example") != user


def test_nobody_shuts_themselves_or_the_last_admin_out(sheaf: world.World, acme: world.Tenant, boss: str) -> None:
    me = sheaf.http("GET", "/v1/me", key=boss).data["user"]["id"]
    for change in ({"role": "user"}, {"status": "banned"}):
        assert sheaf.http("PATCH", f"/v1/admin/users/{me}", change, key=boss).status == 409
        refused = sheaf.http("PATCH", f"/v1/admin/users/{me}", change, key=acme.key)
        assert (refused.status, refused.json["code"]) == (409, "last_admin"), "a key cannot either"
    assert sheaf.http("DELETE", f"/v1/admin/users/{me}", key=acme.key).json["code"] == "last_admin"
    other = sheaf.user(acme, "two@acme.example", "admin")
    assert sheaf.http("PATCH", f"/v1/admin/users/{me}", {"role": "user"}, key=acme.key).status == 200
    assert sheaf.http("PATCH", f"/v1/admin/users/{other}", {"status": "suspended"}, key=acme.key).json["code"] == "last_admin"
    assert sheaf.http("PATCH", f"/v1/admin/users/{me}", {"role": "admin"}, key=acme.key).status == 200
    assert sheaf.http("PATCH", f"/v1/admin/users/{other}", {"status": "suspended"}, key=acme.key).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"role": None},
        {"status": None},
        {"name": None},
        {"status": "pending"},
        {"role": "god"},
        {"status": "odd"},
        {"email": "x@y.example"},
        {"emailVerified": True},
        [],
        5,
    ],
)
def test_wrong_changes_of_a_user_are_refused(sheaf: world.World, acme: world.Tenant, boss: str, body: object) -> None:
    user = sheaf.user(acme, "ann@acme.example")
    assert sheaf.http("PATCH", f"/v1/admin/users/{user}", body, key=boss).status == 422
    assert status_of(sheaf, acme, user) == ("active", "user", True)


def test_an_admin_unlocks_who_was_guessed_at(sheaf: world.World, acme: world.Tenant, boss: str) -> None:
    user = sheaf.user(acme, "ann@acme.example")
    for number in range(8):
        with world.later(number * 9):
            sheaf.http("POST", "/v1/auth/login", {"email": "ann@acme.example", "password": "x"}, source_ip=f"192.0.2.{number}")
    with world.later(80):
        body = {"email": "ann@acme.example", "password": "correct horse battery"}
        assert sheaf.http("POST", "/v1/auth/login", body, source_ip="192.0.2.50").status == 429
        assert sheaf.http("POST", f"/v1/admin/users/{user}/unlock", key=boss).status == 200
        assert sheaf.http("POST", "/v1/auth/login", body, source_ip="192.0.2.51").status == 200
    assert sheaf.http("POST", f"/v1/admin/users/{MISSING}/unlock", key=boss).status == 404


# ---- many at once ----


def act(
    sheaf: world.World, key: str, action: str, ids: list[str], path: str = "/v1/admin/users/actions", **more: Any
) -> world.Answer:
    return sheaf.http("POST", path, {"action": action, "userIds": ids, **more}, key=key)


def outcomes(sheaf: world.World, key: str, job: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    found = sheaf.http("GET", f"/v1/jobs/{job}", key=key).data
    assert found["status"] == "succeeded", found
    return found, [json.loads(line) for line in sheaf.download(found["result"]["url"]).splitlines()]


# contract: 121
def test_many_users_are_banned_as_a_job_with_a_line_for_each(sheaf: world.World, acme: world.Tenant, boss: str) -> None:
    users = people(sheaf, acme, 60)
    token = sheaf.token("p7@acme.example", source_ip="192.0.2.60")
    sheaf.http("PATCH", f"/v1/admin/users/{users[3]}", {"status": "banned"}, key=boss)
    me = sheaf.http("GET", "/v1/me", key=boss).data["user"]["id"]
    answer = act(sheaf, boss, "ban", [*users, MISSING, me], path="/v1/batch/users/action")
    assert answer.status == 202 and answer.headers["Location"] == f"../../jobs/{answer.data['id']}"
    sheaf.settle()
    job, lines = outcomes(sheaf, boss, answer.data["id"])
    assert job["counts"] == {"total": 62, "created": 0, "updated": 59, "deleted": 0, "skipped": 1, "failed": 2}
    assert [line["index"] for line in lines] == list(range(62)) and [line["id"] for line in lines] == [*users, MISSING, me]
    assert lines[3]["outcome"] == "skipped" and lines[60]["code"] == "not_found" and lines[61]["code"] == "conflict"
    assert sheaf.http("GET", "/v1/tasks", key=token).status == 401
    sheaf.settle()
    newest = sheaf.http("GET", f"/v1/users/{users[0]}/history", key=acme.key).data[0]
    assert newest["actor"] == me and newest["changes"]["status"] == {"from": "active", "to": "banned"}


@pytest.mark.parametrize(
    ("action", "before", "after"),  # status, whether there is a password, whether the address is confirmed
    [
        ("ban", ("active", True, True), ("banned", True)),
        ("ban", ("suspended", True, True), ("banned", True)),
        ("unban", ("banned", True, True), ("active", True)),
        ("unban", ("banned", False, False), ("pending", False)),
        ("unban", ("suspended", True, True), None),
        ("suspend", ("active", True, True), ("suspended", True)),
        ("suspend", ("banned", True, True), "conflict"),
        ("unsuspend", ("suspended", True, True), ("active", True)),
        ("unsuspend", ("suspended", False, True), ("pending", True)),
        ("unsuspend", ("active", True, True), None),
        ("verify", ("pending", False, False), ("pending", True)),
        ("verify", ("active", True, False), ("active", True)),
        ("verify", ("banned", True, False), ("banned", True)),
        ("verify", ("active", True, True), None),
    ],
)
def test_what_an_action_makes_of_a_user(action: str, before: tuple[str, bool, bool], after: object) -> None:
    person = {"status": before[0], "emailVerified": before[2], "role": "user"}
    if after == "conflict":
        with pytest.raises(members.Conflict):
            members.wanted_change(action, None, person, lambda: before[1])
        return
    made = {**person, **members.wanted_change(action, None, person, lambda: before[1])}
    assert (made["status"], made["emailVerified"]) == (after or (before[0], before[2]))


def test_a_ban_that_comes_between_is_not_lost(
    sheaf: world.World, acme: world.Tenant, boss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job decides on the person as it stands when it writes, not as it stood when it looked."""
    user = sheaf.user(acme, "ann@acme.example")
    sheaf.http("PATCH", f"/v1/admin/users/{user}", {"status": "suspended"}, key=boss)
    job = act(sheaf, boss, "unsuspend", [user]).data["id"]
    decide, between = members._decide, []

    def slow(*args: Any) -> Any:
        found = decide(*args)
        if not between:
            between.append(sheaf.http("PATCH", f"/v1/admin/users/{user}", {"status": "banned"}, key=boss).status)
        return found

    monkeypatch.setattr(members, "_decide", slow)
    sheaf.settle()
    assert between == [200] and status_of(sheaf, acme, user)[0] == "banned"
    assert outcomes(sheaf, boss, job)[0]["counts"]["skipped"] == 1


def test_whoever_never_set_a_password_is_no_admin_that_counts(sheaf: world.World, acme: world.Tenant, boss: str) -> None:
    ghost = sheaf.http("POST", "/v1/admin/users", {"name": "Ghost", "email": "g@acme.example", "role": "admin"}, key=boss).data[
        "id"
    ]
    assert sheaf.http("PATCH", f"/v1/admin/users/{ghost}", {"status": "active"}, key=boss).status == 409
    act(sheaf, boss, "verify", [ghost])
    sheaf.settle()
    assert status_of(sheaf, acme, ghost) == ("pending", "admin", True)
    me = sheaf.http("GET", "/v1/me", key=boss).data["user"]["id"]
    assert sheaf.http("DELETE", f"/v1/admin/users/{me}", key=acme.key).json["code"] == "last_admin"


def test_the_welcome_is_sent_again(sheaf: world.World, acme: world.Tenant, boss: str) -> None:
    user = sheaf.http("POST", "/v1/admin/users", {"name": "New", "email": "new@acme.example"}, key=boss).data["id"]
    with world.later(8 * 86_400):
        boss = sheaf.token("boss@acme.example", source_ip="192.0.2.8")
        assert sheaf.http("POST", f"/v1/admin/users/{user}/welcome", key=boss).data == {"id": user, "sent": True}
        token = sheaf.mail_token("new@acme.example")
        assert sheaf.http("POST", "/v1/auth/reset", {"token": token, "password": "correct horse battery"}).status == 200
        assert status_of(sheaf, acme, user) == ("active", "user", True)
        assert sheaf.http("POST", f"/v1/admin/users/{user}/welcome", key=boss).status == 409


def test_a_key_with_scopes_makes_nobody_an_admin(sheaf: world.World, acme: world.Tenant) -> None:
    keeper, user = sheaf.key(acme, "admin", "members:write"), sheaf.user(acme, "ann@acme.example")
    for method, path, body in (
        ("POST", "/v1/admin/users", {"name": "Eve", "email": "eve@acme.example", "role": "admin"}),
        ("POST", f"/v1/tenants/{acme.id}/invitations", {"email": "eve@acme.example", "role": "moderator"}),
        ("PATCH", f"/v1/admin/users/{user}", {"role": "admin"}),
        ("POST", "/v1/admin/users/actions", {"action": "change_role", "userIds": [user], "role": "admin"}),
    ):
        assert sheaf.http(method, path, body, key=keeper).status == 403, path
    assert sheaf.http("POST", "/v1/admin/users", {"name": "Eve", "email": "eve@acme.example"}, key=keeper).status == 201


def test_a_job_over_users_runs_twice_and_says_the_same(sheaf: world.World, acme: world.Tenant, boss: str) -> None:
    users = people(sheaf, acme, 30)
    job = act(sheaf, boss, "change_role", users, role="moderator").data["id"]
    records = sheaf.changes()
    world.function("on_change").handler({"Records": records}, world.CONTEXT)
    for _ in range(3):  # each message three times
        for message in sheaf.messages("JobsQueue"):
            world.function("on_job").handler({"Records": [message]}, world.CONTEXT)
    sheaf.settle()
    found, lines = outcomes(sheaf, boss, job)
    assert found["counts"]["updated"] == 30 and {line["outcome"] for line in lines} == {"updated"}
    assert {sheaf.http("GET", f"/v1/users/{user}", key=acme.key).data["version"] for user in users} == {2}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"action": "fire", "userIds": ["a"]}, {"action"}),
        ({"action": "ban"}, {"userIds"}),
        ({"action": "ban", "userIds": []}, {"userIds"}),
        ({"action": "ban", "userIds": "a"}, {"userIds"}),
        ({"action": "ban", "userIds": ["a", "a"]}, {"userIds"}),
        ({"action": "ban", "userIds": [1]}, {"userIds"}),
        ({"action": "change_role", "userIds": ["a"]}, {"role"}),
        ({"action": "ban", "userIds": ["a"], "role": "user"}, {"role"}),
        ({"action": "ban", "userIds": ["a"], "reason": "x"}, {"reason"}),
    ],
)
def test_a_wrong_action_names_its_fields(sheaf: world.World, boss: str, body: dict[str, Any], named: set[str]) -> None:
    answer = sheaf.http("POST", "/v1/batch/users/action", body, key=boss)
    assert answer.status == 422 and answer.json["errors"].keys() == named


def test_an_action_takes_a_thousand_users_and_no_more(sheaf: world.World, boss: str) -> None:
    assert act(sheaf, boss, "ban", [f"u{n}" for n in range(1_001)]).status == 413
    assert act(sheaf, boss, "ban", [f"u{n}" for n in range(1_000)]).status == 202


# ---- tenants ----


@pytest.fixture
def operator(sheaf: world.World, acme: world.Tenant) -> str:
    sheaf.open_site(acme)
    return acme.key


def test_a_tenant_is_read_and_renamed_by_its_own(sheaf: world.World, acme: world.Tenant, globex: world.Tenant) -> None:
    place = f"/v1/tenants/{acme.id}"
    assert sheaf.http("GET", place, key=sheaf.key(acme, "user")).data["name"] == "Acme"
    assert sheaf.http("PATCH", place, {"name": " New Acme "}, key=acme.key).data["name"] == "New Acme"
    assert sheaf.http("PATCH", place, {"name": "x"}, key=sheaf.key(acme, "moderator")).status == 403
    for body in ({"tier": "enterprise"}, {"status": "active"}):
        refused = sheaf.http("PATCH", place, body, key=acme.key)
        assert (refused.status, refused.json["code"]) == (403, "permission_denied"), "nobody sells themselves a tier"
    for wrong in ({}, {"name": "x"}, {"name": 5}, {"name": "a\nb"}, {"id": "x"}, []):
        assert sheaf.http("PATCH", place, wrong, key=acme.key).status == 422, wrong
    for method, path, body in (("GET", "", None), ("PATCH", "", {"name": "Mine"}), ("GET", "/members", None), ("GET", "/invitations", None),
                               ("POST", "/invitations", {"email": "a@b.example"}), ("DELETE", f"/members/{MISSING}", None),
                               ("POST", "/reset", None)):  # fmt: skip
        answers = [
            sheaf.http(method, f"/v1/tenants/{each}{path}", body, key=globex.key)
            for each in (acme.id, "tnt_01h00000000000000000000000")
        ]
        assert [answer.status for answer in answers] == [404, 404], (method, path)


def test_operators_make_and_steer_tenants(sheaf: world.World, acme: world.Tenant, globex: world.Tenant, operator: str) -> None:
    made = sheaf.http("POST", "/v1/tenants", {"name": "Initech", "tier": "pro"}, key=operator, headers={"Idempotency-Key": "t"})
    assert made.status == 201 and (made.data["tier"], made.data["status"]) == ("pro", "active")
    again = sheaf.http("POST", "/v1/tenants", {"name": "Initech", "tier": "pro"}, key=operator, headers={"Idempotency-Key": "t"})
    assert again.data == made.data
    names, cursor = [], ""
    while True:
        answer = sheaf.http("GET", f"/v1/tenants?limit=2{cursor}", key=operator).json
        names += [each["name"] for each in answer["data"]]
        if not answer["meta"]["hasMore"]:
            break
        cursor = f"&cursor={answer['meta']['nextCursor']}"
    assert names == ["Acme", "Globex", "Initech"]
    place = f"/v1/tenants/{globex.id}"
    assert sheaf.http("GET", "/v1/tasks", key=globex.key).headers["X-RateLimit-Limit"] == "10000"
    assert sheaf.http("PATCH", place, {"tier": "free"}, key=operator).data["tier"] == "free"
    assert sheaf.http("GET", "/v1/tasks", key=globex.key).headers["X-RateLimit-Limit"] == "100"
    assert sheaf.http("PATCH", place, {"status": "disabled"}, key=operator).data["status"] == "disabled"
    assert sheaf.http("GET", "/v1/tasks", key=globex.key).json["code"] == "tenant_disabled"
    for odd in ([], {}, None, 5):
        assert sheaf.http("PATCH", place, {"tier": odd}, key=operator).status == 422, odd
    assert sheaf.http("PATCH", place, {"tier": "gold", "status": "odd"}, key=operator).json["errors"].keys() == {"tier", "status"}
    assert sheaf.http("GET", f"{place}/members", key=operator).status == 404, "members are nobody else's matter"
    assert sheaf.http("GET", "/v1/tenants/tnt_01h00000000000000000000000", key=operator).status == 404
    for key in (globex.key, sheaf.key(acme, "moderator")):
        sheaf.http("PATCH", place, {"status": "active"}, key=operator)
        assert sheaf.http("POST", "/v1/tenants", {"name": "x"}, key=key).status == 403
        assert sheaf.http("GET", "/v1/tenants", key=key).status == 403


def test_a_tenant_is_made_with_its_first_admin_invited(sheaf: world.World, acme: world.Tenant, operator: str) -> None:
    wrong = sheaf.http("POST", "/v1/tenants", {"name": "Initech", "adminEmail": "x"}, key=operator)
    assert (wrong.status, wrong.json["errors"].keys()) == (422, {"adminEmail"})
    made = sheaf.http("POST", "/v1/tenants", {"name": "Initech", "adminEmail": "bill@initech.example"}, key=operator).data["id"]
    body = {
        "name": "Bill",
        "email": "bill@initech.example",
        "password": "correct horse battery",
        "invitation": sheaf.mail_token("bill@"),
    }
    assert sheaf.http("POST", "/v1/auth/register", body).status == 201
    bill = sheaf.token("bill@initech.example")
    me = sheaf.http("GET", "/v1/me", key=bill).data
    assert (me["tenant"]["id"], me["role"]) == (made, "admin")
    assert sheaf.http("PATCH", f"/v1/admin/users/{me['user']['id']}", {"role": "user"}, key=operator).status == 404


def test_only_admins_see_from_where_they_may_work(sheaf: world.World, acme: world.Tenant) -> None:
    place = f"/v1/tenants/{acme.id}"
    assert "adminIps" in sheaf.http("GET", place, key=acme.key).data
    assert "adminIps" not in sheaf.http("GET", place, key=sheaf.key(acme, "user")).data
    for odd in (False, 0, "", {}):
        assert sheaf.http("PATCH", place, {"adminIps": odd}, key=acme.key).status == 422, odd


def test_the_answer_of_a_job_that_came_again_can_be_fetched(sheaf: world.World, acme: world.Tenant, boss: str) -> None:
    user = sheaf.user(acme, "ann@acme.example")
    sent = {"key": boss, "headers": {"Idempotency-Key": "j"}}
    for path, body in (
        ("/v1/admin/users/actions", {"action": "suspend", "userIds": [user]}),
        ("/v1/tasks/export", {"format": "csv"}),
    ):
        first = sheaf.http("POST", path, body, **sent)  # type: ignore[arg-type]
        sheaf.settle()
        again = sheaf.http("POST", path, body, **sent)  # type: ignore[arg-type]
        assert again.data["id"] == first.data["id"] and sheaf.download(again.data["result"]["url"])
        assert "errorsUrl" not in again.data


def test_members_are_listed(sheaf: world.World, acme: world.Tenant, boss: str) -> None:
    people(sheaf, acme, 3)
    found = sheaf.http("GET", f"/v1/tenants/{acme.id}/members?limit=2", key=boss).json
    assert len(found["data"]) == 2 and found["meta"]["total"] == 4 and "lastLogin" in found["data"][0]


# contract: 34
def test_a_reset_needs_a_confirmation_and_keeps_the_people(
    sheaf: world.World, acme: world.Tenant, globex: world.Tenant, boss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenants, "_RESET_ROWS", 7)
    for tenant in (acme, globex):
        for number in range(20):
            sheaf.http("POST", "/v1/tasks", {"title": f"t{number}"}, key=tenant.key)
        sheaf.http(
            "POST", "/v1/leads", {"first_name": "A", "last_name": "B", "email": "a@b.example", "source": "web"}, key=tenant.key
        )
    place = f"/v1/tenants/{acme.id}/reset"
    first = sheaf.http("POST", place, key=boss)
    assert first.status == 200 and first.data["expiresIn"] == 300 and "Nothing has happened" in first.json["message"]
    confirmation = first.data["confirmation"]
    for wrong in ("x", confirmation[:-1] + "x", f"9{confirmation}", 5, "", "1999999999.é", "²", "²." + "a" * 64, []):
        assert sheaf.http("POST", place, {"confirmation": wrong}, key=boss).status == 422, wrong
    assert sheaf.http("POST", place, {"confirmation": confirmation}, key=acme.key).status == 422, "it is who asked that confirms"
    with world.later(301):
        assert sheaf.http("POST", place, {"confirmation": confirmation}, key=boss).status == 422
    assert len(sheaf.http("GET", "/v1/tasks?limit=100", key=acme.key).data) == 20
    assert sheaf.http("POST", place, {"confirmation": confirmation}, key=sheaf.key(acme, "moderator")).status == 403
    job = sheaf.http("POST", place, {"confirmation": confirmation}, key=boss)
    assert job.status == 202
    with world.later(1):
        kept = sheaf.http("POST", "/v1/tasks", {"title": "made after it was asked for"}, key=acme.key).data["id"]
        sheaf.settle()
        found = sheaf.http("GET", f"/v1/jobs/{job.data['id']}", key=boss).data
        assert (found["status"], found["counts"]["deleted"]) == ("succeeded", 21)
        assert [row["id"] for row in sheaf.http("GET", "/v1/tasks", key=acme.key).data] == [kept]
        assert sheaf.http("GET", "/v1/leads", key=acme.key).data == []
        assert len(sheaf.http("GET", "/v1/tasks?trash=true&limit=100", key=acme.key).data) == 20
        assert len(sheaf.http("GET", "/v1/users", key=acme.key).data) == 1
        assert len(sheaf.http("GET", "/v1/tasks?limit=100", key=globex.key).data) == 20


def test_a_reset_is_not_there_in_production(sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHEAF_STAGE", "prod")
    config.cache_clear()
    key = sheaf.key(acme, "admin")
    reset, nothing = (sheaf.http("POST", f"/v1/tenants/{acme.id}/{what}", key=key) for what in ("reset", "nothing"))
    assert reset.status == nothing.status == 404


# ---- limits ----


# contract: 108, 31
def test_the_state_of_the_limits(sheaf: world.World) -> None:
    free = sheaf.tenant("Free", tier="free")
    with clock.using(lambda: 2_000_000_040.0):
        sheaf.http("GET", "/v1/tasks", key=free.key)
        found = sheaf.http("GET", "/v1/rate-limits/status", key=free.key).data
    assert found["tier"] == "free" and found["principal"] == {
        "limit": 100,
        "remaining": 98,
        "resetAt": "2033-05-18T03:35:00.000Z",
    }
    assert found["tenant"]["limit"] == 300 and 290 <= found["tenant"]["remaining"] <= 298
    assert found["tiers"]["enterprise"] == {"perPrincipal": 10_000, "perTenant": 50_000}


# contract: 109
def test_an_admin_gives_a_window_back(sheaf: world.World) -> None:
    free = sheaf.tenant("Free", tier="free")
    boss = sheaf.token_of(free, "boss@free.example", "admin")
    user_token = sheaf.token_of(free, "ann@free.example")
    user = sheaf.http("GET", "/v1/me", key=user_token).data["user"]["id"]
    made = sheaf.http("POST", "/v1/api-keys", {"name": "x"}, key=boss).data
    with clock.using(world.turn()):
        for name, key in ((user, user_token), (made["id"], made["key"])):
            assert [sheaf.http("GET", "/v1/tasks?limit=1", key=key).status for _ in range(101)][-2:] == [200, 429]
            assert sheaf.http("POST", "/v1/rate-limits/reset", {"principal": name}, key=key).status == 429
            assert sheaf.http("POST", "/v1/rate-limits/reset", {"principal": name}, key=boss).status == 200
            assert sheaf.http("GET", "/v1/tasks", key=key).status == 200
    for wrong in ({}, {"principal": 5}, {"principal": "a", "tenant": "b"}, {"all": True}):
        assert sheaf.http("POST", "/v1/rate-limits/reset", wrong, key=boss).status == 422
    assert sheaf.http("POST", "/v1/rate-limits/reset", {"principal": MISSING}, key=boss).status == 404
    assert sheaf.http("POST", "/v1/rate-limits/reset", {"tenant": free.id}, key=boss).status == 403, "the quota is the operators'"


def test_a_tenant_has_a_quota_that_many_keys_do_not_stretch(sheaf: world.World, acme: world.Tenant) -> None:
    sheaf.open_site(acme)
    free = sheaf.tenant("Free", tier="free")
    many = [free.key, *(sheaf.key(free, "user") for _ in range(4))]
    with clock.using(world.turn()):
        answers = [sheaf.http("GET", "/v1/tasks?limit=1", key=many[number % 5]) for number in range(450)]
        admitted = sum(answer.status == 200 for answer in answers)
        assert admitted == 300
        assert "quota" in answers[-1].json["message"] and answers[-1].headers["X-RateLimit-Limit"] == "300"
        limits.forget_blocks()  # another process
        assert sheaf.http("GET", "/v1/tasks", key=many[0]).status == 429
        assert sheaf.http("POST", "/v1/rate-limits/reset", {"tenant": free.id}, key=acme.key).status == 200
        limits.forget_blocks()
        assert sheaf.http("GET", "/v1/tasks", key=many[0]).status == 200


def test_many_processes_never_admit_more_than_the_quota(sheaf: world.World) -> None:
    """Each process keeps a block; what it leaves over is lost and never given out twice."""
    free = sheaf.tenant("Free", tier="free")
    many = [sheaf.key(free, "user") for _ in range(4)]
    blocks: list[dict[str, Any]] = [{} for _ in range(7)]
    admitted = 0
    with clock.using(world.turn()):
        for number in range(390):
            mine = blocks[number % 7]
            limits._blocks.clear()
            limits._blocks.update(mine)
            admitted += sheaf.http("GET", "/v1/tasks?limit=1", key=many[number % 4]).status == 200
            blocks[number % 7] = dict(limits._blocks)
    assert 285 <= admitted <= 300


# contract: 85, 89
def test_expensive_routes_cost_more_and_addresses_cannot_be_made_up(sheaf: world.World) -> None:
    free = sheaf.tenant("Free", tier="free")
    with clock.using(world.turn()):
        sheaf.http("POST", "/v1/tasks/bulk", [{"title": "x"}], key=free.key)
        assert sheaf.http("GET", "/v1/tasks", key=free.key).headers["X-RateLimit-Remaining"] == "94"
        statuses = [sheaf.http("POST", "/v1/auth/register", {}, headers={"X-Forwarded-For": f"198.51.100.{n}"}, source_ip="192.0.2.1").status
                    for n in range(7)]  # fmt: skip
        assert statuses == [400] * 5 + [429] * 2
        limited = sheaf.http("POST", "/v1/auth/register", {}, source_ip="192.0.2.1")
        assert (
            limited.json["retryAfter"] == 60 and limited.json["message"] == "Too many requests. Maximum 5 requests per 60 seconds"
        )
        assert limited.headers["X-RateLimit-Remaining"] == "0" and limited.headers["Retry-After"] == "60"


def test_nothing_is_admitted_that_cannot_be_counted(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.exceptions import EndpointConnectionError

    from sheaf.store import aws

    def broken(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")

    monkeypatch.setattr(aws.client("dynamodb"), "update_item", broken)
    for method, path, body, key in (
        ("GET", "/v1/tasks", None, acme.key),
        ("POST", "/v1/auth/login", {"email": "a@b.example", "password": "x"}, None),
    ):
        answer = sheaf.http(method, path, body, key=key)
        assert (answer.status, answer.json["code"], answer.headers["Retry-After"]) == (503, "unavailable", "1")
    assert sheaf.http("GET", "/v1/health").status == 200
    assert table.get(config().limits_table, keys.quota(acme.setup)) is None
