"""Batch upload of audience data as the seed shows it, with what it leaves open: pages, large files, segments."""

import gzip
import json
from typing import Any

import pytest

import world
from sheaf.base.config import config
from sheaf.store import aws

PATH = "/v1/audience/batch-upload"
RECORD = {"business_email": "test@example.com", "first_name": "Test", "favourite_colour": "red"}


def post(sheaf: world.World, key: str, body: Any, **headers: str) -> world.Answer:
    return sheaf.http("POST", PATH, body, key=key, headers=headers)


def objects(tenant: world.Tenant) -> list[str]:
    found = aws.client("s3").list_objects_v2(Bucket="uploads", Prefix=f"{tenant.id}/audience/").get("Contents", [])
    return [each["Key"] for each in found]


# contract: 49, 50, 51, 52, 53, 58, 67
def test_the_seeds_examples(sheaf: world.World, acme: world.Tenant) -> None:
    redirected = sheaf.http("POST", "/audience/batch-upload", {}, key=acme.key)
    assert redirected.status == 308 and redirected.headers["Location"].endswith("v1/audience/batch-upload")
    made = post(sheaf, acme.key, {"upload_name": "test_upload", "records": [RECORD], "fields": ["business_email", "first_name"]})
    assert made.status == 200 and set(made.json) == {
        "status", "upload_id", "session_token", "rows_received", "upload_status", "message"}, made.text  # fmt: skip
    assert (made.json["status"], made.json["rows_received"], made.json["message"]) == ("success", 1, "Batch upload successful")
    upload = made.json["upload_id"]
    assert upload.startswith("upl_") and made.json["session_token"].startswith("sess_")
    [listed] = sheaf.http("GET", PATH, key=acme.key).json["uploads"]
    assert listed | {"upload_id": upload, "upload_name": "test_upload", "rows_received": 1, "status": "uploaded"} == listed
    shown = sheaf.http("GET", f"{PATH}/{upload}", key=acme.key).json
    assert shown["records"] == [RECORD], "open fields are kept"
    assert (shown["status"], shown["upload_status"], shown["upload"]) == ("success", "uploaded", {"status": "uploaded"})
    assert shown["fields"] == ["business_email", "first_name"] and shown["created_at"] == listed["created_at"]
    assert len(objects(acme)) == 1, "the records lie in the bucket"
    gone = sheaf.http("DELETE", f"{PATH}/{upload}", key=acme.key)
    assert gone.json == {"status": "success", "message": "Batch upload deleted successfully"} and objects(acme) == []
    assert sheaf.http("GET", f"{PATH}/{upload}", key=acme.key).status == 404


# contract: 54
def test_everybody_sees_their_own_uploads_only(sheaf: world.World, acme: world.Tenant, globex: world.Tenant) -> None:
    ann, bob = sheaf.token_of(acme, "ann@example.com"), sheaf.token_of(acme, "bob@example.com")
    upload = post(sheaf, ann, {"upload_name": "x", "records": [RECORD]}).json["upload_id"]
    segment = sheaf.http("POST", f"{PATH}/{upload}/segments", {"segment_name": "s"}, key=ann).json["segment_id"]
    assert sheaf.http("GET", PATH).status == 401 and sheaf.http("GET", PATH).json["status"] == "error"
    for stranger in (bob, acme.key, globex.key):
        for method, path in (("GET", f"{PATH}/{upload}"), ("DELETE", f"{PATH}/{upload}"), ("GET", f"/v1/audience/segments/{segment}"),
                             ("DELETE", f"/v1/audience/segments/{segment}")):  # fmt: skip
            assert sheaf.http(method, path, key=stranger).status == 404
        assert sheaf.http("POST", f"{PATH}/{upload}/segments", {"segment_name": "s"}, key=stranger).status == 404
        assert sheaf.http("GET", PATH, key=stranger).json["uploads"] == []
        assert sheaf.http("GET", "/v1/audience/segments", key=stranger).json["segments"] == []
    assert len(sheaf.http("GET", f"{PATH}/{upload}", key=ann).json["records"]) == 1


# contract: 55, 57
@pytest.mark.parametrize(
    ("body", "field"),
    [({"records": [RECORD]}, "upload_name"), ({"upload_name": "", "records": [RECORD]}, "upload_name"), ({"upload_name": "x" * 101, "records": [RECORD]}, "upload_name"),
     ({"upload_name": "x"}, "records"), ({"upload_name": "x", "records": []}, "records"), ({"upload_name": "x", "records": {}}, "records"),
     ({"upload_name": "x", "records": [RECORD, {"first_name": "No address"}]}, "records.1"), ({"upload_name": "x", "records": [RECORD, 5]}, "records.1"),
     ({"upload_name": "x", "records": [{"email": " "}]}, "records.0"), ({"upload_name": "x", "records": [RECORD], "fields": "a"}, "fields"),
     ({"upload_name": "x", "records": [RECORD], "more": 1}, "more"), ({"upload_name": "x", "file": {"filename": "a.png", "size": 1, "type": "image/png"}}, "file.type")],
)  # fmt: skip
def test_what_is_wrong_is_400_with_its_place(sheaf: world.World, acme: world.Tenant, body: Any, field: str) -> None:
    answer = post(sheaf, acme.key, body)
    assert (
        (answer.status, answer.json["status"]) == (400, "error") and answer.json["message"] and field in answer.json["errors"]
    ), answer.text
    assert objects(acme) == [] and sheaf.http("GET", PATH, key=acme.key).json["uploads"] == []


@pytest.mark.parametrize("name", ["business_email", "personal_email", "email", "domain", "company_domain"])
def test_each_of_five_fields_is_enough(sheaf: world.World, acme: world.Tenant, name: str) -> None:
    assert post(sheaf, acme.key, {"upload_name": "x" * 100, "records": [{name: "example.com"}]}).status == 200


# contract: 56
def test_the_limits_of_a_batch(sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    many = post(sheaf, acme.key, {"upload_name": "x", "records": [{"domain": "d"}] * 50_001})
    assert many.status == 413 and "50,000" in many.json["message"] and many.json["status"] == "error"
    large = post(sheaf, acme.key, json.dumps({"upload_name": "x", "records": [{"domain": "d" * 5_000_000}]}))
    assert large.status == 413 and "5,000,000" in large.json["message"], "it says which limit"
    most = post(sheaf, acme.key, {"upload_name": "x", "records": [{"domain": "d"}] * 50_000})
    assert most.json["rows_received"] == 50_000
    monkeypatch.setenv("SHEAF_MAX_BATCH_SIZE", "2")
    config.cache_clear()
    assert post(sheaf, acme.key, {"upload_name": "x", "records": [RECORD] * 3}).status == 413
    assert post(sheaf, acme.key, {"upload_name": "x", "records": [RECORD] * 2}).status == 200


def test_records_are_read_by_page(sheaf: world.World, acme: world.Tenant) -> None:
    records = [{"domain": f"d{n}.example"} for n in range(2_345)]
    packed = gzip.compress(json.dumps({"upload_name": "x", "records": records}).encode())
    upload = post(sheaf, acme.key, packed, **{"Content-Type": "application/gzip"}).json["upload_id"]
    for limit in (1_000, 700):
        found, cursor = [], "0"
        while cursor is not None:
            page = sheaf.http("GET", f"{PATH}/{upload}?limit={limit}&cursor={cursor}", key=acme.key).json
            assert len(page["records"]) == limit or not page["meta"]["hasMore"]
            found += page["records"]
            cursor = page["meta"]["nextCursor"]
        assert found == records
    assert len(sheaf.http("GET", f"{PATH}/{upload}", key=acme.key).json["records"]) == 1_000
    assert sheaf.http("GET", f"{PATH}/{upload}?cursor=9999", key=acme.key).json["records"] == []
    for query in ("?limit=0", "?limit=1001", "?cursor=-1", "?page=2"):
        assert sheaf.http("GET", f"{PATH}/{upload}{query}", key=acme.key).status == 400


def test_a_page_fits_an_answer(sheaf: world.World, acme: world.Tenant) -> None:
    records = [{"domain": "d", "text": '"' * 30_000} for _ in range(60)]
    upload = post(sheaf, acme.key, json.dumps({"upload_name": "x", "records": records})).json["upload_id"]
    first = sheaf.http("GET", f"{PATH}/{upload}", key=acme.key)
    assert len(json.dumps(first.text)) < 6_000_000 and first.json["meta"]["hasMore"]


def test_uploads_are_listed_by_page(sheaf: world.World, acme: world.Tenant) -> None:
    for number in range(5):
        post(sheaf, acme.key, {"upload_name": f"u{number}", "records": [RECORD]})
    first = sheaf.http("GET", f"{PATH}?limit=3", key=acme.key).json
    second = sheaf.http("GET", f"{PATH}?limit=3&cursor={first['meta']['nextCursor']}", key=acme.key).json
    assert [each["upload_name"] for each in first["uploads"] + second["uploads"]] == ["u4", "u3", "u2", "u1", "u0"]
    assert second["meta"]["hasMore"] is False


def test_an_upload_under_a_key_is_made_once(sheaf: world.World, acme: world.Tenant) -> None:
    body = {"upload_name": "x", "records": [RECORD]}
    answers = [post(sheaf, acme.key, body, **{"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].json == answers[1].json and answers[1].headers["Idempotent-Replayed"] == "true" and len(objects(acme)) == 1
    canonical = post(sheaf, acme.key, body, Prefer="profile=canonical")
    assert canonical.status == 201 and canonical.json["success"] is True and canonical.data["upload_id"].startswith("upl_")


# ---- as a file ----


@pytest.mark.parametrize(
    ("kind", "content"),
    [("application/json", json.dumps({"records": [RECORD, {"domain": "d"}]}).encode()), ("application/x-ndjson", b'{"email": "a"}\n\n{"domain": "d"}\n'),
     ("text/csv", b"email,first_name\na@b.example,'=A\nc@d.example,\n")],
)  # fmt: skip
def test_above_the_gateways_limit_a_file_takes_over(sheaf: world.World, acme: world.Tenant, kind: str, content: bytes) -> None:
    body = {"upload_name": "large", "file": {"filename": "a", "size": len(content), "type": kind}}
    answers = [post(sheaf, acme.key, body, **{"Idempotency-Key": "k"}) for _ in range(2)]
    assert [each.status for each in answers] == [202, 202] and answers[0].json["upload_id"] == answers[1].json["upload_id"]
    made = answers[0].json
    assert (made["upload_status"], made["file"]["upload"]["method"]) == ("receiving", "POST")
    sheaf.settle()
    sheaf.arrive(acme, made["file"]["id"], content)
    sheaf.settle()
    shown = sheaf.http("GET", f"{PATH}/{made['upload_id']}", key=acme.key).json
    assert (shown["upload_status"], shown["rows_received"], len(shown["records"])) == ("uploaded", 2, 2)
    assert sheaf.http("GET", f"/v1/jobs/{made['job']['id']}", key=acme.key).data["status"] == "succeeded"
    if kind == "text/csv":
        assert shown["records"][0] == {"email": "a@b.example", "first_name": "=A"} and shown["fields"] == ["email", "first_name"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b'{"email": "a"}\n{"x": 1}\n', "row 2: needs at least one of"), (b"{}\n{", "is not JSON"), (b"\n", "no records")],
)
def test_a_file_keeps_the_same_rules(sheaf: world.World, acme: world.Tenant, content: bytes, reason: str) -> None:
    body = {"upload_name": "bad", "file": {"filename": "a", "size": len(content), "type": "application/x-ndjson"}}
    made = post(sheaf, acme.key, body).json
    sheaf.arrive(acme, made["file"]["id"], content)
    sheaf.settle()
    shown = sheaf.http("GET", f"{PATH}/{made['upload_id']}", key=acme.key).json
    assert shown["upload_status"] == "failed" and reason in shown["reason"] and shown["records"] == [] and objects(acme) == []


# ---- segments ----


# contract: 60
def test_segments_are_saved_from_an_upload(sheaf: world.World, acme: world.Tenant) -> None:
    records = [{"domain": f"d{n % 2}.example", "n": n} for n in range(5)]
    upload = post(sheaf, acme.key, {"upload_name": "x", "records": records}).json["upload_id"]
    path = f"{PATH}/{upload}/segments"
    cases: list[tuple[dict[str, Any], list[Any]]] = [
        ({}, records), ({"rows": [4, 0]}, [records[0], records[4]]), ({"filter": {"domain": "d1.example"}}, [records[1], records[3]]),
        ({"rows": [1], "fields": ["n"]}, [{"n": 1}]), ({"records": [{**records[0], "industry": "Tea"}]}, [{**records[0], "industry": "Tea"}]),
    ]  # fmt: skip
    for chosen, expected in cases:
        made = sheaf.http("POST", path, {"segment_name": "s", **chosen}, key=acme.key)
        assert (made.status, made.json["rows"]) == (200, len(expected)), made.text
        shown = sheaf.http("GET", f"/v1/audience/segments/{made.json['segment_id']}", key=acme.key).json
        assert (shown["records"], shown["upload_id"]) == (expected, upload)
    listed = sheaf.http("GET", "/v1/audience/segments?limit=2", key=acme.key).json
    assert len(listed["segments"]) == 2 and listed["meta"]["hasMore"]
    sheaf.http("DELETE", f"{PATH}/{upload}", key=acme.key)
    assert sheaf.http("GET", f"/v1/audience/segments/{made.json['segment_id']}", key=acme.key).status == 200, (
        "a segment stands alone"
    )
    assert sheaf.http("DELETE", f"/v1/audience/segments/{made.json['segment_id']}", key=acme.key).status == 200
    assert len(objects(acme)) == 4


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "segment_name"), ({"segment_name": "s", "rows": [5]}, "rows"), ({"segment_name": "s", "rows": []}, "rows"), ({"segment_name": "s", "rows": [0], "filter": {}}, "filter"),
     ({"segment_name": "s", "filter": {"domain": "none"}}, "filter"), ({"segment_name": "s", "records": [{"n": 1}]}, "records.0"), ({"segment_name": "s", "fields": 5}, "fields")],
)  # fmt: skip
def test_a_segment_that_cannot_be_names_the_member(sheaf: world.World, acme: world.Tenant, body: Any, field: str) -> None:
    upload = post(sheaf, acme.key, {"upload_name": "x", "records": [RECORD] * 5}).json["upload_id"]
    answer = sheaf.http("POST", f"{PATH}/{upload}/segments", body, key=acme.key)
    assert answer.status == 400 and field in answer.json["errors"], answer.text
    assert len(objects(acme)) == 1
