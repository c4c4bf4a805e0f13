"""The routes of every entity, and of those that have one more. `{Entity}`, `{word}` and `{words}` stand for the entity."""

from sheaf.describe.operations.operation import Operation, Operations
from sheaf.describe.schemas import array, envelope, record, ref

E = ref("{Entity}")
ROW = envelope(E)
PART = {"anyOf": [E, ref("{Entity}Part")]}
ROWS = {"anyOf": [envelope(array(PART), ref("Page")), envelope(array(ref("Sums")))]}
JOB = envelope(ref("Job"))
GONE = record({"id": {"type": "string"}, "deleted": {"const": True}, "version": {"type": "integer"}})
LIST = ("limit", "cursor", "page", "total", "sort", "fields", "expand", "search", "trash", "aggregate", "groupBy", "filter", "*")
SHAPE = ("fields", "expand")
VERSION = record({"version": {"type": "integer", "minimum": 1}})
ROUTES: Operations = {
    ("GET", "/v1/<entity>"): Operation("List {words}, or sums over them", "{words}", {200: ROWS}, query=LIST),
    ("POST", "/v1/<entity>"): Operation(
        "Create a {word}", "{words}", {201: ROW}, body=ref("{Entity}Create"), write=True, errors=(409,)
    ),
    ("GET", "/v1/<entity>/<row_id>"): Operation(
        "Read a {word}", "{words}", {200: envelope(PART), 304: None}, query=SHAPE, errors=(404,), headers=("If-None-Match",)
    ),
    ("PUT", "/v1/<entity>/<row_id>"): Operation(
        "Replace a {word}",
        "{words}",
        {200: ROW, 204: None},
        body=ref("{Entity}Replace"),
        write=True,
        versioned=True,
        errors=(404, 409),
    ),
    ("PATCH", "/v1/<entity>/<row_id>"): Operation(
        "Change fields of a {word} (RFC 7396)",
        "{words}",
        {200: ROW, 204: None},
        body=ref("{Entity}Patch"),
        write=True,
        versioned=True,
        errors=(404, 409),
    ),
    ("DELETE", "/v1/<entity>/<row_id>"): Operation(
        "Delete a {word}; it can be restored for 30 days",
        "{words}",
        {200: envelope(GONE)},
        write=True,
        versioned=True,
        errors=(404,),
    ),
    ("POST", "/v1/<entity>/<row_id>/restore"): Operation(
        "Take a {word} out of the trash", "{words}", {200: ROW, 204: None}, write=True, versioned=True, errors=(404, 409)
    ),
    ("GET", "/v1/<entity>/<row_id>/history"): Operation(
        "Who changed what and when, newest first",
        "{words}",
        {200: envelope(array(ref("Change")), ref("Page"))},
        query=("limit", "cursor"),
        errors=(404,),
    ),
    ("POST", "/v1/<entity>/<row_id>/revert"): Operation(
        "Go back to a version",
        "{words}",
        {200: ROW, 204: None},
        body=VERSION,
        example={"version": 1},
        write=True,
        versioned=True,
        errors=(404, 409),
    ),
    ("POST", "/v1/tasks/<row_id>/complete"): Operation(
        "Complete a task", "tasks", {200: envelope(ref("Task")), 204: None}, write=True, versioned=True, errors=(404, 409)
    ),
}
