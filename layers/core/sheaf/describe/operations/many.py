"""Many rows at once, jobs, exports, and batches of audience records."""

from typing import Any

from sheaf.describe.operations.files import ANNOUNCED
from sheaf.describe.operations.operation import Operation, Operations
from sheaf.describe.operations.rows import JOB
from sheaf.describe.schemas import BULK, COUNT, Schema, array, either, envelope, record, ref

ID: Schema = {"type": "string"}
FILES = ("text/csv", "application/x-ndjson", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
SETTINGS: dict[str, Schema] = {
    "format": {"enum": ["csv", "xlsx", "ndjson", "json"]},
    "operation": {"enum": ["create", "update", "upsert", "delete"]},
    "key": ID,
    "mapping": {"type": "object", "additionalProperties": {"anyOf": [ID, {"type": "null"}]}},
    "encoding": {"enum": ["utf-8", "utf-16", "latin-1"]},
    "delimiter": {"enum": [",", ";", "\t", "|", "tab"]},
    "sheet": ID,
    "emptyCells": {"enum": ["keep", "clear"]},
    "dryRun": {"type": "boolean"},
    "skipInvalid": {"type": "boolean"},
}
UPLOADED = record({"uploadId": ID, **SETTINGS}, optional=tuple(SETTINGS))
SENT = record({"file": ANNOUNCED, **SETTINGS}, optional=tuple(SETTINGS))
IMPORT: Schema = {"anyOf": [*BULK["anyOf"], UPLOADED, SENT]}
URLS = record({"urls": array({"anyOf": [ID, record({"url": ID}, more=True)]}, minItems=1)})
EXPORT_FIELDS: dict[str, Schema] = {
    "format": {"enum": ["csv", "xlsx", "ndjson", "json"]},
    "filter": {"type": "object"},
    "sort": ID,
    "search": ID,
    "fields": array(ID, minItems=1),
}
EXPORT = record(EXPORT_FIELDS, optional=("filter", "sort", "search", "fields"))
DATA = record({"type": ID, **EXPORT_FIELDS}, optional=("filter", "sort", "search", "fields"))
RESULT = envelope(ref("BulkResult"))
MANY: dict[int, Schema | None] = {200: RESULT, 202: JOB, 207: RESULT}
JOBS = envelope(array(ref("Job")), ref("Page"))
BATCH_BODY = record(
    {"upload_name": ID, "records": array({"type": "object"}, minItems=1), "fields": array(ID), "file": ANNOUNCED},
    optional=("records", "fields", "file"),
)
SEGMENT_BODY = record(
    {
        "segment_name": ID,
        "rows": array(COUNT, minItems=1),
        "filter": {"type": "object"},
        "records": array({"type": "object"}, minItems=1),
        "fields": array(ID),
    },
    optional=("rows", "filter", "records", "fields"),
)
BATCH = "/v1/audience/batch-upload"
SEGMENTS = "/v1/audience/segments"
BATCH_EXAMPLE = {"upload_name": "Fair", "records": [{"business_email": "ann@example.com", "first_name": "Ann"}]}
ROW_ID = "tsk_01h00000000000000000000000"


def told(data: dict[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """An answer in the older shape, or in the envelope."""
    flat = record({"status": {"const": "success"}, **data, "message": ID}, optional=(*optional, "message"), more=True)
    return either(flat, envelope(record(data, optional=optional, more=True), message=True), envelope({"type": "object"}))


def listed(name: str, schema: Schema) -> Schema:
    """A list in the older shape, or in the envelope."""
    flat = record({"status": {"const": "success"}, name: array(schema), "meta": ref("Page")})
    return either(flat, envelope(array(schema), ref("Page")))


def audience(summary: str, answers: dict[int, Schema | None], **more: Any) -> Operation:
    """A route of the batches."""
    return Operation(summary, "audience", answers, error="AudienceError", **more)


def status(what: str) -> Operation:
    """An older path of jobs."""
    return Operation(
        f"One {what}, or a list of them",
        "jobs",
        {200: either(JOB, JOBS)},
        query=("id", "wait", "limit", "cursor", "status", "type", "entity"),
        errors=(404,),
    )


MADE = {"upload_id": ID, "session_token": ID, "rows_received": COUNT, "upload_status": ID}
GONE = told({}, optional=())
JOB_READ = Operation("Read a job, or wait for its end", "jobs", {200: JOB}, query=("wait",), errors=(404,))
ROUTES: Operations = {
    ("POST", "/v1/<entity>/bulk"): Operation(
        "Create or upsert many {words} (or update and delete them by their ids): up to 100 at once, more as a job",
        "{words}",
        MANY,
        body=ref("Bulk"),
        example=None,
        write=True,
        errors=(409, 412),
    ),
    ("PATCH", "/v1/<entity>/bulk"): Operation(
        "Update many {words}: each its own fields, or all the same",
        "{words}",
        MANY,
        body=ref("BulkUpdate"),
        example=[{"id": ROW_ID}],
        write=True,
        errors=(404, 409, 412),
    ),
    ("DELETE", "/v1/<entity>/bulk"): Operation(
        "Delete many {words}; they can be restored for 30 days",
        "{words}",
        MANY,
        body=ref("BulkDelete"),
        example={"ids": [ROW_ID]},
        write=True,
        errors=(404, 409, 412),
    ),
    ("POST", "/v1/batch/<entity>/update"): Operation(
        "Update up to 100 {words}",
        "{words}",
        MANY,
        body=ref("BulkUpdate"),
        example=[{"id": ROW_ID}],
        write=True,
        errors=(404, 409, 412),
    ),
    ("POST", "/v1/import/<entity>"): Operation(
        "Import {words}: rows as {words}/bulk takes them, or a file in the body, uploaded before, or to be sent",
        "{words}",
        MANY,
        body=IMPORT,
        example=None,
        query=tuple(SETTINGS),
        write=True,
        errors=(404, 409, 412),
        files=FILES,
    ),
    ("POST", "/v1/import/videos"): Operation(
        "Import videos: as other entities, and by their addresses at YouTube and Vimeo",
        "videos",
        MANY,
        body={"anyOf": [URLS, *IMPORT["anyOf"]]},
        example={"urls": ["https://youtu.be/dQw4w9WgXcQ"]},
        query=tuple(SETTINGS),
        write=True,
        errors=(404, 409, 412),
        files=FILES,
    ),
    ("POST", "/v1/<entity>/export"): Operation(
        "Write {words} to a file, as a job",
        "{words}",
        {202: JOB},
        body=EXPORT,
        example={"format": "csv"},
        write=True,
        errors=(409,),
    ),
    ("POST", "/v1/export/data"): Operation(
        "The same for a type: analytics, users, videos or the path of any entity",
        "jobs",
        {202: JOB},
        body=DATA,
        example={"type": "analytics", "format": "csv"},
        write=True,
        errors=(409,),
    ),
    ("POST", "/v1/gdpr/export-data"): Operation(
        "All data of a person in one archive, as a job: one's own, or for admins that of a user or an address",
        "jobs",
        {202: JOB},
        body=record({"userId": ID, "email": {"type": "string"}}, optional=("userId", "email")),
        example={},
        write=True,
        errors=(404, 409),
    ),
    ("GET", "/v1/export/status"): status("export"),
    ("GET", "/v1/export/status/<job_id>"): JOB_READ,
    ("GET", "/v1/batch/status"): status("batch operation"),
    ("GET", "/v1/batch/status/<job_id>"): JOB_READ,
    ("GET", "/v1/jobs"): Operation(
        "List jobs, newest first: one's own, an admin's all",
        "jobs",
        {200: JOBS},
        query=("limit", "cursor", "status", "type", "entity"),
    ),
    ("GET", "/v1/jobs/<job_id>"): JOB_READ,
    ("POST", "/v1/jobs/<job_id>/cancel"): Operation(
        "Stop a job: what has begun is done to its end, the rest is left", "jobs", {202: JOB}, write=True, errors=(404, 409)
    ),
    ("POST", "/v1/jobs/<job_id>/retry"): Operation(
        "Do the rows again that failed or were left, as a new job", "jobs", {202: JOB}, write=True, errors=(404, 409)
    ),
    ("POST", "/v1/jobs/<job_id>/revert"): Operation(
        "Undo what a job did, but for rows that were edited since, as a new job",
        "jobs",
        {202: JOB},
        body=record({"dryRun": {"type": "boolean"}}, optional=("dryRun",)),
        example={},
        write=True,
        errors=(404, 409),
    ),
    # ---- audience ----
    ("POST", BATCH): audience(
        "Upload a batch of audience records, in the body or as a file",
        {200: told(MADE), 201: told(MADE), 202: told({**MADE, "job": ref("Job"), "file": ref("Upload")})},
        body=BATCH_BODY,
        example=BATCH_EXAMPLE,
        write=True,
        errors=(409,),
    ),
    ("GET", BATCH): audience(
        "List one's batches, newest first", {200: listed("uploads", ref("Batch"))}, query=("limit", "cursor")
    ),
    ("GET", f"{BATCH}/<upload_id>"): audience(
        "Read a batch and a page of its records", {200: told({})}, query=("limit", "cursor"), errors=(404,)
    ),
    ("DELETE", f"{BATCH}/<upload_id>"): audience("Delete a batch", {200: GONE}, write=True, errors=(404,)),
    ("POST", f"{BATCH}/<upload_id>/segments"): audience(
        "Save some records of a batch as a segment",
        {200: told({}), 201: told({})},
        body=SEGMENT_BODY,
        example={"segment_name": "Berlin", "filter": {"city": "Berlin"}},
        write=True,
        errors=(404, 409),
    ),
    ("GET", SEGMENTS): audience("List one's segments", {200: listed("segments", ref("Segment"))}, query=("limit", "cursor")),
    ("GET", f"{SEGMENTS}/<segment_id>"): audience(
        "Read a segment and a page of its records", {200: told({})}, query=("limit", "cursor"), errors=(404,)
    ),
    ("DELETE", f"{SEGMENTS}/<segment_id>"): audience("Delete a segment", {200: GONE}, write=True, errors=(404,)),
}
