"""Registering, confirming, forgetting, inviting: and that nobody learns from it who is known."""

import json
import statistics
import time
from hashlib import sha256
from typing import Any

import pytest

import world
from sheaf.access import passwords
from sheaf.base import clock
from sheaf.base.config import config
from sheaf.store import aws, keys

PASSWORD = "correct horse battery"
NEW = "another long phrase 7"
ANN = {"name": "Ann", "email": "ann@example.com", "password": PASSWORD}


@pytest.fixture
def post(sheaf: world.World) -> Any:
    """POST to /v1/auth/…, each from an address of its own."""
    visitors = iter(range(10_000))

    def call(path: str, body: object = None, key: str | None = None, **headers: str) -> world.Answer:
        number = next(visitors)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return sheaf.http("POST", f"/v1/auth/{path}", body, key=key, headers=named,
                          source_ip=f"10.{number // 62_500}.{number // 250 % 250}.{number % 250}")  # fmt: skip

    return call


def login(post: Any, email: str = "ann@example.com", password: str = PASSWORD) -> world.Answer:
    return post("login", {"email": email, "password": password})  # type: ignore[no-any-return]


def seen(answer: world.Answer) -> tuple[int, dict[str, Any]]:
    """An answer without what always differs."""
    return answer.status, {name: value for name, value in answer.json.items() if name not in ("requestId", "timestamp")}


# contract: 94, 97, 93
def test_from_nothing_to_the_first_task(sheaf: world.World, post: Any) -> None:
    answer = post("register", {**ANN, "email": " Ann@Example.com "})
    assert answer.status == 201 and answer.json["user"] == {"name": "Ann", "email": "ann@example.com"}
    assert "token" not in answer.json and "token" not in answer.data
    early = login(post)
    assert (early.status, early.json["message"]) == (403, "Please verify your email before logging in")
    assert early.json["code"] == "email_not_verified" and "token" not in early.json
    token = sheaf.mail_token("ann@example.com")
    assert post("verify", {"token": token, "password": PASSWORD}).data == {"email": "ann@example.com", "verified": True}
    assert post("verify", {"token": token, "password": PASSWORD}).data["verified"] is True, "a lost answer can be asked for again"
    made = login(post)
    me = sheaf.http("GET", "/v1/me", key=made.json["token"]).data
    assert (me["role"], me["tenant"]["name"], me["tenant"]["tier"]) == ("admin", "Ann", "free")
    assert me["user"]["emailVerified"] is True
    assert sheaf.http("POST", "/v1/tasks", {"title": "x"}, key=made.json["token"]).status == 201
    assert len(sheaf.mails()) == 1


def test_two_registrations_are_two_tenants_that_do_not_meet(sheaf: world.World, post: Any) -> None:
    tokens = []
    for name in ("ann", "bob"):
        post("register", {**ANN, "email": f"{name}@example.com", "tenantName": f"{name}'s place"})
        post("verify", {"token": sheaf.mail_token(f"{name}@example.com"), "password": PASSWORD})
        tokens.append(login(post, f"{name}@example.com").json["token"])
    ids = {sheaf.http("GET", "/v1/me", key=token).data["tenant"]["id"] for token in tokens}
    assert len(ids) == 2
    for token, name in zip(tokens, ("ann", "bob"), strict=True):
        assert [user["email"] for user in sheaf.http("GET", "/v1/users", key=token).data] == [f"{name}@example.com"]


WRONG: list[tuple[dict[str, Any], set[str]]] = [
    ({"name": "A"}, {"name"}),
    ({"name": 5}, {"name"}),
    ({"email": "ann"}, {"email"}),
    ({"email": ["a@b.example"]}, {"email"}),
    ({"email": "a" * 300 + "@b.example"}, {"email"}),
    ({"password": "short"}, {"password"}),
    ({"password": None}, {"password"}),
    ({"password": "x" * 129}, {"password"}),
    ({"password": "aaaaaaaaaaaa"}, {"password"}),
    ({"password": "password1234"}, {"password"}),
    ({"password": "ann@example.com"}, {"password"}),
    ({"password": "line\nbreak and more"}, {"password"}),
    ({"tenantName": ""}, {"tenantName"}),
    ({"tenantName": None}, set()),
    ({"tenantName": "x"}, {"tenantName"}),
    ({"tenantName": 7}, {"tenantName"}),
    ({"invitation": "rubbish"}, {"invitation"}),
    ({"invitation": 5}, {"invitation"}),
    ({"role": "admin"}, {"role"}),
    ({"tenant": "tnt_x"}, {"tenant"}),
    ({"name": "", "email": "", "password": ""}, {"name", "email", "password"}),
]


@pytest.mark.parametrize(("change", "named"), WRONG, ids=[str(case[0])[:40] for case in WRONG])
def test_a_wrong_registration_names_every_field(sheaf: world.World, post: Any, change: dict[str, Any], named: set[str]) -> None:
    answer = post("register", {**ANN, **change})
    if not named:
        assert answer.status == 201
        return
    assert (answer.status, answer.json["success"], answer.json["errors"].keys()) == (400, False, named), answer.text
    sheaf.settle()
    assert sheaf.mails() == []


def test_passwords_have_a_length_and_no_composition_rules(sheaf: world.World, post: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for good in ("tortoise lampshade", "тёмная вода в колодце", "k7#mQ2!vR9zL", "x9" + "qwv4zk" * 21):
        assert passwords.complaint(good, email="a@b.example", name="Ann") is None, good
    monkeypatch.setenv("SHEAF_PASSWORD_LEAST", "4")
    config.cache_clear()
    assert "8 to 128" in str(passwords.complaint("hS8#k2", email="", name="")), "no installation goes below 8"


def test_no_answer_tells_whether_an_address_is_known(sheaf: world.World, acme: world.Tenant, post: Any) -> None:
    sheaf.user(acme, "known@example.com")
    post("register", {**ANN, "email": "waiting@example.com"})
    for path, body in (("register", ANN), ("forgot", {}), ("resend", {})):
        answers = []
        for email in ("known@example.com", "unknown@example.com", "waiting@example.com"):
            answer = post(path, {**body, "email": email})
            answers.append((answer.status, answer.text.replace(email, "…").split('"requestId"')[0], sorted(answer.headers)))
        assert answers[0] == answers[1] == answers[2], path
    sheaf.settle()
    told = [(mail.destinations["ToAddresses"][0], mail.subject) for mail in sheaf.mails()]
    assert ("known@example.com", "You have an account already") in told and ("known@example.com", "Set a new password") in told
    assert not [subject for to, subject in told if to == "unknown@example.com" and "password" in subject]
    assert login(post, "known@example.com").status == 200, "the password of the account stands"


def test_a_registration_cannot_take_an_account_over(sheaf: world.World, post: Any) -> None:
    """Two register one address: each mail opens what its own registration said, and the second one comes too late."""
    post("register", ANN)
    mine = sheaf.mail_token("ann@example.com")
    post("register", {**ANN, "password": NEW})
    theirs = sheaf.mail_token("ann@example.com")
    assert mine != theirs
    assert post("verify", {"token": mine, "password": PASSWORD}).status == 200
    late = post("verify", {"token": theirs, "password": NEW})
    assert (late.status, late.json["code"]) == (400, "invalid_link")
    assert (login(post).status, login(post, password=NEW).status) == (200, 403), "no session for the one who came late"


def test_whoever_confirms_must_know_the_password_that_was_chosen(sheaf: world.World, post: Any) -> None:
    """Somebody registers an address that is not theirs; its owner reads the mail and clicks: no account with a foreign password."""
    post("register", {**ANN, "password": NEW})
    token = sheaf.mail_token("ann@example.com")
    for password in (PASSWORD, "", None, 5, "x" * 300):
        answer = post("verify", {"token": token, "password": password})
        assert answer.status in (400, 429) and "verified" not in answer.text
    assert login(post, password=NEW).status in (401, 403, 429)


def test_ones_own_registration_tells_nothing_about_an_account(sheaf: world.World, acme: world.Tenant, post: Any) -> None:
    sheaf.user(acme, "known@example.com", password=NEW)
    answers = []
    for email in ("known@example.com", "unknown@example.com"):
        post("register", {**ANN, "email": email})
        answers.append([(each.status, each.json["code"]) for each in (login(post, email), login(post, email, "wrong"))])
    assert answers[0] == answers[1] == [(403, "email_not_verified"), (401, "unauthenticated")]
    with world.later(10):
        assert login(post, "known@example.com", NEW).status == 200


def test_other_letters_do_not_bury_a_registration(sheaf: world.World, post: Any) -> None:
    post("register", ANN)
    first = sheaf.mail_token("ann@example.com")
    for _ in range(12):
        post("forgot", {"email": "ann@example.com"})
    assert login(post).status == 403
    assert post("verify", {"token": first, "password": PASSWORD}).status == 200


def test_a_password_that_was_set_ends_earlier_letters(sheaf: world.World, acme: world.Tenant, post: Any) -> None:
    sheaf.user(acme, "ann@example.com")
    tokens = []
    for _ in range(2):
        post("forgot", {"email": "ann@example.com"})
        tokens.append(sheaf.mail_token("ann@example.com"))
    assert post("reset", {"token": tokens[1], "password": NEW}).status == 200
    assert post("reset", {"token": tokens[0], "password": PASSWORD}).json["code"] == "invalid_link"


def test_a_mail_that_fails_counts_once(
    sheaf: world.World, acme: world.Tenant, post: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sheaf.store import mail

    sheaf.user(acme, "ann@example.com")
    send, failures = mail.send, iter(range(8))

    def shaky(*args: Any) -> None:
        if next(failures, None) is not None:
            raise RuntimeError("SES is away")
        send(*args)

    monkeypatch.setattr(mail, "send", shaky)
    post("forgot", {"email": "ann@example.com"})
    sheaf.settle()
    post("forgot", {"email": "ann@example.com"})
    sheaf.settle()
    assert len(sheaf.mails()) == 2


def test_a_line_break_in_a_name_does_not_reach_a_header(sheaf: world.World, post: Any) -> None:
    wrong = post("register", {**ANN, "tenantName": "Bad\r\nBcc: x@y.example"})
    assert (wrong.status, wrong.json["errors"].keys()) == (400, {"tenantName"})
    for name in (0, [], False, {}):
        assert post("register", {**ANN, "tenantName": name}).status == 400, name


def test_mail_tokens_cannot_be_made_or_bent(sheaf: world.World, post: Any) -> None:
    post("register", ANN)
    good = sheaf.mail_token("ann@example.com")
    letter, box, seal = good.split(".")
    other = keys.mailbox("bob@example.com")
    bad = ["", "x", good[:-1], good + "x", f"{letter}.{other}.{seal}", f"opn_{'0' * 26}.{box}.{seal}", f"inv{letter[3:]}.{box}.{seal}",
           f"{letter}.{box}.{'A' * 43}", 5, None, [], {}]  # fmt: skip
    for token in bad:
        assert post("verify", {"token": token, "password": PASSWORD}).json["code"] == "invalid_link", token
        assert post("reset", {"token": token, "password": NEW}).json["code"] == "invalid_link", token
    assert post("reset", {"token": good, "password": NEW}).json["code"] == "invalid_link", "a letter has one purpose"
    with world.later(24 * 3600 + 1):
        assert post("verify", {"token": good, "password": PASSWORD}).json["code"] == "invalid_link"
        assert login(post).status == 401, "what was never confirmed is forgotten"


def test_the_mail_is_sent_again_on_request(sheaf: world.World, post: Any) -> None:
    post("register", ANN)
    first = sheaf.mail_token("ann@example.com")
    assert post("resend", {"email": "Ann@example.com"}).status == 200
    assert sheaf.mail_token("ann@example.com") == first and len(sheaf.mails()) == 2
    post("verify", {"token": first, "password": PASSWORD})
    post("resend", {"email": "ann@example.com"})
    sheaf.settle()
    assert sheaf.mails()[-1].subject == "You have an account already"


def test_one_address_is_not_flooded(sheaf: world.World, post: Any) -> None:
    for _ in range(9):
        assert post("forgot", {"email": "ann@example.com"}).status == 200
        assert post("register", ANN).status == 201
    sheaf.settle()
    assert len(sheaf.mails()) == 5


# contract: 97
def test_a_forgotten_password_is_set_anew(sheaf: world.World, acme: world.Tenant, post: Any) -> None:
    sheaf.user(acme, "ann@example.com")
    session = login(post).json
    post("forgot", {"email": "ann@example.com"})
    token = sheaf.mail_token("ann@example.com")
    weak = post("reset", {"token": token, "password": "short"})
    assert (weak.status, weak.json["errors"].keys()) == (400, {"password"})
    assert post("reset", {"token": token, "password": NEW}).status == 200
    assert post("reset", {"token": token, "password": PASSWORD}).json["code"] == "invalid_link", "once"
    assert post("reset", {"token": token, "password": NEW}).status == 200, "a lost answer can be asked for again"
    assert (login(post).status, login(post, password=NEW).status) == (401, 200)
    assert sheaf.http("GET", "/v1/tasks", key=session["token"]).status == 401
    assert post("refresh", {"refreshToken": session["refreshToken"]}).status == 401
    post("forgot", {"email": "ann@example.com"})
    late = sheaf.mail_token("ann@example.com")
    with world.later(3601):
        assert post("reset", {"token": late, "password": PASSWORD}).json["code"] == "invalid_link"


def test_a_reset_frees_who_was_locked_out_by_guesses(sheaf: world.World, acme: world.Tenant, post: Any) -> None:
    sheaf.user(acme, "ann@example.com")
    known = login(post).json["token"]
    start = clock.now()
    for number in range(6):
        with clock.using(lambda at=start + number * 20: at):
            login(post, password="wrong")
    with clock.using(lambda at=start + 200: at):
        assert login(post).status == 429
        assert sheaf.http("GET", "/v1/me", key=known).status == 200, "a session that is open stays open"
        post("forgot", {"email": "ann@example.com"})
        assert post("reset", {"token": sheaf.mail_token("ann@example.com"), "password": NEW}).status == 200
        assert login(post, password=NEW).status == 200


def test_a_changed_password_ends_the_other_sessions(sheaf: world.World, acme: world.Tenant, post: Any) -> None:
    sheaf.user(acme, "ann@example.com")
    here, there = login(post).json, login(post).json
    wrong = [
        ({}, {"currentPassword", "password"}),
        ({"currentPassword": "wrong", "password": NEW}, {"currentPassword"}),
        ({"currentPassword": PASSWORD, "password": "short"}, {"password"}),
        ({"currentPassword": PASSWORD, "password": NEW, "email": "x"}, {"email"}),
    ]
    for body, named in wrong:
        answer = post("password", body, key=here["token"])
        assert (answer.status, answer.json["errors"].keys()) == (400, named), body
    assert post("password", {"currentPassword": PASSWORD, "password": NEW}).status == 401
    assert post("password", {"currentPassword": PASSWORD, "password": NEW}, key=acme.key).status == 403
    assert post("password", {"currentPassword": PASSWORD, "password": NEW}, key=here["token"]).status == 200
    assert [sheaf.http("GET", "/v1/me", key=each["token"]).status for each in (here, there)] == [200, 401]
    assert (login(post).status, login(post, password=NEW).status) == (401, 200)


def test_the_same_request_has_one_effect(sheaf: world.World, post: Any) -> None:
    one = post("register", ANN, Idempotency_Key="k1")
    again = sheaf.http("POST", "/v1/auth/register", ANN, headers={"Idempotency-Key": "k1"}, source_ip="10.0.0.0")
    assert seen(one) == seen(again) and again.headers["Idempotent-Replayed"] == "true"
    other = sheaf.http(
        "POST", "/v1/auth/register", {**ANN, "password": NEW}, headers={"Idempotency-Key": "k1"}, source_ip="10.0.0.0"
    )
    assert other.json["code"] == "idempotency_key_reused"
    sheaf.settle()
    assert len(sheaf.mails()) == 1
    kept = str(aws.client("dynamodb").scan(TableName="LimitsTable")["Items"])
    plain = sha256(f"1\0\0{json.dumps(ANN)}".encode()).hexdigest()
    assert "idempotency" in kept and plain not in kept and PASSWORD not in kept, (
        "no digest that a guesser could try passwords with"
    )


@pytest.mark.parametrize(("mode", "status"), [("closed", 403), ("invitation", 403), ("open", 201)])
def test_an_installation_says_who_may_register(
    sheaf: world.World, post: Any, monkeypatch: pytest.MonkeyPatch, mode: str, status: int
) -> None:
    monkeypatch.setenv("SHEAF_REGISTRATION", mode)
    config.cache_clear()
    assert post("register", ANN).status == status


# ---- invitations ----


def invite(sheaf: world.World, tenant: world.Tenant, email: str, role: str = "user", **headers: str) -> world.Answer:
    return sheaf.http(
        "POST", f"/v1/tenants/{tenant.id}/invitations", {"email": email, "role": role}, key=tenant.key, headers=headers
    )


def test_an_invitation_leads_into_the_tenant(
    sheaf: world.World, acme: world.Tenant, post: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHEAF_REGISTRATION", "invitation")
    config.cache_clear()
    made = invite(sheaf, acme, "Ann@example.com", "moderator")
    assert made.status == 201 and made.data["status"] == "open" and made.data["email"] == "ann@example.com"
    token = sheaf.mail_token("ann@example.com")
    assert token not in made.text
    other = post("register", {**ANN, "email": "eve@example.com", "invitation": token})
    assert (other.status, other.json["errors"].keys()) == (400, {"invitation"})
    joined = post("register", {**ANN, "invitation": token}, Idempotency_Key="join")
    assert joined.status == 201
    assert login(post).json["user"]["role"] == "moderator", "the mail has proven the address"
    assert sheaf.http("GET", "/v1/me", key=login(post).json["token"]).data["tenant"]["id"] == acme.id
    listed = sheaf.http("GET", f"/v1/tenants/{acme.id}/invitations", key=acme.key).data
    assert [each["status"] for each in listed] == ["accepted"]
    again = post("register", {**ANN, "invitation": token})
    assert (again.status, again.json["errors"].keys()) == (400, {"invitation"})
    member = invite(sheaf, acme, "ann@example.com")
    assert (member.status, member.json["code"]) == (409, "conflict"), "who is in the own tenant may be known there"


def test_an_invitation_ends(sheaf: world.World, acme: world.Tenant, post: Any) -> None:
    revoked = invite(sheaf, acme, "ann@example.com").data["id"]
    token = sheaf.mail_token("ann@example.com")
    place = f"/v1/tenants/{acme.id}/invitations"
    assert sheaf.http("DELETE", f"{place}/{revoked}", key=acme.key).status == 200
    assert post("register", {**ANN, "invitation": token}).status == 400
    invite(sheaf, acme, "ann@example.com")
    token = sheaf.mail_token("ann@example.com")
    with world.later(7 * 86_400 + 1):
        assert post("register", {**ANN, "invitation": token}).status == 400
        assert [each["status"] for each in sheaf.http("GET", place, key=acme.key).data] == ["expired", "revoked"]
    for wrong in ({}, {"email": "x"}, {"email": "a@b.example", "role": "god"}, {"email": "a@b.example", "name": "x"}, []):
        assert sheaf.http("POST", place, wrong, key=acme.key).status == 422, wrong
    assert sheaf.http("DELETE", f"{place}/inv_01h00000000000000000000000", key=acme.key).status == 404


def test_inviting_an_address_of_another_tenant_tells_nothing(
    sheaf: world.World, acme: world.Tenant, globex: world.Tenant, post: Any
) -> None:
    sheaf.user(globex, "known@example.com")
    answers = []
    for email in ("known@example.com", "unknown@example.com"):
        answer = invite(sheaf, acme, email)
        shown = {name: value for name, value in answer.data.items() if name not in ("id", "email", "createdAt", "expiresAt")}
        answers.append((answer.status, shown, sorted(answer.headers)))
    assert answers[0] == answers[1]
    sheaf.settle()
    texts = {mail.destinations["ToAddresses"][0]: mail.body for mail in sheaf.mails()}
    assert "elsewhere" in texts["known@example.com"] and "token=" in texts["unknown@example.com"]


def test_invitations_flood_nobody(sheaf: world.World, acme: world.Tenant) -> None:
    for _ in range(8):
        assert invite(sheaf, acme, "stranger@example.com").status == 201
    sheaf.settle()
    assert len(sheaf.mails()) == 5


def test_an_invitation_that_comes_again_says_the_same(sheaf: world.World, acme: world.Tenant, post: Any) -> None:
    made = invite(sheaf, acme, "ann@example.com", **{"Idempotency-Key": "i"})
    post("register", {**ANN, "invitation": sheaf.mail_token("ann@example.com")})
    again = invite(sheaf, acme, "ann@example.com", **{"Idempotency-Key": "i"})
    assert (again.status, again.data["id"], again.data["status"]) == (201, made.data["id"], "accepted")
    assert sheaf.http("GET", f"/v1/tenants/{acme.id}/invitations/{made.data['id']}", key=acme.key).data == again.data
    for cursor in ("x", "inv_", "y" * 3_000):
        assert (
            sheaf.http("GET", f"/v1/tenants/{acme.id}/invitations?cursor={cursor}", key=acme.key).json["code"] == "invalid_cursor"
        )


def test_invitations_come_in_pages(sheaf: world.World, acme: world.Tenant) -> None:
    for number in range(5):
        invite(sheaf, acme, f"p{number}@example.com")
    place, found, cursor = f"/v1/tenants/{acme.id}/invitations", [], ""
    for _ in range(3):
        answer = sheaf.http("GET", f"{place}?limit=2{cursor}", key=acme.key).json
        found += [each["email"] for each in answer["data"]]
        cursor = f"&cursor={answer['meta']['nextCursor']}"
    assert found == [f"p{number}@example.com" for number in (4, 3, 2, 1, 0)] and answer["meta"]["nextCursor"] is None


# ---- guesses ----


def test_guesses_from_a_hundred_addresses_hardly_reach_the_hash(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheaf.user(acme, "ann@example.com")
    reached = []
    matches = passwords.matches
    monkeypatch.setattr(passwords, "matches", lambda kept, password: reached.append(password) or matches(kept, password))
    start, statuses = clock.now(), []
    for number in range(1_000):
        with clock.using(lambda at=start + number * 0.9: at):
            answer = sheaf.http("POST", "/v1/auth/login", {"email": "ann@example.com", "password": f"guess {number}"},
                                source_ip=f"10.1.1.{number % 100}", headers={"X-Forwarded-For": f"10.9.{number % 256}.1"})  # fmt: skip
            statuses.append(answer.status)
    assert len(set(reached)) == 5 and len(reached) == 10 and statuses.count(401) == 5 and statuses.count(429) == 995
    assert answer.json["retryAfter"] >= 1 and answer.headers["Retry-After"] == str(answer.json["retryAfter"])
    with clock.using(lambda at=start + 900: at):
        assert sheaf.token("ann@example.com", source_ip="10.2.2.2")


@pytest.mark.parametrize("email", ["ann@example.com", "nobody@example.com"])
def test_each_further_try_has_to_wait_longer(sheaf: world.World, acme: world.Tenant, post: Any, email: str) -> None:
    sheaf.user(acme, "ann@example.com")
    start = clock.now() * 1.0
    for wait in (0, 0, 1, 2, 4, 600):
        with clock.using(lambda at=start: at):
            if wait:
                blocked = login(post, email, "wrong")
                assert blocked.status == 429 and int(blocked.headers["Retry-After"]) >= wait
                assert int(blocked.headers["Retry-After"]) == wait or wait == 600
        start += wait
        with clock.using(lambda at=start: at):
            assert login(post, email, "wrong").status == (429 if wait == 600 else 401)


def test_known_and_unknown_addresses_cost_the_same_hash(
    sheaf: world.World, acme: world.Tenant, post: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from argon2 import PasswordHasher

    sheaf.user(acme, "known@example.com")
    post("register", {**ANN, "email": "waiting@example.com"})
    costs = []
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, kept: str, password: str) -> bool:
        costs.append(kept.split("$")[1:4])
        return verify(self, kept, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    for email in ("known@example.com", "unknown@example.com", "waiting@example.com"):
        assert login(post, email, "wrong").status == 401
    assert costs == [["argon2id", "v=19", "m=19456,t=2,p=1"]] * 6


def auc(known: list[float], unknown: list[float]) -> float:
    """How often a guesser who goes by the time alone is right about a pair (0.5: never better than chance)."""
    wins = sum((one > other) + 0.5 * (one == other) for one in known for other in unknown)
    return wins / (len(known) * len(unknown))


def timed(sheaf: world.World, pairs: int) -> tuple[list[float], list[float]]:
    """Seconds of wrong logins to known and to unknown addresses, taken in turn."""
    found: dict[str, list[float]] = {"known": [], "unknown": []}
    start = clock.now()
    for number in range(pairs):
        for kind in ("known", "unknown") if number % 2 else ("unknown", "known"):
            email = f"{kind}{number % 20}@example.com"
            with clock.using(lambda at=start + number * 1_000: at):
                body = {"email": email, "password": f"guess {number}"}
                begun = time.perf_counter()
                answer = sheaf.http("POST", "/v1/auth/login", body, source_ip=f"10.3.{number // 250}.{number % 250}")
                found[kind].append(time.perf_counter() - begun)
            assert answer.status == 401
    return found["known"], found["unknown"]


@pytest.mark.parametrize("pairs", [200, pytest.param(2_000, marks=pytest.mark.soak)])
def test_the_time_of_a_login_tells_nothing(sheaf: world.World, acme: world.Tenant, pairs: int) -> None:
    for number in range(20):
        sheaf.user(acme, f"known{number}@example.com")
    timed(sheaf, 10)
    known, unknown = timed(sheaf, pairs)
    found = auc(known, unknown)
    print(
        f"\n{pairs} pairs: AUC {found:.3f}, medians {statistics.median(known) * 1000:.2f} and {statistics.median(unknown) * 1000:.2f} ms"
    )
    low, high = (0.45, 0.55) if pairs >= 1_000 else (0.40, 0.60)
    assert low <= found <= high
