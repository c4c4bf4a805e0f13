"""Files that come in parts: links for the parts, which of them have arrived, and the end. Any device may go on.

Also the signer that Uppy asks (`@uppy/aws-s3`, `signRequest`), whose client talks to S3 itself.
"""

from collections.abc import Mapping
from typing import Any

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import UPLOAD_LINK_SECONDS, UPLOAD_PARTS, UPLOAD_SECONDS, UPLOAD_SIGNED_PARTS
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import Conflict, NotFound, PreconditionFailed, ValidationFailed
from sheaf.entity.body import object_of
from sheaf.entity.registry import files
from sheaf.features.uploads.announce import part_count, part_size
from sheaf.records import read, write
from sheaf.records.options import Options
from sheaf.records.rows import fields_of
from sheaf.store import blobs, keys
from sheaf.store.blobs import Part
from sheaf.store.table import Item

_SHOWN = 100  # missing parts that a refusal names
_NO_PARTS = "This file does not come in parts"


def sign(caller: Caller, file_id: str, body: object) -> dict[str, Any]:
    """Links for `{"parts": [1, 2, …]}`, each a PUT of one part of exactly its size.

    Raises NotFound, Conflict where the file does not come in parts or no part is wanted any more, ValidationFailed.
    """
    file = _open(caller, file_id)
    size = file["size"]
    last = part_count(size)
    wanted = object_of(body, "parts").get("parts")
    good = isinstance(wanted, list) and 1 <= len(wanted) <= UPLOAD_SIGNED_PARTS and all(
        isinstance(each, int) and not isinstance(each, bool) and 1 <= each <= last for each in wanted)  # fmt: skip
    if not good or not isinstance(wanted, list):
        raise ValidationFailed.naming({"parts": f"must be a list of 1 to {UPLOAD_SIGNED_PARTS} numbers from 1 to {last}"})
    bucket, key = config().uploads_bucket, keys.upload_object(caller, file_id)
    expires = iso(now_ms() + UPLOAD_LINK_SECONDS * 1000)
    found = []
    for number in dict.fromkeys(wanted):
        length = _length(size, number)
        url = blobs.part_link(bucket, key, file["multipart"], number=number, size=length, seconds=UPLOAD_LINK_SECONDS)
        found.append({"number": number, "size": length, "method": "PUT", "url": url, "expiresAt": expires})
    return {"parts": found}


def listing(caller: Caller, file_id: str) -> dict[str, Any]:
    """How a file in parts stands: the numbers of those that have arrived whole, and of those that are missing."""
    file = _file(caller, file_id)
    step = part_size(file["size"])
    found = _arrived(caller, file) if file["status"] == "pending" else None
    numbers = list(range(1, part_count(file["size"]) + 1))
    arrived = numbers if found is None else sorted(found)
    return {"id": file_id, "status": file["status"], "partSize": step, "partCount": len(numbers), "arrived": arrived,
            "missing": sorted({*numbers} - {*arrived})}  # fmt: skip


def complete(caller: Caller, file_id: str) -> None:
    """Put the parts together; nothing happens where that is done already, or the file came in one go.

    Raises NotFound, Conflict with the parts that are `missing`.
    """
    item = read.item(caller, files(), file_id)
    file = fields_of(item)
    if file.get("multipart") is None or file["status"] != "pending":
        return
    found = _arrived(caller, file)
    if found is None:
        return  # an earlier call has done it, and the file is about to be looked at
    missing = sorted({*range(1, part_count(file["size"]) + 1)} - found.keys())
    if missing:
        raise Conflict(f"{len(missing):,} parts are missing", extra={"missing": missing[:_SHOWN], "missingCount": len(missing)})
    parts = [found[number] for number in sorted(found)]
    if blobs.join_parts(config().uploads_bucket, keys.upload_object(caller, file_id), file["multipart"], parts) is None:
        raise Conflict("A part has just been sent again; complete it once more", headers={"Retry-After": "1"})


def signed_request(caller: Caller, body: object) -> dict[str, Any]:
    """What Uppy's `signRequest` is to return: `{"url", "key"}` for `{"method", "key", "uploadId"?, "partNumber"?}`.

    `key` is the id of a file that was announced before. One in parts is sent in parts of its `partSize`; the upload that the
    client has begun at the bucket takes the place of ours. Raises NotFound, Conflict, ValidationFailed.
    """
    asked = object_of(body, "method", "key", "uploadId", "partNumber", "expiresIn", "contentType")
    file_id, operation, upload_id, number = _asked(caller, asked)
    item = read.item(caller, files(), file_id)
    file = fields_of(item)
    _require_open(file)
    bucket, place = config().uploads_bucket, keys.upload_object(caller, file_id)
    if operation == "put_object":
        if file.get("multipart"):
            raise Conflict("This file was announced to come in parts")
        return {"url": blobs.signed(operation, bucket, place, UPLOAD_LINK_SECONDS, size=file["size"]), "key": file_id}
    if not file.get("multipart"):
        raise Conflict(_NO_PARTS)
    if upload_id and upload_id != file["multipart"]:
        _adopt(caller, item, file, upload_id)
    if operation == "upload_part":
        length = _length(file["size"], number)
        if length is None:
            raise ValidationFailed.naming({"partNumber": f"must be a number from 1 to {part_count(file['size'])}"})
        url = blobs.part_link(bucket, place, upload_id, number=number, size=length, seconds=UPLOAD_LINK_SECONDS)
    else:
        url = blobs.signed(operation, bucket, place, UPLOAD_LINK_SECONDS, upload_id=upload_id or None)
    return {"url": url, "key": file_id}


def _asked(caller: Caller, asked: Mapping[str, Any]) -> tuple[str, str, str, int]:
    """The file, the operation, S3's id of the upload and the part of a request to be signed."""
    method, key, upload_id, number = (asked.get(name) for name in ("method", "key", "uploadId", "partNumber"))
    wrong = {}
    if not isinstance(key, str):
        wrong["key"] = "must be the id of a file"
    if upload_id is not None and not (isinstance(upload_id, str) and 0 < len(upload_id) <= 1_024):
        wrong["uploadId"] = "must be what S3 has called the upload"
    if number is not None and not (isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= UPLOAD_PARTS):
        wrong["partNumber"] = f"must be a number from 1 to {UPLOAD_PARTS}"
    operation = _OPERATIONS.get((str(method), upload_id is not None, number is not None))
    if operation is None and not wrong:
        wrong["method"] = "makes no upload together with the rest"
    if wrong or operation is None:
        raise ValidationFailed.naming(wrong)
    file_id = keys.name_of(str(key))
    if str(key) not in (file_id, keys.upload_object(caller, file_id)):
        raise NotFound(f"There is no file {str(key)[:80]!r}")
    return file_id, operation, upload_id or "", number or 0


def _adopt(caller: Caller, item: Item, file: Item, upload_id: str) -> None:
    """Let the upload that a client has begun itself be the file's, and give up the one before; raises Conflict."""
    bucket, place = config().uploads_bucket, keys.upload_object(caller, file["id"])
    if blobs.parts(bucket, place, upload_id) is None:
        raise Conflict("The bucket knows of no such upload")
    try:
        write.patch(caller, files(), file["id"], {"multipart": upload_id}, Options(frozenset({item["v"]})))
    except PreconditionFailed:
        raise Conflict("Another upload of this file has been begun just now") from None
    blobs.drop_multipart(bucket, place, file["multipart"])


_OPERATIONS = {  # by method, and whether there are an uploadId and a partNumber
    ("PUT", False, False): "put_object",
    ("PUT", True, True): "upload_part",
    ("POST", False, False): "create_multipart_upload",
    ("POST", True, False): "complete_multipart_upload",
    ("GET", True, False): "list_parts",
    ("DELETE", True, False): "abort_multipart_upload",
}


def _file(caller: Caller, file_id: str) -> Item:
    file = fields_of(read.item(caller, files(), file_id))
    if file.get("multipart") is None:
        raise Conflict(_NO_PARTS)
    return file


def _open(caller: Caller, file_id: str) -> Item:
    file = _file(caller, file_id)
    _require_open(file)
    return file


def _require_open(file: Item) -> None:
    if file["status"] != "pending":
        raise Conflict(f"The file is {file['status']}: nothing is sent to it any more")
    if now_ms() > ids.time_of(file["id"]) + UPLOAD_SECONDS * 1000:
        raise Conflict("The time in which the file had to arrive is over; announce it anew")


def _length(size: int, number: int) -> int | None:
    """The bytes of a part; None of one that there is not."""
    step, last = part_size(size), part_count(size)
    return None if number > last else step if number < last else size - step * (last - 1)


def _arrived(caller: Caller, file: Item) -> dict[int, Part] | None:
    """The parts that have arrived with the right size, by number; None where the file was put together already.

    Raises Conflict where its upload was given up at the bucket.
    """
    bucket, key = config().uploads_bucket, keys.upload_object(caller, file["id"])
    found = blobs.parts(bucket, key, file["multipart"])
    if found is None:
        if not blobs.versions(bucket, key):
            raise Conflict("Its upload was given up; announce the file anew")
        return None
    return {part.number: part for part in found if part.size == _length(file["size"], part.number)}
