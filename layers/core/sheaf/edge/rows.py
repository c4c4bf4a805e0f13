"""Rows as answers: one row, a page of them, and the refusal of writes where an entity takes none."""

from collections.abc import Mapping

from sheaf.base.errors import MethodNotAllowed
from sheaf.edge.envelope import Raw, Reply
from sheaf.edge.request import Request
from sheaf.entity import filters, pages
from sheaf.entity.registry import EntityType
from sheaf.records.page import page
from sheaf.records.rows import Row

_PAGE_PARAMETERS = ("limit", "cursor")


def as_row(row: Row, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """One row with its version as the ETag."""
    return Reply(Raw(row.text), status, headers={"ETag": f'"{row.version}"', **(headers or {})})


def listing(request: Request, entity: EntityType) -> Reply:
    """The page that the request's `limit`, `cursor` and filters ask for."""
    asked = pages.parse(request.query)
    query = {name: value for name, value in request.query.items() if name not in _PAGE_PARAMETERS}
    found = page(request.caller, entity, filters.parse(entity, query), asked)
    meta = {"limit": asked.limit, "hasMore": found.next_cursor is not None, "nextCursor": found.next_cursor}
    return Reply(Raw.array([row.text for row in found.rows]), meta=meta)


def writable(entity: EntityType) -> EntityType:
    """The entity; raises MethodNotAllowed where the API only reads it."""
    if not entity.model.writable:
        raise MethodNotAllowed(f"{entity.path} can only be read here", headers={"Allow": "GET, HEAD, OPTIONS"})
    return entity
