"""A person's package: everything of theirs, as JSON, CSV and files, with a manifest; and nothing of anybody else's."""

import csv
import io
import json
from dataclasses import replace
from hashlib import sha256
from typing import Any
from zipfile import ZipFile

import pytest

import samples
import uploading
from sheaf.entity import registry
from world import Tenant, World

EXPORT = "/v1/gdpr/export-data"


def packed(sheaf: World, key: str, body: dict[str, Any] | None = None) -> dict[str, bytes]:
    """The members of a package by name, each held against the manifest."""
    answer = sheaf.http("POST", EXPORT, body or {}, key=key)
    assert answer.status == 202, answer.text
    sheaf.settle()
    shown = sheaf.http("GET", f"/v1/export/status?id={answer.data['id']}", key=key).data
    assert shown["status"] == "succeeded", shown
    with sheaf.archive(shown["result"]["url"]) as package:
        assert package.testzip() is None
        found = {name: package.read(name) for name in package.namelist()}
    manifest = json.loads(found["manifest.json"])
    told = {each["name"]: (each["bytes"], each["sha256"]) for each in manifest["files"]}
    assert told == {name: (len(data), sha256(data).hexdigest()) for name, data in found.items() if name != "manifest.json"}
    return found


def people(sheaf: World, tenant: Tenant) -> dict[str, str]:
    return {each["email"]: each["id"] for each in sheaf.http("GET", "/v1/users", key=tenant.key).data}


def test_a_person_gets_all_their_data_and_nobody_elses(sheaf: World, acme: Tenant, globex: Tenant) -> None:  # contract: 117
    ann, bob = sheaf.token_of(acme, "ann@example.com"), sheaf.token_of(acme, "bob@example.com")
    ids = people(sheaf, acme)
    for key, title in ((ann, "Ann's post"), (bob, "Bob's post")):
        sheaf.http("POST", "/v1/posts", {"title": title, "content": "Long enough text"}, key=key)
    sheaf.http("POST", "/v1/tasks", {"title": "For Ann", "assignee": ids["ann@example.com"]}, key=bob)
    sheaf.http("POST", "/v1/tasks", {"title": "For nobody"}, key=bob)
    elsewhere = {"first_name": "Elsewhere", "last_name": "E", "email": "ann@example.com"}
    assert sheaf.http("POST", "/v1/contacts", elsewhere, key=globex.key).status == 201
    found = packed(sheaf, ann)
    manifest = json.loads(found["manifest.json"])
    assert (manifest["userId"], manifest["email"], manifest["omitted"]) == (ids["ann@example.com"], "ann@example.com", [])
    assert json.loads(found["profile.json"])["email"] == "ann@example.com"
    assert len(json.loads(found["sessions.json"])) == 1
    everything = b"".join(found.values())
    assert b"argon2" not in everything and b"Bob's post" not in everything and b"Elsewhere" not in everything
    assert [each["title"] for each in json.loads(found["rows/posts.json"])] == ["Ann's post"]
    assert [each["title"] for each in json.loads(found["rows/tasks.json"])] == ["For Ann"]
    assert [each["title"] for each in csv.DictReader(io.StringIO(found["rows/posts.csv"].decode(), newline=""))] == ["Ann's post"]
    done = json.loads(found["activity.json"])
    assert "post.created" in {each["action"] for each in done} and all(each["address"] for each in done)
    assert len(list(csv.DictReader(io.StringIO(found["activity.csv"].decode(), newline="")))) == len(done)
    assert "rows/projects.json" not in found, "no empty files"


def test_files_that_they_have_sent_are_in_it(sheaf: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = sheaf.token_of(acme, "ann@example.com")
    mine = uploading.ready(sheaf, replace(acme, key=ann), samples.PNG, filename="me.png")
    theirs = uploading.ready(sheaf, acme, samples.PNG, filename="not-me.png")
    found = packed(sheaf, ann)
    assert found[f"files/{mine}-me.png"] == samples.PNG and not any(theirs in name for name in found)
    monkeypatch.setattr("sheaf.features.privacy.package.PACKAGE_FILES_BYTES", 10)
    [omitted] = json.loads(packed(sheaf, ann)["manifest.json"])["omitted"]
    assert omitted["id"] == mine and mine in omitted["reason"]


def test_somebody_without_an_account_is_known_by_the_address(sheaf: World, acme: Tenant) -> None:
    body = {"first_name": "Zoe", "last_name": "Quill", "email": "zoe@example.com"}
    sheaf.http("POST", "/v1/contacts", body, key=acme.key)
    sheaf.http("POST", "/v1/contacts", {**body, "first_name": "Not", "email": "other@example.com"}, key=acme.key)
    found = packed(sheaf, acme.key, {"email": " Zoe@Example.com"})
    assert [each["first_name"] for each in json.loads(found["rows/contacts.json"])] == ["Zoe"]
    assert found.keys() == {"rows/contacts.json", "rows/contacts.csv", "manifest.json"}
    assert packed(sheaf, acme.key, {"email": "nobody@example.com"}).keys() == {"manifest.json"}


def test_ones_own_package_mentions_one_only_where_one_may_read(
    sheaf: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = sheaf.token_of(acme, "ann@example.com")
    known = {"first_name": "Ann", "last_name": "A", "email": "ann@example.com"}
    assert sheaf.http("POST", "/v1/contacts", known, key=acme.key).status == 201
    assert "rows/contacts.json" in packed(sheaf, ann)
    monkeypatch.setattr(registry.find("contacts").model, "access", {"read": "moderator"})
    assert "rows/contacts.json" not in packed(sheaf, ann)
    assert "rows/contacts.json" in packed(sheaf, acme.key, {"userId": people(sheaf, acme)["ann@example.com"]})


def test_many_steps_make_one_package(sheaf: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = sheaf.token_of(acme, "ann@example.com")
    for number in range(5):
        sheaf.http("POST", "/v1/posts", {"title": f"Post {number}", "content": "Long enough text"}, key=ann)
    sheaf.settle()
    whole = packed(sheaf, ann)["rows/posts.json"]
    monkeypatch.setattr("sheaf.features.privacy.package.EXPORT_STEP_SECONDS", -1)  # one row a step
    assert packed(sheaf, ann)["rows/posts.json"] == whole and whole.count(b'"Post') == 5


def test_who_may_ask_for_whom(sheaf: World, acme: Tenant, globex: Tenant) -> None:
    ann, bob = sheaf.token_of(acme, "ann@example.com"), sheaf.token_of(acme, "bob@example.com")
    ann_id = people(sheaf, acme)["ann@example.com"]
    answer = sheaf.http("POST", EXPORT, {}, key=ann)
    assert sheaf.http("GET", f"/v1/jobs/{answer.data['id']}", key=bob).status == 404
    for whom in ({"userId": ann_id}, {"email": "ann@example.com"}):
        assert sheaf.http("POST", EXPORT, whom, key=bob).status == 403
        assert sheaf.http("POST", EXPORT, whom, key=acme.key).status == 202
    assert sheaf.http("POST", EXPORT, {"userId": ann_id}, key=globex.key).status == 404


@pytest.mark.parametrize(("body", "fields"), [
    ({}, {"userId"}), ({"userId": 5}, {"userId"}), ({"email": ""}, {"userId"}), ({"email": "x"}, {"email"}),
    ({"userId": "u", "email": "a@example.com"}, {"userId"}), ({"who": "x"}, {"who"}),
])  # fmt: skip
def test_wrong_requests_name_their_fields(sheaf: World, acme: Tenant, body: dict[str, Any], fields: set[str]) -> None:
    answer = sheaf.http("POST", EXPORT, body, key=acme.key)
    assert answer.status == 422 and set(answer.json["errors"]) == fields, answer.text


def test_the_same_members_are_the_same_bytes() -> None:
    from sheaf.formats.archive import Archive

    made = []
    for _ in range(2):
        out = bytearray()
        with Archive(out.extend, 1_700_000_000_000) as whole:
            for name in ("a/ü.json", "b"):
                with whole.member(name) as write:
                    write(b"x" * 100_000)
                    write(b"y")
        made.append(bytes(out))
    assert made[0] == made[1]
    assert ZipFile(io.BytesIO(made[0])).read("a/ü.json") == b"x" * 100_000 + b"y"
