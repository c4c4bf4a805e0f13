"""JSON Schemas (draft 2020-12, as OpenAPI 3.1 has them): of entities, and of what answers share."""

from collections.abc import Callable
from typing import Any

from sheaf.entity.names import SYSTEM_FIELDS
from sheaf.entity.registry import EntityType

Schema = dict[str, Any]
Rename = Callable[[str], str]

SERVER: Schema = {
    "id": {"type": "string", "description": "TypeID: the entity's prefix, _ and a UUIDv7"},
    "createdAt": {"type": "string", "format": "date-time"},
    "updatedAt": {"type": "string", "format": "date-time"},
    "version": {"type": "integer", "minimum": 1, "description": "Rises with every change; ETag holds it"},
}
MOMENT: Schema = {"type": "string", "format": "date-time"}
ID: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}


def ref(name: str) -> Schema:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Schema, **rules: Any) -> Schema:
    """A list."""
    return {"type": "array", "items": items, **rules}


def record(fields: dict[str, Schema], *, optional: tuple[str, ...] = (), more: bool = False) -> Schema:
    """An object with these members, all required but the `optional` ones; others only with `more`."""
    return {
        "type": "object",
        "properties": fields,
        "required": [name for name in fields if name not in optional],
        **({} if more else {"additionalProperties": False}),
    }


def nullable(schema: Schema) -> Schema:
    """The schema, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def either(*schemas: Schema) -> Schema:
    """One of the schemas."""
    return {"anyOf": list(schemas)}


def envelope(data: Schema, meta: Schema | None = None, *, message: bool = False) -> Schema:
    """A good answer."""
    fields = {
        "success": {"const": True},
        "data": data,
        "meta": meta or {"type": "object"},
        "message": {"type": "string"},
        "requestId": {"type": "string"},
        "timestamp": MOMENT,
    }
    left = [*([] if meta else ["meta"]), *([] if message else ["message"])]
    return record(fields, optional=tuple(left))


def of_entity(entity: EntityType, rename: Rename) -> dict[str, Schema]:
    """The schemas of one entity by name: Task, TaskPart (some fields), TaskCreate, TaskReplace, TaskPatch."""
    name = entity.model.__name__
    inputs = entity.model.model_json_schema(mode="validation", ref_template="#/components/schemas/{model}")
    outputs = entity.model.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
    shown = {
        rename(field): _plain(outputs["properties"][field]) for field in entity.model.model_fields if field not in entity.hidden
    }
    full = {"id": SERVER["id"], **shown, **{field: SERVER[field] for field in SYSTEM_FIELDS[1:]}}
    expanded = {"expand": {"type": "object", "description": "Related rows, where `expand` asks for them"}}
    born = [field for field in entity.model.model_fields if field not in entity.given]
    changed = [field for field in born if field not in entity.fixed]
    required = set(inputs.get("required", []))
    return {
        name: record({**full, **expanded}, optional=("expand",)) | {"description": _first(entity), "title": name},
        f"{name}Part": record({**full, **expanded}, optional=(*[each for each in full if each != "id"], "expand")),
        f"{name}Create": _input(inputs, born, required, rename),
        f"{name}Replace": _input(inputs, changed, required, rename),
        f"{name}Patch": _input(inputs, changed, set(), rename, loose=True),
        **{model: schema for source in (inputs, outputs) for model, schema in source.get("$defs", {}).items()},
    }


def example_of(schema: Schema) -> Any:
    """A small value that fits a schema of ours: required members only, the first of several possibilities."""
    if "default" in schema or "const" in schema or "enum" in schema or "examples" in schema:
        return schema.get("default", schema.get("const", (schema.get("enum") or schema.get("examples") or [None])[0]))
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0])
    match schema.get("type"):
        case "object":
            return {name: example_of(schema["properties"][name]) for name in schema.get("required", [])}
        case "array":
            return [example_of(schema["items"])] * schema.get("minItems", 0)
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
    if schema.get("format") == "date-time":
        return "2026-01-31T08:00:00Z"
    if "@" in schema.get("pattern", ""):
        return "ann@example.com"
    return "Example text"[: schema.get("maxLength", 12)].ljust(schema.get("minLength", 1), ".")


def _input(inputs: Schema, fields: list[str], required: set[str], rename: Rename, *, loose: bool = False) -> Schema:
    made = {field: _plain(inputs["properties"][field], default=not loose) for field in fields}
    if loose:  # null takes a value away
        made = {field: nullable(schema) if not _takes_null(schema) else schema for field, schema in made.items()}
    return record(
        {rename(field): schema for field, schema in made.items()},
        optional=tuple(rename(field) for field in fields if field not in required),
    )


def _plain(schema: Schema, *, default: bool = True) -> Schema:
    left_out = {"title", *(() if default else ("default",))}
    return {name: value for name, value in schema.items() if name not in left_out}


def _takes_null(schema: Schema) -> bool:
    return any(each.get("type") == "null" for each in schema.get("anyOf", []))


def _first(entity: EntityType) -> str:
    return (entity.model.__doc__ or "").partition("\n")[0] if "__doc__" in vars(entity.model) and entity.model.__doc__ else ""


ERROR = record(
    {
        "success": {"const": False},
        "error": {"type": "string"},
        "code": {"type": "string", "description": "Stable; docs/errors.md has a page for each"},
        "message": {"type": "string"},
        "errors": {"type": "object", "additionalProperties": {"type": "string"}},
        "docUrl": {"type": "string"},
        "requestId": {"type": "string"},
        "timestamp": MOMENT,
    },
    optional=("errors",),
    more=True,
)
PROBLEM = record(
    {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"type": "string"},
        "errors": {"type": "object", "additionalProperties": {"type": "string"}},
        "requestId": {"type": "string"},
    },
    optional=("errors",),
    more=True,
)
PAGE = record(
    {
        "limit": {"type": "integer"},
        "hasMore": {"type": "boolean"},
        "nextCursor": nullable({"type": "string"}),
        "page": {"type": "integer"},
        "total": COUNT,
        "expand": {"type": "object"},
    },
    optional=("page", "total", "expand"),
)
_COUNTED = ("total", "created", "updated", "deleted", "skipped", "failed", "unprocessed")
JOB = record(
    {
        "id": ID,
        "type": {"enum": ["bulk", "import", "revert", "export", "analytics", "package", "audience", "users", "reset"]},
        "entity": {"type": "string"},
        "status": {"enum": ["queued", "running", "finalising", "succeeded", "failed", "cancelling", "cancelled"]},
        "counts": record(dict.fromkeys(_COUNTED, COUNT), optional=("unprocessed",)),
        "ratePerSecond": {"type": "number"},
        "etaSeconds": {"type": "integer"},
        "result": nullable(record({"url": ID, "expiresAt": MOMENT, "rows": COUNT, "bytes": COUNT, "sha256": ID})),
        "errorsUrl": {"type": "string"},
        "unprocessedUrl": {"type": "string"},
        "manifestUrl": {"type": "string"},
        "errorGroups": array(record({"field": ID, "error": ID, "code": ID, "count": COUNT, "rows": ID})),
        "dryRun": {"const": True},
        "revertOf": ID,
        "retryOf": ID,
        "upload": ref("Upload"),
        "createdAt": MOMENT,
        "startedAt": MOMENT,
        "finishedAt": MOMENT,
        "error": {"type": "string"},
    },
    optional=("ratePerSecond", "etaSeconds", "errorsUrl", "unprocessedUrl", "manifestUrl", "errorGroups", "dryRun", "revertOf",
              "retryOf", "upload", "startedAt", "finishedAt", "error"),
)  # fmt: skip
CHANGE = record(
    {
        "version": {"type": "integer"},
        "type": {"type": "string"},
        "eventId": ID,
        "at": MOMENT,
        "actor": ID,
        "requestId": ID,
        "changes": {"type": "object", "additionalProperties": record({"from": {}, "to": {}})},
    },
)
_VERB: Schema = {"enum": ["create", "update", "upsert", "delete"]}
_FLAGS = ("skipInvalid", "returnFailures", "atomic", "dryRun")
_OPTIONS = record({**{name: {"type": "boolean"} for name in _FLAGS}, "key": ID}, optional=(*_FLAGS, "key"))
_UPDATED = {"type": "object", "properties": {"id": ID, "version": {"type": "integer"}}, "required": ["id"]}
BULK_CREATE: Schema = {
    "anyOf": [
        array({"type": "object"}, minItems=1),
        record(
            {"items": array({"type": "object"}, minItems=1), "operation": _VERB, "options": _OPTIONS},
            optional=("operation", "options"),
        ),
    ]
}
BULK_UPDATE: Schema = {
    "anyOf": [
        array(_UPDATED, minItems=1),
        record({"updates": array(_UPDATED, minItems=1), "options": _OPTIONS}, optional=("options",)),
        record(
            {"ids": array(ID, minItems=1), "data": {"type": "object", "minProperties": 1}, "options": _OPTIONS},
            optional=("options",),
        ),
    ]
}
BULK_DELETE: Schema = {
    "anyOf": [
        array(_UPDATED, minItems=1),
        record({"ids": array(ID, minItems=1), "options": _OPTIONS}, optional=("options",)),
    ]
}
BULK: Schema = {
    "anyOf": [
        *BULK_CREATE["anyOf"],
        *BULK_UPDATE["anyOf"][1:],
        record({"ids": array(ID, minItems=1), "operation": {"const": "delete"}, "options": _OPTIONS}, optional=("options",)),
    ]
}
BULK_RESULT = record(
    {
        "created": COUNT,
        "updated": COUNT,
        "deleted": COUNT,
        "skipped": COUNT,
        "dryRun": {"const": True},
        "failed": COUNT,
        "items": array({"type": "object"}),
        "results": array({"type": "object"}),
        "failures": array({"type": "object"}),
    },
    optional=("created", "updated", "deleted", "skipped", "dryRun", "failures"),
)
WEBHOOK = record(
    {
        "id": ID,
        "url": ID,
        "events": array({"type": "string"}),
        "createdAt": MOMENT,
        "updatedAt": MOMENT,
        "status": {"enum": ["enabled", "disabled"]},
        "disabledReason": nullable(ID),
        "description": nullable(ID),
        "filter": nullable({"type": "object"}),
        "headers": array({"type": "string", "description": "A name; values are never shown"}),
        "payload": {"enum": ["full", "thin"]},
        "rateLimit": nullable({"type": "integer"}),
        "publicKey": nullable({"type": "string", "description": "whpk_ and an ed25519 key in base 64"}),
        "secrets": array(record({"createdAt": MOMENT, "expiresAt": nullable(MOMENT)})),
        "failingSince": nullable(MOMENT),
        "disablesAt": nullable(MOMENT),
        "version": {"type": "integer"},
        "secret": {"type": "string", "description": "Made by the server; told once"},
    },
    optional=("secret",),
)
_ATTEMPT: dict[str, Schema] = {
    "attempt": {"type": "integer", "minimum": 1},
    "status": {"enum": ["succeeded", "failed"]},
    "statusCode": nullable({"type": "integer"}),
    "error": nullable(ID),
    "response": nullable({"type": "string", "description": "The beginning of what the receiver answered"}),
    "durationMs": COUNT,
    "createdAt": MOMENT,
    "nextAttemptAt": nullable(MOMENT),
}
ATTEMPT = record({"eventId": ID, "eventType": ID, **_ATTEMPT})
DELIVERY = record(
    {
        "eventId": ID,
        "eventType": ID,
        "webhookId": ID,
        "rowId": ID,
        "status": {"enum": ["pending", "delivered", "dead"]},
        "reason": nullable({"type": "string", "description": "Why it is dead"}),
        "waitsFor": nullable({"type": "string", "description": "The event of the same row that has to be delivered before"}),
        "attemptCount": COUNT,
        "nextAttemptAt": nullable(MOMENT),
        "eventAt": MOMENT,
        "updatedAt": MOMENT,
        "attempts": array(record(_ATTEMPT)),
    }
)
BLOG_POST = record(
    {
        "id": ID,
        "title": ID,
        "content": ID,
        "excerpt": nullable(ID),
        "author": record({"id": nullable(ID), "name": nullable(ID), "email": nullable(ID)}),
        "tags": array(ID),
        "publishedAt": nullable(MOMENT),
        "createdAt": MOMENT,
        "updatedAt": MOMENT,
        "status": {"enum": ["draft", "published", "archived"]},
    },
)
GRANT: dict[str, Schema] = {
    "token": ID,
    "tokenType": {"const": "Bearer"},
    "expiresIn": COUNT,
    "refreshToken": ID,
    "refreshExpiresIn": COUNT,
}
SESSION = record(
    {
        "id": ID,
        "current": {"type": "boolean"},
        "device": ID,
        "userAgent": ID,
        "address": ID,
        "createdAt": MOMENT,
        "lastSeenAt": MOMENT,
        "expiresAt": MOMENT,
    }
)
API_KEY = {
    "type": "object",
    "properties": {
        "id": ID,
        "name": ID,
        "role": ID,
        "scopes": nullable(array(ID)),
        "allowedIps": nullable(array(ID)),
        "expiresAt": nullable(MOMENT),
        "createdAt": MOMENT,
        "createdBy": ID,
        "rotatedAt": nullable(MOMENT),
        "lastUsedAt": nullable(MOMENT),
    },
    "required": ["id", "name", "role", "scopes", "createdAt"],
}
TENANT = record(
    {"id": ID, "name": ID, "tier": ID, "status": ID, "adminIps": nullable(array(ID)), "createdAt": MOMENT}, optional=("adminIps",)
)
INVITATION = record(
    {
        "id": ID,
        "email": ID,
        "role": ID,
        "status": {"enum": ["open", "unsent", "accepted", "revoked", "expired"]},
        "invitedBy": ID,
        "createdAt": MOMENT,
        "expiresAt": MOMENT,
    }
)
PERSON = record(
    {"id": ID, "name": ID, "email": ID, "role": ID, "avatar": nullable(ID), "emailVerified": {"type": "boolean"}},
)
_BATCH: dict[str, Schema] = {"upload_id": ID, "upload_name": ID, "created_at": MOMENT, "rows_received": COUNT}
_PLACE = {"meta": ref("Page")}
_RECORDS = array({"type": "object"})
BATCH = record({**_BATCH, "status": {"enum": ["receiving", "uploaded", "failed"]}})
BATCH_RECORDS = record(
    {
        **_BATCH,
        "upload_status": ID,
        "upload": record({"status": ID}),
        "records": _RECORDS,
        "fields": array(ID),
        "reason": ID,
        **_PLACE,
    },
    optional=("reason",),
)
SEGMENT = record(
    {
        "segment_id": ID,
        "segment_name": ID,
        "upload_id": ID,
        "fields": array(ID),
        "rows": COUNT,
        "created_at": MOMENT,
        "records": _RECORDS,
        **_PLACE,
    },
    optional=("records", "meta"),
)
SHARED: dict[str, Schema] = {
    "Error": ERROR,
    "Problem": PROBLEM,
    "Page": PAGE,
    "Job": JOB,
    "Change": CHANGE,
    "Bulk": BULK,
    "BulkUpdate": BULK_UPDATE,
    "BulkDelete": BULK_DELETE,
    "Batch": BATCH,
    "BatchRecords": BATCH_RECORDS,
    "Segment": SEGMENT,
    "AudienceError": record(
        {"status": {"const": "error"}, "message": ID, "code": ID, "errors": {"type": "object"}, "requestId": ID},
        optional=("errors",),
        more=True,
    ),
    "UploadError": record(
        {"error": ID, "code": ID, "errors": {"type": "object"}, "requestId": ID}, optional=("errors",), more=True
    ),
    "BulkResult": BULK_RESULT,
    "Webhook": WEBHOOK,
    "Attempt": ATTEMPT,
    "Delivery": DELIVERY,
    "InboundHook": record(
        {
            "id": ID,
            "entity": ID,
            "name": ID,
            "path": {
                "type": ["string", "null"],
                "description": "Of this API, for who may write webhooks; whoever has it may add rows",
            },
            "createdAt": MOMENT,
        }
    ),
    "BlogPost": BLOG_POST,
    "Tokens": record(GRANT),
    "Login": record({**GRANT, "user": ref("Person")}),
    "Session": SESSION,
    "ApiKey": API_KEY,
    "Tenant": TENANT,
    "Invitation": INVITATION,
    "Person": PERSON,
    "Member": {
        "type": "object",
        "properties": {"id": ID, "name": ID, "email": ID, "role": ID, "status": ID, "lastLogin": nullable(MOMENT)},
        "required": ["id"],
    },
    "BlogError": record(
        {"error": ID, "message": ID, "allowedMethods": array(ID)}, optional=("message", "allowedMethods"), more=True
    ),
    "OfrepError": record({"key": ID, "errorCode": ID, "errorDetails": ID, "requestId": ID}, optional=("key",)),
    "InboundError": record(
        {
            "success": {"const": False},
            "error": ID,
            "code": ID,
            "message": ID,
            "errors": {"type": "object"},
            "docUrl": ID,
            "requestId": ID,
            "timestamp": MOMENT,
        },
        optional=("errors",),
        more=True,
    ),
    "ContactError": record({"success": {"const": False}, "message": ID, "errors": {"type": "object"}}, optional=("errors",)),
    "GraphqlAnswer": record(
        {"data": {"type": ["object", "null"]}, "errors": array(ref("GraphqlProblem")), "extensions": {"type": "object"}},
        optional=("data", "errors", "extensions"),
    ),
    "GraphqlProblem": record(
        {"message": ID, "locations": array({"type": "object"}), "path": array({}), "extensions": {"type": "object"}},
        optional=("locations", "path", "extensions"),
    ),
    "GraphqlError": record({"errors": array(ref("GraphqlProblem")), "requestId": ID}),
    "HelloError": record({"message": ID, "timestamp": MOMENT}),
    "Sums": {"type": "object", "description": "What `aggregate` asks for, one object a group", "minProperties": 1},
}
