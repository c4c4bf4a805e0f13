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
