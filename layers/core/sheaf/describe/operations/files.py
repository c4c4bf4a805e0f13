"""Files: announced, sent, read."""

from sheaf.base.bounds import UPLOAD_FILES, UPLOAD_PARTS, UPLOAD_SIGNED_PARTS
from sheaf.describe.operations.operation import Operation, Operations
from sheaf.describe.schemas import COUNT, MOMENT, Schema, array, either, envelope, nullable, record, ref

TEXT: Schema = {"type": "string"}
FILE_ID = "fil_01h00000000000000000000000"
UPLOAD = record(
    {
        "id": TEXT,
        "filename": TEXT,
        "size": COUNT,
        "type": TEXT,
        "sha256": nullable(TEXT),
        "status": {"enum": ["pending", "uploaded", "ready", "rejected", "infected"]},
        "reason": nullable(TEXT),
        "receipt": nullable({"type": "string", "description": "What was found, as a signed token (RFC 7515)"}),
        "variants": {"type": "object", "description": "Smaller pictures of a picture, by their names"},
        "job": nullable(TEXT),
        "createdAt": MOMENT,
        "updatedAt": MOMENT,
        "version": COUNT,
        "upload": record(
            {
                "method": {"enum": ["POST", "PUT", "multipart"]},
                "expiresAt": MOMENT,
                "url": TEXT,
                "fields": {"type": "object"},
                "headers": {"type": "object"},
                "partSize": COUNT,
                "partCount": COUNT,
                "parts": TEXT,
            },
            optional=("url", "fields", "headers", "partSize", "partCount", "parts"),
        ),
        "download": record({"url": TEXT, "expiresAt": MOMENT, "receipt": nullable(TEXT)}),
    },
    optional=("upload", "download"),
)
ANNOUNCED = record(
    {
        "filename": {"type": "string", "minLength": 1, "maxLength": 255},
        "size": {"type": "integer", "minimum": 1},
        "type": {"type": "string", "examples": ["image/png"]},
        "sha256": nullable({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
        "method": {"enum": ["POST", "PUT", "multipart"], "description": "How it is to be sent"},
    },
    optional=("sha256", "method"),
)
SEVERAL = record({"files": array(ANNOUNCED, minItems=1, maxItems=UPLOAD_FILES)})
RECEIVED = record(
    {
        "url": {"type": "string", "description": "Relative to the request's own address"},
        "filename": TEXT,
        "size": COUNT,
        "type": TEXT,
        "id": TEXT,
        "sha256": TEXT,
        "status": TEXT,
    }
)
PART_NUMBER: Schema = {"type": "integer", "minimum": 1, "maximum": UPLOAD_PARTS}
PARTS = record(
    {
        "id": TEXT,
        "status": TEXT,
        "partSize": COUNT,
        "partCount": COUNT,
        "arrived": array(COUNT),
        "missing": array(COUNT),
    }
)
LINKS = record(
    {
        "parts": array(
            record(
                {
                    "number": COUNT,
                    "size": COUNT,
                    "method": {"const": "PUT"},
                    "url": TEXT,
                    "expiresAt": {"type": "string", "format": "date-time"},
                }
            )
        )
    }
)
ASKED = record(
    {
        "method": {"enum": ["PUT", "POST", "GET", "DELETE"]},
        "key": {"type": "string", "description": "The id of an announced file"},
        "uploadId": TEXT,
        "partNumber": PART_NUMBER,
        "expiresIn": {"type": "number"},
        "contentType": TEXT,
    },
    optional=("uploadId", "partNumber", "expiresIn", "contentType"),
)
GONE = record({"id": TEXT, "deleted": {"const": True}, "version": COUNT})
BYTES: Schema = {"type": "string", "format": "binary"}
LIST = ("limit", "cursor", "page", "total", "sort", "fields", "filter", "trash", "status", "type")
ONE = "/v1/uploads/<file_id>"

ROUTES: Operations = {
    ("POST", "/v1/upload"): Operation(
        "Send a small file (`file`), or several (`files`), through the API itself",
        "uploads",
        {
            200: either(envelope(RECEIVED), envelope(record({"files": array(RECEIVED)}))),
            201: either(envelope(RECEIVED), envelope(record({"files": array(RECEIVED)}))),
        },
        form=record({"file": BYTES, "files": array(BYTES, maxItems=UPLOAD_FILES)}, optional=("file", "files"), more=True),
        example={"file": "(the bytes of a picture)"},
        write=True,
        errors=(409,),
        error="UploadError",
    ),
    ("POST", "/v1/uploads"): Operation(
        "Announce a file, or several; the answer says how to send it",
        "uploads",
        {201: either(envelope(ref("Upload")), envelope(record({"files": array(ref("Upload"))})))},
        body=either(ANNOUNCED, SEVERAL),
        example={"filename": "a.png", "size": 1024, "type": "image/png"},
        write=True,
        errors=(409,),
    ),
    ("GET", "/v1/uploads"): Operation(
        "List files", "uploads", {200: envelope(array({"type": "object"}), ref("Page"))}, query=LIST
    ),
    ("GET", "/v1/uploads/jwks.json"): Operation(
        "The keys that verify receipts (RFC 7517)", "uploads", {200: record({"keys": array({"type": "object"})})}
    ),
    ("POST", "/v1/uploads/sign"): Operation(
        "Sign one request to the bucket, as Uppy's `signRequest` asks",
        "uploads",
        {200: record({"url": TEXT, "key": TEXT})},
        body=ASKED,
        example={"method": "PUT", "key": FILE_ID},
        errors=(404, 409),
    ),
    ("GET", ONE): Operation(
        "Read a file's row, with links once it is ready",
        "uploads",
        {200: envelope(ref("Upload"))},
        query=("wait",),
        errors=(404,),
    ),
    ("DELETE", ONE): Operation(
        "Delete a file, or give up one that has not arrived; it cannot be restored",
        "uploads",
        {200: envelope(GONE)},
        write=True,
        versioned=True,
        errors=(404, 409),
    ),
    ("GET", f"{ONE}/content"): Operation(
        "A link to the content, good for five minutes", "uploads", {302: None}, query=("variant", "wait"), errors=(404, 409)
    ),
    ("GET", f"{ONE}/history"): Operation(
        "Who changed what and when, newest first",
        "uploads",
        {200: envelope(array(ref("Change")), ref("Page"))},
        query=("limit", "cursor"),
        errors=(404,),
    ),
    ("GET", f"{ONE}/parts"): Operation(
        "Which parts have arrived and which are missing", "uploads", {200: envelope(PARTS)}, errors=(404, 409)
    ),
    ("POST", f"{ONE}/parts"): Operation(
        "Links to send parts with",
        "uploads",
        {200: envelope(LINKS)},
        body=record({"parts": array(PART_NUMBER, minItems=1, maxItems=UPLOAD_SIGNED_PARTS)}),
        example={"parts": [1, 2]},
        errors=(404, 409),
    ),
    ("POST", f"{ONE}/complete"): Operation(
        "Put the parts together", "uploads", {200: envelope(ref("Upload"))}, query=("wait",), errors=(404, 409)
    ),
}
