"""Batch uploads: made from the records of a request, or announced and made from a file when it arrives."""

import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import AUDIENCE_UPLOADS, IMPORT_WHOLE_BYTES, UPLOAD_LINK_SECONDS
from sheaf.base.clock import now
from sheaf.base.config import config
from sheaf.base.errors import Conflict, InUse, NotFound, PreconditionFailed, SheafError, TooLarge, ValidationFailed
from sheaf.entity import registry
from sheaf.entity.body import object_of
from sheaf.entity.filters import Group, Test
from sheaf.entity.query import Query
from sheaf.entity.registry import EntityType
from sheaf.features.audience import records
from sheaf.formats import csv, ndjson, strict_json
from sheaf.jobs import machine
from sheaf.jobs.machine import Status
from sheaf.jobs.runner import JobFailed, Result, Task
from sheaf.jobs.shapes import Steps
from sheaf.records import page, read, write
from sheaf.records.once import Once
from sheaf.records.options import Options
from sheaf.records.page import Page
from sheaf.records.plan import Wanted, plan
from sheaf.records.rows import Row, Stamp, fields_of
from sheaf.store import blobs, keys
from sheaf.store.secrets import signing_secret
from sheaf.store.table import Item

TYPES = ("application/json", "application/x-ndjson", "text/csv")
NAMES_RULE = "must be a list of at most 256 names of at most 100 characters"
_ERROR = "The batch cannot be uploaded"
_ARRIVAL_SECONDS = UPLOAD_LINK_SECONDS + 3_600


def entity() -> EntityType:
    """The entity of batch uploads."""
    return registry.own("audience_uploads")


def parse(body: object) -> dict[str, Any]:
    """Read `{"upload_name", "records": […], "fields"?}`, or `file` in place of `records`; raises ValidationFailed, TooLarge."""
    asked = object_of(body, "upload_name", "records", "fields", "file", error=_ERROR)
    wrong: dict[str, str] = {}
    name = asked.get("upload_name")
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= 100 or not name.strip().isprintable():
        wrong["upload_name"] = "is required" if name is None else "must have 1 to 100 characters and no line break"
    fields = asked.get("fields", [])
    if not isinstance(fields, list) or not are_names(fields):
        wrong["fields"] = NAMES_RULE
    found = asked.get("records")
    if "file" in asked:
        if found is not None:
            wrong["records"] = "cannot be given together with file"
    elif not isinstance(found, list) or not found:
        wrong["records"] = (
            "is required" if found is None else "must be an array" if not isinstance(found, list) else "must not be empty"
        )
    if wrong:
        raise ValidationFailed.naming(wrong)
    if isinstance(found, list):
        if len(found) > config().max_batch_size:
            raise TooLarge(f"{len(found):,} records; {config().max_batch_size:,} is the most of one batch (MAX_BATCH_SIZE)",
                           fields={"records": f"at most {config().max_batch_size}"})  # fmt: skip
        records.require_good(enumerate(found))
    return asked


def create(caller: Caller, asked: Mapping[str, Any], once: Once | None = None) -> Row:
    """Keep the records and write the row; raises TooLarge where the caller has too many batches."""
    if once and (first := once.found()):
        return write.replayed(caller, entity(), first)
    _require_room(caller)
    fields = {"upload_name": asked["upload_name"], "fields": _fields(asked)}
    return keep(caller, entity(), iter(asked["records"]), lambda rows: {**fields, "rows_received": rows}, once)


def keep(
    caller: Caller, kind: EntityType, found: Iterator[Any], fields: Callable[[int], dict[str, Any]], once: Once | None
) -> Row:
    """Keep records and write their row; where the row cannot be, the records are not either. Raises what the write raises."""
    row_id = ids.new(kind.prefix)
    write.checked(caller, kind, fields(1))
    kept = records.keep(caller, row_id, found)
    try:
        row = write.create(caller, kind, {**fields(kept.rows), "edges": kept.edges}, Options(once=once), row_id=row_id)
    except SheafError:
        records.remove(caller, row_id)
        raise
    if row.id != row_id:
        records.remove(caller, row_id)  # our twin under the same key was faster
    return row


def announce(caller: Caller, asked: Mapping[str, Any], file: Mapping[str, Any], once: Once | None) -> tuple[Row, Item]:
    """A batch whose records come as a file: its row, and the job that waits for the file (`awaits` in its row)."""
    if file.get("type") not in TYPES:
        raise ValidationFailed.naming({"file.type": f"must be one of {', '.join(TYPES)}"})
    if once and (first := once.found()):
        job = machine.find(caller, first["job"])
    else:
        _require_room(caller)
        more = {"awaits": ids.new("fil"), "until": now() + _ARRIVAL_SECONDS, "upload": ids.new("upl"), "type": file["type"]}
        job = machine.accept(caller, "audience", job_id=machine.new_id(), entity="audience_uploads", chunks=1, total=0, plan=more,
                             once=once)  # fmt: skip
    fields = {"upload_name": asked["upload_name"], "fields": asked.get("fields", []), "status": "receiving", "job": job["sk"]}
    row = write.create(caller, entity(), fields, row_id=job["upload"], stamp=Stamp(job["sk"], 0))
    return row, job


def listing(caller: Caller, limit: int, cursor: str) -> Page:
    """A page of the caller's own batches, newest first."""
    return owned_page(caller, entity(), limit, cursor)


def owned_page(caller: Caller, kind: EntityType, limit: int, cursor: str) -> Page:
    """A page of the caller's own rows, newest first."""
    asked = Query(kind, {}, f"own\0{caller.principal}", limit=limit, cursor=cursor or None)
    return page.page(caller, asked, (_own(caller, kind),))


def find(caller: Caller, upload_id: str, kind: EntityType | None = None) -> Item:
    """The item of one of the caller's own rows; raises NotFound, also for another user's."""
    wanted = kind or entity()
    item = read.item(caller, wanted, upload_id)
    if Row(item["sk"], item["v"], item["d"]).document["user_id"] != caller.principal:
        raise read.missing(wanted, upload_id)
    return item


def remove(caller: Caller, upload_id: str, kind: EntityType | None = None, once: Once | None = None) -> None:
    """Remove a batch or a segment with its records; raises NotFound."""
    if once and once.found():
        records.remove(caller, upload_id)  # the first try may have died in between
        return
    find(caller, upload_id, kind)
    write.delete(caller, kind or entity(), upload_id, Options(once=once))
    records.remove(caller, upload_id)


def token_of(caller: Caller, upload_id: str) -> str:
    """The session token of a batch: nobody can guess it and nothing keeps it, the same batch has the same."""
    said = f"{caller.tenant}\0{upload_id}".encode()
    return f"sess_{hmac.digest(signing_secret().derived('audience'), said, 'sha256').hex()[:32]}"


class AudienceWork(Steps):
    """Makes a batch of a file that has arrived."""

    def run(self, task: Task) -> Result:
        """Check every record, then keep them all, or none."""
        job = task.job
        try:
            records.require_good(_numbered(task.caller, job), "row {}")
            kept = records.keep(task.caller, job["upload"], (record for _, record in _numbered(task.caller, job)))
            if not kept.rows:
                raise JobFailed("There are no records in the file")
            fields = _fields({"records": records.window(task.caller, job["upload"], kept.edges, 0, 100).records})
            _settle(task.caller, job, {"status": "uploaded", "rows_received": kept.rows, "edges": kept.edges, "fields": fields})
        except (ValidationFailed, TooLarge) as error:
            raise JobFailed(error.message) from None
        return {"rows": kept.rows, "created": kept.rows, "more": 0}

    def finalise(self, caller: Caller, job: Item, done: Sequence[Item], status: Status) -> Result:
        """Say in the row what has become of the batch."""
        if status != "succeeded":
            _settle(caller, job, {"status": "failed", "reason": str(job.get("error") or "was cancelled")[:500]})
        with suppress(NotFound):  # the file has done its work
            try:
                write.delete(caller, registry.files(), job["awaits"])
            except InUse:
                return {}  # a row holds it by now
        blobs.delete(config().uploads_bucket, keys.upload_object(caller, job["awaits"]))
        return {}


def _settle(caller: Caller, job: Item, change: Mapping[str, Any]) -> None:
    try:
        item = read.item(caller, entity(), job["upload"])
        if item["v"] == 1:
            write.patch(caller, entity(), job["upload"], dict(change), Options(frozenset({1})))
            if change["status"] == "failed":
                records.remove(caller, job["upload"])
    except PreconditionFailed:
        return  # an earlier try was here
    except NotFound:
        records.remove(caller, job["upload"])  # its owner has removed it meanwhile


def _numbered(caller: Caller, job: Item) -> Any:
    """The records of the file with their numbers."""
    version = fields_of(read.item(caller, registry.files(), job["awaits"]))["object_version"]  # the one that was looked at
    pieces = blobs.stream(config().uploads_bucket, keys.upload_object(caller, job["awaits"]), version)
    match job["type"]:
        case "text/csv":
            rows = csv.records(pieces)
            _, header = next(rows, (0, []))
            return ((number, _named(header, record)) for number, record in rows)
        case "application/x-ndjson":
            return ndjson.records(pieces)
    value = strict_json.parse(_bounded(pieces))
    found = value.get("records") if isinstance(value, dict) else value
    if not isinstance(found, list):
        raise ValidationFailed.naming({"records": "must be an array"})
    return enumerate(found)


def _named(header: Sequence[str], record: Sequence[str]) -> dict[str, str]:
    if len(record) != len(header) or len(set(header)) < len(header):
        raise ValidationFailed.naming(
            {"file": f"has a record of {len(record)} cells under a header of {len(set(header))} columns"}
        )
    return {name: csv.meant(text) for name, text in zip(header, record, strict=True) if text}


def _bounded(pieces: Iterator[bytes]) -> bytes:
    data = bytearray()
    for piece in pieces:
        data += piece
        if len(data) > IMPORT_WHOLE_BYTES:
            raise TooLarge(f"A JSON file has {IMPORT_WHOLE_BYTES:,} bytes at most; NDJSON and CSV may be larger")
    return bytes(data)


def _fields(asked: Mapping[str, Any]) -> list[str]:
    """The fields that the request names, or those that its first records have."""
    if asked.get("fields"):
        return list(asked["fields"])
    return list(dict.fromkeys(name[:100] for record in asked["records"][:100] for name in record))[:256]


def are_names(fields: list[Any]) -> bool:
    """Whether these can be the names of a batch's fields."""
    return len(fields) <= 256 and all(isinstance(each, str) and len(each) <= 100 for each in fields)


def _require_room(caller: Caller) -> None:
    if page.total(plan(caller, entity(), Wanted(_own(caller, entity())))) >= AUDIENCE_UPLOADS:
        raise Conflict(f"You have {AUDIENCE_UPLOADS:,} batch uploads, the most; delete some first")


def _own(caller: Caller, kind: EntityType) -> Group:
    return Group("and", (Test("user_id", "eq", caller.principal, kind.kinds["user_id"]),))
