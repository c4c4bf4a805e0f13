"""Profiles: the shapes in which routes that older clients know answer their errors."""

from collections.abc import Mapping
from typing import Any

from sheaf.base.clock import iso, now_ms
from sheaf.base.errors import MethodNotAllowed, SheafError, ValidationFailed
from sheaf.edge.request import Request

Body = tuple[int, Mapping[str, Any]]


class Hello:
    """`{message, timestamp}`."""

    def failure(self, error: SheafError, request: Request) -> Body:
        """As Profile."""
        message = "Method not allowed" if isinstance(error, MethodNotAllowed) else error.message
        return error.status, {"message": message, "timestamp": iso(now_ms())}


class Contact:
    """`{success, message, errors?}`, with 400 for a form that is wrong."""

    def failure(self, error: SheafError, request: Request) -> Body:
        """As Profile."""
        if isinstance(error, ValidationFailed):
            return 400, {"success": False, "message": "Validation failed", "errors": error.fields}
        message = "Method not allowed. Use POST." if isinstance(error, MethodNotAllowed) else error.message
        return error.status, {"success": False, "message": message}


HELLO = Hello()
CONTACT = Contact()


def allowed(error: SheafError) -> list[str]:
    """The methods of a MethodNotAllowed, without those that every path has."""
    return [each for each in error.headers["Allow"].split(", ") if each not in ("HEAD", "OPTIONS")]
