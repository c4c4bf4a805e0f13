"""Sessions and API keys: listed, ended, refreshed once, rotated, revoked."""

from typing import Any

import pytest

import world
from sheaf.access import sessions
from sheaf.base import clock
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.store import aws, keys, table

EMAIL = "ann@acme.example"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"


@pytest.fixture
def ann(sheaf: world.World, acme: world.Tenant) -> str:
    return sheaf.user(acme, EMAIL)


def begin(sheaf: world.World, agent: str = "curl/8.1", ip: str = "192.0.2.1") -> dict[str, Any]:
    body = {"email": EMAIL, "password": "correct horse battery"}
    answer = sheaf.http("POST", "/v1/auth/login", body, headers={"User-Agent": agent}, source_ip=ip)
    assert answer.status == 200, answer.text
    return answer.data  # type: ignore[no-any-return]


def refresh(sheaf: world.World, token: object, ip: str = "192.0.2.9") -> world.Answer:
    return sheaf.http("POST", "/v1/auth/refresh", {"refreshToken": token}, source_ip=ip)


def opens(sheaf: world.World, grant: dict[str, Any]) -> bool:
    return sheaf.http("GET", "/v1/tasks", key=grant["token"]).status == 200


# contract: 131, 132
def test_sessions_are_listed_with_device_and_address_and_ended_one_by_one(sheaf: world.World, ann: str) -> None:
    with world.later(0):
        one = begin(sheaf, FIREFOX, "192.0.2.1")
    with world.later(10):
        two = begin(sheaf, "curl/8.1", "192.0.2.2")
        listed = sheaf.http("GET", "/v1/sessions", key=two["token"])
    found = listed.data
    assert [(each["device"], each["address"], each["current"]) for each in found] == [
        ("curl", "192.0.2.2", True), ("Firefox on Linux", "192.0.2.1", False)]  # fmt: skip
    assert found[0].keys() == {"id", "current", "device", "userAgent", "address", "createdAt", "lastSeenAt", "expiresAt"}
    assert "seed" not in listed.text
    with world.later(60):
        assert opens(sheaf, one)
        again = sheaf.http("GET", "/v1/sessions/list", key=two["token"]).data
        assert {each["id"]: each["lastSeenAt"] for each in again}[found[1]["id"]] > found[1]["lastSeenAt"], "seen since"
    place = f"/v1/sessions/{found[1]['id']}"
    assert sheaf.http("DELETE", place, key=two["token"], headers={"Idempotency-Key": "k"}).data == {
        "id": found[1]["id"],
        "ended": True,
    }
    assert sheaf.http("DELETE", place, key=two["token"], headers={"Idempotency-Key": "k"}).status == 200, "asked again"
    assert (opens(sheaf, one), opens(sheaf, two)) == (False, True)
    assert sheaf.http("DELETE", place, key=two["token"]).status == 404
    assert refresh(sheaf, one["refreshToken"]).status == 401


def test_all_and_all_other_sessions_end(sheaf: world.World, ann: str) -> None:
    grants = [begin(sheaf, ip=f"192.0.2.{n}") for n in range(3)]
    answer = sheaf.http("DELETE", "/v1/sessions?except=current", key=grants[1]["token"])
    assert answer.data == {"ended": 2}
    assert [opens(sheaf, each) for each in grants] == [False, True, False]
    assert sheaf.http("DELETE", "/v1/sessions?except=me", key=grants[1]["token"]).status == 400
    assert sheaf.http("DELETE", "/v1/sessions", key=grants[1]["token"]).data == {"ended": 1}
    assert not opens(sheaf, grants[1])


def test_nobody_sees_or_ends_the_session_of_another(
    sheaf: world.World, acme: world.Tenant, globex: world.Tenant, ann: str
) -> None:
    mine = begin(sheaf)
    session = sheaf.http("GET", "/v1/sessions", key=mine["token"]).data[0]["id"]
    for other in (sheaf.token_of(acme, "bob@acme.example", "admin"), sheaf.token_of(globex, "eve@globex.example", "admin")):
        assert session not in sheaf.http("GET", "/v1/sessions", key=other).text
        foreign, missing = (
            sheaf.http("DELETE", f"/v1/sessions/{each}", key=other) for each in (session, "ses_01h00000000000000000000000")
        )
        assert foreign.status == missing.status == 404
    for odd in ("x", "ses_1", "ses_01h0000000000000000000000!", "%20"):
        assert sheaf.http("DELETE", f"/v1/sessions/{odd}", key=mine["token"]).status == 404, odd
    assert opens(sheaf, mine)
    assert sheaf.http("GET", "/v1/sessions", key=acme.key).status == 403, "a key has none"


# contract: 97
def test_a_refresh_token_is_good_once(sheaf: world.World, ann: str) -> None:
    start = clock.now()
    first = begin(sheaf)
    with clock.using(lambda: start + 60.0):
        second = refresh(sheaf, first["refreshToken"]).data
        assert second["refreshToken"] != first["refreshToken"] and opens(sheaf, second) and opens(sheaf, first)
    with clock.using(lambda: start + 71.0):
        stolen = refresh(sheaf, first["refreshToken"])
        assert (stolen.status, stolen.json["code"]) == (401, "invalid_token")
        assert not opens(sheaf, second) and not opens(sheaf, first), "the whole family ends"
        assert refresh(sheaf, second["refreshToken"]).status == 401


def test_a_lost_answer_gets_the_same_successor(sheaf: world.World, ann: str) -> None:
    start = clock.now()
    first = begin(sheaf)
    found = []
    for seconds in (0, 3, 10):
        with clock.using(lambda at=start + 60 + seconds: at):
            found.append(refresh(sheaf, first["refreshToken"]).data["refreshToken"])
    assert len(set(found)) == 1
    with clock.using(lambda: start + 71.0):
        third = refresh(sheaf, found[0]).data
        assert third["refreshToken"] not in (first["refreshToken"], found[0]) and opens(sheaf, third)
        assert refresh(sheaf, first["refreshToken"]).status == 401, "two behind"
        assert not opens(sheaf, third)


def test_two_who_refresh_at_once_get_one_successor(sheaf: world.World, ann: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = begin(sheaf)
    update, twin = table.update, []

    def between(*args: Any, **more: Any) -> Any:
        if "#g = :same" in more.get("condition", "") and not twin:
            twin.append(None)
            twin[0] = refresh(sheaf, first["refreshToken"]).data["refreshToken"]
        return update(*args, **more)

    monkeypatch.setattr(table, "update", between)
    assert refresh(sheaf, first["refreshToken"]).data["refreshToken"] == twin[0]


def test_a_session_ends_unused_and_in_any_case(sheaf: world.World, ann: str) -> None:
    start = clock.now()
    grant = begin(sheaf)
    with clock.using(lambda: start + 7 * 86_400 + 1.0):
        assert refresh(sheaf, grant["refreshToken"]).status == 401
    token = begin(sheaf)["refreshToken"]
    for day in range(6, 30, 6):
        with clock.using(lambda at=start + day * 86_400: at):
            token = refresh(sheaf, token).data["refreshToken"]
    with clock.using(lambda: start + 30 * 86_400 + 1.0):
        assert refresh(sheaf, token).status == 401


def test_bent_refresh_tokens_are_refused(sheaf: world.World, acme: world.Tenant, globex: world.Tenant, ann: str) -> None:
    good = begin(sheaf)["refreshToken"]
    head, stage, tenant, user, session, number, proof = good.split("_")
    other = begin(sheaf, ip="192.0.2.5")["refreshToken"].split("_")
    parts = [
        ("other stage", (head, "prod", tenant, user, session, number, proof)),
        ("other tenant", (head, stage, globex.id[4:], user, session, number, proof)),
        ("other user", (head, stage, tenant, sheaf.user(acme, "bob@acme.example")[4:], session, number, proof)),
        ("other session", (head, stage, tenant, user, other[4], number, proof)),
        ("other proof", (head, stage, tenant, user, session, number, other[6])),
        ("next", (head, stage, tenant, user, session, "1", proof)),
        ("huge", (head, stage, tenant, user, session, "9" * 12, proof)),
        ("cut", (head, stage, tenant, user, session, number, proof[:-1])),
    ]
    for name, each in parts:
        assert refresh(sheaf, "_".join(each)).status == 401, name
    for odd in ("", "x", acme.key, None, 5, []):
        assert refresh(sheaf, odd).status in (400, 401), odd
    assert refresh(sheaf, good).status == 200, "none of them ended the session"


def test_a_banned_user_and_a_disabled_tenant_refresh_nothing(sheaf: world.World, acme: world.Tenant, ann: str) -> None:
    one = begin(sheaf)
    table.update(config().control_table, keys.tenant(acme.setup), "SET #st = :off", values={"off": "disabled"})
    assert refresh(sheaf, one["refreshToken"]).json["code"] == "tenant_disabled"
    bent = one["refreshToken"][:-1] + ("0" if one["refreshToken"][-1] != "0" else "1")
    assert refresh(sheaf, bent).json["code"] == "invalid_token", "and only who has a good token is told"
    table.update(config().control_table, keys.tenant(acme.setup), "SET #st = :on", values={"on": "active"})
    assert refresh(sheaf, one["refreshToken"]).status == 200, "it was not used up meanwhile"
    two = begin(sheaf)
    table.update(config().limits_table, keys.principal(acme.setup, ann), "SET #st = :st", values={"st": "banned"})
    assert refresh(sheaf, two["refreshToken"]).status == 401


def test_nothing_that_is_kept_opens_a_session(sheaf: world.World, ann: str) -> None:
    grant = begin(sheaf)
    kept = str([aws.client("dynamodb").scan(TableName=name)["Items"] for name in world.TABLES])
    assert grant["refreshToken"] not in kept and grant["refreshToken"].split("_")[-1] not in kept and grant["token"] not in kept


# contract: 96
def test_a_cookie_is_renewed_without_a_body(sheaf: world.World, ann: str) -> None:
    body = {"email": EMAIL, "password": "correct horse battery", "rememberMe": True}
    cookie = sheaf.http("POST", "/v1/auth/login", body).headers["Set-Cookie"].partition(";")[0]
    mine = {"Cookie": cookie, "Origin": "https://app.example.com"}
    with world.later(6 * 86_400):
        renewed = sheaf.http("POST", "/v1/auth/refresh", headers=mine)
        assert renewed.status == 200 and opens(sheaf, renewed.json)
        later = {**mine, "Cookie": renewed.headers["Set-Cookie"].partition(";")[0]}
        evil = sheaf.http("POST", "/v1/auth/refresh", headers={**later, "Origin": "https://evil.example"})
        assert (evil.status, evil.json["code"]) == (403, "origin_denied")
    with world.later(12 * 86_400):
        assert sheaf.http("GET", "/v1/me", headers=mine).status == 401, "the first cookie is over"
        assert sheaf.http("GET", "/v1/me", headers=later).status == 200
        assert sheaf.http("DELETE", "/v1/sessions", headers=later).status == 200
        assert sheaf.http("POST", "/v1/auth/refresh", headers=later).status == 401


def test_a_cookie_does_not_outlive_its_session(sheaf: world.World, ann: str) -> None:
    body = {"email": EMAIL, "password": "correct horse battery", "rememberMe": True}
    mine = {
        "Cookie": sheaf.http("POST", "/v1/auth/login", body).headers["Set-Cookie"].partition(";")[0],
        "Origin": "https://app.example.com",
    }
    for day in (6, 12, 18, 24, 29):
        with world.later(day * 86_400):
            mine["Cookie"] = sheaf.http("POST", "/v1/auth/refresh", headers=mine).headers["Set-Cookie"].partition(";")[0]
    with world.later(29.9 * 86_400):
        assert sheaf.http("GET", "/v1/me", headers=mine).status == 200
    with world.later(30 * 86_400 + 60):
        assert sheaf.http("GET", "/v1/me", headers=mine).status == 401


def test_devices_have_names() -> None:
    chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36"
    phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605 (KHTML, like Gecko) Version/17.0 Safari/604.1"
    cases = {FIREFOX: "Firefox on Linux", chrome: "Chrome on Windows", phone: "Safari on iPhone", f"{chrome} Edg/129": "Edge on Windows",
             "curl/8": "curl", "python-requests/2": "Python", "": "Unknown device", "é\n": "Unknown device"}  # fmt: skip
    assert {agent: sessions.device_name(agent) for agent in cases} == cases


# ---- API keys ----


def make(sheaf: world.World, by: str, **terms: Any) -> world.Answer:
    return sheaf.http("POST", "/v1/api-keys", {"name": "CI", **terms}, key=by)


# contract: 141, 16
def test_a_key_is_shown_once_and_works(sheaf: world.World, acme: world.Tenant) -> None:
    made = make(sheaf, acme.key, role="moderator", scopes=["tasks:*"])
    assert (
        made.status == 201
        and made.data["key"].startswith(f"sk_local_{acme.id[4:]}_")
        and made.headers["Location"].endswith(made.data["id"])
    )
    secret = made.data["key"]
    assert sheaf.http("POST", "/v1/tasks", {"title": "x"}, key=secret).status == 201
    assert sheaf.http("GET", "/v1/leads", key=secret).status == 403
    shown = sheaf.http("GET", f"/v1/api-keys/{made.data['id']}", key=acme.key)
    listed = sheaf.http("GET", "/v1/api-keys", key=acme.key)
    assert shown.data["lastUsedAt"] and shown.data in listed.data and "key" not in shown.data
    kept = str([aws.client("dynamodb").scan(TableName=name)["Items"] for name in world.TABLES])
    assert secret not in shown.text + listed.text + kept
    history = sheaf.http("GET", "/v1/tasks", key=acme.key).data[0]["id"]
    sheaf.settle()
    assert sheaf.http("GET", f"/v1/tasks/{history}/history", key=acme.key).data[0]["actor"] == made.data["id"]


@pytest.mark.parametrize(
    ("terms", "named"),
    [
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"role": "god"}, "role"),
        ({"scopes": []}, "scopes"),
        ({"scopes": "tasks:read"}, "scopes"),
        ({"scopes": ["tasks"]}, "scopes"),
        ({"scopes": ["a:b:c"]}, "scopes"),
        ({"scopes": [5]}, "scopes"),
        ({"expiresAt": "tomorrow"}, "expiresAt"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
        ({"expiresAt": "2030-01-01T00:00:00"}, "expiresAt"),
        ({"expiresAt": 5}, "expiresAt"),
        ({"allowedIps": ["x"]}, "allowedIps"),
        ({"allowedIps": False}, "allowedIps"),
        ({"allowedIps": 0}, "allowedIps"),
        ({"scopes": ["*:*"]}, "scopes"),
        ({"expiresAt": "9999-12-31T23:59:59-01:00"}, "expiresAt"),
        ({"expiresAt": "2099-12-31T23:59:59Z"}, "expiresAt"),
        ({"expiresAt": "0001-01-01T00:00:00+14:00"}, "expiresAt"),
        ({"key": "sk_x"}, "key"),
    ],
)
def test_wrong_terms_are_named(sheaf: world.World, acme: world.Tenant, terms: dict[str, Any], named: str) -> None:
    answer = make(sheaf, acme.key, **terms)
    assert answer.status == 422 and answer.json["errors"].keys() == {named}
    changed = sheaf.http("PATCH", f"/v1/api-keys/{make(sheaf, acme.key).data['id']}", terms, key=acme.key)
    assert changed.status == 422 and changed.json["errors"].keys() == {named}


def test_a_key_expires_and_keeps_to_its_addresses(sheaf: world.World, acme: world.Tenant) -> None:
    until = "2030-01-01T00:00:00Z"
    made = make(sheaf, acme.key, expiresAt=until, allowedIps=["192.0.2.0/24"]).data

    def status(ip: str = "192.0.2.7", **headers: str) -> int:
        return sheaf.http("GET", "/v1/tasks", key=made["key"], source_ip=ip, headers=headers).status

    assert (status(), status("198.51.100.1"), status("198.51.100.1", **{"X-Forwarded-For": "192.0.2.7"})) == (200, 403, 403)
    with clock.using(lambda: 1_893_455_999.0):
        assert status() == 200
    with clock.using(lambda: 1_893_456_000.0):
        assert status() == 401
        assert status() == 401, "nor in a new window"
    place = f"/v1/api-keys/{made['id']}"
    assert sheaf.http("PATCH", place, {"allowedIps": None, "expiresAt": None, "name": "open"}, key=acme.key).status == 200
    shown = sheaf.http("GET", place, key=acme.key).data
    assert (shown["allowedIps"], shown["expiresAt"], shown["name"], shown["role"]) == (None, None, "open", "user")
    assert status("198.51.100.1") == 200


def test_a_rotated_key_goes_over_without_a_gap(sheaf: world.World, acme: world.Tenant) -> None:
    made = make(sheaf, acme.key, role="moderator").data
    place = f"/v1/api-keys/{made['id']}/rotate"
    start = clock.now()

    def works(secret: str, seconds: float = 0) -> bool:
        with clock.using(lambda: start + seconds):
            return sheaf.http("GET", "/v1/tasks", key=secret).status == 200

    for wrong in ({"graceSeconds": -1}, {"graceSeconds": 604_801}, {"graceSeconds": True}, {"graceSeconds": "5"}, {"x": 1}):
        assert sheaf.http("POST", place, wrong, key=acme.key).status == 422
    with clock.using(lambda: start):
        second = sheaf.http("POST", place, {"graceSeconds": 3_600}, key=acme.key).data
    assert second["id"] == made["id"] and works(made["key"], 3_599) and works(second["key"], 3_599)
    assert not works(made["key"], 3_600) and works(second["key"], 3_600)
    third = sheaf.http("POST", place, key=acme.key).data
    assert [works(each["key"], 10) for each in (made, second, third)] == [False, False, True], (
        "each rotation keeps one former secret at most"
    )
    assert sheaf.http("DELETE", f"/v1/api-keys/{made['id']}", key=acme.key).status == 200
    assert not works(third["key"], 11)
    assert sheaf.http("GET", f"/v1/api-keys/{made['id']}", key=acme.key).status == 404


def test_other_terms_hold_for_the_former_secret_too(sheaf: world.World, acme: world.Tenant) -> None:
    made = make(sheaf, acme.key, role="admin").data
    place = f"/v1/api-keys/{made['id']}"
    sheaf.http("POST", f"{place}/rotate", {"graceSeconds": 604_800}, key=acme.key)
    assert sheaf.http("GET", "/v1/api-keys", key=made["key"]).status == 200
    narrow = {"role": "user", "scopes": ["tasks:read"], "allowedIps": ["198.51.100.1"]}
    assert sheaf.http("PATCH", place, narrow, key=acme.key).status == 200
    assert sheaf.http("GET", "/v1/api-keys", key=made["key"]).status == 403
    assert sheaf.http("GET", "/v1/tasks", key=made["key"], source_ip="198.51.100.1").status == 200
    assert sheaf.http("POST", "/v1/tasks", {"title": "x"}, key=made["key"], source_ip="198.51.100.1").status == 403
    with world.later(604_801):
        assert sheaf.http("GET", "/v1/tasks", key=made["key"], source_ip="198.51.100.1").status == 401, "and its end stays"


def test_two_who_change_a_key_at_once_do_not_undo_each_other(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sheaf.features.accounts import api_keys

    commit = api_keys._commit
    for path, body in (("", {"name": "renamed"}), ("/rotate", {})):
        made = make(sheaf, acme.key, role="admin").data
        place = f"/v1/api-keys/{made['id']}"
        narrowing = iter([{"role": "user", "scopes": ["tasks:read"]}])

        def slow(*args: Any, narrowing: Any = narrowing, place: str = place, **more: Any) -> Any:
            if terms := next(narrowing, None):
                assert sheaf.http("PATCH", place, terms, key=acme.key).status == 200
            return commit(*args, **more)

        monkeypatch.setattr(api_keys, "_commit", slow)
        late = sheaf.http("PATCH" if body else "POST", place + path, body, key=acme.key)
        assert late.status == 409
        shown = sheaf.http("GET", place, key=acme.key).data
        assert (shown["role"], shown["scopes"], shown["name"]) == ("user", ["tasks:read"], "CI")


def test_a_bounded_key_makes_none_without_bounds(sheaf: world.World, acme: world.Tenant) -> None:
    bounds = {"expiresAt": "2028-01-01T00:00:00Z", "allowedIps": ["192.0.2.0/24"]}
    keeper = make(sheaf, acme.key, role="admin", **bounds).data["key"]
    cases = [({}, 403), ({"expiresAt": bounds["expiresAt"]}, 403), ({**bounds, "expiresAt": "2029-01-01T00:00:00Z"}, 403),
             ({**bounds, "allowedIps": ["192.0.0.0/16"]}, 403), ({**bounds, "allowedIps": ["::/0"]}, 403),
             ({"expiresAt": "2027-06-01T00:00:00Z", "allowedIps": ["192.0.2.7"]}, 201), (bounds, 201)]  # fmt: skip
    for terms, status in cases:
        assert make(sheaf, keeper, **terms).status == status, terms


def test_changes_of_keys_come_again(sheaf: world.World, acme: world.Tenant) -> None:
    def call(method: str, path: str, body: object, name: str) -> world.Answer:
        return sheaf.http(method, path, body, key=acme.key, headers={"Idempotency-Key": name})

    until = {"name": "short", "expiresAt": iso(now_ms() + 3_600_000)}
    first = call("POST", "/v1/api-keys", until, "make")
    place = f"/v1/api-keys/{first.data['id']}"
    for name, method, path, body in (
        ("name", "PATCH", place, {"name": "new"}),
        ("turn", "POST", f"{place}/rotate", {"graceSeconds": 5}),
    ):
        assert call(method, path, body, name).status == call(method, path, body, name).status == 200
        other = (
            {each: value if isinstance(value, str) else 6 for each, value in {**body, "role": "user"}.items()}
            if name == "name"
            else {"graceSeconds": 6}
        )
        assert call(method, path, other, name).json["code"] == "idempotency_key_reused"
    with world.later(23 * 3_600):
        assert call("POST", "/v1/api-keys", until, "make").data["id"] == first.data["id"]
    assert call("DELETE", place, None, "end").data == call("DELETE", place, None, "end").data


def test_a_revoked_key_takes_its_former_secret_along(sheaf: world.World, acme: world.Tenant) -> None:
    made = make(sheaf, acme.key).data
    second = sheaf.http("POST", f"/v1/api-keys/{made['id']}/rotate", {"graceSeconds": 600}, key=acme.key).data
    assert sheaf.http("DELETE", f"/v1/api-keys/{made['id']}", key=acme.key).status == 200
    assert [sheaf.http("GET", "/v1/tasks", key=each["key"]).status for each in (made, second)] == [401, 401]


def test_the_same_request_makes_one_key(sheaf: world.World, acme: world.Tenant) -> None:
    def call() -> world.Answer:
        return sheaf.http("POST", "/v1/api-keys", {"name": "CI"}, key=acme.key, headers={"Idempotency-Key": "one"})

    first, second = call(), call()
    assert first.data["id"] == second.data["id"] and first.data["key"] and second.data["key"] is None
    assert second.headers["Idempotent-Replayed"] == "true" and "rotate" in second.json["message"]
    assert len(sheaf.http("GET", "/v1/api-keys", key=acme.key).data) == 2


def test_keys_are_for_admins_and_never_above_them(sheaf: world.World, acme: world.Tenant, globex: world.Tenant) -> None:
    for role in ("user", "moderator"):
        assert make(sheaf, sheaf.key(acme, role)).status == 403  # type: ignore[arg-type]
    keeper = sheaf.key(acme, "admin", "api-keys:*")
    assert make(sheaf, keeper, role="admin").status == 403, "a key of narrow scopes makes none that may more"
    assert make(sheaf, keeper, role="admin", scopes=["webhooks:read"]).status == 403
    assert make(sheaf, keeper, role="admin", scopes=["api-keys:read"]).status == 201
    mine = make(sheaf, acme.key).data["id"]
    for method, path, body in (("POST", "/rotate", None), ("PATCH", "", {"role": "admin"})):
        assert sheaf.http(method, f"/v1/api-keys/{mine}{path}", body, key=keeper).status == 403, "nor takes one over"
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate")):
        foreign, missing = (sheaf.http(method, f"/v1/api-keys/{each}{path}", {"name": "x"} if method == "PATCH" else None, key=globex.key)
                            for each in (mine, "key_01h00000000000000000000000"))  # fmt: skip
        assert foreign.status == missing.status == 404
    assert sheaf.http("GET", f"/v1/api-keys/{mine}", key=acme.key).data["name"] == "CI"


def test_a_tenant_has_a_bounded_number_of_keys(sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    from sheaf.features.accounts import api_keys

    monkeypatch.setattr(api_keys, "API_KEYS", 3)
    assert [make(sheaf, acme.key).status for _ in range(4)] == [201, 201, 409, 409]
