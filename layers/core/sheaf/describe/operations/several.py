"""Several requests in one."""

from sheaf.base.bounds import BATCH_REQUESTS
from sheaf.describe.operations.operation import Operation, Operations
from sheaf.describe.schemas import COUNT, MOMENT, Schema, array, either, envelope, record, ref

DIGEST: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
ID: Schema = {"type": "string", "pattern": r"^[A-Za-z0-9_-]{1,64}$"}
PATH: Schema = {"type": "string", "pattern": "^/[^/]?", "maxLength": 8_000, "description": "With or without /api/v1"}
TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
REQUEST = record(
    {
        "id": ID,
        "method": {"enum": ["GET", "POST", "PUT", "PATCH", "DELETE", "get", "post", "put", "patch", "delete"]},
        "path": PATH,
        "headers": {**TEXTS, "description": "If-Match, If-None-Match, Idempotency-Key, Prefer, Accept, Content-Type"},
        "body": {"description": "Any JSON; a text that is @{id.body.field} stands for a value of another answer"},
        "dependsOn": array(ID),
        "atomicityGroup": ID,
    },
    optional=("headers", "body", "dependsOn", "atomicityGroup"),
)
RESPONSE = record(
    {"id": ID, "status": COUNT, "headers": TEXTS, "body": {}, "meta": {"type": "object"}}, optional=("headers", "meta")
)
PLANNED = record(
    {
        "id": ID,
        "method": {"type": "string"},
        "path": {"type": "string"},
        "dependsOn": array(ID),
        "atomicityGroup": ID,
        "permission": {"type": "string"},
        "cost": COUNT,
        "allowed": {"type": "boolean"},
        "status": COUNT,
        "error": {"type": "string"},
    },
    optional=("atomicityGroup", "permission", "cost", "status", "error"),
)
PLAN = record({"order": array(array(ID)), "cost": COUNT, "requests": array(PLANNED)})


def _told(name: str, schema: Schema) -> list[Schema]:
    """In the older shape, and in the envelope."""
    flat = {"success": {"const": True}, name: schema, "requestId": {"type": "string"}, "timestamp": {"type": "string"}}
    return [record(flat), envelope(record({name: schema}))]


QUERY: Schema = {"type": "string", "minLength": 1, "description": "One operation with its fragments"}
STORED = record({"id": DIGEST, "name": {"type": "string"}, "query": QUERY, "createdAt": MOMENT, "createdBy": {"type": "string"}})
LISTED = record({name: schema for name, schema in STORED["properties"].items() if name != "query"})
EXAMPLE = {"query": "{ tasks(first: 1) { nodes { id title } } }"}

ROUTES: Operations = {
    ("POST", "/v1/graphql"): Operation(
        "Run one GraphQL operation; its schema is at /v1/graphql/schema",
        "graphql",
        {200: either(ref("GraphqlAnswer"), envelope({"type": "object"}))},
        body=record(
            {
                "query": QUERY,
                "variables": {"type": ["object", "null"]},
                "operationName": {"type": ["string", "null"]},
                "extensions": {"type": "object", "description": "persistedQuery.sha256Hash names a registered operation"},
            },
            optional=("query", "variables", "operationName", "extensions"),
        ),
        example=EXAMPLE,
        write=True,
        errors=(404, 409, 413),
        error="GraphqlError",
    ),
    ("GET", "/v1/graphql/schema"): Operation(
        "The GraphQL schema in its own language",
        "graphql",
        {200: {"type": "string", "contentMediaType": "text/plain"}},
        errors=(404,),
    ),
    ("GET", "/v1/graphql/explorer"): Operation(
        "A page to write and run operations", "graphql", {200: {"type": "string", "contentMediaType": "text/html"}}
    ),
    ("GET", "/v1/graphql/operations"): Operation("List the registered operations", "graphql", {200: envelope(array(LISTED))}),
    ("POST", "/v1/graphql/operations"): Operation(
        "Register an operation, to be run by its SHA-256",
        "graphql",
        {201: envelope(STORED)},
        body=record({"query": QUERY}),
        example=EXAMPLE,
        errors=(409,),
    ),
    ("GET", "/v1/graphql/operations/<digest>"): Operation(
        "One registered operation with its text", "graphql", {200: envelope(STORED)}, errors=(404,)
    ),
    ("DELETE", "/v1/graphql/operations/<digest>"): Operation(
        "Forget a registered operation", "graphql", {204: None}, errors=(404,)
    ),
    ("POST", "/v1/batch"): Operation(
        f"Up to {BATCH_REQUESTS} requests for rows in one, side by side, in the order of dependsOn, or as one transaction",
        "batch",
        {200: either(*_told("responses", array(RESPONSE)), *_told("plan", PLAN))},
        body=record({"requests": array(REQUEST, minItems=1, maxItems=BATCH_REQUESTS)}),
        example={"requests": [{"id": "a", "method": "GET", "path": "/tasks?limit=1"}]},
        write=True,
        errors=(409,),
    ),
}
