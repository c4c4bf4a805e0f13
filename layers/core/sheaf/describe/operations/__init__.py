"""What each route of the API does: one entry for every route that a function registers (a test compares the two)."""

from sheaf.describe.operations import accounts, blog, files, many, operations, others, realtime, rows, several, webhooks
from sheaf.describe.operations.operation import Operation, Operations

OPERATIONS: Operations = {
    **rows.ROUTES,
    **many.ROUTES,
    **blog.ROUTES,
    **accounts.ROUTES,
    **files.ROUTES,
    **others.ROUTES,
    **webhooks.ROUTES,
    **realtime.ROUTES,
    **several.ROUTES,
    **operations.ROUTES,
}

__all__ = ["OPERATIONS", "Operation", "Operations"]
