"""Files through the API itself: multipart/form-data as older clients send it, bytes as they are."""

import os
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import samples
import world
from sheaf.formats import form
from sheaf.store import aws

BOUNDARY = "----WebKitFormBoundary7MA4YWxk"
KIND = f"multipart/form-data; boundary={BOUNDARY}"


def encoded(*fields: tuple[str, str | None, str, bytes], boundary: str = BOUNDARY) -> bytes:
    """A body as browsers write it: (name, file name, type, content) each."""
    out = b""
    for name, filename, kind, content in fields:
        told = f'; filename="{filename}"' if filename is not None else ""
        out += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{told}\r\n'.encode()
        out += (f"Content-Type: {kind}\r\n".encode() if kind else b"") + b"\r\n" + content + b"\r\n"
    return out + f"--{boundary}--\r\n".encode()


def send(sheaf: world.World, tenant: world.Tenant, body: bytes, kind: str = KIND, **headers: str) -> world.Answer:
    return sheaf.http("POST", "/v1/upload", body, key=tenant.key, headers={"Content-Type": kind, **headers})


def stored(tenant: world.Tenant, file_id: str) -> bytes:
    found = aws.client("s3").get_object(Bucket="uploads", Key=f"{tenant.id}/uploads/{file_id}")
    return bytes(found["Body"].read())


def nothing_was_written(sheaf: world.World, tenant: world.Tenant) -> bool:
    listed = sheaf.http("GET", "/v1/uploads", key=tenant.key).data
    return listed == [] and "Contents" not in aws.client("s3").list_objects_v2(Bucket="uploads")


def test_one_file_as_the_older_clients_send_it(sheaf: world.World, acme: world.Tenant) -> None:  # contract: 12, 16
    content = samples.picture("PNG", (40, 30), (1, 2, 3)) + b""
    answer = send(sheaf, acme, encoded(("file", "dot.png", "image/png", content), ("note", None, "", b"hello")))
    assert answer.status == 200 and answer.json["success"] is True
    data = answer.data
    assert {name: data[name] for name in ("filename", "size", "type")} == {
        "filename": "dot.png",
        "size": len(content),
        "type": "image/png",
    }
    assert data["url"] == f"uploads/{data['id']}/content" and data["sha256"] == sha256(content).hexdigest()
    assert stored(acme, data["id"]) == content
    assert sheaf.http("GET", f"/v1/{data['url']}", key=acme.key).status == 409, "nobody has looked at it yet"
    sheaf.tell_upload(acme, data["id"])
    found = sheaf.http("GET", f"/v1/{data['url']}", key=acme.key)
    assert found.status == 302 and "X-Amz-Signature" in found.headers["Location"] and found.text == ""


def test_several_files_at_once(sheaf: world.World, acme: world.Tenant) -> None:  # contract: 15
    body = encoded(("files", "a.png", "image/png", samples.PNG), ("files", "b.pdf", "application/pdf", samples.PDF))
    answer = send(sheaf, acme, body)
    assert answer.status == 200
    assert [(each["filename"], each["url"]) for each in answer.data["files"]] == [
        (name, f"uploads/{each['id']}/content") for name, each in zip(("a.png", "b.pdf"), answer.data["files"], strict=True)
    ]
    assert [stored(acme, each["id"]) for each in answer.data["files"]] == [samples.PNG, samples.PDF]


REFUSED: list[tuple[str, bytes, str, int, str]] = [
    ("no file", encoded(("note", None, "", b"x")), KIND, 400, "No file provided"),
    ("no field", encoded(), KIND, 400, ""),
    ("a field that is no file", encoded(("file", None, "", b"x")), KIND, 400, "No file provided"),
    ("a type that is not taken", encoded(("file", "a.svg", "image/svg+xml", b"<svg/>")), KIND, 400, "Invalid file type"),
    ("a type that only newer clients may send", encoded(("file", "a.gif", "image/gif", samples.GIF)), KIND, 400, "Invalid file type"),
    ("a lie", encoded(("file", "a.png", "image/png", b"<html>")), KIND, 400, "Invalid file type"),
    ("a lie among others", encoded(("files", "a.png", "image/png", samples.PNG), ("files", "b.png", "image/png", samples.GIF)), KIND, 400,
     "Invalid file type"),
    ("no bytes", encoded(("file", "a.png", "image/png", b"")), KIND, 400, ""),
    ("two files in the field for one", encoded(("file", "a.png", "image/png", samples.PNG), ("file", "b.png", "image/png", samples.PNG)),
     KIND, 400, ""),
    ("too many", encoded(*[("files", "a.png", "image/png", samples.PNG)] * 21), KIND, 400, ""),
    ("a body that ends too early", encoded(("file", "a.png", "image/png", samples.PNG))[:-20], KIND, 400, ""),
    ("another boundary", encoded(("file", "a.png", "image/png", samples.PNG), boundary="other"), KIND, 400, ""),
    ("no boundary", encoded(("file", "a.png", "image/png", samples.PNG)), "multipart/form-data", 400, ""),
    ("very many fields", b"--" + BOUNDARY.encode() + (b"\r\n\r\n\r\n--" + BOUNDARY.encode()) * 100_000 + b"--", KIND, 400, ""),
    ("forms within forms", b"".join(f"--b{n}\r\nContent-Type: multipart/mixed; boundary=b{n + 1}\r\n\r\n".encode() for n in range(3_000)),
     "multipart/form-data; boundary=b0", 400, ""),
    ("a long boundary", encoded(), f"multipart/form-data; boundary={'x' * 201}", 400, ""),
    ("no form", samples.PNG, "image/png", 415, ""),
]  # fmt: skip


@pytest.mark.parametrize(("body", "kind", "status", "error"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_is_wrong_is_said_and_nothing_is_written(  # contract: 13, 14
    sheaf: world.World, acme: world.Tenant, body: bytes, kind: str, status: int, error: str
) -> None:
    answer = send(sheaf, acme, body, kind)
    assert answer.status == status and answer.json["error"].startswith(error) and answer.json["code"], answer.text
    assert nothing_was_written(sheaf, acme)


def test_a_file_that_is_too_large_here_is_shown_the_way(sheaf: world.World, acme: world.Tenant) -> None:  # contract: 13, 14
    content = samples.PDF + os.urandom(4_500_000) + b"%%EOF"
    answer = send(sheaf, acme, encoded(("file", "big.pdf", "application/pdf", content)))
    assert answer.status == 413 and answer.json["error"] == "File too large"
    way = answer.json["upload"]
    assert way["status"] == "pending" and way["size"] == len(content) and way["upload"]["fields"]["key"].endswith(way["id"])
    sheaf.arrive(acme, way["id"], content)
    assert sheaf.http("GET", f"/v1/uploads/{way['id']}", key=acme.key).data["status"] == "ready"


def test_over_the_older_limit_it_is_their_400(sheaf: world.World, acme: world.Tenant) -> None:  # contract: 14
    body = encoded(("file", "big.pdf", "application/pdf", samples.PDF + bytes(10 * 1024 * 1024) + b"%%EOF"))
    assert (answer := send(sheaf, acme, body)).status == 400 and answer.json["error"] == "File too large"
    assert "fields" in answer.json["upload"]["upload"]
    plain = send(sheaf, acme, body, Prefer="profile=canonical")
    assert plain.status == 413 and plain.json["code"] == "too_large"


def test_newer_clients_may_send_every_type(sheaf: world.World, acme: world.Tenant) -> None:
    body = encoded(("file", "a.gif", "image/gif", samples.GIF))
    answer = sheaf.http("POST", "/v2/upload", body, key=acme.key, headers={"Content-Type": KIND})
    assert answer.status == 201 and answer.headers["Location"] == f"uploads/{answer.data['id']}"
    lie = sheaf.http(
        "POST", "/v2/upload", encoded(("file", "a.gif", "image/gif", b"<html>")), key=acme.key, headers={"Content-Type": KIND}
    )
    assert lie.status == 422 and lie.json["errors"] == {
        "file": "The content is not image/gif: its first bytes are those of something else"
    }


def test_sent_twice_under_one_key_it_is_one_file(sheaf: world.World, acme: world.Tenant) -> None:
    body = encoded(("file", "a.png", "image/png", samples.PNG))
    first, again = (send(sheaf, acme, body, **{"Idempotency-Key": "k1"}) for _ in range(2))
    assert first.data["id"] == again.data["id"] and again.headers["Idempotent-Replayed"] == "true"
    assert len(sheaf.http("GET", "/v1/uploads", key=acme.key).data) == 1
    anew = encoded(("file", "a.png", "image/png", samples.PNG), boundary="another")
    third = send(sheaf, acme, anew, "multipart/form-data; boundary=another", **{"Idempotency-Key": "k1"})
    assert third.data["id"] == first.data["id"], "every attempt draws a boundary of its own"
    other = encoded(("file", "b.png", "image/png", samples.PNG))
    assert send(sheaf, acme, other, **{"Idempotency-Key": "k1"}).status == 422


@pytest.mark.parametrize("name", ["/etc/a.png", "../../a.png"])
def test_a_path_is_no_part_of_a_name(sheaf: world.World, acme: world.Tenant, name: str) -> None:
    answer = send(sheaf, acme, encoded(("file", name, "image/png", samples.PNG)))
    assert answer.status == 200 and answer.data["filename"] == "a.png"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=60), st.text("\r\n-W\0 ", max_size=40).map(str.encode)), min_size=1, max_size=4))
def test_bytes_come_out_as_they_went_in(contents: list[bytes]) -> None:  # contract: 12
    body = encoded(*[("files", f"{number}.bin", "application/octet-stream", content) for number, content in enumerate(contents)])
    assert [part.content for part in form.parse(body, KIND)] == contents


def test_every_byte_comes_back_identical(sheaf: world.World, acme: world.Tenant) -> None:
    content = samples.PDF + bytes(range(256)) * 4_000 + b"\r\n--\r\n\n\r%%EOF"
    data = send(sheaf, acme, encoded(("file", "b.pdf", "application/pdf", content))).data
    assert sha256(stored(acme, data["id"])).hexdigest() == sha256(content).hexdigest() == data["sha256"]


def test_nobody_else_sees_it(sheaf: world.World, acme: world.Tenant, globex: world.Tenant) -> None:
    file_id = send(sheaf, acme, encoded(("file", "a.png", "image/png", samples.PNG))).data["id"]
    sheaf.tell_upload(acme, file_id)
    for method, path, body in [("GET", "", None), ("GET", "/content", None), ("GET", "/parts", None), ("GET", "/history", None),
                               ("POST", "/complete", {}), ("POST", "/parts", {"parts": [1]}), ("DELETE", "", None)]:  # fmt: skip
        answer: Any = sheaf.http(method, f"/v1/uploads/{file_id}{path}", body, key=globex.key)
        assert answer.status == 404, (method, path, answer.text)
    assert sheaf.http("GET", "/v1/uploads", key=globex.key).data == []
