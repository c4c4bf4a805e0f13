"""The blog's own shapes: `/v1/posts`, `/v1/posts/{id}` and `/v1/users/{userId}/posts/{postId}`.

`{"posts": […], "total", "page", "limit", "hasMore"}` and `{"message", "post"}` with the author's name inside. The canonical
answers are there under `Prefer: profile=canonical` and in v2.
"""

from collections.abc import Mapping
from typing import Any

from sheaf.access import roles
from sheaf.access.caller import Caller
from sheaf.base.bounds import FILTER_VALUES
from sheaf.base.errors import (
    BadRequest,
    InvalidParameter,
    MethodNotAllowed,
    NotFound,
    NotOwner,
    SheafError,
    ValidationFailed,
)
from sheaf.edge import rows, shapes
from sheaf.edge.api import Api
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request
from sheaf.edge.router import Writes
from sheaf.entity import query, registry
from sheaf.entity.filters import Group, Test
from sheaf.records import read, write
from sheaf.records.page import page
from sheaf.records.plan import Wanted, plan
from sheaf.records.rows import Row, from_item
from sheaf.records.sources import by_id

_SHOWN = ("id", "title", "content", "excerpt", "author", "tags", "publishedAt", "createdAt", "updatedAt", "status")
_PARAMETERS = {"page": "Page must be a positive integer", "limit": "Limit must be between 1 and 100"}
_CANONICAL = ("cursor", "fields", "expand", "aggregate", "groupBy")  # parameters that this shape has no place for
_ACTIONS = {"GET": "read", "POST": "create", "DELETE": "delete"}
_VERBS = {"GET": "access", "HEAD": "access", "PUT": "edit", "PATCH": "edit", "DELETE": "delete"}


class Blog:
    """`{error, message}`; 400 for what does not validate."""

    def failure(self, error: SheafError, request: Request) -> tuple[int, Mapping[str, Any]]:
        """As Profile."""
        row_id = request.route_path.rstrip("/").rpartition("/")[2]
        if isinstance(error, MethodNotAllowed):
            return 405, {"error": "Method not allowed", "allowedMethods": shapes.allowed(error)}
        if isinstance(error, NotFound):
            nested = request.route_path.startswith("/v1/users/")
            message = f"Post {row_id} not found" if nested else f"No post found with ID: {row_id}"
            return 404, {"error": "Post not found", "message": message[:200]}
        if isinstance(error, NotOwner):
            return 403, {"error": "Access denied", "message": f"You can only {_VERBS[request.method]} your own posts"}
        if isinstance(error, ValidationFailed):
            return 400, {"error": "Validation failed", "message": error.message}
        if isinstance(error, InvalidParameter) and (named := [name for name in _PARAMETERS if name in error.fields]):
            return 400, {"error": f"Invalid {named[0]} parameter", "message": _PARAMETERS[named[0]]}
        if error.status == 500:
            return 500, {"error": "Internal server error", "message": "Something went wrong. Please try again later."}
        return error.status, {"error": error.title, "message": error.message, **error.extra, **shapes.limited(error)}


BLOG = Blog()


def register(api: Api) -> None:
    """Add the endpoints."""
    for method, rule, endpoint, verb in (
        ("GET", "/v1/posts", _list, ""), ("POST", "/v1/posts", _create, "create"),
        ("GET", "/v1/posts/<row_id>", _get, "show"), ("PUT", "/v1/posts/<row_id>", _update, "replace"),
        ("PATCH", "/v1/posts/<row_id>", _update, "patch"), ("DELETE", "/v1/posts/<row_id>", _delete, "delete"),
        ("GET", "/v1/users/<user_id>/posts/<row_id>", _get_own, ""),
        ("PUT", "/v1/users/<user_id>/posts/<row_id>", _update_own, ""),
        ("DELETE", "/v1/users/<user_id>/posts/<row_id>", _delete_own, ""),
    ):  # fmt: skip
        permission = f"posts:{_ACTIONS.get(method, 'update')}"
        writes: Writes = "" if method == "GET" else "row"
        api.route(method, rule, permission=permission, profile=BLOG, writes=writes, verb=verb)(endpoint)  # type: ignore[arg-type]  # each one of a few


def _list(request: Request) -> Reply:
    posts = registry.find("posts")
    if _canonical(request):
        return rows.listing(request, posts)
    asked = dict(request.query)
    if wrong := {name: "is for Prefer: profile=canonical" for name in _CANONICAL if name in asked}:
        raise InvalidParameter(f"{next(iter(wrong))} is for Prefer: profile=canonical", fields=wrong)
    author = asked.pop("author", None)
    wanted = query.parse(posts, {"page": "1", "limit": "10", **asked})
    also = (Test("author", "in", [author, *_named(request.caller, author)], posts.kinds["author"]),) if author else ()
    found = page(request.caller, wanted, also)
    shown = {"posts": _views(request.caller, found.rows), "total": found.total, "page": wanted.page, "limit": wanted.limit,
             "hasMore": found.next_cursor is not None}  # fmt: skip
    return Reply(shown, bare=True)


def _create(request: Request) -> Reply:
    posts = registry.find("posts")
    if _canonical(request):
        return rows.create(request, posts)
    row = write.create(request.caller, posts, request.json(), request.options())
    return _told(request, row, "Post created successfully", 201, rows.place_of(request, row.id))


def _get(request: Request, row_id: str) -> Reply:
    posts = registry.find("posts")
    if _canonical(request):
        return rows.show(request, posts, row_id)
    return _told(request, read.one(request.caller, posts, _named_post(row_id)))


def _update(request: Request, row_id: str) -> Reply:
    posts = registry.find("posts")
    if _canonical(request):
        return (rows.replace if request.method == "PUT" else rows.patch)(request, posts, row_id)
    # In this shape PUT changes what it names, as PATCH does.
    row = write.patch(request.caller, posts, _named_post(row_id), request.json(), request.options())
    return _told(request, row, "Post updated successfully")


def _delete(request: Request, row_id: str) -> Reply:
    posts = registry.find("posts")
    if _canonical(request):
        return rows.delete(request, posts, row_id)
    write.delete(request.caller, posts, _named_post(row_id), request.options())
    return Reply({"message": "Post deleted successfully", "deletedId": row_id}, bare=True)


def _get_own(request: Request, user_id: str, row_id: str) -> Reply:
    _require_own(request, user_id, row_id)
    return _get(request, row_id)


def _update_own(request: Request, user_id: str, row_id: str) -> Reply:
    _require_own(request, user_id, row_id)
    return _update(request, row_id)


def _delete_own(request: Request, user_id: str, row_id: str) -> Reply:
    _require_own(request, user_id, row_id)
    return _delete(request, row_id)


def _require_own(request: Request, user_id: str, row_id: str) -> None:
    """Who asks must be the user that the path names (or may act for them), and the post must be that user's."""
    if not user_id.strip() or not row_id.strip():
        raise BadRequest("Both userId and postId are required")
    if request.method != "GET" and (once := request.once()) and once.found():
        return  # it was asked before, and the post may be gone since
    author = read.one(request.caller, registry.find("posts"), row_id).document["author"]
    roles.require_owner(request.caller, "user", {"user": user_id}, "access")
    if author != user_id:
        raise NotOwner("You can only access your own posts")


def _named_post(row_id: str) -> str:
    if not row_id.strip():
        raise BadRequest("Post ID is required and must be a string")
    return row_id


def _canonical(request: Request) -> bool:
    return request.version > 1 or request.prefer.canonical


def _named(caller: Caller, name: str) -> list[str]:
    """The users whose name holds this text; raises InvalidParameter for too many, IndexRequired over the scan budget."""
    users = registry.find("users")
    wanted = Wanted(Group("and", (Test("name", "icontains", name, users.kinds["name"]),)))
    found = [row.id for _, row in plan(caller, users, wanted).rows("", FILTER_VALUES) if row]
    if len(found) >= FILTER_VALUES:
        message = f"is part of {len(found)} names; {FILTER_VALUES - 1} is the most"
        raise InvalidParameter(f"author: {message}", fields={"author": message})
    return found


def _told(request: Request, row: Row, message: str = "", status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    text: dict[str, Any] = {"message": message} if message else {}
    sent = {"ETag": f'"{row.version}"', **(headers or {})}
    if dry := rows.dry(request):
        text |= dry
    return Reply({**text, "post": _views(request.caller, [row])[0]}, status, headers=sent, bare=True)


def _views(caller: Caller, found: list[Row]) -> list[dict[str, Any]]:
    """Posts as the blog shows them, with the name and address of their authors."""
    documents = [row.document for row in found]
    users = by_id(caller, registry.find("users"), [each["author"] for each in documents if each["author"]])
    people = {row_id: from_item(item).document for row_id, item in users.items()}
    for each in documents:
        person = people.get(each["author"], {})
        each["author"] = {"id": each["author"], "name": person.get("name"), "email": person.get("email")}
    return [{name: each.get(name) for name in _SHOWN} for each in documents]
