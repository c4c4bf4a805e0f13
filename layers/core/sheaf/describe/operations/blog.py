"""The blog's routes: its own shapes, or the canonical ones."""

from dataclasses import replace

from sheaf.describe.operations.operation import Operation, Operations
from sheaf.describe.operations.rows import GONE, LIST, PART, ROW, ROWS, SHAPE
from sheaf.describe.schemas import array, either, envelope, record, ref

POST = ref("BlogPost")
EXAMPLE = {"title": "Hello", "content": "The first post of this blog."}
POST_IN = {"anyOf": [ref("PostCreate"), ref("PostReplace"), ref("PostPatch")]}
POSTS = record(
    {
        "posts": array(POST),
        "total": {"type": "integer"},
        "page": {"type": "integer"},
        "limit": {"type": "integer"},
        "hasMore": {"type": "boolean"},
    }
)
TOLD = record({"message": {"type": "string"}, "post": POST})
DELETED = record({"message": {"type": "string"}, "deletedId": {"type": "string"}})


READ = Operation(
    "Read a post",
    "posts",
    {200: either(record({"post": POST}), envelope(PART)), 304: None},
    query=SHAPE,
    errors=(404,),
    error="BlogError",
    headers=("If-None-Match",),
)
CHANGE = Operation(
    "Change a post (canonical: replace it)",
    "posts",
    {200: either(TOLD, ROW), 204: None},
    body=POST_IN,
    example=EXAMPLE,
    write=True,
    versioned=True,
    errors=(404, 409),
    error="BlogError",
)
DELETE = Operation(
    "Delete a post",
    "posts",
    {200: either(DELETED, envelope(GONE))},
    write=True,
    versioned=True,
    errors=(404,),
    error="BlogError",
)

ROUTES: Operations = {
    ("GET", "/v1/posts"): Operation(
        "List posts", "posts", {200: either(POSTS, ROWS)}, query=(*LIST, "author"), error="BlogError"
    ),
    ("POST", "/v1/posts"): Operation(
        "Write a post",
        "posts",
        {201: either(TOLD, ROW)},
        body=ref("PostCreate"),
        example=EXAMPLE,
        write=True,
        errors=(409,),
        error="BlogError",
    ),
    ("GET", "/v1/posts/<row_id>"): READ,
    ("PUT", "/v1/posts/<row_id>"): CHANGE,
    ("PATCH", "/v1/posts/<row_id>"): Operation(
        "Change a post",
        "posts",
        {200: either(TOLD, ROW), 204: None},
        body=ref("PostPatch"),
        example=EXAMPLE,
        write=True,
        versioned=True,
        errors=(404, 409),
        error="BlogError",
    ),
    ("DELETE", "/v1/posts/<row_id>"): DELETE,
    ("GET", "/v1/users/<user_id>/posts/<row_id>"): replace(READ, summary="Read one's own post", query=(), headers=()),
    ("PUT", "/v1/users/<user_id>/posts/<row_id>"): replace(CHANGE, summary="Change one's own post"),
    ("DELETE", "/v1/users/<user_id>/posts/<row_id>"): replace(DELETE, summary="Delete one's own post"),
}
