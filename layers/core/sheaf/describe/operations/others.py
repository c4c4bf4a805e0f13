"""The site and the system."""

from sheaf.describe.operations.operation import Operation, Operations
from sheaf.describe.schemas import either, envelope, record

FORM = record(
    {
        "name": {"type": "string", "minLength": 2, "maxLength": 100},
        "email": {"type": "string", "maxLength": 254},
        "subject": {"type": "string", "minLength": 5, "maxLength": 200},
        "message": {"type": "string", "minLength": 10, "maxLength": 10_000},
    }
)
HEALTH = record(
    {"status": {"const": "ok"}, "timestamp": {"type": "string"}, "database": {"const": "connected"}}, optional=("database",)
)
HELLO = record(
    {"message": {"type": "string"}, "timestamp": {"type": "string"}, "userAgent": {"type": "string"}}, optional=("userAgent",)
)

ROUTES: Operations = {
    ("GET", "/v1/hello"): Operation("A greeting", "site", {200: HELLO}, error="HelloError"),
    ("POST", "/v1/contact"): Operation(
        "Send a message to the operator",
        "site",
        {
            201: either(
                record({"success": {"const": True}, "message": {"type": "string"}, "id": {"type": "string"}}),
                envelope(record({"id": {"type": "string"}}), message=True),
            )
        },
        body=FORM,
        example={"name": "Ann", "email": "ann@example.com", "subject": "A question", "message": "How does it work?"},
        write=True,
        errors=(409, 429),
        error="ContactError",
    ),
    ("GET", "/v1/health"): Operation(
        "ok, and more with a credential that may know it", "system", {200: HEALTH}, errors=(401, 403, 429)
    ),
    ("GET", "/v1/openapi.json"): Operation("This document", "system", {200: {"type": "object"}}),
    ("GET", "/v1/docs"): Operation(
        "This document, to read", "system", {200: {"type": "string", "contentMediaType": "text/html"}}
    ),
}
