"""Webhooks, their deliveries, and the types of events."""

from typing import Any

from sheaf.describe.operations.operation import Operation, Operations
from sheaf.describe.schemas import MOMENT, Schema, array, envelope, nullable, record, ref

_PATTERN = r"^(\*|[a-z][a-z_]{0,62}\.(\*|[a-z_]{1,32}))$"
_TERMS: dict[str, Schema] = {
    "url": {"type": "string", "maxLength": 2_000, "description": "https, on port 443 unless the installation allows others"},
    "events": array({"type": "string", "pattern": _PATTERN}, minItems=1, maxItems=50),
    "description": nullable({"type": "string", "maxLength": 500}),
    "filter": nullable({"type": "object", "description": "The filter grammar of lists; needs events of one entity"}),
    "headers": {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 10},
    "payload": {"enum": ["full", "thin"], "description": "thin: data holds the id alone"},
    "rateLimit": nullable({"type": "integer", "minimum": 1, "maximum": 1_000, "description": "Deliveries a second"}),
    "asymmetric": {"type": "boolean", "description": "Also sign with ed25519 (v1a); publicKey verifies it"},
}
_SECRET: Schema = {"type": "string", "minLength": 24, "maxLength": 256}
_NEW = record({**_TERMS, "secret": _SECRET}, optional=(*[name for name in _TERMS if name not in ("url", "events")], "secret"))
_PATCH = record(_TERMS, optional=tuple(_TERMS))
_ID: Schema = {"type": "string"}
_WEBHOOK = {200: envelope(ref("Webhook"))}
_EXAMPLE = {"url": "https://hooks.example.com/sheaf", "events": ["task.*"]}
_PREVIEW = record({"preview": {"type": "boolean", "description": "Only count"}}, optional=("preview",))
_WHEN = "2026-01-31T08:00:00Z"
_ONE = "/v1/webhooks/<webhook_id>"
_COUNTED = record(
    {"events": {"type": "integer"}, "complete": {"type": "boolean"}, "looked": {"type": "integer"}}, optional=("looked",)
)
_TYPE = record({"type": _ID, "description": _ID, "schema": {"type": "object"}, "example": {"type": "object"}})
_PRECHECK = record(
    {"matches": {"type": "boolean"}, "reason": nullable(_ID), "events": array(_ID), "filter": nullable({"type": "object"})}
)


def _post(summary: str, answers: dict[int, Any], *, body: Schema | None = None, example: Any = None,
          errors: tuple[int, ...] = (404,), write: bool = True) -> Operation:  # fmt: skip
    return Operation(summary, "webhooks", answers, body=body, example=example, errors=errors, write=write)


_REGISTER = _post("Register a webhook", {201: envelope(ref("Webhook"))}, body=_NEW, example=_EXAMPLE, errors=(409,))
_LIST = Operation("List webhooks", "webhooks", {200: envelope(array(ref("Webhook")), ref("Page"))})
_JOB_OR_COUNT = {200: envelope(_COUNTED), 202: envelope(ref("Job"))}

_POSTED = Operation(
    "Add a row by the address of an inbound hook",
    "webhooks",
    {201: {"type": "object"}},
    body={"type": "object", "description": "`lead_data` (or `data`) with the fields, or the fields themselves"},
    example={"lead_data": {"first_name": "Ann", "last_name": "Lee", "email": "ann@example.com"}},
    write=True,
    errors=(403, 409, 429),
    error="InboundError",
)

ROUTES: Operations = {
    ("POST", "/v1/webhooks"): _REGISTER,
    ("POST", "/v1/webhooks/register"): _REGISTER,
    ("GET", "/v1/webhooks"): _LIST,
    ("GET", "/v1/webhooks/list"): _LIST,
    ("GET", _ONE): Operation("Read a webhook", "webhooks", _WEBHOOK, errors=(404,)),
    ("PATCH", _ONE): _post("Change a webhook", _WEBHOOK, body=_PATCH, example={"events": ["task.created"]}, errors=(404, 409)),
    ("DELETE", _ONE): _post(
        "Delete a webhook", {200: envelope(record({"id": _ID, "deleted": {"const": True}}))}, errors=(404, 409, 422)
    ),
    ("POST", f"{_ONE}/enable"): _post("Send it events again, from now on", _WEBHOOK, errors=(404, 409, 422)),
    ("POST", f"{_ONE}/disable"): _post("Send it nothing more", _WEBHOOK, errors=(404, 409, 422)),
    ("POST", f"{_ONE}/rotate"): _post(
        "A new secret; the former ones go on for the overlap",
        _WEBHOOK,
        body=record(
            {"overlapSeconds": {"type": "integer", "minimum": 0, "maximum": 604_800}, "secret": _SECRET},
            optional=("overlapSeconds", "secret"),
        ),
        example={"overlapSeconds": 86_400},
        errors=(404, 409),
    ),
    ("GET", f"{_ONE}/deliveries"): Operation(
        "List deliveries with their attempts, newest event first",
        "webhooks",
        {200: envelope(array(ref("Delivery")), ref("Page"))},
        query=("limit", "cursor", "status", "type", "from", "to"),
        errors=(404,),
    ),
    ("GET", f"{_ONE}/deliveries/<event_id>"): Operation(
        "Read a delivery", "webhooks", {200: envelope(ref("Delivery"))}, errors=(404,)
    ),
    ("POST", f"{_ONE}/deliveries/<event_id>/resend"): _post(
        "Send one event once more, now", {202: envelope(ref("Delivery"))}, errors=(404, 409, 422)
    ),
    ("GET", f"{_ONE}/attempts"): Operation(
        "List the attempts of the newest deliveries",
        "webhooks",
        {200: envelope(array(ref("Attempt")), ref("Page"))},
        query=("limit",),
        errors=(404,),
    ),
    ("GET", f"{_ONE}/stats"): Operation(
        "Sum up the deliveries of a time", "webhooks", {200: envelope({"type": "object"})}, query=("from", "to"), errors=(404,)
    ),
    ("POST", f"{_ONE}/precheck"): _post(
        "Whether it wants an event; nothing is sent",
        {200: envelope(_PRECHECK)},
        body=record({"type": _ID, "data": {"type": "object"}}),
        example={"type": "task.created", "data": {"title": "Water the plants"}},
        write=False,
    ),
    ("POST", f"{_ONE}/recover"): _post(
        "Send again what has failed for good since a time",
        _JOB_OR_COUNT,
        body=record({"since": MOMENT, **_PREVIEW["properties"]}, optional=("preview",)),
        example={"since": _WHEN, "preview": True},
        errors=(404, 409),
    ),
    ("POST", f"{_ONE}/replay"): _post(
        "Send the events of a time, in order per record",
        _JOB_OR_COUNT,
        body=record(
            {
                "from": MOMENT,
                "to": nullable(MOMENT),
                "types": array({"type": "string", "pattern": _PATTERN}, maxItems=50),
                "missedOnly": {"type": "boolean", "description": "Leave out what was delivered"},
                **_PREVIEW["properties"],
            },
            optional=("to", "types", "missedOnly", "preview"),
        ),
        example={"from": _WHEN, "preview": True},
        errors=(404, 409),
    ),
    ("POST", f"{_ONE}/test"): _post(
        "Send an example event and wait for what becomes of it",
        {200: envelope(ref("Delivery"))},
        body=record({"type": _ID}, optional=("type",)),
        example={"type": "task.created"},
        errors=(404, 409),
        write=False,
    ),
    ("POST", "/v1/webhooks/test"): _post(
        "Send an example event to a webhook",
        {200: envelope(ref("Delivery"))},
        body=record({"id": _ID, "type": _ID}, optional=("type",)),
        example={"id": "wh_01h00000000000000000000000", "type": "task.created"},
        errors=(404, 409),
        write=False,
    ),
    ("GET", "/v1/event-types"): Operation(
        "Every type of event, with schema and example", "webhooks", {200: envelope(array(_TYPE), ref("Page"))}
    ),
    ("POST", "/v1/inbound-hooks"): _post(
        "Make an address that another service may post rows to",
        {201: envelope(ref("InboundHook"))},
        body=record({"entity": _ID, "name": {"type": "string", "maxLength": 100}}, optional=("name",)),
        example={"entity": "leads", "name": "Zapier"},
        errors=(409,),
    ),
    ("GET", "/v1/inbound-hooks"): Operation(
        "List inbound hooks", "webhooks", {200: envelope(array(ref("InboundHook")), ref("Page"))}
    ),
    ("GET", "/v1/inbound-hooks/<hook_id>"): Operation(
        "Read an inbound hook", "webhooks", {200: envelope(ref("InboundHook"))}, errors=(404,)
    ),
    ("DELETE", "/v1/inbound-hooks/<hook_id>"): _post(
        "End an inbound hook", {200: envelope(record({"id": _ID, "deleted": {"const": True}}))}, errors=(404, 409, 422)
    ),
    ("POST", "/v1/hooks/<token>"): _POSTED,
    ("POST", "/v1/webhooks/zapier/leads"): _POSTED,
}
