"""Files as rows: lists, histories, and their end."""

from sheaf.edge import rows
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request
from sheaf.entity import registry


def files(request: Request) -> Reply:
    """GET of the page, or the sums, that the request's parameters ask for."""
    return rows.listing(request, registry.files())


def history_of_file(request: Request, file_id: str) -> Reply:
    """GET of a page of a file's history."""
    return rows.history(request, registry.files(), file_id)


def delete_file(request: Request, file_id: str) -> Reply:
    """DELETE of a file, or of one that has not arrived; 409 while rows hold it."""
    return rows.delete(request, registry.files(), file_id)
