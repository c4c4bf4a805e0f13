"""The audit log: `/v1/audit/logs`, `/v1/audit/verify` and `/v1/audit/export`."""

from sheaf.base.bounds import AUDIT_VERIFY_SECONDS
from sheaf.base.errors import InvalidParameter
from sheaf.edge.accepted import accepted
from sheaf.edge.api import Api
from sheaf.edge.envelope import Reply, paged
from sheaf.edge.request import Request
from sheaf.entity import query
from sheaf.features.audit import entries, exporting, verifying


def register(api: Api) -> None:
    """Add the routes."""
    api.get("/v1/audit/logs", permission="audit:read")(_list)
    api.route("GET", "/v1/audit/verify", permission="audit:read", cost=5)(_verify)
    api.post("/v1/audit/export", permission="audit:export", cost=5)(_export)


def _list(request: Request) -> Reply:
    asked, limit, cursor = query.filters_and_window(request.query)
    found = entries.listing(request.caller, entries.read(request.caller, asked), limit, cursor)
    return paged(found.entries, limit, found.next_cursor)


def _verify(request: Request) -> Reply:
    wrong = dict.fromkeys(sorted(request.query.keys() - {"segment"}), "is not a parameter here; segment is")
    text = request.query.get("segment", "1")
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text)):
        wrong["segment"] = "must be the number of a segment, from 1"
    if wrong:
        raise InvalidParameter.naming(wrong)
    return Reply(verifying.verify(request.caller, int(text), AUDIT_VERIFY_SECONDS).shown())


def _export(request: Request) -> Reply:
    return accepted(request, exporting.accept(request.caller, request.json(), request.once()))
