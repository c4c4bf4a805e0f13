"""Operating: health and figures, feature flags, the audit log."""

from sheaf.describe.operations.operation import Operation, Operations
from sheaf.describe.operations.rows import JOB
from sheaf.describe.schemas import MOMENT, Schema, array, envelope, nullable, record, ref

_ID: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_DOCUMENT = nullable({"type": "object"})
ENTRY = record(
    {
        "id": _ID,
        "at": MOMENT,
        "action": {**_ID, "examples": ["task.updated", "api_key.revoked", "access.denied"]},
        "entity": nullable(_ID),
        "target": _ID,
        "actor": _ID,
        "actorType": {"enum": ["user", "key", "hook", "system"]},
        "address": nullable(_ID),
        "requestId": _ID,
        "before": _DOCUMENT,
        "after": _DOCUMENT,
        "erased": array(_ID, description="Values that were erased: address, data.<field>, before.<field>"),
    },
    optional=("erased",),
)
_PROBLEM = record({"segment": nullable(_COUNT), "problem": _ID}, more=True)
_HEAD = nullable(record({"segment": _COUNT, "hash": {"type": "string", "pattern": "^[0-9a-f]{64}$"}, "sealedAt": MOMENT}))
VERIFIED = record(
    {
        "valid": {"type": "boolean"},
        "complete": {"type": "boolean"},
        "segments": _COUNT,
        "entries": _COUNT,
        "problems": array(_PROBLEM),
        "nextSegment": nullable(_COUNT),
        "head": _HEAD,
        "unsealed": _COUNT,
    }
)
_NUMBER: Schema = {"type": "number"}
_STATUS: Schema = {"enum": ["ok", "degraded", "down"]}
_PART = record({"status": _STATUS, "latencyMs": _NUMBER, "error": _ID}, optional=("latencyMs", "error"), more=True)
_CHECK = record({"status": _STATUS, "parts": {"type": "object", "additionalProperties": _PART}})
HEALTH = record(
    {
        "status": _STATUS,
        "timestamp": MOMENT,
        "checks": {"type": "object", "additionalProperties": _CHECK},
        "stage": _ID,
        "versions": {"type": "object"},
    }
)
_REQUESTS = record(
    {
        "total": _COUNT,
        "perSecond": _NUMBER,
        "clientErrors": _COUNT,
        "serverErrors": _COUNT,
        "rateLimited": _COUNT,
        "errorRate": _NUMBER,
    }
)
_LATENCY = nullable(record({"mean": _NUMBER, "p50": _NUMBER, "p95": _NUMBER, "p99": _NUMBER}))
FIGURES = record(
    {
        "scope": {"enum": ["tenant", "all"]},
        "from": MOMENT,
        "to": MOMENT,
        "resolution": {"enum": ["minute", "hour"]},
        "requests": _REQUESTS,
        "latencyMs": _LATENCY,
        "process": record({"coldStarts": _COUNT, "cpuMsPerRequest": nullable(_NUMBER), "memoryMb": nullable(_COUNT)}),
        "routes": array(record({"route": _ID, "requests": _REQUESTS, "latencyMs": _LATENCY})),
        "history": array(record({"at": MOMENT, "requests": _REQUESTS, "latencyMs": _LATENCY})),
    }
)
_METRICS = Operation(
    "Requests, errors, durations and what functions used",
    "operations",
    {200: envelope(FIGURES)},
    query=("from", "to", "scope", "route"),
)
_QUEUE = record({"name": _ID, **dict.fromkeys(("depth", "inFlight", "delayed", "dead"), _COUNT)})
_HITS: dict[str, Schema] = {"hits": _COUNT, "misses": _COUNT, "hitRate": nullable(_NUMBER)}
_KEY: Schema = {"type": "string", "pattern": "^[a-z][a-z0-9._-]{0,62}$"}
_ANY: Schema = {}
_CONDITION = record({"action": _ID, "key": _ID, "value": _ANY})
_RULE = record(
    {"name": _ID, "variant": _ID, "when": array(_CONDITION), "percentage": {"type": "number", "minimum": 0, "maximum": 100},
     "from": MOMENT, "to": MOMENT},
    optional=("name", "when", "percentage", "from", "to"),
)  # fmt: skip
_GUARD = record(
    {
        "routes": array(_ID, minItems=1),
        "errorRate": nullable(_NUMBER),
        "p95Ms": nullable(_NUMBER),
        "minutes": _NUMBER,
        "requests": _NUMBER,
    },
    optional=("errorRate", "p95Ms", "minutes", "requests"),
)
_TERMS: dict[str, Schema] = {
    "description": {"type": "string", "maxLength": 500},
    "enabled": {"type": "boolean"},
    "variants": {"type": "object", "minProperties": 1, "maxProperties": 10},
    "default": _ID,
    "off": _ID,
    "rules": array(_RULE, maxItems=20),
    "selfService": nullable(_ID),
    "guard": nullable(_GUARD),
}
_SEEN: dict[str, Schema] = {"variant": _ID, "value": _ANY, "reason": _ID, "chosen": nullable({"type": "boolean"})}
FLAG = record(
    {"key": _KEY, **_TERMS, "version": _COUNT, **_SEEN},
    optional=("variants", "default", "off", "rules", "guard", "version", *_SEEN),
)
_FLAGS = Operation("Flags, with what they are for the caller", "features", {200: envelope(array(FLAG), ref("Page"))})
_EVALUATED = record({"key": _ID, "reason": _ID, "variant": _ID, "value": _ANY, "metadata": {"type": "object"}})
_CONTEXT = record({"context": {"type": "object"}}, optional=("context",))
_EVALUATE = "/v1/ofrep/v1/evaluate/flags"
_FILTERS = ("user", "action", "entity", "target", "from", "to")
_EXPORT = record(
    {"format": {"enum": ["csv", "json", "ndjson"]}, "chain": {"type": "boolean"}, **dict.fromkeys(_FILTERS, _ID)},
    optional=("format", "chain", *_FILTERS),
)

_BACKUP = record(
    {
        "id": _ID,
        "name": _ID,
        "scope": {"enum": ["tenant", "entity", "record"]},
        "entity": nullable(_ID),
        "status": _ID,
        "job": _ID,
        "at": MOMENT,
        "rows": nullable(_COUNT),
        "bytes": nullable(_COUNT),
        "sha256": nullable(_ID),
        "scheduled": {"type": "boolean"},
        "createdBy": _ID,
        "createdAt": MOMENT,
    }
)
_OUTCOME = nullable({"type": "object", "additionalProperties": _COUNT})
_RESTORE = record(
    {
        "id": _ID,
        "backup": _ID,
        "to": MOMENT,
        "webhooks": {"type": "boolean"},
        "status": {"enum": ["planning", "planned", "confirmed", "running", "done", "failed"]},
        "planJob": _ID,
        "job": nullable(_ID),
        "undoJob": nullable(_ID),
        "changes": _OUTCOME,
        "outcome": _OUTCOME,
        "askedBy": _ID,
        "confirmedBy": nullable(_ID),
        "approvedBy": nullable(_ID),
        "createdAt": MOMENT,
        "differencesUrl": _ID,
        "confirmation": _ID,
        "confirmationExpiresAt": MOMENT,
    },
    optional=("differencesUrl", "confirmation", "confirmationExpiresAt"),
)
_CREATE = Operation(
    "Back up the tenant, an entity or some rows, as a job",
    "backups",
    {202: envelope(_BACKUP)},
    body=record(
        {"name": _ID, "scope": _ID, "entity": _ID, "ids": array(_ID, minItems=1)}, optional=("name", "scope", "entity", "ids")
    ),
    example={"name": "Before the move"},
    write=True,
    errors=(409,),
)
_LIST_BACKUPS = Operation(
    "List backups", "backups", {200: envelope(array(_BACKUP), ref("Page"))}, query=("from", "to", "limit", "cursor")
)
_FILES = record({"id": _ID, "sha256": _ID, "expiresAt": MOMENT, "files": array(record({"name": _ID, "url": _ID}))})
_EVERY: Schema = {"enum": ["hour", "day", "week"]}
_SCHEDULE = record({"every": _EVERY, "keep": _COUNT, "next": MOMENT})
_CONFIRMATION = record({"confirmation": _ID})
_BACKUPS: Operations = {
    ("POST", "/v1/backup"): _CREATE,
    ("POST", "/v1/backup/create"): _CREATE,
    ("GET", "/v1/backup"): _LIST_BACKUPS,
    ("GET", "/v1/backup/list"): _LIST_BACKUPS,
    ("GET", "/v1/backup/<backup_id>"): Operation("One backup", "backups", {200: envelope(_BACKUP)}, errors=(404,)),
    ("GET", "/v1/backup/<backup_id>/download"): Operation(
        "Links to the files of a backup", "backups", {200: envelope(_FILES)}, errors=(404, 409)
    ),
    ("DELETE", "/v1/backup/<backup_id>"): Operation(
        "Delete a backup", "backups", {200: envelope(record({"id": _ID, "removed": {"const": True}}))}, write=True, errors=(404,)
    ),
    ("POST", "/v1/backup/restore"): Operation(
        "Plan a restore, or confirm a planned one",
        "backups",
        {202: envelope(_RESTORE)},
        body=record(
            {"backup": _ID, "to": MOMENT, "webhooks": {"type": "boolean"}, "restore": _ID, "confirmation": _ID},
            optional=("backup", "to", "webhooks", "restore", "confirmation"),
        ),
        example={"backup": "bak_01h00000000000000000000000"},
        write=True,
        errors=(404, 409),
    ),
    ("GET", "/v1/backup/schedule"): Operation(
        "How the tenant is backed up by itself", "backups", {200: envelope(_SCHEDULE)}, errors=(404,)
    ),
    ("PUT", "/v1/backup/schedule"): Operation(
        "Back the tenant up each hour, day or week",
        "backups",
        {200: envelope(_SCHEDULE)},
        body=record({"every": _EVERY, "keep": {"type": "integer", "minimum": 1, "maximum": 100}}, optional=("keep",)),
        example={"every": "day", "keep": 7},
    ),
    ("DELETE", "/v1/backup/schedule"): Operation(
        "Back the tenant up no more", "backups", {200: envelope(record({"removed": {"const": True}}))}, errors=(404,)
    ),
    ("GET", "/v1/backup/restores"): Operation(
        "List restores", "backups", {200: envelope(array(_RESTORE), ref("Page"))}, query=("limit", "cursor")
    ),
    ("GET", "/v1/backup/restores/<restore_id>"): Operation(
        "One restore, with its confirmation where it can be confirmed", "backups", {200: envelope(_RESTORE)}, errors=(404,)
    ),
    ("POST", "/v1/backup/restores/<restore_id>/approve"): Operation(
        "Approve what another person has confirmed",
        "backups",
        {202: envelope(_RESTORE)},
        body=_CONFIRMATION,
        example={"confirmation": "1796000000.5f0c…"},
        errors=(404, 409),
    ),
    ("POST", "/v1/backup/restores/<restore_id>/undo"): Operation(
        "Take a restore back", "backups", {202: envelope(_RESTORE)}, errors=(404, 409)
    ),
}

ROUTES: Operations = {
    ("GET", "/v1/system/health"): Operation(
        "Every part that the rest stands on", "operations", {200: envelope(HEALTH), 503: envelope(HEALTH)}
    ),
    ("GET", "/v1/system/queues"): Operation(
        "Queues, and the messages that nobody could work on", "operations", {200: envelope(array(_QUEUE), ref("Page"))}
    ),
    ("POST", "/v1/system/queues/<name>/redrive"): Operation(
        "Send dead messages back to their queue",
        "operations",
        {200: envelope(record({"name": _ID, "moved": _COUNT, "dead": _COUNT}))},
        errors=(404,),
    ),
    ("POST", "/v1/gdpr/erase"): Operation(
        "Erase the personal values of one person everywhere, as a job",
        "operations",
        {202: JOB},
        body=record({"userId": _ID, "email": _ID, "confirmation": _ID}, optional=("userId", "email")),
        example={"email": "ann@example.com", "confirmation": "ann@example.com"},
        write=True,
        errors=(404,),
    ),
    **_BACKUPS,
    ("GET", "/v1/cache/stats"): Operation(
        "How often the read cache had the answer",
        "operations",
        {
            200: envelope(
                record(
                    {
                        "from": MOMENT,
                        "to": MOMENT,
                        **_HITS,
                        "routes": array(record({"route": _ID, **_HITS})),
                        "entries": nullable(_COUNT),
                    }
                )
            )
        },
        query=("from", "to", "route"),
    ),
    ("POST", "/v1/cache/clear"): Operation(
        "Clear the read cache by key, by prefix or as a whole",
        "operations",
        {200: envelope(record({"cleared": _ID}))},
        body=record({"key": _ID, "prefix": _ID, "all": {"const": True}}, optional=("key", "prefix", "all")),
        example={"prefix": "/posts"},
        write=True,
    ),
    ("GET", "/v1/metrics"): _METRICS,
    ("GET", "/v1/system/metrics"): _METRICS,
    ("GET", "/v1/features"): _FLAGS,
    ("GET", "/v1/features/list"): _FLAGS,
    ("POST", "/v1/features/toggle"): Operation(
        "Switch a flag, for the installation or for one's own tenant",
        "features",
        {200: envelope(record({"feature": _KEY, "enabled": {"type": "boolean"}, "scope": {"enum": ["installation", "tenant"]}}))},
        body=record(
            {"feature": _ID, "enabled": {"type": "boolean"}, "scope": {"enum": ["installation", "tenant"]}}, optional=("scope",)
        ),
        example={"feature": "new-editor", "enabled": True},
        write=True,
        errors=(404, 409),
    ),
    ("GET", "/v1/features/<key>"): Operation("One flag", "features", {200: envelope(FLAG)}, errors=(404,)),
    ("PUT", "/v1/features/<key>"): Operation(
        "Declare a flag",
        "features",
        {200: envelope(FLAG), 201: envelope(FLAG)},
        body=record(_TERMS, optional=tuple(_TERMS)),
        example={"enabled": True, "default": "off", "rules": [{"variant": "on", "percentage": 10}]},
        write=True,
        versioned=True,
        errors=(409,),
    ),
    ("DELETE", "/v1/features/<key>"): Operation(
        "Take a flag away",
        "features",
        {200: envelope(record({"key": _KEY, "removed": {"const": True}}))},
        write=True,
        errors=(404,),
    ),
    ("POST", _EVALUATE): Operation(
        "All flags for a context, as OFREP asks",
        "features",
        {200: record({"flags": array(_EVALUATED)}), 304: None},
        body=_CONTEXT,
        example={"context": {"targetingKey": "user-1"}},
        headers=("If-None-Match",),
        error="OfrepError",
    ),
    ("POST", f"{_EVALUATE}/<key>"): Operation(
        "One flag for a context, as OFREP asks",
        "features",
        {200: _EVALUATED},
        body=_CONTEXT,
        example={"context": {"targetingKey": "user-1"}},
        errors=(404,),
        error="OfrepError",
    ),
    ("GET", "/v1/ofrep/v1/configuration"): Operation(
        "What an OFREP provider may expect",
        "features",
        {200: record({"name": _ID, "capabilities": {"type": "object"}})},
        error="OfrepError",
    ),
    ("GET", "/v1/audit/logs"): Operation(
        "Who has done what, the newest first",
        "audit",
        {200: envelope(array(ENTRY), ref("Page"))},
        query=(*_FILTERS, "limit", "cursor"),
    ),
    ("GET", "/v1/audit/verify"): Operation(
        "Check the audit log against its chain", "audit", {200: envelope(VERIFIED)}, query=("segment",)
    ),
    ("POST", "/v1/audit/export"): Operation(
        "The audit log as a file, also with its chain, as a job",
        "audit",
        {202: JOB},
        body=_EXPORT,
        example={"format": "csv", "from": "2026-01-01T00:00:00Z"},
        write=True,
    ),
}
