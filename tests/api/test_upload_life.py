"""A file's life: many at once, in parts, judged once whatever comes twice or late, given up, held by rows, and gone."""

import json
import random
from contextlib import ExitStack
from typing import Any

import jwt
import pytest

import samples
import world
from sheaf.base import bounds
from sheaf.features.uploads import settle as judge
from sheaf.records import events, holdings
from sheaf.store import aws
from uploading import announce, in_the_bucket, parts_in_the_bucket, ready, room, show

MIB = 1024 * 1024


# ---- many ----


def test_several_are_announced_together_or_none(sheaf: world.World, acme: world.Tenant) -> None:
    good = {"filename": "a.png", "size": 10, "type": "image/png"}
    answer = sheaf.http("POST", "/v1/uploads", {"files": [good] * 20}, key=acme.key, headers={"Idempotency-Key": "many"})
    assert answer.status == 201 and len({each["id"] for each in answer.data["files"]}) == 20
    assert all(each["upload"]["fields"]["key"].endswith(each["id"]) for each in answer.data["files"])
    assert room(acme) == (200, 20)
    again = sheaf.http("POST", "/v1/uploads", {"files": [good] * 20}, key=acme.key, headers={"Idempotency-Key": "many"})
    assert [each["id"] for each in again.data["files"]] == [each["id"] for each in answer.data["files"]]
    assert room(acme) == (200, 20)
    bad = sheaf.http("POST", "/v1/uploads", {"files": [good, {**good, "type": "text/html"}, {**good, "size": 0}]}, key=acme.key)
    assert bad.status == 422 and {"files.1.type", "files.2.size"} == bad.json["errors"].keys()
    assert room(acme) == (200, 20)


@pytest.mark.parametrize("files", [[], [{}] * 21, "x", None, {"a": 1}])
def test_a_list_that_is_none_is_refused(sheaf: world.World, acme: world.Tenant, files: Any) -> None:
    answer = sheaf.http("POST", "/v1/uploads", {"files": files}, key=acme.key)
    assert answer.status == 422 and answer.json["errors"], answer.text


def test_files_are_listed_like_rows(sheaf: world.World, acme: world.Tenant) -> None:
    first, second = ready(sheaf, acme), announce(sheaf, acme, samples.PDF, filename="b.pdf", type="application/pdf")["id"]
    listed = sheaf.http("GET", "/v1/uploads?sort=filename&total=true", key=acme.key)
    assert [each["id"] for each in listed.data] == [second, first] and listed.json["meta"]["total"] == 2
    assert "object_version" not in listed.text and "multipart" not in listed.text
    assert [each["id"] for each in sheaf.http("GET", "/v1/uploads?status=ready&type=image/png", key=acme.key).data] == [first]
    assert sheaf.http("GET", "/v1/uploads?object_version=x", key=acme.key).status == 400
    history = sheaf.http("GET", f"/v1/uploads/{first}/history", key=acme.key)
    assert history.status == 200


# ---- in parts ----


def send_part(tenant: world.Tenant, file_id: str, link: Any, content: bytes) -> None:
    """What a PUT to the link does; moto has no address here."""
    query = dict(pair.split("=") for pair in link["url"].partition("?")[2].split("&"))
    aws.client("s3").upload_part(
        Bucket="uploads",
        Key=f"{tenant.id}/uploads/{file_id}",
        UploadId=query["uploadId"],
        PartNumber=int(query["partNumber"]),
        Body=content,
    )


def test_a_file_in_parts_goes_on_anywhere(sheaf: world.World, acme: world.Tenant) -> None:
    content = samples.PNG[:-12] + bytes(19 * MIB) + samples.PNG[-12:]
    said = announce(sheaf, acme, content, method="multipart")
    file_id, way = said["id"], said["upload"]
    assert (way["method"], way["partSize"], way["partCount"], way["parts"]) == (
        "multipart",
        8 * MIB,
        3,
        f"uploads/{file_id}/parts",
    )
    step, path = way["partSize"], f"/v1/{way['parts']}"
    for number in (1, 3, 2):
        stands = sheaf.http("GET", path, key=acme.key).data
        assert number in stands["missing"]
        early = sheaf.http("POST", f"/v1/uploads/{file_id}/complete", {}, key=acme.key)
        assert early.status == 409 and early.json["missing"] == stands["missing"]
        [link] = sheaf.http("POST", path, {"parts": [number]}, key=acme.key).data["parts"]
        piece = content[step * (number - 1) : step * number]
        assert link["size"] == len(piece) and link["method"] == "PUT"
        send_part(acme, file_id, link, piece)
    assert sheaf.http("GET", path, key=acme.key).data["missing"] == []
    for _ in range(2):
        assert sheaf.http("POST", f"/v1/uploads/{file_id}/complete", {}, key=acme.key).status == 200
    sheaf.tell_upload(acme, file_id)
    shown = show(sheaf, acme, file_id)
    assert shown["status"] == "ready" and "download" in shown
    assert sheaf.http("POST", path, {"parts": [1]}, key=acme.key).status == 409
    assert sheaf.http("GET", path, key=acme.key).data["arrived"] == [1, 2, 3]
    assert parts_in_the_bucket() == 0


@pytest.mark.parametrize("parts", [[], [0], [4], ["1"], [True], [1.5], None, list(range(1, 102))])
def test_parts_that_are_none_are_refused(sheaf: world.World, acme: world.Tenant, parts: Any) -> None:
    file_id = announce(sheaf, acme, size=20 * MIB, method="multipart")["id"]
    answer = sheaf.http("POST", f"/v1/uploads/{file_id}/parts", {"parts": parts}, key=acme.key)
    assert answer.status == 422 and "parts" in answer.json["errors"], answer.text


def test_parts_that_were_given_up_are_not_taken_for_a_file(sheaf: world.World, acme: world.Tenant) -> None:
    file_id = announce(sheaf, acme, size=10 * MIB, method="multipart")["id"]
    [upload] = aws.client("s3").list_multipart_uploads(Bucket="uploads")["Uploads"]
    aws.client("s3").abort_multipart_upload(Bucket="uploads", Key=upload["Key"], UploadId=upload["UploadId"])
    for method, path in (("GET", "parts"), ("POST", "complete")):
        answer = sheaf.http(method, f"/v1/uploads/{file_id}/{path}", None if method == "GET" else {}, key=acme.key)
        assert answer.status == 409 and "announce the file anew" in answer.json["message"]


def test_a_part_of_another_size_has_not_arrived(sheaf: world.World, acme: world.Tenant) -> None:
    said = announce(sheaf, acme, size=10 * MIB, method="multipart")
    links = sheaf.http("POST", f"/v1/uploads/{said['id']}/parts", {"parts": [1, 2]}, key=acme.key).data["parts"]
    send_part(acme, said["id"], links[0], bytes(8 * MIB - 1))
    send_part(acme, said["id"], links[1], bytes(2 * MIB))
    assert sheaf.http("GET", f"/v1/uploads/{said['id']}/parts", key=acme.key).data["missing"] == [1]


def test_large_files_come_in_parts_by_themselves(sheaf: world.World, acme: world.Tenant) -> None:
    large = announce(sheaf, acme, size=5 * 1024**3)
    assert large["upload"]["method"] == "multipart" and large["upload"]["partCount"] == 640
    assert announce(sheaf, acme, size=100 * MIB)["upload"]["method"] == "POST"
    put = announce(sheaf, acme, method="PUT", sha256="ab" * 32)["upload"]
    assert put["method"] == "PUT" and put["headers"]["If-None-Match"] == "*" and "x-amz-checksum-sha256" in put["headers"]
    assert sheaf.http("GET", f"/v1/uploads/{announce(sheaf, acme)['id']}/parts", key=acme.key).status == 409


def test_giving_up_a_file_in_parts_leaves_nothing(sheaf: world.World, acme: world.Tenant) -> None:
    file_id = announce(sheaf, acme, size=20 * MIB, method="multipart")["id"]
    assert parts_in_the_bucket() == 1
    assert sheaf.http("DELETE", f"/v1/uploads/{file_id}", key=acme.key).data["deleted"] is True
    sheaf.settle()
    sheaf.sweep_uploads()
    assert parts_in_the_bucket() == 0 and room(acme) == (0, 0)


def test_the_signer_of_uppy(sheaf: world.World, acme: world.Tenant, globex: world.Tenant) -> None:
    file_id = announce(sheaf, acme, size=20 * MIB, method="multipart")["id"]

    place = {"Bucket": "uploads", "Key": f"{acme.id}/uploads/{file_id}"}
    mine = aws.client("s3").create_multipart_upload(**place)["UploadId"]  # as the client does with the first signature

    def sign(who: str = acme.key, **asked: Any) -> world.Answer:
        return sheaf.http("POST", "/v1/uploads/sign", {"key": file_id, **asked}, key=who)

    for asked, marks in [
        ({"method": "POST", "contentType": "image/png"}, ["uploads"]),
        ({"method": "PUT", "uploadId": mine, "partNumber": 3}, ["partNumber=3", "X-Amz-SignedHeaders=content-length%3Bhost"]),
        ({"method": "GET", "uploadId": mine}, ["uploadId="]),
        ({"method": "POST", "uploadId": mine}, ["uploadId="]),
        ({"method": "DELETE", "uploadId": mine, "expiresIn": 300}, ["uploadId="]),
    ]:
        answer = sign(**asked)
        assert answer.status == 200 and answer.json["key"] == file_id and answer.json.keys() == {"url", "key"}, answer.text
        assert all(mark in answer.json["url"] for mark in [*marks, f"{acme.id}/uploads/{file_id}?"]), answer.text
    assert parts_in_the_bucket() == 1, "the client's own upload has taken the place of ours"
    assert sign(**{"method": "POST", "key": f"{acme.id}/uploads/{file_id}"}).status == 200
    assert sign(method="PUT").status == 409, "it was announced to come in parts"
    assert sign(method="PUT", uploadId=mine, partNumber=4).status == 422, "it has three"
    assert sign(method="PUT", uploadId="nobody-knows", partNumber=1).status == 409
    whole = announce(sheaf, acme, method="PUT")["id"]
    assert "content-length%3Bhost" in sign(method="PUT", key=whole).json["url"]
    assert sign(method="PUT", key=whole, uploadId=mine, partNumber=1).status == 409
    for asked in ({"method": "DELETE"}, {"method": "GET"}, {"method": "PATCH"}, {"method": "PUT", "partNumber": 1}, {"method": "PUT", "key": 1},
                  {"method": "PUT", "uploadId": "", "partNumber": 1}, {"method": "PUT", "uploadId": "u", "partNumber": 10_001}, {}):  # fmt: skip
        assert sign(**asked).status == 422, asked
    assert sign(method="POST", key=f"{globex.id}/uploads/{file_id}").status == 404
    assert sign(globex.key, method="POST").status == 404
    other = ready(sheaf, acme)
    assert sign(method="PUT", key=other).status == 409, "nothing is sent to a file that was judged"


# ---- the verdict ----


def test_a_receipt_is_verified_without_asking(sheaf: world.World, acme: world.Tenant) -> None:
    file_id = ready(sheaf, acme)
    shown = show(sheaf, acme, file_id)
    assert shown["receipt"] == shown["download"]["receipt"] and shown["sha256"]
    published = sheaf.http("GET", "/v1/uploads/jwks.json")
    assert published.status == 200 and "private" not in published.headers["Cache-Control"]
    key = jwt.PyJWKSet.from_dict(published.json)[jwt.get_unverified_header(shown["receipt"])["kid"]]
    told = jwt.decode(shown["receipt"], key, algorithms=["ES256"])
    assert told.pop("version") and told.pop("time")
    assert told == {
        "id": file_id,
        "sha256": shown["sha256"],
        "size": len(samples.PNG),
        "type": "image/png",
        "verdict": "ready",
        "tenant": acme.id,
    }
    head, _, tail = shown["receipt"].split(".")
    forged = ".".join(
        (head, jwt.utils.base64url_encode(json.dumps({**told, "verdict": "ready", "size": 1}).encode()).decode(), tail)
    )
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(forged, key, algorithms=["ES256"])


def test_a_file_is_tagged_once_it_is_ready(sheaf: world.World, acme: world.Tenant) -> None:
    good, bad = ready(sheaf, acme), str(announce(sheaf, acme)["id"])
    tags = aws.client("s3").get_object_tagging(Bucket="uploads", Key=f"{acme.id}/uploads/{good}")["TagSet"]
    assert tags == [{"Key": "state", "Value": "ready"}]
    sheaf.arrive(acme, bad, samples.GIF)
    assert show(sheaf, acme, bad)["status"] == "rejected"
    assert [key for key in in_the_bucket(acme) if bad in key] == []


def test_a_verdict_is_an_event_with_its_receipt(sheaf: world.World, acme: world.Tenant) -> None:
    good, bad = ready(sheaf, acme), str(announce(sheaf, acme)["id"])
    sheaf.arrive(acme, bad, samples.GIF)
    sheaf.settle()
    told = {"file.ready", "file.rejected", "file.infected"}
    types = {each["type"] for each in sheaf.http("GET", "/v1/event-types?limit=100", key=acme.key).data}
    assert told <= types
    event = events.load(acme.setup, good, 3)
    assert event is not None and event.also == ("file.ready",)
    assert json.loads(event.shown)["receipt"] and "object_version" not in event.shown and "multipart" not in event.shown


ORDERS = 60


def in_random_order(sheaf: world.World, tenant: world.Tenant, rng: random.Random) -> str:
    """One file, and whatever may happen to it in any order: its bytes, events once to three times, complete, expiry, deletion."""
    good = rng.random() < 0.7
    content = samples.PNG if good else samples.GIF
    in_parts = rng.random() < 0.4
    said = announce(sheaf, tenant, samples.PNG, **({"method": "multipart"} if in_parts else {}))
    file_id, arrived = str(said["id"]), False
    steps = ["event"] * rng.randrange(1, 4) + ["complete"] * rng.randrange(3) + ["arrive"]
    steps += ["expire"] * (rng.random() < 0.3) + ["delete"] * (rng.random() < 0.3) + ["overwrite"] * (rng.random() < 0.2)
    rng.shuffle(steps)
    expired = deleted = seen = False
    with ExitStack() as clock:
        for step in steps:
            match step:
                case "arrive" if in_parts:
                    links = sheaf.http("POST", f"/v1/uploads/{file_id}/parts", {"parts": [1]}, key=tenant.key)
                    if links.status == 200 and good:
                        send_part(tenant, file_id, links.data["parts"][0], content)
                case "arrive" if not expired:  # a form and a PUT end long before a file is given up
                    aws.client("s3").put_object(Bucket="uploads", Key=f"{tenant.id}/uploads/{file_id}", Body=content)
                    arrived = True
                case "overwrite" if arrived and not in_parts and not expired:
                    aws.client("s3").put_object(Bucket="uploads", Key=f"{tenant.id}/uploads/{file_id}", Body=content)
                case "event":
                    sheaf.tell_upload(tenant, file_id)
                    seen = seen or arrived
                case "complete":
                    assert sheaf.http("POST", f"/v1/uploads/{file_id}/complete", {}, key=tenant.key).status in (200, 404, 409)
                case "expire" if not expired:
                    clock.enter_context(world.later(bounds.UPLOAD_SECONDS + 120))
                    expired = True
                    sheaf.settle()
                    sheaf.sweep_uploads()
                case "delete":
                    answer = sheaf.http("DELETE", f"/v1/uploads/{file_id}", key=tenant.key)
                    assert answer.status in (200, 404)
                    deleted = deleted or answer.status == 200
        sheaf.settle()
        clock.enter_context(world.later(2 * bounds.UPLOAD_SECONDS))
        sheaf.sweep_uploads()
        sheaf.sweep_uploads()
        sheaf.settle()
        answer = sheaf.http("GET", f"/v1/uploads/{file_id}", key=tenant.key)
    mine = [key for key in in_the_bucket(tenant) if f"/uploads/{file_id}" in key]
    if answer.status == 404:
        assert mine == [], "nothing is left of what has no row"
        return "gone"
    state = str(answer.data["status"])
    assert not deleted and state == ("ready" if good else "rejected"), (steps, answer.text)
    assert len(mine) == (1 if good else 0), (steps, mine)
    return state


def orders(sheaf: world.World, tenant: world.Tenant, seeds: range) -> dict[str, int]:
    found: dict[str, int] = {}
    ready_before = room(tenant)[0] // len(samples.PNG)
    for seed in seeds:
        state = in_random_order(sheaf, tenant, random.Random(seed))
        found[state] = found.get(state, 0) + 1
        ready_before += state == "ready"
        assert room(tenant) == (ready_before * len(samples.PNG), 0), (seed, "the tenant's room is counted right")
    assert parts_in_the_bucket() == 0
    return found


def test_whatever_comes_twice_late_or_in_another_order(sheaf: world.World, acme: world.Tenant) -> None:
    found = orders(sheaf, acme, range(ORDERS))
    print(f"\n{ORDERS} orders: {found}")
    assert set(found) == {"ready", "rejected", "gone"}


@pytest.mark.soak
@pytest.mark.parametrize("part", range(10))
def test_thousand_orders_of_uploads(part: int) -> None:
    """Soak, in ten parts: 1,000 random orders of {arrival, S3 event ×1–3, complete ×0–2, overwriting, expiry, deletion}."""
    total: dict[str, int] = {}
    for first in (1_000 + 100 * part, 1_050 + 100 * part):
        with world.a_world() as sheaf:
            for state, number in orders(sheaf, sheaf.tenant("Acme"), range(first, first + 50)).items():
                total[state] = total.get(state, 0) + number
    print(f"orders {100 * part} to {100 * part + 99}: {total}", flush=True)
    assert sum(total.values()) == 100


def test_what_nobody_has_judged_is_looked_at_again(sheaf: world.World, acme: world.Tenant) -> None:
    file_id = str(announce(sheaf, acme)["id"])
    aws.client("s3").put_object(Bucket="uploads", Key=f"{acme.id}/uploads/{file_id}", Body=samples.PNG)
    sheaf.settle()
    sheaf.sweep_uploads()
    assert show(sheaf, acme, file_id)["status"] == "pending", "its time has not come"
    with world.later(bounds.UPLOAD_STUCK_SECONDS + 1):
        sheaf.sweep_uploads()
        assert show(sheaf, acme, file_id)["status"] == "ready", "the bucket's event was lost"


def test_what_does_not_arrive_in_a_day_is_given_up(sheaf: world.World, acme: world.Tenant) -> None:
    file_id = announce(sheaf, acme, size=20 * MIB, method="multipart")["id"]
    sheaf.settle()
    with world.later(bounds.UPLOAD_STUCK_SECONDS + 1):
        sheaf.sweep_uploads()
        assert show(sheaf, acme, file_id)["status"] == "pending"
    with world.later(bounds.UPLOAD_SECONDS + 1):
        refused = sheaf.http("POST", f"/v1/uploads/{file_id}/parts", {"parts": [1]}, key=acme.key)
        assert refused.status == 409 and "announce it anew" in refused.json["message"]
    with world.later(bounds.UPLOAD_SECONDS + 120):
        sheaf.sweep_uploads()
        assert sheaf.http("GET", f"/v1/uploads/{file_id}", key=acme.key).status == 404
    assert parts_in_the_bucket() == 0 and room(acme) == (0, 0)


def test_what_arrives_late_while_the_event_is_lost_is_looked_at_soon(sheaf: world.World, acme: world.Tenant) -> None:
    file_id = str(announce(sheaf, acme)["id"])
    sheaf.settle()
    with world.later(3_000):
        sheaf.sweep_uploads()  # its first entry is used up
    aws.client("s3").put_object(Bucket="uploads", Key=f"{acme.id}/uploads/{file_id}", Body=samples.PNG)
    with world.later(2 * 3_000 + 60):
        sheaf.sweep_uploads()
        assert show(sheaf, acme, file_id)["status"] == "ready", "and not only after a day"


def test_a_file_that_breaks_its_judge_holds_up_nobody(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, other = str(announce(sheaf, acme)["id"]), str(announce(sheaf, acme)["id"])
    sheaf.settle()
    for file_id in (broken, other):
        aws.client("s3").put_object(Bucket="uploads", Key=f"{acme.id}/uploads/{file_id}", Body=samples.PNG)
    look = judge.look

    def breaks(bucket: str, key: str, *more: Any) -> Any:
        if key.endswith(broken):
            raise RuntimeError("the scanner is away")
        return look(bucket, key, *more)

    monkeypatch.setattr(judge, "look", breaks)
    with world.later(1_000):
        sheaf.sweep_uploads()
        sheaf.settle()
        assert (show(sheaf, acme, broken)["status"], show(sheaf, acme, other)["status"]) == ("uploaded", "ready")
    for days in (1, 2, 2.9):
        with world.later(days * 86_400):
            sheaf.sweep_uploads()
            assert show(sheaf, acme, broken)["status"] == "uploaded"
    with world.later(6 * 86_400):
        sheaf.sweep_uploads()
        shown = show(sheaf, acme, broken)
    assert (shown["status"], shown["reason"]) == ("rejected", "The file could not be looked at")
    assert room(acme) == (len(samples.PNG), 0) and not [key for key in in_the_bucket(acme) if broken in key]


# ---- room ----


def test_a_tenant_has_so_much_room(sheaf: world.World) -> None:
    small = sheaf.tenant("Small", "free")
    size = 2 * 1024**3
    held = [announce(sheaf, small, size=size)["id"] for _ in range(2)]
    full = sheaf.http("POST", "/v1/uploads", {"filename": "a.png", "size": size, "type": "image/png"}, key=small.key)
    assert full.status == 409 and full.json["code"] == "storage_full" and full.json["quotaBytes"] == 5 * 1024**3
    assert room(small) == (2 * size, 2)
    several = {"files": [{"filename": "a.png", "size": size // 3, "type": "image/png"}] * 2}
    assert sheaf.http("POST", "/v1/uploads", several, key=small.key).status == 409, "together they do not fit"
    assert parts_in_the_bucket() == 2, "what was begun for the refused ones was given up"
    sheaf.http("DELETE", f"/v1/uploads/{held[0]}", key=small.key)
    assert sheaf.http("POST", "/v1/uploads", several, key=small.key).status == 201
    waits = {"file": {"filename": "a.csv", "size": size, "type": "text/csv"}}
    assert sheaf.http("POST", "/v1/import/contacts", waits, key=small.key).status == 413


def test_a_tenant_has_so_many_files_under_way(sheaf: world.World, acme: world.Tenant) -> None:
    one = {"filename": "a.png", "size": len(samples.PNG), "type": "image/png"}
    for _ in range(5):
        assert sheaf.http("POST", "/v1/uploads", {"files": [one] * 20}, key=acme.key).status == 201
    refused = sheaf.http("POST", "/v1/uploads", one, key=acme.key)
    assert refused.status == 429 and refused.json["code"] == "too_many_uploads" and refused.headers["Retry-After"]
    waits = {"file": {"filename": "a.csv", "size": 10, "type": "text/csv"}}
    assert sheaf.http("POST", "/v1/import/contacts", waits, key=acme.key).status == 429
    assert sheaf.http("GET", "/v1/jobs", key=acme.key).data == [], "no job waits in vain"
    first = sheaf.http("GET", "/v1/uploads?limit=1", key=acme.key).data[0]["id"]
    sheaf.arrive(acme, first, samples.PNG)
    assert sheaf.http("POST", "/v1/uploads", {"files": [one] * 2}, key=acme.key).status == 429, "there is room for one"
    assert sheaf.http("POST", "/v1/uploads", one, key=acme.key).status == 201
    assert room(acme)[1] == 100


def test_an_import_that_fills_the_room_can_be_sent_again(sheaf: world.World) -> None:
    small = sheaf.tenant("Small", "free")
    announce(sheaf, small, size=5 * 1024**3 - 100 * MIB)
    waits = {"file": {"filename": "a.csv", "size": 60 * MIB, "type": "text/csv"}}
    first, again = (
        sheaf.http("POST", "/v1/import/contacts", waits, key=small.key, headers={"Idempotency-Key": "k"}) for _ in range(2)
    )
    assert first.status == again.status == 202 and first.data["id"] == again.data["id"]


# ---- held by rows ----


def comment(sheaf: world.World, tenant: world.Tenant, files: list[str], post: str = "") -> world.Answer:
    post = (
        post
        or sheaf.http("POST", "/v1/posts", {"title": "Hello", "content": "long enough", "tags": []}, key=tenant.key).json["post"][
            "id"
        ]
    )
    return sheaf.http("POST", "/v1/comments", {"post": post, "content": "x", "attachments": files}, key=tenant.key)


def test_a_row_holds_files_that_are_ready(sheaf: world.World, acme: world.Tenant, globex: world.Tenant) -> None:
    good, waiting, foreign = ready(sheaf, acme), str(announce(sheaf, acme)["id"]), ready(sheaf, globex)
    rejected = str(announce(sheaf, acme)["id"])
    sheaf.arrive(acme, rejected, samples.GIF)
    for wrong, why in [
        (waiting, "pending"),
        (rejected, "rejected"),
        (foreign, "there is no file"),
        ("fil_x", "there is no file"),
    ]:
        answer = comment(sheaf, acme, [good, wrong])
        assert answer.status == 422 and why in answer.json["errors"]["attachments"], answer.text
    assert sheaf.http("DELETE", f"/v1/uploads/{good}", key=acme.key).status == 200, "refused rows hold nothing"


def test_a_held_file_stays_until_every_row_has_let_it_go(sheaf: world.World, acme: world.Tenant) -> None:
    file_id, other = ready(sheaf, acme), ready(sheaf, acme)
    first, second = (comment(sheaf, acme, [file_id]).data["id"] for _ in range(2))

    def delete() -> int:
        return sheaf.http("DELETE", f"/v1/uploads/{file_id}", key=acme.key).status

    refused = sheaf.http("DELETE", f"/v1/uploads/{file_id}", key=acme.key)
    assert refused.status == 409 and refused.json["code"] == "in_use"
    assert sheaf.http("PATCH", f"/v1/comments/{first}", {"attachments": [other, file_id]}, key=acme.key).status == 200
    assert sheaf.http("PATCH", f"/v1/comments/{first}", {"attachments": [other]}, key=acme.key).status == 200
    assert delete() == 409, "the second one holds it still"
    assert sheaf.http("DELETE", f"/v1/comments/{second}", key=acme.key).status == 200
    assert sheaf.http("POST", f"/v1/comments/{second}/restore", {}, key=acme.key).status == 200
    assert delete() == 409, "who comes back from the trash holds it again"
    assert sheaf.http("DELETE", f"/v1/comments/{second}", key=acme.key).status == 200
    assert delete() == 200
    assert sheaf.http("POST", f"/v1/comments/{second}/restore", {}, key=acme.key).status == 200, (
        "without the file, but it comes back"
    )
    assert sheaf.http("DELETE", f"/v1/comments/{second}", key=acme.key).status == 200
    expanded = sheaf.http("GET", f"/v1/comments/{first}?expand=attachments", key=acme.key).data
    assert expanded["expand"]["attachments"][0]["id"] == other


def test_many_rows_hold_files_too(sheaf: world.World, acme: world.Tenant) -> None:
    files = [ready(sheaf, acme) for _ in range(3)]
    post = comment(sheaf, acme, []).data["post"]
    rows = [{"post": post, "content": str(number), "attachments": [file_id]} for number, file_id in enumerate(files)]
    assert (
        sheaf.http("POST", "/v1/comments/bulk", {"items": rows, "options": {"atomic": True}}, key=acme.key).data["created"] == 3
    )
    bad = sheaf.http(
        "POST",
        "/v1/comments/bulk",
        {"items": [{**rows[0], "attachments": ["fil_no"]}], "options": {"skipInvalid": True}},
        key=acme.key,
    )
    assert bad.data["failed"] == 1
    assert all(sheaf.http("DELETE", f"/v1/uploads/{file_id}", key=acme.key).status == 409 for file_id in files)
    ids = [each["id"] for each in sheaf.http("GET", "/v1/comments?limit=100", key=acme.key).data]
    assert sheaf.http("DELETE", "/v1/comments/bulk", {"ids": ids}, key=acme.key).data["deleted"] == 4
    assert all(sheaf.http("DELETE", f"/v1/uploads/{file_id}", key=acme.key).status == 200 for file_id in files)


def test_two_rows_of_one_transaction_hold_the_same_file(sheaf: world.World, acme: world.Tenant) -> None:
    file_id, post = ready(sheaf, acme), comment(sheaf, acme, []).data["post"]
    rows = [{"post": post, "content": str(number), "attachments": [file_id]} for number in range(2)]
    made = sheaf.http("POST", "/v1/comments/bulk", {"items": rows, "options": {"atomic": True}}, key=acme.key)
    assert made.data["created"] == 2, made.text
    ids = [each["id"] for each in made.data["items"]]
    assert sheaf.http("DELETE", f"/v1/comments/{ids[0]}", key=acme.key).status == 200
    assert sheaf.http("DELETE", f"/v1/uploads/{file_id}", key=acme.key).status == 409
    assert sheaf.http("DELETE", f"/v1/comments/{ids[1]}", key=acme.key).status == 200
    assert sheaf.http("DELETE", f"/v1/uploads/{file_id}", key=acme.key).status == 200


def test_an_entity_holds_no_more_files_than_a_transaction_moves() -> None:
    from sheaf import Entity, field
    from sheaf.entity import registry

    class Album(Entity, prefix="alb"):
        first: list[str] = field(default_factory=list, file=True, max_length=20)
        second: list[str] = field(default_factory=list, file=True, max_length=20)
        third: list[str] = field(default_factory=list, file=True, max_length=20)

    class Loose(Entity, prefix="loo"):
        files: list[str] = field(default_factory=list, file=True)

    with pytest.raises(registry.DeclarationError, match="takes 123 writes"):
        registry.entity_type(Album, "albums")
    with pytest.raises(registry.DeclarationError, match="max_length=20"):
        registry.entity_type(Loose, "looses")


def test_a_file_that_is_deleted_as_a_row_takes_it(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id, post = ready(sheaf, acme), comment(sheaf, acme, []).data["post"]
    moved = holdings.moved

    def meanwhile(*given: Any, **named: Any) -> Any:
        monkeypatch.setattr(holdings, "moved", moved)
        assert sheaf.http("DELETE", f"/v1/uploads/{file_id}", key=acme.key).status == 200
        return moved(*given, **named)

    monkeypatch.setattr(holdings, "moved", meanwhile)
    answer = comment(sheaf, acme, [file_id], post)
    assert answer.status == 422 and "just been deleted" in answer.json["errors"]["attachments"]


# ---- smaller pictures ----


def test_a_picture_gets_smaller_ones(sheaf: world.World, acme: world.Tenant) -> None:
    content = samples.picture("PNG", (2_000, 1_000), (10, 200, 30, 128))
    file_id = ready(sheaf, acme, content)
    sheaf.settle()
    shown = show(sheaf, acme, file_id)
    assert {name: (each["width"], each["height"], each["type"]) for name, each in shown["variants"].items()} == {
        "thumb.webp": (256, 128, "image/webp"), "thumb.jpg": (256, 128, "image/jpeg"),
        "preview.webp": (1_280, 640, "image/webp"), "preview.jpg": (1_280, 640, "image/jpeg"),
    }  # fmt: skip
    assert all("X-Amz-Signature" in each["url"] for each in shown["variants"].values())
    found = sheaf.http("GET", f"/v1/uploads/{file_id}/content?variant=thumb.webp", key=acme.key)
    assert found.status == 302 and f"{acme.id}/variants/{file_id}/thumb.webp" in found.headers["Location"]
    assert sheaf.http("GET", f"/v1/uploads/{file_id}/content?variant=huge.webp", key=acme.key).status == 404
    assert sheaf.http("DELETE", f"/v1/uploads/{file_id}", key=acme.key).status == 200
    sheaf.settle()
    sheaf.sweep_uploads()
    assert [key for key in in_the_bucket(acme) if file_id in key] == [], "they go with it"


@pytest.mark.parametrize(("content", "kind"), [
    (samples.PNG[:60] + b"\0" * 30 + samples.PNG[60:], "image/png"),  # the frame of a picture, and nothing in it
    (samples.picture("PNG", (9_000, 9_000)), "image/png"),  # few bytes, very many pixels
], ids=["broken", "bomb"])  # fmt: skip
def test_a_picture_that_cannot_be_opened_is_left_as_it_is(
    sheaf: world.World, acme: world.Tenant, content: bytes, kind: str
) -> None:
    file_id = ready(sheaf, acme, content, type=kind)
    sheaf.settle()
    shown = show(sheaf, acme, file_id)
    assert shown["status"] == "ready" and shown["variants"] == {}


def test_where_a_picture_was_taken_is_not_told(sheaf: world.World, acme: world.Tenant) -> None:
    import io

    from PIL import Image

    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a secret place", 6  # a description, and that it lies on its side
    out = io.BytesIO()
    Image.new("RGB", (400, 100), "red").save(out, "JPEG", exif=exif)
    file_id = ready(sheaf, acme, out.getvalue(), type="image/jpeg")
    sheaf.settle()
    assert show(sheaf, acme, file_id)["variants"]["thumb.jpg"]["height"] == 256, "it stands upright"
    body = aws.client("s3").get_object(Bucket="uploads", Key=f"{acme.id}/variants/{file_id}/thumb.jpg")["Body"].read()
    assert b"a secret place" in out.getvalue() and b"a secret place" not in body


def test_a_picture_of_sixteen_bits_of_grey_is_no_white_one() -> None:
    import io

    from PIL import Image

    from sheaf.features import images

    out = io.BytesIO()
    wide = Image.new("I;16", (300, 100))
    wide.putdata([x * 218 for _ in range(100) for x in range(300)])
    wide.save(out, "PNG")
    content, _ = images.made(out.getvalue(), "image/png")["thumb.jpg"]
    with Image.open(io.BytesIO(content)) as small:
        row = [small.convert("L").getpixel((x, 40)) for x in (5, 128, 250)]
    assert row[0] < 20 and 110 < row[1] < 145 and row[2] > 235, row


def test_every_sample_lives_its_life(sheaf: world.World, acme: world.Tenant) -> None:
    for kind, content in samples.BY_TYPE.items():
        shown = show(sheaf, acme, ready(sheaf, acme, content, type=kind, filename="x"))
        assert shown["status"] == "ready", (kind, shown["reason"])
