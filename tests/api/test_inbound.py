"""Inbound hooks: what another service may post to a signed address, and what nobody may."""

from typing import Any

import pytest

import world

LEAD = {"first_name": "Ann", "last_name": "Lee", "email": "ann@example.com"}


def hook(sheaf: world.World, tenant: world.Tenant, entity: str = "leads", **more: Any) -> Any:
    answer = sheaf.http("POST", "/v1/inbound-hooks", {"entity": entity, **more}, key=tenant.key)
    assert answer.status == 201, answer.text
    return answer.data


# contract: 38
@pytest.mark.parametrize("wrapped", [{"lead_data": LEAD}, {"data": LEAD}, LEAD])
def test_a_lead_from_zapier(sheaf: world.World, acme: world.Tenant, wrapped: Any) -> None:
    made = hook(sheaf, acme, name="Zapier")
    token = made["path"].rpartition("/")[2]
    for path in (made["path"], f"/v1/webhooks/zapier/leads?token={token}"):
        answer = sheaf.http("POST", path, {"tenant_id": acme.id, **wrapped})
        assert answer.status == 201 and answer.json["success"] is True, answer.text
        assert answer.json["lead"]["email"] == "ann@example.com" and answer.json["lead"]["status"] == "new"
    found = sheaf.http("GET", "/v1/leads", key=acme.key).data
    assert len(found) == 2
    history = sheaf.http("GET", f"/v1/leads/{found[0]['id']}/history", key=acme.key)
    sheaf.settle()
    history = sheaf.http("GET", f"/v1/leads/{found[0]['id']}/history", key=acme.key).data
    assert history[0]["actor"] == made["id"], "the history names the hook"


def test_what_is_wrong_is_400_and_names_the_field(sheaf: world.World, acme: world.Tenant, globex: world.Tenant) -> None:
    made = hook(sheaf, acme)
    for body in (
        {"lead_data": {**LEAD, "email": "nope"}},
        {"lead_data": {**LEAD, "id": "x"}},
        [],
        {},
        {"lead_data": {**LEAD, "nope": 1}},
    ):
        answer = sheaf.http("POST", made["path"], body)
        assert answer.status == 400 and answer.json["success"] is False and answer.json["error"], answer.text
        assert answer.json.get("errors")
    answer = sheaf.http("POST", made["path"], {"tenant_id": globex.id, "lead_data": LEAD})
    assert (answer.status, answer.json["code"]) == (403, "tenant_mismatch")
    assert sheaf.http("GET", "/v1/leads", key=acme.key).data == sheaf.http("GET", "/v1/leads", key=globex.key).data == []


def test_only_a_good_address_opens_anything(sheaf: world.World, acme: world.Tenant, globex: world.Tenant) -> None:
    made, other = hook(sheaf, acme), hook(sheaf, globex)
    token = made["path"].rpartition("/")[2]
    forged = token.replace(token.split(".")[1], other["path"].split(".")[1])
    for wrong in (
        forged,
        token[:-1] + ("A" if token[-1] != "A" else "B"),
        token.upper(),
        "x",
        "hok_x.y.z",
        token + "x",
        token.rpartition(".")[0],
    ):
        answer = sheaf.http("POST", f"/v1/hooks/{wrong}", LEAD)
        assert (answer.status, answer.json["code"]) == (400, "invalid_link"), (wrong, answer.text)
    assert sheaf.http("POST", "/v1/webhooks/zapier/leads", LEAD).status == 400
    assert sheaf.http("GET", made["path"]).status == 405
    assert sheaf.http("DELETE", f"/v1/inbound-hooks/{made['id']}", key=globex.key).status == 404
    assert sheaf.http("DELETE", f"/v1/inbound-hooks/{made['id']}", key=acme.key).status == 200
    answer = sheaf.http("POST", made["path"], LEAD)
    assert (answer.status, answer.json["code"]) == (400, "invalid_link")
    assert sheaf.http("GET", f"/v1/inbound-hooks/{made['id']}", key=acme.key).status == 404


def test_a_retry_with_a_key_adds_one_row(sheaf: world.World, acme: world.Tenant) -> None:
    made = hook(sheaf, acme, "tasks")
    member = sheaf.user(acme, "ann@example.com")
    answers = [
        sheaf.http("POST", made["path"], {"title": "x", "assignee": member}, headers={"Idempotency-Key": "k"}) for _ in range(2)
    ]
    assert [each.status for each in answers] == [201, 201] and answers[0].json == answers[1].json
    assert len(sheaf.http("GET", "/v1/tasks", key=acme.key).data) == 1
    shown = sheaf.http("POST", made["path"].replace("/v1/", "/v2/"), {"title": "y"})
    assert shown.status == 201 and shown.data["title"] == "y"


@pytest.mark.parametrize(("body", "field"), [({}, "entity"), ({"entity": "users"}, "entity"), ({"entity": "nope"}, "entity"), ({"entity": 5}, "entity"),
                                             ({"entity": "leads", "name": "x" * 101}, "name"), ({"entity": "leads", "x": 1}, "x")])  # fmt: skip
def test_a_hook_that_cannot_be(sheaf: world.World, acme: world.Tenant, body: Any, field: str) -> None:
    answer = sheaf.http("POST", "/v1/inbound-hooks", body, key=acme.key)
    assert answer.status == 422 and field in answer.json["errors"]


def test_hooks_are_listed_and_bounded(sheaf: world.World, acme: world.Tenant) -> None:
    sent = {"headers": {"Idempotency-Key": "k"}, "key": acme.key}
    first, second = (sheaf.http("POST", "/v1/inbound-hooks", {"entity": "leads"}, **sent) for _ in range(2))
    assert first.data == second.data
    for _ in range(49):
        hook(sheaf, acme)
    assert sheaf.http("POST", "/v1/inbound-hooks", {"entity": "leads"}, key=acme.key).status == 409
    assert len(sheaf.http("GET", "/v1/inbound-hooks", key=acme.key).data) == 50


def test_the_log_does_not_hold_the_address(sheaf: world.World, acme: world.Tenant, capsys: pytest.CaptureFixture[str]) -> None:
    import logging

    made = hook(sheaf, acme)
    capsys.readouterr()
    logging.getLogger("sheaf").setLevel(logging.INFO)
    assert sheaf.http("POST", made["path"], {"lead_data": LEAD}).status == 201
    assert made["path"].rpartition(".")[2] not in capsys.readouterr().out
