"""A person is erased: the values are gone from rows, trash, log and search, nothing else is, and the chain stays valid."""

import json
from typing import Any

import pytest
import sheaf_audit

from sheaf.features.audit import verifying
from sheaf.store import aws
from world import Answer, Tenant, World

CONTACT = {"first_name": "Annabella", "last_name": "Leetham", "email": "annabella@example.com"}


def erase(sheaf: World, tenant: Tenant, **who: str) -> dict[str, Any]:
    said = {**who, "confirmation": next(iter(who.values()))}
    accepted = sheaf.http("POST", "/v1/gdpr/erase", said, key=tenant.key)
    assert accepted.status == 202, accepted.text
    sheaf.settle()
    job = sheaf.http("GET", f"/v1/jobs/{accepted.data['id']}", key=tenant.key).data
    assert job["status"] == "succeeded", job
    return dict(json.loads(sheaf.download(job["result"]["url"])))


def everything() -> str:
    """Whatever lies in any table."""
    found = []
    for name in ("RecordsTable", "ControlTable", "EventsTable", "LimitsTable", "AuditTable"):
        for page in aws.client("dynamodb").get_paginator("scan").paginate(TableName=name):
            found += [json.dumps(item, default=str) for item in page["Items"]]
    return "\n".join(found)


def add(sheaf: World, tenant: Tenant, path: str, body: dict[str, Any]) -> str:
    answer = sheaf.http("POST", f"/v1/{path}", body, key=tenant.key)
    assert answer.status == 201, answer.text
    return str(answer.data["id"])


def test_a_person_by_address_is_gone_everywhere_and_the_chain_holds(sheaf: World, acme: Tenant, globex: Tenant) -> None:
    mine = add(sheaf, acme, "contacts", CONTACT)
    sheaf.http("PATCH", f"/v1/contacts/{mine}", {"last_name": "Leetham-Ray"}, key=acme.key)
    gone = add(sheaf, acme, "leads", CONTACT)
    sheaf.http("DELETE", f"/v1/leads/{gone}", key=acme.key)
    other = add(sheaf, acme, "contacts", {**CONTACT, "first_name": "Bob", "last_name": "Other", "email": "bob@example.com"})
    theirs = add(sheaf, globex, "contacts", {**CONTACT, "email": "keep@example.com"})
    sheaf.http("POST", f"/v1/tenants/{acme.id}/invitations", {"email": CONTACT["email"]}, key=acme.key)
    sheaf.seal(acme)
    before = sheaf.http("GET", "/v1/audit/verify", key=acme.key).data
    assert before["valid"] and "annabella@example.com" in everything()
    proof = erase(sheaf, acme, email="annabella@example.com")
    assert {each["id"] for each in proof["erased"]} == {mine, gone} and proof["values"] >= 8 and proof["receipt"].count(".") == 2
    assert "annabella" not in json.dumps(proof).lower()
    left = [line for line in everything().splitlines() if "annabella" in line.lower() or "leetham" in line.lower()]
    assert all(globex.id in line or "invitation" in line for line in left), left
    row = sheaf.http("GET", f"/v1/contacts/{mine}", key=acme.key).data
    assert row["first_name"] == "[erased]" and row["email"].endswith("@erased.invalid")
    assert sheaf.http("POST", f"/v1/leads/{gone}/restore", key=acme.key).status == 404
    assert sheaf.http("GET", f"/v1/contacts/{other}", key=acme.key).data["email"] == "bob@example.com"
    assert sheaf.http("GET", f"/v1/contacts/{theirs}", key=globex.key).data["first_name"] == "Annabella"
    assert sheaf.http("GET", "/v1/contacts?search=leetham", key=acme.key).data == []
    sheaf.seal(acme)
    assert verifying.verify(acme.setup, 1, 60).problems == []
    entries = sheaf.http("GET", f"/v1/audit/logs?target={mine}", key=acme.key).data
    assert all("data.email" in each["erased"] for each in entries if each["action"] == "contact.created")
    chain = export(sheaf, acme)
    assert sheaf_audit.verify(chain.splitlines()).problems == [] and "annabella" not in chain.lower()


def export(sheaf: World, tenant: Tenant) -> str:
    job = sheaf.http("POST", "/v1/audit/export", {"chain": True}, key=tenant.key).data
    sheaf.settle()
    return sheaf.download(sheaf.http("GET", f"/v1/jobs/{job['id']}", key=tenant.key).data["result"]["url"])


def test_a_user_is_gone_with_account_profile_and_addresses(sheaf: World, acme: Tenant) -> None:
    user = sheaf.user(acme, "annabella@acme.example")
    token = sheaf.token("annabella@acme.example", source_ip="203.0.113.77")
    task = sheaf.http("POST", "/v1/tasks", {"title": "Mine"}, key=token, source_ip="203.0.113.77").data["id"]
    sheaf.seal(acme)
    erase(sheaf, acme, userId=user)
    assert sheaf.http("GET", "/v1/me", key=token).status == 401
    login = {"email": "annabella@acme.example", "password": "correct horse battery"}
    assert sheaf.http("POST", "/v1/auth/login", login, source_ip="203.0.113.78").status == 401
    assert sheaf.http("GET", f"/v1/tasks/{task}", key=acme.key).data["title"] == "Mine", "what they made is the tenant's"
    entry = sheaf.http("GET", f"/v1/audit/logs?target={task}", key=acme.key).data[0]
    assert entry["address"] is None and entry["actor"] == user and entry["erased"] == ["address"]
    assert "annabella@acme.example" not in everything()
    sheaf.seal(acme)
    assert verifying.verify(acme.setup, 1, 60).problems == []


def test_erasing_twice_is_erasing_once(sheaf: World, acme: Tenant) -> None:
    add(sheaf, acme, "contacts", CONTACT)
    sheaf.settle()
    first, second = erase(sheaf, acme, email=CONTACT["email"]), erase(sheaf, acme, email=CONTACT["email"])
    assert (first["rows"], second["rows"]) == (1, 1) and first["erased"] == second["erased"], "both say what was erased"
    assert first["values"] > 0 == second["values"]


@pytest.mark.parametrize(("body", "fields"), [
    ({}, {"userId"}), ({"email": "a@b.example"}, {"confirmation"}), ({"email": "a@b.example", "confirmation": "x"}, {"confirmation"}),
    ({"email": "a@b.example", "userId": "usr_x"}, {"userId"}), ({"email": 3}, {"userId"}),
])  # fmt: skip
def test_wrong_requests_name_their_fields(sheaf: World, acme: Tenant, body: dict[str, Any], fields: set[str]) -> None:
    answer: Answer = sheaf.http("POST", "/v1/gdpr/erase", body, key=acme.key)
    assert answer.status == 422 and set(answer.json["errors"]) == fields, answer.text


def test_who_may_and_who_is_there(sheaf: World, acme: Tenant) -> None:
    nobody = {"userId": "usr_x", "confirmation": "usr_x"}
    assert sheaf.http("POST", "/v1/gdpr/erase", nobody, key=acme.key).status == 404
    assert sheaf.http("POST", "/v1/gdpr/erase", nobody, key=sheaf.key(acme, "moderator")).status == 403
    token = sheaf.token_of(acme, "me@acme.example", "admin")
    me = sheaf.http("GET", "/v1/me", key=token).data["user"]["id"]
    assert sheaf.http("POST", "/v1/gdpr/erase", {"userId": me, "confirmation": me}, key=token).status == 422
