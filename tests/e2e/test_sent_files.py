"""Files on the deployed stack: hostile uploads at the bucket itself, files in parts that die on the way, and what nobody may read."""

import http.client
import os
import socket
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import jwt
import pytest
import urllib3
from botocore.config import Config

import samples
from client import Answer, Client, fetch, send_form, until

pytestmark = pytest.mark.e2e
MIB = 1024 * 1024
BUCKET = "sheaf-local-uploads-000000000000-us-east-1"


@pytest.fixture
def s3(stack: dict[str, Any]) -> Any:
    session = botocore.session.get_session()
    return session.create_client("s3", region_name=stack["region"], endpoint_url=stack["endpoint_url"],
                                 aws_access_key_id="test", aws_secret_access_key="test",
                                 config=Config(signature_version="s3v4"))  # fmt: skip


def announce(client: Client, content: bytes = samples.PNG, **change: Any) -> Any:
    answer = client.post("/v1/uploads", {"filename": "a.png", "size": len(content), "type": "image/png", **change})
    assert answer.status == 201, answer.body
    return answer.data


def judged(client: Client, file_id: str) -> Any:
    found = client.get(f"/v1/uploads/{file_id}?wait=20").data
    assert found["status"] not in ("pending", "uploaded"), found
    return found


def put(way: dict[str, Any], content: bytes, **headers: str) -> Answer:
    answer = urllib3.request("PUT", way["url"], body=content, headers={**way.get("headers", {}), **headers}, retries=False)
    return Answer(answer.status, answer.headers, answer.data)


def form_with(change: dict[str, str], content: bytes) -> Callable[[Any], Answer]:
    return lambda way: send_form({**way, "fields": {**way["fields"], **change}}, content)


HOSTILE: list[tuple[str, dict[str, Any], Callable[[Any], Answer]]] = [
    ("a byte too many", {}, form_with({}, samples.PNG + b"x")),
    ("no bytes", {}, form_with({}, b"")),
    ("another key", {}, form_with({"key": "tnt_01h00000000000000000000000/uploads/fil_01h00000000000000000000000"}, samples.PNG)),
    ("another type", {}, form_with({"Content-Type": "text/html"}, samples.PNG)),
    ("another policy", {}, form_with({"policy": "e30="}, samples.PNG)),
    ("one field more", {}, form_with({"acl": "public-read"}, samples.PNG)),
    ("a tag of their own", {}, form_with({"x-amz-tagging": "state=ready"}, samples.PNG)),
    ("a PUT of a byte too many", {"method": "PUT"}, lambda way: put(way, samples.PNG + b"x")),
    ("a PUT of another type", {"method": "PUT"}, lambda way: put(way, samples.PNG, **{"Content-Type": "text/html"})),
    ("a PUT of another content", {"method": "PUT", "sha256": sha256(samples.PNG).hexdigest()}, lambda way: put(way, samples.PNG[:-1] + b"x")),
    ("a PUT with a changed address", {"method": "PUT"}, lambda way: put({**way, "url": way["url"].replace("/fil_", "/fil_x")}, samples.PNG)),
    ("a GET with the address of a PUT", {"method": "PUT"}, lambda way: fetch(way["url"])),
]  # fmt: skip


@pytest.mark.parametrize(("change", "attack"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_the_bucket_refuses(
    client: Client, s3: Any, stack: dict[str, Any], change: dict[str, Any], attack: Callable[[Any], Answer]
) -> None:
    file = announce(client, **change)
    answer = attack(file["upload"])
    assert 400 <= answer.status < 500, answer.body
    assert client.get(f"/v1/uploads/{file['id']}").data["status"] == "pending"
    found = s3.list_object_versions(Bucket=BUCKET, Prefix=f"{stack['tenants'][0]['id']}/uploads/{file['id']}")
    assert "Versions" not in found, "nothing is left behind"


# The local S3 does not look at the checksum of a form, which AWS refuses at once: this shows that it would not help.
OTHER = samples.PNG[:-20] + bytes(20)
LIES = [
    ("a page", b"<html><script>alert(1)</script>".ljust(len(samples.PNG)), None),
    ("a program", b"MZ\x90\0".ljust(len(samples.PNG), b"\0"), None),
    ("another content than announced", OTHER, sha256(samples.PNG).hexdigest()),
]


@pytest.mark.parametrize(("content", "digest"), [case[1:] for case in LIES], ids=[case[0] for case in LIES])
def test_a_lie_is_found_and_gone(client: Client, s3: Any, stack: dict[str, Any], content: bytes, digest: str | None) -> None:
    file = announce(client, content, sha256=digest)
    assert send_form(file["upload"], content).status == 204
    found = judged(client, file["id"])
    assert found["status"] == "rejected" and "download" not in found and found["receipt"]
    prefix = f"{stack['tenants'][0]['id']}/uploads/{file['id']}"
    until(lambda: "Versions" not in s3.list_object_versions(Bucket=BUCKET, Prefix=prefix) or None, 30)


def test_a_good_file_by_every_way(client: Client, stack: dict[str, Any]) -> None:
    for change in (
        {},
        {"method": "PUT"},
        {"sha256": sha256(samples.PNG).hexdigest()},
        {"method": "PUT", "sha256": sha256(samples.PNG).hexdigest()},
    ):
        file = announce(client, filename='Grüße "1".png', **change)
        sent = put(file["upload"], samples.PNG) if change.get("method") == "PUT" else send_form(file["upload"], samples.PNG)
        assert sent.status in (200, 204), sent.body
        found = judged(client, file["id"])
        assert found["status"] == "ready" and found["sha256"] == sha256(samples.PNG).hexdigest(), found
        content = fetch(found["download"]["url"])
        assert content.body == samples.PNG and content.headers["content-type"] == "image/png"
        # The local S3 does not send the headers that a link asks for; that the link asks for them is what can be seen here.
        assert "response-content-disposition=attachment" in found["download"]["url"] and "%25C3%25BC" in found["download"]["url"]
        redirected = client.get(f"/v1/uploads/{file['id']}/content")
        assert redirected.status == 302 and fetch(redirected.headers["Location"]).body == samples.PNG
        keys = jwt.PyJWKSet.from_dict(Client(stack["base_url"]).get("/v1/uploads/jwks.json").json)
        told = jwt.decode(found["receipt"], keys.keys[0], algorithms=["ES256"])
        assert told["sha256"] == found["sha256"] and told["verdict"] == "ready" and told["id"] == file["id"]


def test_a_way_that_is_used_again(client: Client, s3: Any, stack: dict[str, Any]) -> None:
    """A PUT can be used once. A form can be sent again in its quarter of an hour; what was judged is what is served."""
    file = announce(client, method="PUT")
    assert put(file["upload"], samples.PNG).status == 200
    judged(client, file["id"])
    assert put(file["upload"], samples.PNG).status == 412
    file = announce(client)
    assert send_form(file["upload"], samples.PNG).status == 204
    found = judged(client, file["id"])
    evil = samples.PNG[:-20] + b"x" * 20
    assert send_form(file["upload"], evil).status == 204
    assert fetch(found["download"]["url"]).body == samples.PNG
    prefix = f"{stack['tenants'][0]['id']}/uploads/{file['id']}"
    until(lambda: len(s3.list_object_versions(Bucket=BUCKET, Prefix=prefix).get("Versions", [])) == 1 or None, 30)
    assert fetch(client.get(f"/v1/uploads/{file['id']}").data["download"]["url"]).body == samples.PNG


def test_a_way_ends(client: Client, s3: Any) -> None:
    """Ours are good for a quarter of an hour, links to read for five minutes; the bucket refuses one whose time is over."""
    file = announce(client, method="PUT")
    assert "X-Amz-Expires=900" in file["upload"]["url"]
    assert put(file["upload"], samples.PNG).status == 200
    assert "X-Amz-Expires=300" in judged(client, file["id"])["download"]["url"]
    key = {"Bucket": BUCKET, "Key": "tnt_01h00000000000000000000000/uploads/fil_01h00000000000000000000000"}
    ended = s3.generate_presigned_url("put_object", Params=key, ExpiresIn=1)
    time.sleep(2.1)
    assert urllib3.request("PUT", ended, body=b"x", retries=False).status == 403


def test_nobody_reads_what_is_not_ready(client: Client, s3: Any, stack: dict[str, Any]) -> None:
    """The bucket's policy, and not only our code: without its tag a file is not served, whoever has a link."""
    file = announce(client)
    assert send_form(file["upload"], samples.PNG).status == 204
    link = judged(client, file["id"])["download"]["url"]
    assert fetch(link).status == 200
    key = f"{stack['tenants'][0]['id']}/uploads/{file['id']}"
    version = s3.list_object_versions(Bucket=BUCKET, Prefix=key)["Versions"][0]["VersionId"]
    s3.put_object_tagging(Bucket=BUCKET, Key=key, VersionId=version, Tagging={"TagSet": []})
    assert fetch(link).status == 403
    s3.put_object_tagging(Bucket=BUCKET, Key=key, VersionId=version, Tagging={"TagSet": [{"Key": "state", "Value": "ready"}]})
    assert fetch(link).status == 200


def test_another_tenant_cannot_even_detect_it(client: Client, other: Client) -> None:
    file = announce(client)
    missing = other.get("/v1/uploads/fil_01h00000000000000000000000")
    for path in ("", "/parts", "/content", "/history"):
        found = other.get(f"/v1/uploads/{file['id']}{path}")
        assert found.status == 404 and found.json["code"] == missing.json["code"]


def broken_put(url: str, content: bytes, sent: int) -> None:
    """A PUT whose sender dies after some bytes."""
    parts = urlsplit(url)
    link = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    link.putrequest("PUT", f"{parts.path}?{parts.query}")
    link.putheader("Content-Length", str(len(content)))
    link.endheaders()
    link.send(content[:sent])
    assert link.sock is not None
    link.sock.shutdown(socket.SHUT_RDWR)
    link.close()


def test_a_large_file_in_parts_goes_on_after_a_death_at_each_part(client: Client) -> None:
    size = 52 * MIB + 4_321
    content = samples.PDF + os.urandom(size - len(samples.PDF) - 6) + b"\n%%EOF"
    file = announce(
        client, content, type="application/pdf", filename="big.pdf", method="multipart", sha256=sha256(content).hexdigest()
    )
    way, deaths = file["upload"], 0
    assert way["partCount"] == 7
    while missing := client.get(f"/v1/uploads/{file['id']}/parts").data["missing"]:
        number = missing[0]
        piece = content[(number - 1) * way["partSize"] : number * way["partSize"]]
        for sent in (len(piece) // 2, len(piece)):
            # Each time as another process, or another device, would: with nothing in mind but the file's id.
            [link] = client.post(f"/v1/uploads/{file['id']}/parts", {"parts": [number]}).data["parts"]
            assert link["size"] == len(piece)
            if sent < len(piece):
                broken_put(link["url"], piece, sent)
                deaths += 1
                assert number in client.get(f"/v1/uploads/{file['id']}/parts").data["missing"]
            else:
                assert put(link, piece).status == 200
    for _ in range(2):
        assert client.post(f"/v1/uploads/{file['id']}/complete", {}).status == 200
    found = judged(client, file["id"])
    assert found["status"] == "ready" and deaths == 7, found
    assert sha256(fetch(found["download"]["url"]).body).hexdigest() == sha256(content).hexdigest()


def test_uppy_signs_and_talks_to_the_bucket_itself(client: Client) -> None:
    """The requests that `@uppy/aws-s3` makes with `signRequest`: create, two parts, list, complete."""
    content = samples.PDF + os.urandom(10 * MIB) + b"%%EOF"
    file = announce(client, content, type="application/pdf", filename="u.pdf", method="multipart")

    def sign(**asked: Any) -> str:
        return str(client.post("/v1/uploads/sign", {"key": file["id"], **asked}).json["url"])

    made = urllib3.request("POST", sign(method="POST"), headers={"Content-Type": "application/pdf"}, retries=False)
    upload_id = made.data.decode().partition("<UploadId>")[2].partition("<")[0]
    assert made.status == 200 and upload_id
    tags = []
    for number, piece in enumerate((content[: 8 * MIB], content[8 * MIB :]), 1):
        url = sign(method="PUT", uploadId=upload_id, partNumber=number)
        sent = urllib3.request("PUT", url, body=piece, retries=False)
        assert sent.status == 200, sent.data
        tags.append(sent.headers["ETag"].strip('"'))
    listed = urllib3.request("GET", sign(method="GET", uploadId=upload_id), retries=False)
    assert listed.data.count(b"<PartNumber>") == 2
    xml = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>" for number, tag in enumerate(tags, 1))
    url = sign(method="POST", uploadId=upload_id)
    body = f"<CompleteMultipartUpload>{xml}</CompleteMultipartUpload>".encode()
    done = urllib3.request("POST", url, body=body, headers={"Content-Type": "application/xml"}, retries=False)
    assert done.status == 200, done.data
    assert judged(client, file["id"])["status"] == "ready"


def test_every_byte_through_the_gateway_and_back(client: Client) -> None:  # contract: 12
    content = samples.PDF + bytes(range(256)) * 8_000 + b"\r\n\r\n--x\0\xff%%EOF"
    body, kind = urllib3.encode_multipart_formdata({"file": ("bytes.pdf", content, "application/pdf")})
    answer = client.call("POST", "/v1/upload", body, {"Content-Type": kind})
    assert answer.status == 200, answer.body
    assert answer.data["sha256"] == sha256(content).hexdigest()
    found = judged(client, answer.data["id"])
    assert sha256(fetch(found["download"]["url"]).body).digest() == sha256(content).digest()


def test_a_picture_gets_its_smaller_ones(client: Client) -> None:
    content = samples.picture("JPEG", (900, 600))
    file = announce(client, content, type="image/jpeg", filename="big.jpg")
    assert send_form(file["upload"], content).status == 204
    judged(client, file["id"])
    found = until(lambda: (shown := client.get(f"/v1/uploads/{file['id']}").data)["variants"] and shown, 40)
    # The local S3 knows no ranges of a version, which the link of the picture itself names; these have none.
    part = urllib3.request("GET", found["variants"]["thumb.webp"]["url"], headers={"Range": "bytes=8-11"}, retries=False)
    assert (part.status, part.data) == (206, b"WEBP")
    small = fetch(found["variants"]["thumb.webp"]["url"])
    assert small.status == 200 and small.body[8:12] == b"WEBP" and len(small.body) == found["variants"]["thumb.webp"]["size"]


def test_pages_of_the_origin_may_send_and_read_etags(client: Client) -> None:
    file = announce(client, method="PUT")
    asked = {
        "Origin": "http://localhost:3000",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type,if-none-match",
    }
    good = urllib3.request("OPTIONS", file["upload"]["url"], headers=asked)
    assert good.status == 200 and good.headers["Access-Control-Allow-Origin"] == "http://localhost:3000", good.data
    bad = urllib3.request("OPTIONS", file["upload"]["url"], headers={**asked, "Origin": "https://evil.example"})
    assert bad.status == 403
    sent = put(file["upload"], samples.PNG, Origin="http://localhost:3000")
    assert "ETag" in sent.headers["Access-Control-Expose-Headers"]
