"""Uploads: a presigned POST for exactly one file, checked by its content before anybody can download it."""

from hashlib import sha256
from typing import Any
from urllib.parse import quote

from sheaf.access.caller import Caller
from sheaf.base.bounds import LINK_SECONDS, UPLOAD_BYTES, UPLOAD_LINK_SECONDS
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import NotFound, PreconditionFailed, TooLarge, ValidationFailed
from sheaf.entity.body import object_of
from sheaf.entity.registry import files
from sheaf.formats import magic
from sheaf.records import read, write
from sheaf.records.once import Once
from sheaf.records.options import Options
from sheaf.records.rows import Row, Stamp
from sheaf.store import blobs, keys

_HEAD_BYTES = 4_096


def create(caller: Caller, body: object, once: Once | None = None) -> dict[str, Any]:
    """Announce `{"filename", "size", "type", "sha256"?}`; the row and the form to send the file with."""
    return _with_form(caller, write.create(caller, files(), announced(caller, body), Options(once=once)))


def expect(caller: Caller, fields: dict[str, Any], file_id: str, job_id: str) -> dict[str, Any]:
    """The same for a file that a job waits for: `fields` as `announced` returns them, under an id that the job has fixed."""
    made = Stamp(job_id, 0)
    return _with_form(caller, write.create(caller, files(), {**fields, "job": job_id}, row_id=file_id, stamp=made))


def _with_form(caller: Caller, row: Row) -> dict[str, Any]:
    document = row.document
    expires = iso(now_ms() + UPLOAD_LINK_SECONDS * 1000)
    bucket, key = config().uploads_bucket, keys.upload_object(caller, row.id)
    url, fields = blobs.post_link(bucket, key, document["type"], document["size"], UPLOAD_LINK_SECONDS)
    return {**_shown(document), "upload": {"method": "POST", "url": url, "fields": fields, "expiresAt": expires}}


def show(caller: Caller, file_id: str) -> dict[str, Any]:
    """The file's row, with a download link once it is ready; raises NotFound."""
    document = read.one(caller, files(), file_id).document
    if document["status"] != "ready":
        return _shown(document)
    headers = {"ResponseContentDisposition": _disposition(document["filename"]), "ResponseContentType": document["type"]}
    url = blobs.get_link(
        config().uploads_bucket, keys.upload_object(caller, file_id), LINK_SECONDS, headers, document["object_version"]
    )
    return {**_shown(document), "download": {"url": url, "expiresAt": iso(now_ms() + LINK_SECONDS * 1000)}}


def settle(caller: Caller, file_id: str) -> Row | None:
    """Look at what arrived and make the row ready or rejected, once; None where nothing is there to settle."""
    bucket, key = config().uploads_bucket, keys.upload_object(caller, file_id)
    while True:
        found = blobs.head(bucket, key)
        try:
            row = read.one(caller, files(), file_id)
        except NotFound:
            blobs.delete(bucket, key)  # the row was deleted while the file was on its way
            return None
        document = row.document
        if found is None:
            return None
        version = found.get("VersionId")
        if document["status"] != "pending":
            if version != document["object_version"]:
                blobs.delete(bucket, key, version)  # the form was sent again: what was checked becomes current again
            return None
        reason = _objection(bucket, key, document, found)
        verdict = {"status": "rejected", "reason": reason} if reason else {"status": "ready", "object_version": version}
        try:
            settled = write.patch(caller, files(), file_id, verdict, Options(frozenset({row.version})))
        except PreconditionFailed:
            continue  # another delivery of the same event was faster: look again
        if reason:
            blobs.delete(bucket, key, version)
        return settled


def announced(caller: Caller, body: object) -> dict[str, Any]:
    """What a file says of itself before it is sent, checked; raises ValidationFailed, TooLarge."""
    said = object_of(body, "filename", "size", "type", "sha256", error="This file cannot be uploaded")
    kind, size = said.get("type"), said.get("size")
    if isinstance(kind, str) and kind not in magic.TYPES:
        wrong = {"type": f"must be one of {', '.join(sorted(magic.TYPES))}"}
        raise ValidationFailed("This file cannot be uploaded", fields=wrong)
    if isinstance(size, int) and size > UPLOAD_BYTES:
        raise TooLarge(f"The file is {size:,} bytes; {UPLOAD_BYTES:,} is the most", fields={"size": f"at most {UPLOAD_BYTES}"})
    write.checked(caller, files(), said)
    return said


def _objection(bucket: str, key: str, document: dict[str, Any], found: dict[str, Any]) -> str | None:
    if found["ContentLength"] != document["size"]:
        return f"The file has {found['ContentLength']} bytes, {document['size']} were announced"
    version = found.get("VersionId")  # what is looked at is what will be served
    head = blobs.get(bucket, key, 0, min(_HEAD_BYTES, document["size"]) - 1, version)
    if not magic.agrees(document["type"], head):
        return f"The content is not {document['type']}"
    if document["sha256"]:
        digest = sha256()
        for piece in blobs.stream(bucket, key, version):
            digest.update(piece)
        if digest.hexdigest() != document["sha256"]:
            return "The SHA-256 of the file is another than the announced one"
    return None


def _shown(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "object_version"}


def _disposition(filename: str) -> str:
    # RFC 6266 with RFC 8187: an ASCII fallback, and the true name percent-encoded.
    plain = "".join(letter if letter.isascii() and letter not in '"\\%' else "_" for letter in filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
