"""How a file is announced, and the ways in which it may be sent: a form, one PUT, or in parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import (
    IMPORT_FILE_BYTES,
    UPLOAD_BYTES,
    UPLOAD_FILES,
    UPLOAD_LINK_SECONDS,
    UPLOAD_PART_BYTES,
    UPLOAD_PARTS,
    UPLOAD_SECONDS,
)
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import SheafError, TooLarge, Unavailable, ValidationFailed
from sheaf.entity.body import object_of
from sheaf.entity.registry import files
from sheaf.formats import magic
from sheaf.records import holdings, write
from sheaf.records.commit import KeyTaken, Mark, RowMoved, commit
from sheaf.records.once import Once
from sheaf.records.options import Options
from sheaf.records.rows import Row, Stamp
from sheaf.records.write import Planned
from sheaf.store import blobs, keys
from sheaf.store.table import Item

Method = Literal["POST", "PUT", "multipart"]
METHODS = ("POST", "PUT", "multipart")
_FORM_BYTES = 100 * 1024 * 1024  # of a file that is sent in one go where nothing else is asked for
_MIB = 1024 * 1024
_WRONG = "This file cannot be uploaded"
_ALIASES = {"application/x-zip-compressed": "application/zip", "image/jpg": "image/jpeg", "application/csv": "text/csv",
            "application/x-csv": "text/csv", "application/jsonl": "application/x-ndjson",
            "application/ndjson": "application/x-ndjson"}  # fmt: skip  # what some systems call a type


@dataclass(frozen=True, slots=True)
class Announced:
    """What a file says of itself before it is sent, and how it is to be sent."""

    fields: dict[str, Any]
    method: Method

    @property
    def size(self) -> int:
        """Its bytes."""
        return int(self.fields["size"])


def create(caller: Caller, body: object, once: Once | None = None) -> dict[str, Any] | list[dict[str, Any]]:
    """Announce `{"filename", "size", "type", "sha256"?, "method"?}`, or up to 20 of them as `{"files": […]}`: all, or none.

    The rows, each with `upload`, the way to send the file. Raises ValidationFailed, TooLarge, StorageFull, TooManyUploads.
    """
    if isinstance(body, dict) and "files" in body:
        return [shown for _, shown in create_all(caller, many(caller, body), once)]
    return create_all(caller, [announced(caller, body)], once)[0][1]


def create_all(caller: Caller, found: Sequence[Announced], once: Once | None) -> list[tuple[Row, dict[str, Any]]]:
    """The rows of announced files, written in one transaction, each as it is answered."""
    rows = _replayed(caller, first) if once and (first := once.found()) else _written(caller, found, once)
    return [(row, _with_way(caller, row, each.method)) for row, each in zip(rows, found, strict=True)]


def many(caller: Caller, body: object) -> list[Announced]:
    """The files of `{"files": […]}`, checked; what is wrong is named with the place of its file."""
    listed = object_of(body, "files", error=_WRONG)["files"]
    if not isinstance(listed, list) or not 1 <= len(listed) <= UPLOAD_FILES:
        raise ValidationFailed.naming({"files": f"must be a list of 1 to {UPLOAD_FILES} files"})
    found: list[Announced] = []
    wrong: dict[str, str] = {}
    worst: type[SheafError] = ValidationFailed
    for number, each in enumerate(listed):
        try:
            found.append(announced(caller, each))
        except (ValidationFailed, TooLarge) as error:
            worst = type(error) if isinstance(error, TooLarge) else worst
            wrong |= {f"files.{number}.{name}".rstrip("."): text for name, text in (error.fields or {"": error.message}).items()}
    if wrong:
        raise worst(f"{len(wrong)} of what the files say of themselves is wrong; none was announced", fields=wrong)
    return found


def announced(caller: Caller, body: object) -> Announced:
    """What a file says of itself before it is sent, checked; raises ValidationFailed, TooLarge."""
    said = dict(object_of(body, "filename", "size", "type", "sha256", "method", error=_WRONG))
    method, kind, size = said.pop("method", None), said.get("type"), said.get("size")
    if method not in (None, *METHODS):
        raise ValidationFailed(_WRONG, fields={"method": f"must be one of {', '.join(METHODS)}"})
    if isinstance(kind, str):
        kind = said["type"] = _ALIASES.get(kind, kind)
    if isinstance(kind, str) and kind not in magic.TYPES:
        raise ValidationFailed(_WRONG, fields={"type": f"must be one of {', '.join(sorted(magic.TYPES))}"})
    if isinstance(size, int) and size > UPLOAD_BYTES:
        raise TooLarge(f"The file is {size:,} bytes; {UPLOAD_BYTES:,} is the most", fields={"size": f"at most {UPLOAD_BYTES}"})
    write.checked(caller, files(), said)
    return Announced(said, method or ("multipart" if int(said["size"]) > _FORM_BYTES else "POST"))


def awaited(caller: Caller, body: object, once: Once | None = None) -> Announced:
    """The same of a file that a job is to wait for, which comes by a form; raises StorageFull, TooManyUploads, too."""
    found = announced(caller, body)
    if found.size > IMPORT_FILE_BYTES:
        most = f"at most {IMPORT_FILE_BYTES}"
        raise TooLarge(f"The file is {found.size:,} bytes; {IMPORT_FILE_BYTES:,} is the most here", fields={"size": most})
    if not (once and once.found()):
        holdings.require_room(caller, found.size)  # before a job is there that would wait in vain
    return found


def expect(caller: Caller, found: Announced, file_id: str, job_id: str) -> dict[str, Any]:
    """The same for a file that a job waits for, under an id that the job has fixed."""
    fields = {**found.fields, "job": job_id}
    return _with_way(caller, write.create(caller, files(), fields, row_id=file_id, stamp=Stamp(job_id, 0)), "POST")


def part_size(size: int) -> int:
    """The bytes of each part of a file but the last one: whole MiB, so that there are at most UPLOAD_PARTS."""
    return max(UPLOAD_PART_BYTES, ceil(size / UPLOAD_PARTS / _MIB) * _MIB)


def part_count(size: int) -> int:
    """How many parts a file of this size comes in."""
    return ceil(size / part_size(size))


def _written(caller: Caller, found: Sequence[Announced], once: Once | None) -> list[Row]:
    begun: list[tuple[str, str]] = []  # the file and S3's id of each upload in parts
    try:
        plans = [_planned(caller, each, begun) for each in found]
        marks = [mark for plan in plans for mark in plan.marks if mark.write.key != keys.storage(caller)]
        marks.append(Mark(*holdings.room_for(caller, sum(each.size for each in found), len(found))))
        rows = [each for plan in plans for each in plan.writes]
        commit(rows, marks, Options(once=once), {"rows": ",".join(plan.row.id for plan in plans)})
    except RowMoved:
        pass  # the ids are new: what is there is ours, the answer was lost on the way
    except (KeyTaken, SheafError) as refusal:
        if not isinstance(refusal, Unavailable):  # which says nothing of whether the rows are there
            _give_up(caller, begun)
        if once and (first := once.found()):
            return _replayed(caller, first)
        if isinstance(refusal, KeyTaken):
            raise Unavailable("The Idempotency-Key has just expired; try again") from None
        raise
    return [plan.row for plan in plans]


def _replayed(caller: Caller, first: Item) -> list[Row]:
    """The rows that the first request under the key has made."""
    return [write.replayed(caller, files(), {"row": row_id, "v": 1}) for row_id in first["rows"].split(",")]


def _planned(caller: Caller, found: Announced, begun: list[tuple[str, str]]) -> Planned:
    file_id, fields = ids.new(files().prefix), dict(found.fields)
    if found.method == "multipart":
        key = keys.upload_object(caller, file_id)
        fields["multipart"] = blobs.start_multipart(config().uploads_bucket, key, fields["type"])
        begun.append((file_id, fields["multipart"]))
    return write.plan_create(caller, files(), write.checked(caller, files(), fields), row_id=file_id)


def _give_up(caller: Caller, begun: Sequence[tuple[str, str]]) -> None:
    for file_id, upload_id in begun:
        blobs.drop_multipart(config().uploads_bucket, keys.upload_object(caller, file_id), upload_id)


def _with_way(caller: Caller, row: Row, method: Method) -> dict[str, Any]:
    document, expires = row.document, iso(now_ms() + UPLOAD_LINK_SECONDS * 1000)
    bucket, key, kind, size = config().uploads_bucket, keys.upload_object(caller, row.id), document["type"], document["size"]
    way: dict[str, Any]
    match method:
        case "multipart":
            until = iso(ids.time_of(row.id) + UPLOAD_SECONDS * 1000)
            way = {
                "partSize": part_size(size),
                "partCount": part_count(size),
                "parts": f"uploads/{row.id}/parts",
                "expiresAt": until,
            }
        case "PUT":
            url, headers = blobs.put_link(bucket, key, kind, size=size, seconds=UPLOAD_LINK_SECONDS, sha256=document["sha256"])
            way = {"url": url, "headers": headers, "expiresAt": expires}
        case _:
            url, fields = blobs.post_link(bucket, key, kind, size=size, seconds=UPLOAD_LINK_SECONDS, sha256=document["sha256"])
            way = {"url": url, "fields": fields, "expiresAt": expires}
    return {**document, "upload": {"method": method, **way}}
