"""Uploads: what may be announced, what becomes of what arrives."""

import itertools
from hashlib import sha256
from typing import Any

import pytest

import world
from samples import GIF, PNG
from sheaf.store import aws


def announce(sheaf: world.World, tenant: world.Tenant, content: bytes, **change: Any) -> Any:
    body = {"filename": "dot.png", "size": len(content), "type": "image/png", **change}
    return sheaf.http("POST", "/v1/uploads", body, key=tenant.key)


def objects() -> list[str]:
    return [each["Key"] for each in aws.client("s3").list_objects_v2(Bucket="uploads").get("Contents", [])]


def test_a_good_file_becomes_ready_and_can_be_downloaded(sheaf: world.World, acme: world.Tenant) -> None:
    answer = announce(sheaf, acme, PNG, filename='a "b" ü.png', sha256=sha256(PNG).hexdigest())
    assert answer.status == 201 and answer.headers["Location"] == f"uploads/{answer.data['id']}"
    upload = answer.data["upload"]
    assert upload["method"] == "POST" and upload["fields"]["key"] == f"{acme.id}/uploads/{answer.data['id']}"
    path = f"/v1/uploads/{answer.data['id']}"
    assert "download" not in sheaf.http("GET", path, key=acme.key).data
    sheaf.arrive(acme, answer.data["id"], PNG)
    shown = sheaf.http("GET", path, key=acme.key).data
    assert shown["status"] == "ready" and "object_version" not in shown
    assert "versionId=" in shown["download"]["url"] and "filename%2A%3DUTF-8" in shown["download"]["url"]


BAD: list[tuple[str, bytes, dict[str, Any]]] = [
    ("too short", PNG[:-1], {}),
    ("empty", b"", {}),
    ("too long", PNG + b"x", {}),
    ("not what it says", GIF, {}),
    ("a program", b"MZ" + PNG[2:], {}),
    ("another hash", PNG, {"sha256": "0" * 64}),
]


@pytest.mark.parametrize(("content", "change"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_file_is_rejected_and_gone(sheaf: world.World, acme: world.Tenant, content: bytes, change: dict[str, Any]) -> None:
    file_id = announce(sheaf, acme, PNG, **change).data["id"]
    sheaf.arrive(acme, file_id, content)
    shown = sheaf.http("GET", f"/v1/uploads/{file_id}", key=acme.key).data
    assert shown["status"] == "rejected" and shown["reason"] and "download" not in shown
    assert objects() == []


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [({"size": 0}, 422, "size"), ({"size": -1}, 422, "size"), ({"size": "big"}, 422, "size"), ({"size": 6 * 1024**3}, 413, "size"),
     ({"type": "text/html"}, 422, "type"), ({"type": "image/svg+xml"}, 422, "type"), ({"type": None}, 422, "type"),
     ({"filename": ""}, 422, "filename"), ({"filename": "../x"}, 422, "filename"), ({"filename": "a\r\nb"}, 422, "filename"),
     ({"filename": "x" * 256}, 422, "filename"), ({"sha256": "xyz"}, 422, "sha256"), ({"status": "ready"}, 422, "status"),
     ({"object_version": "1"}, 422, "object_version"), ({"method": "FTP"}, 422, "method")],
)  # fmt: skip
def test_a_wrong_announcement_names_the_field(
    sheaf: world.World, acme: world.Tenant, change: dict[str, Any], status: int, field: str
) -> None:
    answer = announce(sheaf, acme, PNG, **change)
    assert answer.status == status and field in answer.json["errors"], answer.text


@pytest.mark.parametrize("order", list(itertools.permutations(["event", "event", "overwrite"])))
def test_events_that_come_twice_or_late_change_nothing(sheaf: world.World, acme: world.Tenant, order: tuple[str, ...]) -> None:
    file_id = announce(sheaf, acme, PNG).data["id"]
    sheaf.arrive(acme, file_id, PNG)
    settled = sheaf.http("GET", f"/v1/uploads/{file_id}", key=acme.key).data
    for step in order:
        if step == "overwrite":
            aws.client("s3").put_object(Bucket="uploads", Key=f"{acme.id}/uploads/{file_id}", Body=GIF)
        sheaf.tell_upload(acme, file_id)
    again = sheaf.http("GET", f"/v1/uploads/{file_id}", key=acme.key).data
    url, before = again.pop("download")["url"], settled.pop("download")["url"]
    assert again == settled
    version = url.split("versionId=")[1].split("&")[0]
    assert version == before.split("versionId=")[1].split("&")[0], "the link is pinned to what was checked"


def test_an_event_without_its_object_or_row_does_no_harm(sheaf: world.World, acme: world.Tenant) -> None:
    file_id = announce(sheaf, acme, PNG).data["id"]
    sheaf.tell_upload(acme, file_id)
    assert sheaf.http("GET", f"/v1/uploads/{file_id}", key=acme.key).data["status"] == "pending"
    sheaf.arrive(acme, "fil_01m7yvsxpbee3tsgpyp0qrr4dc", PNG)
    assert objects() == []


def test_a_file_is_an_event_like_any_row(sheaf: world.World, acme: world.Tenant) -> None:
    webhook = sheaf.http("POST", "/v1/webhooks", {"url": "http://127.0.0.1:1/", "events": ["file.*"]}, key=acme.key).data["id"]
    file_id = announce(sheaf, acme, PNG).data["id"]
    sheaf.arrive(acme, file_id, PNG)
    sheaf.settle()
    found = sheaf.http("GET", f"/v1/webhooks/{webhook}/attempts?limit=100", key=acme.key).data
    assert {each["eventType"] for each in found} == {"file.created", "file.updated", "file.ready"}


def test_a_form_that_is_sent_again_leaves_what_was_checked(sheaf: world.World, acme: world.Tenant) -> None:
    for first, left in ((PNG, 1), (GIF, 0)):
        file_id = announce(sheaf, acme, PNG).data["id"]
        sheaf.arrive(acme, file_id, first)
        sheaf.arrive(acme, file_id, GIF)
        versions = (
            aws.client("s3").list_object_versions(Bucket="uploads", Prefix=f"{acme.id}/uploads/{file_id}").get("Versions", [])
        )
        assert len(versions) == left
        assert len(objects()) == 1, "the checked version is the current one again"


@pytest.mark.parametrize(("said", "meant"), [("application/x-zip-compressed", "application/zip"), ("image/jpg", "image/jpeg")])
def test_a_type_by_another_name(sheaf: world.World, acme: world.Tenant, said: str, meant: str) -> None:
    assert announce(sheaf, acme, PNG, type=said).data["type"] == meant


@pytest.mark.parametrize("size", ["999999999999", 1e12])
def test_a_size_in_disguise_is_bounded_too(sheaf: world.World, acme: world.Tenant, size: Any) -> None:
    answer = announce(sheaf, acme, PNG, size=size)
    assert answer.status == 422 and "size" in answer.json["errors"]
