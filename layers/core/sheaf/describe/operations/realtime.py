"""The event log and its streams. Sockets are no HTTP: docs/realtime.md describes them."""

from sheaf.describe.operations.operation import Operation, Operations
from sheaf.describe.schemas import MOMENT, Schema, array, envelope, nullable, record, ref

_ID: Schema = {"type": "string"}
EVENT = record(
    {"id": _ID, "type": _ID, "createdAt": MOMENT, "tenant": _ID, "sequence": {"type": "integer", "minimum": 1},
     "previousEventId": nullable(_ID), "data": {"type": "object", "description": "The row; of a deleted one its id"}}
)  # fmt: skip
_PUBLISHED = record({name: EVENT["properties"][name] for name in ("id", "type", "createdAt", "sequence", "previousEventId")})
_KEY: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,100}$", "description": "Events of one key keep their order"}
_STREAM: Schema = {  # one event of the stream
    **record({"id": _ID, "data": {"type": "string", "description": "JSON"}, "event": _ID, "retry": {"type": "integer"}},
             optional=("id", "data", "event", "retry")),
    "contentMediaType": "text/event-stream",
}  # fmt: skip
_LAST = ("Last-Event-ID",)

ROUTES: Operations = {
    ("GET", "/v1/events"): Operation(
        "Events behind a cursor, oldest first, of what the caller may read",
        "events",
        {200: envelope(array(EVENT), ref("Page"))},
        query=("after", "types", "entity", "row", "fields", "limit", "wait"),
        errors=(410,),
    ),
    ("POST", "/v1/events"): Operation(
        "Publish an event that this installation declares",
        "events",
        {202: envelope(_PUBLISHED)},
        body=record({"type": _ID, "data": {"type": "object"}, "key": _KEY}, optional=("key",)),
        example={"type": "payment.completed", "data": {"payment_id": "pay_81723", "amount": 1250, "currency": "EUR"}},
        errors=(409,),
        write=True,
    ),
    ("GET", "/v1/stream"): Operation(
        "All events, as server-sent events", "events", {200: _STREAM}, query=("after", "types", "profile"), headers=_LAST
    ),
    ("GET", "/v1/stream/<entity>"): Operation(
        "Changes of {words}, as server-sent events",
        "events",
        {200: _STREAM},
        query=("after", "types", "row", "fields", "profile", "filter", "*"),
        errors=(404,),
        headers=_LAST,
    ),
}
