"""What reviews of identity have found, each once more as a test."""

from typing import Any

import pytest

import world
from sheaf.access import limits
from sheaf.base.config import config
from sheaf.store import keys, table
from sheaf.store.table import Contended

PASSWORD = "correct horse battery"


@pytest.fixture
def boss(sheaf: world.World, acme: world.Tenant) -> str:
    return sheaf.token_of(acme, "boss@acme.example", "admin")


@pytest.fixture
def operator(sheaf: world.World, acme: world.Tenant) -> str:
    sheaf.open_site(acme)
    return acme.key


@pytest.mark.parametrize("then", ["PATCH", "DELETE"])
def test_adding_a_user_is_answered_again_after_the_user_has_changed(
    sheaf: world.World, acme: world.Tenant, boss: str, then: str
) -> None:
    def add() -> world.Answer:
        body = {"name": "New", "email": "new@acme.example"}
        return sheaf.http("POST", "/v1/admin/users", body, key=boss, headers={"Idempotency-Key": "add"})

    first = add()
    sheaf.http(then, f"/v1/admin/users/{first.data['id']}", {"name": "Other"} if then == "PATCH" else None, key=boss)
    sheaf.settle()
    again = add()
    assert (again.status, again.data["id"], again.data["name"]) == (201, first.data["id"], "New")


def test_a_narrow_key_of_the_sites_tenant_is_no_operator(
    sheaf: world.World, acme: world.Tenant, globex: world.Tenant, operator: str
) -> None:
    narrow = sheaf.key(acme, "admin", "tenant:write", "tenant:read", "rate-limits:reset")
    place = f"/v1/tenants/{globex.id}"
    assert sheaf.http("PATCH", place, {"status": "disabled"}, key=narrow).status == 404
    assert sheaf.http("PATCH", place, {"name": "Owned"}, key=narrow).status == 404
    assert sheaf.http("GET", place, key=narrow).status == 404
    assert sheaf.http("POST", "/v1/rate-limits/reset", {"tenant": globex.id}, key=narrow).status == 403
    assert sheaf.http("PATCH", f"/v1/tenants/{acme.id}", {"name": "Mine"}, key=narrow).status == 200
    wide = sheaf.key(acme, "admin", "tenants:write", "tenant:write")
    assert sheaf.http("PATCH", place, {"tier": "pro"}, key=wide).status == 200


def test_an_operator_does_not_shut_out_everybody(sheaf: world.World, acme: world.Tenant, operator: str) -> None:
    answer = sheaf.http("PATCH", f"/v1/tenants/{acme.id}", {"status": "disabled"}, key=operator)
    assert (answer.status, answer.json["errors"].keys()) == (422, {"status"})
    assert sheaf.http("GET", "/v1/tasks", key=acme.key).status == 200


def test_operators_leave_a_tenants_own_things_alone(
    sheaf: world.World, acme: world.Tenant, globex: world.Tenant, operator: str
) -> None:
    place = f"/v1/tenants/{globex.id}"
    sheaf.http("PATCH", place, {"adminIps": ["192.0.2.0/24"]}, key=globex.key)
    for body in ({"name": "Owned"}, {"adminIps": ["203.0.113.9"]}, {"adminIps": None, "tier": "free"}):
        answer = sheaf.http("PATCH", place, body, key=operator)
        assert answer.status == 422 and "own" in str(answer.json["errors"]), body
    assert "adminIps" not in sheaf.http("GET", place, key=operator).data
    assert "adminIps" not in str(sheaf.http("GET", "/v1/tenants", key=operator).data)
    assert sheaf.http("GET", place, key=globex.key).data["tier"] == "enterprise", "nor half of it"


def test_a_banned_admin_does_not_come_back_by_a_key(sheaf: world.World, acme: world.Tenant, boss: str) -> None:
    two = sheaf.token_of(acme, "two@acme.example", "admin")
    user = sheaf.http("GET", "/v1/me", key=two).data["user"]["id"]
    first = sheaf.http("POST", "/v1/api-keys", {"name": "mine", "role": "admin"}, key=two).data["key"]
    second = sheaf.http("POST", "/v1/api-keys", {"name": "mine too", "role": "admin"}, key=first).data["key"]
    assert sheaf.http("PATCH", f"/v1/admin/users/{user}", {"status": "banned"}, key=boss).status == 200
    for key in (first, second):
        for change in ({"status": "active"}, {"role": "user"}):
            assert sheaf.http("PATCH", f"/v1/admin/users/{user}", change, key=key).status == 409
        job = sheaf.http("POST", "/v1/admin/users/actions", {"action": "unban", "userIds": [user]}, key=key)
        sheaf.settle()
        assert job.status == 202 and sheaf.http("GET", f"/v1/jobs/{job.data['id']}", key=key).data["counts"]["updated"] == 0
    assert sheaf.http("GET", f"/v1/users/{user}", key=acme.key).data["status"] == "banned"


def test_a_removed_member_has_no_second_invitation(sheaf: world.World, acme: world.Tenant, boss: str) -> None:
    place, tokens = f"/v1/tenants/{acme.id}/invitations", []
    for _ in range(2):
        sheaf.http("POST", place, {"email": "dan@example.com", "role": "admin"}, key=boss)
        tokens.append(sheaf.mail_token("dan@example.com"))
    body = {"name": "Dan", "email": "dan@example.com", "password": PASSWORD}
    assert sheaf.http("POST", "/v1/auth/register", {**body, "invitation": tokens[0]}).status == 201
    user = next(each["id"] for each in sheaf.http("GET", "/v1/users", key=boss).data if each["email"] == "dan@example.com")
    assert sheaf.http("DELETE", f"/v1/admin/users/{user}", key=boss).status == 200
    late = sheaf.http("POST", "/v1/auth/register", {**body, "invitation": tokens[1]})
    assert (late.status, late.json["errors"].keys()) == (400, {"invitation"})


def test_an_added_user_has_one_way_in(sheaf: world.World, acme: world.Tenant, boss: str) -> None:
    sheaf.http("POST", f"/v1/tenants/{acme.id}/invitations", {"email": "dan@example.com"}, key=boss)
    token = sheaf.mail_token("dan@example.com")
    sheaf.http("POST", "/v1/admin/users", {"name": "Dan", "email": "dan@example.com"}, key=boss)
    body = {"name": "Dan", "email": "dan@example.com", "password": PASSWORD, "invitation": token}
    assert sheaf.http("POST", "/v1/auth/register", body).json["errors"].keys() == {"invitation"}
    assert sheaf.http("POST", "/v1/auth/reset", {"token": sheaf.mail_token("dan@"), "password": PASSWORD}).status == 200


def test_trouble_of_the_table_is_no_bad_link(sheaf: world.World, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"name": "Ann", "email": "ann@example.com", "password": PASSWORD}
    sheaf.http("POST", "/v1/auth/register", body)
    sent = {"token": sheaf.mail_token("ann@example.com"), "password": PASSWORD}
    commit = table.commit

    def contended(writes: Any) -> None:
        if len(writes) > 3:
            raise Contended("another transaction")
        commit(writes)

    monkeypatch.setattr(table, "commit", contended)
    assert sheaf.http("POST", "/v1/auth/verify", sent).json["code"] == "unavailable"
    monkeypatch.setattr(table, "commit", commit)
    assert sheaf.http("POST", "/v1/auth/verify", sent).status == 200


def test_the_former_secret_of_a_key_does_not_prolong_itself(sheaf: world.World, acme: world.Tenant) -> None:
    made = sheaf.http("POST", "/v1/api-keys", {"name": "x", "role": "admin"}, key=acme.key).data
    place = f"/v1/api-keys/{made['id']}"
    new = sheaf.http("POST", f"{place}/rotate", {"graceSeconds": 3_600}, key=made["key"]).data["key"]
    for method, path, body in (
        ("POST", "/v1/api-keys", {"name": "y"}),
        ("POST", f"{place}/rotate", None),
        ("PATCH", place, {"name": "z"}),
    ):
        assert sheaf.http(method, path, body, key=made["key"]).status == 403, path
    assert sheaf.http("GET", "/v1/tasks", key=new).status == 200
    assert sheaf.http("PATCH", place, {"name": "z"}, key=new).status == 200


def test_a_request_that_meets_a_transaction_waits_a_moment(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, failures = table.call, iter(range(3))

    def shaky(operation: str, **request: Any) -> Any:
        if operation == "update_item" and next(failures, None) is not None:
            raise Contended("another transaction")
        return call(operation, **request)

    monkeypatch.setattr(table, "call", shaky)
    assert sheaf.http("GET", "/v1/tasks", key=acme.key).status == 200
    failures = iter(range(100))
    monkeypatch.setattr(table, "call", shaky)
    answer = sheaf.http("GET", "/v1/tasks", key=acme.key)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


@pytest.mark.parametrize("name", ["山田　太郎", "Ann\u00a0Lee", "Zoë d'Été", "👩‍🌾 Farm"])
def test_names_of_any_script_register(sheaf: world.World, name: str) -> None:
    body = {"name": name, "email": "ann@example.com", "password": "тёмная вода\u00a0в колодце"}
    answer = sheaf.http("POST", "/v1/auth/register", body)
    assert answer.status == 201, answer.text


@pytest.mark.parametrize("name", ["a\nb", "a\u2028b", "a\x00b", "a\ud800b", "a\x85b"])
def test_lines_and_controls_are_no_names(sheaf: world.World, name: str) -> None:
    body = {"name": "Ann", "email": "ann@example.com", "password": PASSWORD, "tenantName": name}
    assert sheaf.http("POST", "/v1/auth/register", body).status == 400


def test_an_empty_list_of_addresses_is_no_open_door(sheaf: world.World, acme: world.Tenant) -> None:
    made = sheaf.http("POST", "/v1/api-keys", {"name": "x", "allowedIps": []}, key=acme.key)
    assert (made.status, made.json["errors"].keys()) == (422, {"allowedIps"})
    assert sheaf.http("PATCH", f"/v1/tenants/{acme.id}", {"adminIps": []}, key=acme.key).status == 422


def test_a_key_with_scopes_lets_no_admin_in_again(sheaf: world.World, acme: world.Tenant, boss: str) -> None:
    keeper = sheaf.key(acme, "admin", "members:write")
    admin, plain = sheaf.user(acme, "two@acme.example", "admin"), sheaf.user(acme, "ann@acme.example")
    for user in (admin, plain):
        sheaf.http("PATCH", f"/v1/admin/users/{user}", {"status": "suspended"}, key=boss)
    assert sheaf.http("PATCH", f"/v1/admin/users/{admin}", {"status": "active"}, key=keeper).status == 403
    assert sheaf.http("PATCH", f"/v1/admin/users/{plain}", {"status": "active"}, key=keeper).status == 200
    assert sheaf.http("POST", "/v1/admin/users/actions", {"action": "unsuspend", "userIds": [admin]}, key=keeper).status == 403


def test_many_processes_lose_little_of_a_quota(sheaf: world.World) -> None:
    """A hundred processes in turn, each with blocks of its own: at least nine tenths of the quota is served, never more."""
    pro = sheaf.tenant("Pro", "pro")
    blocks: list[dict[str, Any]] = [{} for _ in range(100)]
    served = 0
    with sheaf.still():
        for number in range(5_600):
            limits._blocks.clear()
            limits._blocks.update(blocks[number % 100])
            try:
                limits.spend_quota(pro.setup, "pro")
            except limits.RateLimited:
                continue
            finally:
                blocks[number % 100] = dict(limits._blocks)
            served += 1
    print(f"\n{served} of 5,000 served by 100 processes")
    assert 4_000 <= served <= 5_000
    assert table.get(config().limits_table, keys.quota(pro.setup))


def test_tickets_open_every_function_that_is_read_by_get(sheaf: world.World, acme: world.Tenant) -> None:
    upload = sheaf.http("POST", "/v1/uploads", {"filename": "a.txt", "size": 5, "type": "text/plain"}, key=acme.key).data["id"]
    job = sheaf.http("POST", "/v1/tasks/export", {"format": "csv"}, key=acme.key).data["id"]
    for path in ("/v1/tasks", f"/v1/jobs/{job}", f"/v1/uploads/{upload}", "/v1/webhooks", "/v1/tenants/" + acme.id, "/v1/me"):
        ticket = sheaf.http("POST", "/v1/auth/tickets", key=acme.key).data["ticket"]
        assert sheaf.http("GET", f"{path}?ticket={ticket}").status == 200, path
        assert sheaf.http("GET", f"{path}?ticket={ticket}").status == 401, path


def test_answers_come_again_from_the_history_where_the_row_has_moved_on(sheaf: world.World, acme: world.Tenant) -> None:
    token = sheaf.token_of(acme, "ann@acme.example")
    first = sheaf.http("PATCH", "/v1/me", {"name": "Anna"}, key=token, headers={"Idempotency-Key": "a"})
    sheaf.http("PATCH", "/v1/me", {"name": "Annabel"}, key=token)
    sheaf.settle()
    assert sheaf.http("PATCH", "/v1/me", {"name": "Anna"}, key=token, headers={"Idempotency-Key": "a"}).data == first.data
    body = {"filename": "a.txt", "size": 5, "type": "text/plain"}
    upload = sheaf.http("POST", "/v1/uploads", body, key=acme.key, headers={"Idempotency-Key": "u"}).data["id"]
    sheaf.arrive(acme, upload, b"hello")
    sheaf.settle()
    again = sheaf.http("POST", "/v1/uploads", body, key=acme.key, headers={"Idempotency-Key": "u"})
    assert (again.status, again.data["id"]) == (201, upload)
    sheaf.open_site(acme)
    form = {"name": "Ann", "email": "ann@example.com", "subject": "A question", "message": "How does it work?"}
    sent = sheaf.http("POST", "/v1/contact", form, headers={"Idempotency-Key": "c"})
    messages = sheaf.http("GET", "/v1/contact_messages", key=acme.key).data
    from sheaf.entity.registry import find
    from sheaf.records import write

    write.delete(acme.setup, find("contact_messages"), messages[0]["id"])
    write.restore(acme.setup, find("contact_messages"), messages[0]["id"])
    sheaf.settle()
    assert sheaf.http("POST", "/v1/contact", form, headers={"Idempotency-Key": "c"}).json["id"] == sent.json["id"]
