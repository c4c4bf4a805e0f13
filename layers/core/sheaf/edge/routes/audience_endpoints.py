"""What the routes of audience.py do."""

from collections.abc import Mapping
from typing import Any

from sheaf.base.bounds import AUDIENCE_PAGE, BULK_BODY_BYTES, BULK_UNPACKED_BYTES
from sheaf.base.errors import InvalidParameter
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request
from sheaf.edge.shapes import plain
from sheaf.entity import query
from sheaf.features.audience import records, segments, uploads
from sheaf.features.uploads import announce
from sheaf.jobs import progress
from sheaf.records.page import Page
from sheaf.records.rows import fields_of


def create(request: Request) -> Reply:
    """POST of a batch, or the announcement of one that comes as a file."""
    caller, asked = request.caller, uploads.parse(request.json(BULK_BODY_BYTES, BULK_UNPACKED_BYTES))
    if "file" in asked:
        return _announce(request, asked)
    row = uploads.create(caller, asked, request.once())
    made = {"upload_id": row.id, "session_token": uploads.token_of(caller, row.id),
            "rows_received": row.document["rows_received"], "upload_status": row.document["status"]}  # fmt: skip
    return _reply(request, made, 201, message="Batch upload successful", headers={"Location": f"batch-upload/{row.id}"})


def _announce(request: Request, asked: Mapping[str, Any]) -> Reply:
    """The records come as a file: the answer holds the form to send it with."""
    caller = request.caller
    file = announce.awaited(caller, asked["file"], request.once())
    row, job = uploads.announce(caller, asked, file.fields, request.once())
    form = announce.expect(caller, file, job["awaits"], job["sk"])
    made = {"upload_id": row.id, "session_token": uploads.token_of(caller, row.id), "rows_received": 0,
            "upload_status": "receiving", "job": progress.view(caller, job), "file": form}  # fmt: skip
    return _reply(request, made, 202, message="Send the file with the form", headers={"Location": f"batch-upload/{row.id}"})


def list_batches(request: Request) -> Reply:
    """GET of one's batches."""
    limit, cursor = query.window_of(request.query)
    found = uploads.listing(request.caller, limit, cursor)
    return _listed(request, "uploads", [_upload(row.document) for row in found.rows], found, limit)


def show(request: Request, upload_id: str) -> Reply:
    """GET of a batch with a page of its records."""
    start, limit = _window(request.query)
    item = fields_of(uploads.find(request.caller, upload_id))
    found = records.window(request.caller, upload_id, item["edges"], start, limit)
    shown = {name: value for name, value in _upload(item).items() if name != "status"}
    shown |= {
        "upload_status": item["status"],
        "upload": {"status": item["status"]},
        "records": found.records,
        "fields": item["fields"],
    }
    if item["reason"]:
        shown["reason"] = item["reason"]
    return _reply(request, {**shown, **_following(found.following, limit)})


def remove(request: Request, upload_id: str) -> Reply:
    """DELETE of a batch."""
    uploads.remove(request.caller, upload_id, once=request.once())
    return _reply(request, {}, message="Batch upload deleted successfully", bare=("id", upload_id))


def save(request: Request, upload_id: str) -> Reply:
    """POST of a segment of a batch."""
    row = segments.create(request.caller, upload_id, request.json(BULK_BODY_BYTES, BULK_UNPACKED_BYTES), request.once())
    return _reply(request, _segment(row.document), 201, message="Segment saved", headers={"Location": f"../../segments/{row.id}"})


def list_segments(request: Request) -> Reply:
    """GET of one's segments."""
    limit, cursor = query.window_of(request.query)
    found = uploads.owned_page(request.caller, segments.entity(), limit, cursor)
    return _listed(request, "segments", [_segment(row.document) for row in found.rows], found, limit)


def show_segment(request: Request, segment_id: str) -> Reply:
    """GET of a segment with a page of its records."""
    start, limit = _window(request.query)
    item = fields_of(uploads.find(request.caller, segment_id, segments.entity()))
    found = records.window(request.caller, segment_id, item["edges"], start, limit)
    return _reply(request, {**_segment(item), "records": found.records, **_following(found.following, limit)})


def remove_segment(request: Request, segment_id: str) -> Reply:
    """DELETE of a segment."""
    uploads.remove(request.caller, segment_id, segments.entity(), request.once())
    return _reply(request, {}, message="Segment deleted successfully", bare=("id", segment_id))


def _reply(request: Request, data: Mapping[str, Any], status: int = 200, *, message: str = "",
           bare: tuple[str, str] | None = None, headers: Mapping[str, str] | None = None) -> Reply:  # fmt: skip
    """In the older shape `status: success` beside the data, else the envelope; 200 where that shape knows no other."""
    if plain(request):
        gone = {bare[0]: bare[1], "deleted": True} if bare else {}
        return Reply({**data, **gone}, status, message=message or None, headers=headers or {})
    told = {"message": message} if message else {}
    return Reply({"status": "success", **data, **told}, 200 if status == 201 else status, headers=headers or {}, bare=True)


def _listed(request: Request, name: str, shown: list[dict[str, Any]], found: Page, limit: int) -> Reply:
    meta = {"limit": limit, "hasMore": found.next_cursor is not None, "nextCursor": found.next_cursor}
    if plain(request):
        return Reply(shown, meta=meta)
    return Reply({"status": "success", name: shown, "meta": meta}, bare=True)


def _upload(document: Mapping[str, Any]) -> dict[str, Any]:
    return {"upload_id": document["id"], "upload_name": document["upload_name"], "created_at": document["createdAt"],
            "rows_received": document["rows_received"], "status": document["status"]}  # fmt: skip


def _segment(document: Mapping[str, Any]) -> dict[str, Any]:
    return {"segment_id": document["id"], "segment_name": document["segment_name"], "upload_id": document["upload_id"],
            "fields": document["fields"], "rows": document["rows"], "created_at": document["createdAt"]}  # fmt: skip


def _following(number: int | None, limit: int) -> dict[str, Any]:
    return {"meta": {"limit": limit, "hasMore": number is not None, "nextCursor": None if number is None else str(number)}}


def _window(asked: Mapping[str, str]) -> tuple[int, int]:
    wrong = dict.fromkeys(sorted(asked.keys() - {"limit", "cursor"}), "is not a parameter here; limit and cursor are")
    limit, cursor = asked.get("limit", str(AUDIENCE_PAGE)), asked.get("cursor", "0")
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 4 and 1 <= int(limit) <= AUDIENCE_PAGE):
        wrong["limit"] = f"must be a whole number from 1 to {AUDIENCE_PAGE}"
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 9):
        wrong["cursor"] = "must be the nextCursor of an earlier answer"
    if wrong:
        raise InvalidParameter.naming(wrong)
    return int(cursor), int(limit)
