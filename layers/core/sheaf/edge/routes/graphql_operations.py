"""Registered GraphQL operations: kept by their hashes, listed, removed."""

from sheaf.edge.envelope import NOTHING, Reply
from sheaf.edge.graphql.run import prepare
from sheaf.edge.request import Request
from sheaf.entity import query
from sheaf.features.graphql import operations


def add(request: Request) -> Reply:
    """POST of `{"query"}`: checked as if it were run, then kept; the same text again is the same operation."""
    text = operations.asked(request.json())
    operation = prepare(text).form.operation
    made = operations.register(request.caller, text, operation.name.value if operation.name else "")
    return Reply(made, 201, headers={"Location": f"operations/{made['id']}"})


def listing(request: Request) -> Reply:
    """GET of all of them, without their texts."""
    query.choice_of(request.query, "", ())
    return Reply(operations.listing(request.caller))


def show(request: Request, digest: str) -> Reply:
    """GET of one, with its text."""
    return Reply(operations.show(request.caller, digest))


def remove(request: Request, digest: str) -> Reply:
    """DELETE of one."""
    operations.remove(request.caller, digest)
    return Reply(NOTHING, 204)
