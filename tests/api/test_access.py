"""Who gets in, for how much, and what everybody else is told."""

import base64
import json

import jwt
import pytest

import world
from sheaf.access import tokens
from sheaf.base import clock
from sheaf.base.config import config
from sheaf.store import keys, table
from sheaf.store.secrets import signing_secret

PASSWORD = "correct horse battery"


def login(sheaf: world.World, email: str, password: str = PASSWORD, **more: str) -> world.Answer:
    return sheaf.http("POST", "/v1/auth/login", {"email": email, "password": password}, **more)


# contract: 86, 95
def test_login_gives_a_token_that_works(sheaf: world.World, acme: world.Tenant) -> None:
    user = sheaf.user(acme, "ann@acme.example")
    answer = login(sheaf, "Ann@Acme.example")
    assert answer.status == 200 and answer.data["expiresIn"] == 900
    assert answer.data["user"] == {"id": user, "name": "Ann", "email": "ann@acme.example", "role": "user"}
    assert "password" not in answer.text and "hash" not in answer.text
    assert sheaf.http("GET", "/v1/tasks", key=answer.data["token"]).status == 200


@pytest.mark.parametrize(("email", "password"), [("ann@acme.example", "wrong"), ("nobody@acme.example", PASSWORD)])
def test_a_wrong_pair_says_nothing_about_the_account(sheaf: world.World, acme: world.Tenant, email: str, password: str) -> None:
    sheaf.user(acme, "ann@acme.example")
    answer = login(sheaf, email, password)
    assert (answer.status, answer.json["message"]) == (401, "Invalid email or password")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "body", [{}, [], {"email": 5, "password": []}, {"email": "a@b.example"}, {"email": "x" * 300, "password": "y"}]
)
def test_a_malformed_login_names_the_fields(sheaf: world.World, body: object) -> None:
    answer = sheaf.http("POST", "/v1/auth/login", body)
    assert answer.status == 422 and set(answer.json["errors"]) <= {"email", "password"}


def test_logins_of_one_address_are_bounded_and_others_are_not(sheaf: world.World, acme: world.Tenant) -> None:
    sheaf.user(acme, "ann@acme.example")
    statuses = [login(sheaf, "ann@acme.example", "wrong", source_ip="192.0.2.1").status for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert login(sheaf, "ann@acme.example", source_ip="192.0.2.2").status == 200
    spoofed = sheaf.http("POST", "/v1/auth/login", {"email": "a@b.example", "password": "x"}, source_ip="192.0.2.1",
                         headers={"X-Forwarded-For": "198.51.100.7"})  # fmt: skip
    assert spoofed.status == 429


# contract: 31, 32
def test_the_window_is_spent_exactly_and_turns(sheaf: world.World) -> None:
    free = sheaf.tenant("Free", tier="free")
    with clock.using(lambda: 1_000_000_020.0):
        seen = [sheaf.http("GET", "/v1/tasks", key=free.key) for _ in range(103)]
        assert [answer.status for answer in seen] == [200] * 100 + [429] * 3
        assert [seen[n].headers["X-RateLimit-Remaining"] for n in (0, 1, 99)] == ["99", "98", "0"]
        first, last = seen[0], seen[-1]
        assert first.headers["X-RateLimit-Limit"] == "100" and first.headers["X-RateLimit-Reset"] == "1000000080"
        assert first.headers["RateLimit-Policy"] == '"default";q=100;w=60' and first.headers["RateLimit"] == '"default";r=99;t=60'
        assert last.headers["Retry-After"] == "60"
        body = last.json
        assert (body["error"], body["message"], body["retry_after"]) == (
            "Too Many Requests", "Rate limit exceeded. Try again in 60 seconds", 60)  # fmt: skip
    with clock.using(lambda: 1_000_000_080.0):
        assert sheaf.http("GET", "/v1/tasks", key=free.key).headers["X-RateLimit-Remaining"] == "99"


def test_two_logins_share_one_window(sheaf: world.World) -> None:
    free = sheaf.tenant("Free", tier="free")
    sheaf.user(free, "ann@free.example")
    with clock.using(lambda: 1_000_000_020.0):
        one, two = (login(sheaf, "ann@free.example").data["token"] for _ in range(2))
        assert sheaf.http("GET", "/v1/tasks", key=one).headers["X-RateLimit-Remaining"] == "99"
        assert sheaf.http("GET", "/v1/tasks", key=two).headers["X-RateLimit-Remaining"] == "98"


# contract: 87
def forged(sheaf: world.World, acme: world.Tenant) -> dict[str, str]:
    """Every way we know to be nearly right."""
    user = sheaf.user(acme, "ann@acme.example")
    good = login(sheaf, "ann@acme.example").data["token"]
    claims = jwt.decode(good, options={"verify_signature": False})
    key, head = signing_secret().derived("access-token"), {"kid": "1", "typ": "at+jwt"}

    def signed(
        change: dict[str, object], headers: dict[str, str] | None = None, secret: bytes = key, algorithm: str = "HS256"
    ) -> str:
        payload = {name: value for name, value in {**claims, **change}.items() if value is not None}
        return jwt.encode(payload, secret, algorithm, headers={**head, **(headers or {})})

    parts = good.split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", **head}).encode()).rstrip(b"=").decode()
    other_stage = acme.key.replace("sk_local", "sk_prod")
    return {
        "no signature": ".".join([*parts[:2], ""]),
        "alg none": ".".join([none, parts[1], ""]),
        "cut": good[:-2],
        "changed claims": ".".join([parts[0], signed({"sub": "usr_x"}).split(".")[1], parts[2]]),
        "wrong secret": signed({}, secret=b"x" * 32),
        "raw secret": signed({}, secret=signing_secret().key.encode()),
        "cursor secret": signed({}, secret=signing_secret().derived("cursor")),
        "HS512": signed({}, algorithm="HS512"),
        "expired": signed({"exp": 1}),
        "from the future": signed({"iat": claims["iat"] + 3_600}),
        "no expiry": signed({"exp": None}),
        "no times": signed({"exp": None, "iat": None}),
        "no session": signed({"sid": None}),
        "other session": signed({"sid": "ses_01h0000000000000000000000"}),
        "other issuer": signed({"iss": "evil"}),
        "other stage": signed({"aud": "prod"}),
        "other type": signed({}, {"typ": "JWT"}),
        "other kid": signed({}, {"kid": "2"}),
        "no tenant": signed({"tid": None}),
        "other tenant": signed({"tid": sheaf.tenant("Other").id}),
        "tenant with a hash": signed({"tid": f"{acme.id}#x"}),
        "another user": signed({"sub": "usr_01h0000000000000000000000"}),
        "key of another stage": other_stage,
        "key with a changed end": acme.key[:-1] + ("0" if acme.key[-1] != "0" else "1"),
        "key of another tenant": acme.key.replace(acme.id.removeprefix("tnt_"), sheaf.tenant("Third").id.removeprefix("tnt_")),
        "short key": acme.key[:-1],
        "rubbish": "x.y.z",
        "user id": user,
    }


def test_forged_credentials_are_refused_alike(sheaf: world.World, acme: world.Tenant) -> None:
    found = forged(sheaf, acme)
    assert len(found) >= 28
    for name, credential in found.items():
        answer = sheaf.http("GET", "/v1/tasks", key=credential)
        assert (answer.status, answer.json["code"]) == (401, "unauthenticated"), name


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "sk_local_x"])
def test_no_or_another_scheme_is_401(sheaf: world.World, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = sheaf.http("GET", "/v1/tasks", headers=headers)
    assert answer.status == 401 and answer.json["message"]


def test_the_header_name_has_no_case(sheaf: world.World, acme: world.Tenant) -> None:
    assert sheaf.http("GET", "/v1/tasks", headers={"aUTHORIZATION": f"bearer {acme.key}"}).status == 200


def test_a_suspended_principal_and_an_ended_session_are_refused_at_the_next_request(
    sheaf: world.World, acme: world.Tenant
) -> None:
    user = sheaf.user(acme, "ann@acme.example")
    token = login(sheaf, "ann@acme.example").data["token"]
    other = login(sheaf, "ann@acme.example").data["token"]
    row = keys.principal(acme.setup, user)
    session = tokens.read(token).session
    table.update(config().limits_table, row, "DELETE #ss :gone", values={"gone": {session}})
    assert sheaf.http("GET", "/v1/tasks", key=token).status == 401
    assert sheaf.http("GET", "/v1/tasks", key=other).status == 200
    table.update(config().limits_table, row, "SET #st = :st", values={"st": "suspended"})
    assert sheaf.http("GET", "/v1/tasks", key=other).status == 401
    assert login(sheaf, "ann@acme.example").status == 401


def test_the_oldest_session_ends_when_there_are_too_many(sheaf: world.World, acme: world.Tenant) -> None:
    sheaf.user(acme, "ann@acme.example")
    found = [login(sheaf, "ann@acme.example", source_ip=f"192.0.2.{n}").data["token"] for n in range(21)]
    assert [sheaf.http("GET", "/v1/tasks", key=token).status for token in (found[0], found[1], found[20])] == [401, 200, 200]


ROLES = {"user": 0, "moderator": 1, "admin": 2}
ROUTES: list[tuple[str, str, object, str]] = [
    ("GET", "/v1/tasks", None, "user"),
    ("POST", "/v1/tasks", {"title": "x"}, "user"),
    ("GET", "/v1/users", None, "user"),
    ("POST", "/v1/tasks/bulk", [{"title": "x"}], "moderator"),
    ("POST", "/v1/import/tasks", {"items": [{"title": "x"}]}, "moderator"),
    ("POST", "/v1/tasks/export", {"format": "csv"}, "moderator"),
    ("POST", "/v1/uploads", {"filename": "a.txt", "size": 1, "type": "text/plain"}, "user"),
    ("GET", "/v1/webhooks", None, "admin"),
    ("POST", "/v1/webhooks", {"url": "http://127.0.0.1:1/", "events": ["*"]}, "admin"),
]


# contract: 88, 133
@pytest.mark.parametrize("role", list(ROLES))
def test_every_route_for_every_role(sheaf: world.World, acme: world.Tenant, role: str) -> None:
    key = sheaf.key(acme, role)  # type: ignore[arg-type]
    for method, path, body, least in ROUTES:
        answer = sheaf.http(method, path, body, key=key)
        if ROLES[role] >= ROLES[least]:
            assert answer.status in (200, 201, 202), (method, path, answer.text)
        else:
            assert (answer.status, answer.json["code"]) == (403, "permission_denied"), (method, path)
        assert sheaf.http(method, path, body).status == 401


def test_a_clock_that_is_behind_joins_the_window_of_the_others(sheaf: world.World) -> None:
    """Two functions whose clocks differ by a moment at the turn of a window: nobody is refused, and nobody gets more than the limit."""
    free = sheaf.tenant("Slow", "free")
    turn = (clock.now() // 60 + 2) * 60
    statuses = []
    for number in range(104):
        with clock.using(lambda at=turn + (0.05 if number % 2 else -0.05): at):
            statuses.append(sheaf.http("GET", "/v1/tasks", key=free.key).status)
    assert statuses == [200] * 101 + [429] * 3, "one in the old window, a hundred in the new one"
