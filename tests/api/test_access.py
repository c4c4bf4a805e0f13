"""Who gets in, by which door, and what everybody else is told."""

import base64
import json
from collections.abc import Callable

import jwt
import pytest

import world
from sheaf.access import tenants, tokens
from sheaf.base.config import config
from sheaf.store import keys, table
from sheaf.store.secrets import signing_secret

PASSWORD = "correct horse battery"
EMAIL = "ann@acme.example"


def login(sheaf: world.World, email: str = EMAIL, password: str = PASSWORD, **more: str) -> world.Answer:
    return sheaf.http("POST", "/v1/auth/login", {"email": email, "password": password}, **more)


# contract: 86, 95
def test_login_gives_a_token_that_works(sheaf: world.World, acme: world.Tenant) -> None:
    user = sheaf.user(acme, EMAIL)
    answer = login(sheaf, "Ann@Acme.example")
    shown = answer.json
    assert answer.status == 200 and (shown["success"], shown["message"]) == (True, "Login successful")
    assert shown["token"] == answer.data["token"] and shown["expiresIn"] == 900 and shown["refreshToken"].startswith("rt_local_")
    assert shown["user"] == {
        "id": user, "name": "Ann", "email": EMAIL, "role": "user", "avatar": None, "emailVerified": True,
    }  # fmt: skip
    assert "password" not in answer.text and "hash" not in answer.text and "Set-Cookie" not in answer.headers
    assert sheaf.http("GET", "/v1/tasks", key=answer.data["token"]).status == 200
    assert sheaf.http("GET", "/v1/tasks", key=shown["refreshToken"]).status == 401, "a refresh token opens nothing by itself"


@pytest.mark.parametrize(("email", "password"), [(EMAIL, "wrong"), ("nobody@acme.example", PASSWORD)])
def test_a_wrong_pair_says_nothing_about_the_account(sheaf: world.World, acme: world.Tenant, email: str, password: str) -> None:
    sheaf.user(acme, EMAIL)
    answer = login(sheaf, email, password)
    assert (answer.status, answer.json["success"], answer.json["message"]) == (401, False, "Invalid email or password")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "body", [{}, {"email": 5, "password": []}, {"email": "a@b.example"}, {"email": "x" * 300, "password": "y"}, {"email": "", "password": ""}]
)  # fmt: skip
def test_a_malformed_login_names_the_fields(sheaf: world.World, body: object) -> None:
    answer = sheaf.http("POST", "/v1/auth/login", body)
    assert (answer.status, answer.json["message"]) == (400, "Email and password are required")
    assert answer.json["errors"].keys() <= {"email", "password"}
    canonical = sheaf.http("POST", "/v1/auth/login", body, headers={"Prefer": "profile=canonical"})
    assert (canonical.status, canonical.json["code"]) == (422, "validation_failed")
    assert sheaf.http("GET", "/v1/auth/login").status == 405


def forged(sheaf: world.World, acme: world.Tenant, use: tokens.Use = "at+jwt") -> dict[str, str]:
    """Every way we know to be nearly right."""
    user = sheaf.user(acme, EMAIL)
    session = tokens.read(login(sheaf).data["token"]).session
    good = tokens.issue(acme.id, user, session, use)
    claims = jwt.decode(good, options={"verify_signature": False})
    other: tokens.Use = "session+jwt" if use == "at+jwt" else "at+jwt"
    key, head = signing_secret().derived(tokens._PURPOSE[use]), {"kid": "1", "typ": use}

    def signed(
        change: dict[str, object], headers: dict[str, str] | None = None, secret: bytes = key, algorithm: str = "HS256"
    ) -> str:
        payload = {name: value for name, value in {**claims, **change}.items() if value is not None}
        return jwt.encode(payload, secret, algorithm, headers={**head, **(headers or {})})

    parts = good.split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", **head}).encode()).rstrip(b"=").decode()
    ended = tokens.read(login(sheaf).data["token"]).session
    table.update(config().limits_table, keys.principal(acme.setup, user), f"REMOVE #ss.#{ended}")
    banned = sheaf.user(acme, "banned@acme.example")
    banned_session = tokens.read(login(sheaf, "banned@acme.example", source_ip="192.0.2.99").data["token"]).session
    table.update(config().limits_table, keys.principal(acme.setup, banned), "SET #st = :st", values={"st": "banned"})
    return {
        "no signature": ".".join([*parts[:2], ""]),
        "alg none": ".".join([none, parts[1], ""]),
        "cut": good[:-2],
        "changed claims": ".".join([parts[0], signed({"sub": "usr_x"}).split(".")[1], parts[2]]),
        "wrong secret": signed({}, secret=b"x" * 32),
        "raw secret": signed({}, secret=signing_secret().key.encode()),
        "cursor secret": signed({}, secret=signing_secret().derived("cursor")),
        "secret of the other use": signed({}, secret=signing_secret().derived(tokens._PURPOSE[other])),
        "token of the other use": tokens.issue(acme.id, user, session, other),
        "HS512": signed({}, algorithm="HS512"),
        "expired": signed({"exp": 1}),
        "from the future": signed({"iat": claims["iat"] + 3_600}),
        "no expiry": signed({"exp": None}),
        "no times": signed({"exp": None, "iat": None}),
        "times as text": signed({"exp": str(claims["exp"])}),
        "no session": signed({"sid": None}),
        "unknown session": signed({"sid": "ses_01h0000000000000000000000a"}),
        "ended session": signed({"sid": ended}),
        "session of another user": signed({"sid": banned_session}),
        "session that is none": signed({"sid": "x) OR attribute_exists(#pk"}),
        "banned user": signed({"sub": banned, "sid": banned_session}),
        "other issuer": signed({"iss": "evil"}),
        "other stage": signed({"aud": "prod"}),
        "other type": signed({}, {"typ": "JWT"}),
        "other kid": signed({}, {"kid": "2"}),
        "no tenant": signed({"tid": None}),
        "other tenant": signed({"tid": sheaf.tenant("Other").id}),
        "tenant with a hash": signed({"tid": f"{acme.id}#x"}),
        "another user": signed({"sub": "usr_01h0000000000000000000000"}),
        "rubbish": "x.y.z",
        "user id": user,
    }


def bad_keys(sheaf: world.World, acme: world.Tenant) -> dict[str, str]:
    third = sheaf.tenant("Third").id
    return {
        "key of another stage": acme.key.replace("sk_local", "sk_prod"),
        "key with a changed end": acme.key[:-1] + ("0" if acme.key[-1] != "0" else "1"),
        "key of another tenant": acme.key.replace(acme.id.removeprefix("tnt_"), third.removeprefix("tnt_")),
        "short key": acme.key[:-1],
        "digest of a key": f"sk_{tokens.digest(acme.key)}",
    }


def refused(answer: world.Answer, name: str) -> None:
    assert (answer.status, answer.json["code"]) == (401, "invalid_token"), name
    assert answer.json["message"] == "Authentication token is invalid or expired", name
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert answer.json["error"] == "Invalid token"


# contract: 87
def test_forged_credentials_are_refused_in_the_header(sheaf: world.World, acme: world.Tenant) -> None:
    found = {**forged(sheaf, acme), **bad_keys(sheaf, acme)}
    assert len(found) >= 28
    for name, credential in found.items():
        refused(sheaf.http("GET", "/v1/tasks", key=credential), name)
        refused(sheaf.http("POST", "/v1/tasks", {"title": "x"}, key=credential), name)


# contract: 96
def test_forged_credentials_are_refused_in_the_cookie(sheaf: world.World, acme: world.Tenant) -> None:
    found = forged(sheaf, acme, "session+jwt")
    assert len(found) >= 28
    for name, credential in found.items():
        refused(sheaf.http("GET", "/v1/tasks", headers={"Cookie": f"authToken={credential}"}), name)
    with_key = sheaf.http("GET", "/v1/tasks", headers={"Cookie": f"authToken={acme.key}"})
    refused(with_key, "an API key is no cookie")


def test_forged_credentials_are_refused_as_tickets(sheaf: world.World, acme: world.Tenant) -> None:
    user = sheaf.user(acme, EMAIL)
    token = login(sheaf).data["token"]

    def ticket(key: str = token) -> str:
        return str(sheaf.http("POST", "/v1/auth/tickets", key=key).data["ticket"])

    used, old, orphan = ticket(), ticket(), ticket()
    assert sheaf.http("GET", f"/v1/tasks?ticket={used}").status == 200
    found = {
        "used": used,
        "changed": ticket()[:-1] + "x",
        "other stage": ticket().replace("tk_local", "tk_prod"),
        "other tenant": ticket().replace(acme.id.removeprefix("tnt_"), sheaf.tenant("Third").id.removeprefix("tnt_")),
        "digest": f"tk_local_{acme.id.removeprefix('tnt_')}_{tokens.digest(old)}",
        **{f"ticket around {name}": f"tk_{credential}" for name, credential in forged_texts(sheaf, acme).items()},
    }
    assert len(found) >= 28
    for name, credential in found.items():
        refused(sheaf.http("GET", f"/v1/tasks?ticket={credential}"), name)
    with world.later(31):
        refused(sheaf.http("GET", f"/v1/tasks?ticket={old}"), "31 seconds old")
    table.update(config().limits_table, keys.principal(acme.setup, user), "SET #ss = :none", values={"none": {}})
    refused(sheaf.http("GET", f"/v1/tasks?ticket={orphan}"), "its session has ended")
    fresh = ticket(acme.key)
    assert sheaf.http("POST", f"/v1/tasks?ticket={fresh}", {"title": "x"}).status == 401, "a ticket is for reading"
    both = sheaf.http("GET", f"/v1/tasks?ticket={fresh}", key="rubbish")
    refused(both, "the header counts where there is one")


def forged_texts(sheaf: world.World, acme: world.Tenant) -> dict[str, str]:
    made = dict(bad_keys(sheaf, acme).items())
    suffix = acme.id.removeprefix("tnt_")
    lengths = {f"{size} digits": f"local_{suffix}_{'0' * size}" for size in (0, 1, 63, 64, 65, 128)}
    odd = {f"{what!r}": f"local_{suffix}_{what}" for what in ("../" * 20, "' OR 1=1", "é" * 64, "A" * 64, "#" * 64, "\x00" * 64)}
    cases = {f"{what}": what for what in ("", "_", "local", "local_", f"local_{suffix}", f"LOCAL_{suffix}_{'0' * 64}")}
    return {**made, **lengths, **odd, **cases}


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "sk_local_x"])
def test_no_or_another_scheme_is_401(sheaf: world.World, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = sheaf.http("GET", "/v1/tasks", headers=headers)
    assert (answer.status, answer.json["error"]) == (401, "Authentication required") and answer.json["message"]
    if not header:
        assert answer.json["message"] == "No authentication token provided"


def test_the_header_name_has_no_case(sheaf: world.World, acme: world.Tenant) -> None:
    assert sheaf.http("GET", "/v1/tasks", headers={"aUTHORIZATION": f"bearer {acme.key}"}).status == 200


def test_a_ticket_reads_once_for_whoever_asked_for_it(sheaf: world.World, acme: world.Tenant) -> None:
    for key in (acme.key, sheaf.key(acme, "user")):
        made = sheaf.http("POST", "/v1/auth/tickets", key=key)
        assert made.status == 201 and made.data["expiresIn"] == 30
        me = sheaf.http("GET", "/v1/me", key=key).data
        assert sheaf.http("GET", f"/v1/me?ticket={made.data['ticket']}").data == me
        assert sheaf.http("GET", f"/v1/me?ticket={made.data['ticket']}").status == 401
    assert sheaf.http("GET", "/v1/tasks?ticket=5", key=acme.key).status == 400, "any other ticket is a parameter like others"


# contract: 96
def test_a_remembered_login_is_a_cookie_for_our_own_pages(sheaf: world.World, acme: world.Tenant) -> None:
    sheaf.user(acme, EMAIL)
    answer = sheaf.http("POST", "/v1/auth/login", {"email": EMAIL, "password": PASSWORD, "rememberMe": True})
    cookie = answer.headers["Set-Cookie"]
    assert (
        cookie.startswith("authToken=ey")
        and cookie.partition("; ")[2] == "Max-Age=604800; Path=/; HttpOnly; Secure; SameSite=Strict"
    )
    mine = {"Cookie": f"theme=dark; {cookie.partition(';')[0]}; x=y", "Host": "api.example.com"}

    def call(method: str, body: object = None, **headers: str) -> int:
        return sheaf.http(method, "/v1/tasks", body, headers={**mine, **headers}).status

    task = {"title": "x"}
    assert call("GET") == 200
    assert call("POST", task, Origin="https://app.example.com") == 201, "an origin of the configuration"
    assert call("POST", task, Origin="https://api.example.com") == 201, "our own"
    assert call("POST", task) == 403, "no origin: no browser of ours sends that"
    for origin in (
        "http://[::1",
        "https://",
        "null",
        "https://evil.example",
        "https://app.example.com.evil.example",
        "http://app.example.com",
        "https://app.example.com:444",
    ):
        assert call("POST", task, Origin=origin) == 403, origin
        assert call("GET", Origin=origin) == 403, origin
    planted = {"Cookie": f"authToken=planted; {mine['Cookie']}"}
    assert sheaf.http("GET", "/v1/tasks", headers=planted).status == 401, "of two cookies one was planted"
    header = sheaf.http("POST", "/v1/tasks", task, key=acme.key, headers={**mine, "Origin": "https://evil.example"})
    assert header.status == 201, "who has a token of their own needs no cookie"
    out = sheaf.http("POST", "/v1/auth/logout", headers={**mine, "Origin": "https://app.example.com"})
    assert out.status == 200 and out.headers["Set-Cookie"].startswith("authToken=; Max-Age=0")
    assert call("GET") == 401


# contract: 97
def test_whoever_is_shut_out_is_refused_at_the_next_request(sheaf: world.World, acme: world.Tenant) -> None:
    """Ended session, suspended, banned, removed user, changed role, revoked key: the very next request."""
    boss = sheaf.token_of(acme, "boss@acme.example", "admin")
    changes: dict[str, Callable[[str], world.Answer]] = {
        "suspended": lambda user: sheaf.http("PATCH", f"/v1/admin/users/{user}", {"status": "suspended"}, key=boss),
        "banned": lambda user: sheaf.http("PATCH", f"/v1/admin/users/{user}", {"status": "banned"}, key=boss),
        "removed": lambda user: sheaf.http("DELETE", f"/v1/admin/users/{user}", key=boss),
    }
    for number, (name, change) in enumerate(changes.items()):
        email = f"{name}@acme.example"
        user = sheaf.user(acme, email)
        token = sheaf.token(email, source_ip=f"192.0.2.{number}")
        assert sheaf.http("GET", "/v1/tasks", key=token).status == 200
        assert change(user).status == 200
        assert sheaf.http("GET", "/v1/tasks", key=token).status == 401, name
        again = login(sheaf, email, source_ip="198.51.100.1")
        assert (again.status, again.json["code"]) == (
            401 if name == "removed" else 403,
            "unauthenticated" if name == "removed" else "account_suspended",
        )
    user = sheaf.user(acme, "mod@acme.example", "moderator")
    token = sheaf.token("mod@acme.example", source_ip="192.0.2.77")
    assert sheaf.http("POST", "/v1/tasks/bulk", [{"title": "x"}], key=token).status == 200
    assert sheaf.http("PATCH", f"/v1/admin/users/{user}", {"role": "user"}, key=boss).status == 200
    assert sheaf.http("POST", "/v1/tasks/bulk", [{"title": "x"}], key=token).status == 403
    made = sheaf.http("POST", "/v1/api-keys", {"name": "x", "role": "user"}, key=boss).data
    assert sheaf.http("GET", "/v1/tasks", key=made["key"]).status == 200
    assert sheaf.http("DELETE", f"/v1/api-keys/{made['id']}", key=boss).status == 200
    assert sheaf.http("GET", "/v1/tasks", key=made["key"]).status == 401


def test_a_disabled_tenant_is_refused_within_a_second(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sheaf.http("GET", "/v1/tasks", key=acme.key).status == 200
    table.update(
        config().control_table,
        keys.tenant(acme.setup),
        "SET #st = :off, #tier = :free",
        values={"off": "disabled", "free": "free"},
    )
    started = tenants.time.monotonic()
    monkeypatch.setattr(tenants.time, "monotonic", lambda: started + 1.0)
    answer = sheaf.http("GET", "/v1/tasks", key=acme.key)
    assert (answer.status, answer.json["code"]) == (403, "tenant_disabled")
    sheaf.user(acme, EMAIL)
    assert login(sheaf).json["code"] == "tenant_disabled"
    table.update(config().control_table, keys.tenant(acme.setup), "SET #st = :on", values={"on": "active"})
    monkeypatch.setattr(tenants.time, "monotonic", lambda: started + 2.0)
    assert sheaf.http("GET", "/v1/tasks", key=acme.key).headers["X-RateLimit-Limit"] == "100", "and the new tier counts"


def test_the_oldest_session_ends_when_there_are_too_many(sheaf: world.World, acme: world.Tenant) -> None:
    sheaf.user(acme, EMAIL)
    found = []
    for number in range(21):
        with world.later(number):
            found.append(sheaf.token(EMAIL, source_ip=f"192.0.2.{number}"))
    with world.later(22):
        assert [sheaf.http("GET", "/v1/tasks", key=token).status for token in (found[0], found[1], found[20])] == [401, 200, 200]


# contract: 88, 133
def test_a_denial_names_the_permission_to_those_who_may_know_it(sheaf: world.World, acme: world.Tenant) -> None:
    plain = sheaf.token_of(acme, "plain@acme.example")
    told = sheaf.http("GET", "/v1/webhooks", key=plain)
    assert (told.status, told.json["code"], told.json["message"]) == (403, "permission_denied", "Your role does not allow this")
    assert "missing" not in told.json
    moderator = sheaf.token_of(acme, "mod@acme.example", "moderator")
    told = sheaf.http("GET", "/v1/webhooks", key=moderator)
    assert (told.json["missing"], told.json["requiredRole"]) == ("webhooks:read", "admin")
    scoped = sheaf.http("GET", "/v1/webhooks", key=sheaf.key(acme, "admin", "tasks:*"))
    assert scoped.json["missing"] == "webhooks:read" and "scopes" in scoped.json["message"]
    assert "X-RateLimit-Remaining" in scoped.headers, "a refused request has cost something too"


def test_scopes_only_take_away(sheaf: world.World, acme: world.Tenant) -> None:
    cases = [
        (("tasks:read",), {"GET /v1/tasks": 200, "POST /v1/tasks": 403, "GET /v1/leads": 403}),
        (("tasks:*",), {"GET /v1/tasks": 200, "POST /v1/tasks": 201, "GET /v1/leads": 403}),
        (("*:read",), {"GET /v1/tasks": 200, "POST /v1/tasks": 403, "GET /v1/leads": 200, "GET /v1/webhooks": 200}),
        (("*",), {"GET /v1/tasks": 200, "POST /v1/tasks": 201, "GET /v1/webhooks": 200}),
    ]
    for scopes, wanted in cases:
        key = sheaf.key(acme, "admin", *scopes)
        for call, status in wanted.items():
            method, path = call.split()
            body = {"title": "x"} if method == "POST" else None
            assert sheaf.http(method, path, body, key=key).status == status, (scopes, call)
    assert sheaf.http("GET", "/v1/webhooks", key=sheaf.key(acme, "user", "*")).status == 403, "a scope is no role"


def test_a_scope_for_one_entity_does_not_expand_another(sheaf: world.World, acme: world.Tenant) -> None:
    user = sheaf.user(acme, EMAIL)
    task = sheaf.http("POST", "/v1/tasks", {"title": "x", "assignee": user}, key=acme.key).data["id"]
    key = sheaf.key(acme, "admin", "tasks:read")
    for path in (f"/v1/tasks/{task}?expand=assignee", "/v1/tasks?expand=assignee"):
        assert sheaf.http("GET", path, key=key).status == 403
        assert EMAIL in sheaf.http("GET", path, key=sheaf.key(acme, "admin", "tasks:read", "users:read")).text


def test_what_one_may_do_is_told(sheaf: world.World, acme: world.Tenant) -> None:
    for role, inside, outside in (("user", "me:read", "webhooks:read"), ("admin", "webhooks:write", "nothing:read")):
        found = sheaf.http("GET", "/v1/me/permissions", key=sheaf.key(acme, role)).data  # type: ignore[arg-type]
        assert found["role"] == role and inside in found["permissions"] and outside not in found["permissions"]
        assert found["entities"]["users"] == (["read"] if role == "user" else ["read", "export"])
        assert ("bulk" in found["entities"]["tasks"]) == (role == "admin")
    scoped = sheaf.http("GET", "/v1/me/permissions", key=sheaf.key(acme, "admin", "tasks:read", "me:read")).data
    assert (
        scoped["permissions"] == ["batch:run", "graphql:run", "me:read"]
        and scoped["entities"]["tasks"] == ["read"]
        and scoped["entities"]["leads"] == []
    )


# contract: 141
def test_admins_can_be_bound_to_addresses(sheaf: world.World, acme: world.Tenant) -> None:
    def call(method: str, path: str, body: object = None, ip: str = "192.0.2.10", **headers: str) -> world.Answer:
        return sheaf.http(method, path, body, key=acme.key, source_ip=ip, headers=headers)

    place = f"/v1/tenants/{acme.id}"
    shut_out = call("PATCH", place, {"adminIps": ["198.51.100.0/24"]})
    assert shut_out.status == 422 and "192.0.2.10" in shut_out.json["errors"]["adminIps"]
    for wrong in ("192.0.2.0/24", ["300.1.1.1"], ["192.0.2.1/24"], [5], ["10.0.0.0/8"] * 51):
        assert call("PATCH", place, {"adminIps": wrong}).json["errors"].keys() == {"adminIps"}, wrong
    assert call("PATCH", place, {"adminIps": ["192.0.2.0/24", "2001:db8::/32"]}).status == 200
    for ip, status in (("192.0.2.200", 200), ("2001:db8::1", 200), ("198.51.100.1", 403), ("unknown", 403)):
        answer = call("GET", "/v1/webhooks", ip=ip)
        assert answer.status == status, ip
        assert call("GET", "/v1/tasks", ip=ip).status == 200, "only what admins alone may do"
    spoofed = call("GET", "/v1/webhooks", ip="198.51.100.1", **{"X-Forwarded-For": "192.0.2.10"})
    assert (spoofed.status, spoofed.json["code"]) == (403, "address_denied")
    assert call("PATCH", place, {"adminIps": None}).data["adminIps"] is None
    assert call("GET", "/v1/webhooks", ip="198.51.100.1").status == 200
