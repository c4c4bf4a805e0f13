"""The OpenAPI 3.1 document of the whole API, made from its entities and routes."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sheaf.base.bounds import JOB_WAIT_SECONDS, PAGE_DEFAULT, PAGE_LIMIT
from sheaf.describe.operations import OPERATIONS, Operation
from sheaf.describe.operations.files import UPLOAD
from sheaf.describe.schemas import SHARED, Schema, either, example_of, of_entity, ref
from sheaf.entity.filters import OPERATORS
from sheaf.entity.registry import EntityType

Document = dict[str, Any]

_ERRORS = {
    400: "The request cannot be read",
    401: "No credential, or a wrong one",
    403: "The permission is missing, or the tenant is another one",
    404: "There is no such thing for this caller",
    409: "The state of things does not allow this now",
    410: "The events behind the cursor are not kept any more",
    412: "Another version than If-Match names",
    413: "Over a limit",
    415: "Not JSON",
    422: "Fields are wrong",
    428: "If-Match is demanded",
    429: "The window is used up",
    500: "Something went wrong",
    503: "Busy; the same request may go through later",
}
_TEXT = {"type": "string"}
_PARAMETERS: Mapping[str, tuple[Schema, str]] = {
    "limit": ({"type": "integer", "minimum": 1, "maximum": PAGE_LIMIT, "default": PAGE_DEFAULT}, "Rows of a page"),
    "cursor": (_TEXT, "`nextCursor` of the page before"),
    "page": ({"type": "integer", "minimum": 1}, "Number of the page, with a total"),
    "total": ({"type": "boolean"}, "Count all matching rows"),
    "sort": (_TEXT, "Fields, each with `-` for descending: `-createdAt,title`"),
    "fields": (_TEXT, "Fields to answer: `title,status`"),
    "expand": (_TEXT, "Relations to follow: `assignee`, `comments_via_post.author`"),
    "search": (_TEXT, "Words that searchable fields hold, by their beginning"),
    "trash": ({"type": "boolean"}, "List deleted rows instead"),
    "aggregate": (_TEXT, "`count,sum(field),avg(field),min(field),max(field)` instead of rows"),
    "groupBy": (_TEXT, "Fields to group the sums by"),
    "wait": (
        {"type": "integer", "minimum": 0, "maximum": JOB_WAIT_SECONDS},
        "Seconds to wait for the end of the job, the verdict on the file, or an event",
    ),
    "status": (
        _TEXT,
        "Of jobs: `running`, or several as `failed,cancelled`; of deliveries: `pending`, `delivered` or `dead`; of files",
    ),
    "type": (_TEXT, "Of jobs: `import`, or several as `bulk,import`; of deliveries: types of events; of files: media types"),
    "from": ({"type": "string", "format": "date-time"}, "Not before this time"),
    "to": ({"type": "string", "format": "date-time"}, "Before this time"),
    "entity": (_TEXT, "The path of an entity: of jobs; of events, or several as `tasks,projects`"),
    "after": (_TEXT, "A cursor of the event log, or `now`; without it the oldest event that is kept (of a stream: now)"),
    "user": (_TEXT, "The id of the user or API key who did it"),
    "action": (_TEXT, "What was done: `task.updated`, or several as `api_key.*,access.denied`"),
    "target": (_TEXT, "The id of what it was done to"),
    "segment": ({"type": "integer", "minimum": 1, "default": 1}, "The segment of the chain to begin with"),
    "types": (_TEXT, "Types of events: `task.created,project.*`"),
    "row": (_TEXT, "The id of the one row"),
    "profile": ({"enum": ["canonical"]}, "Whole events instead of the older shape"),
    "id": (_TEXT, "The one job; a list without"),
    "variant": (_TEXT, "Of a picture: `thumb.webp`, `thumb.jpg`, `preview.webp`, `preview.jpg`"),
    "filter": (_TEXT, 'JSON: `{"or": [{"status": "todo"}, {"title": {"startswith": "A"}}]}`'),
}
_HEADERS: Mapping[str, tuple[Schema, str]] = {
    "Idempotency-Key": (
        {"type": "string", "minLength": 1, "maxLength": 255},
        "One effect and one answer, however often the request is sent",
    ),
    "If-Match": (_TEXT, "The version that ETag gave, in quotes"),
    "If-None-Match": (_TEXT, "The version that is known already; 304 while it stands"),
    "Prefer": (
        _TEXT,
        "`return=minimal`, `dry-run`, `merge=disjoint`, `handling=strict|lenient`, `profile=canonical`, `respond-multistatus`",
    ),
    "Last-Event-ID": (_TEXT, "The `id` of the last event that has come; an EventSource sends it by itself"),
    "X-Tenant-Id": (_TEXT, "Must be the credential's tenant"),
    "X-Request-Id": (_TEXT, "Echoed, and in every line of the log"),
}


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """What the router knows of a route."""

    method: str
    rule: str
    permission: str  # empty for a public one
    cost: int  # what a request takes from the window
    lists: bool = False  # whether the answer says at which place of the event log it was read


@dataclass(frozen=True, slots=True)
class Place:
    """A route under its path in the document: of one entity, in one version."""

    route: RouteFacts
    rule: str
    entity: EntityType | None
    version: int
    rename: Callable[[str], str]
    schemas: Mapping[str, Schema]


def document(
    routes: Iterable[RouteFacts], entities: Iterable[EntityType], version: int, rename: Callable[[str], str]
) -> Document:
    """The document of one version of the API; raises KeyError for a route that OPERATIONS lacks, ValueError for a clash."""
    kinds = {entity.path: entity for entity in entities}
    schemas = {**SHARED, "Upload": UPLOAD}
    for entity in kinds.values():
        _join(schemas, of_entity(entity, rename))
    paths: dict[str, dict[str, Any]] = {}
    facts = list(routes)
    own = {(each.method, each.rule) for each in facts if "<entity>" not in each.rule}
    for each in facts:
        operation = OPERATIONS[each.method, each.rule]
        targets: list[EntityType | None] = [*kinds.values()] if "<entity>" in each.rule else [None]
        for target in targets:
            rule = each.rule.replace("<entity>", target.path) if target else each.rule
            if target and ((each.method, rule) in own or not _takes(target, each)):
                continue
            _join(
                paths.setdefault(_path(rule, version), {}),
                {each.method.lower(): _operation(Place(each, rule, target, version, rename, schemas), operation)},
            )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sheaf", "version": f"{version}.0.0", "description": _ABOUT.format(version=version)},
        "servers": [{"url": "..", "description": "The API that serves this document"}],
        "security": [{"bearer": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An access token, or an API key (sk_…)"}
            },
            "headers": {
                "ETag": {"schema": _TEXT, "description": "The row's version, in quotes"},
                "X-Event-Cursor": {"schema": _TEXT, "description": "Whatever happens after this list: GET /events?after="},
            },
            "parameters": {name: _header(name) for name in _HEADERS},
            "responses": _errors(version),
        },
    }


_ABOUT = (
    "Every answer has one envelope, every error one shape (`application/problem+json` by `Accept`). "
    "The tenant may stand behind the version, `/v{version}/{{tenant}}/tasks`, and must be the credential's. "
    "HEAD answers wherever GET does, OPTIONS everywhere."
)


def _takes(entity: EntityType, route: RouteFacts) -> bool:
    return entity.model.writable or route.method == "GET" or route.rule.endswith("/export")


def _path(rule: str, version: int) -> str:
    return rule.replace("/v1", f"/v{version}", 1).replace("<", "{").replace(">", "}")


def _operation(place: Place, operation: Operation) -> Document:
    route, rule, entity = place.route, place.rule, place.entity
    fill = _filler(entity)
    made: Document = {
        "operationId": _identifier(route.method, rule),
        "summary": fill(operation.summary),
        "tags": [fill(operation.tag)],
        "parameters": _parameters(place, operation),
        "responses": {
            **{str(status): _answer(fill(schema), status, lists=route.lists) for status, schema in operation.answers.items()},
            **{
                str(status): {"$ref": f"#/components/responses/{_error_name(operation, status, place.version)}"}
                for status in _statuses(route, operation)
            },
        },
    }
    if operation.body is not None:
        content: Document = {"schema": fill(operation.body)}
        content["example"] = operation.example or _example(place, operation)
        merges = route.method == "PATCH" and not route.rule.endswith("/bulk")
        kinds = ["application/json", *(["application/merge-patch+json"] if merges else [])]
        files = {
            kind: {"schema": {"type": "string", "contentMediaType": kind}, "example": _file_example(kind, place)}
            for kind in operation.files
        }
        made["requestBody"] = {"required": True, "content": {**dict.fromkeys(kinds, content), **files}}
    if operation.form is not None:
        form = {"schema": operation.form, "example": operation.example}
        made["requestBody"] = {"required": True, "content": {"multipart/form-data": form}}
    if route.permission:
        made["x-permission"] = route.permission.replace("<entity>", entity.path if entity else "")
        if route.cost > 1:
            made["x-rate-limit-cost"] = route.cost
    else:
        made["security"] = [] if route.rule != "/v1/health" else [{}, {"bearer": []}]
    return made


def _filler(entity: EntityType | None) -> Callable[[Any], Any]:
    """Puts an entity's names in the place of `{Entity}`, `{word}` and `{words}`."""
    names = (
        {"{Entity}": entity.model.__name__, "{words}": entity.path, "{word}": entity.word.replace("_", " ")}
        if entity
        else {"{Entity}": "Post", "{words}": "posts", "{word}": "post"}
    )

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            for mark, name in names.items():
                value = value.replace(mark, name)
            return value
        if isinstance(value, dict):
            return {name: fill(each) for name, each in value.items()}
        return [fill(each) for each in value] if isinstance(value, list) else value

    return fill


def _identifier(method: str, rule: str) -> str:
    parts = [part.strip("<>").replace(".", "_") for part in rule.split("/")[2:]]
    return "_".join([method.lower(), *parts])


def _statuses(route: RouteFacts, operation: Operation) -> list[int]:
    found = {400, 500, 503, *operation.errors}
    if route.permission:
        found |= {401, 403, 429}
    if operation.body is not None or operation.form is not None:
        found |= {413, 415, 422}
    if operation.write:
        found |= {409, 422}
    if operation.versioned:
        found |= {412, 413, 428}
    return sorted(found)


def _parameters(place: Place, operation: Operation) -> list[Document]:
    rule, entity, rename = place.rule, place.entity, place.rename
    named = [part[1:-1] for part in rule.split("/") if part.startswith("<")]
    found: list[Document] = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in named]
    for name in operation.query:
        if name == "*":
            found += _filters(entity, rename) if entity else []
        elif name in _PARAMETERS:
            schema, text = _PARAMETERS[name]
            found.append({"name": name, "in": "query", "schema": schema, "description": text})
        else:
            found.append({"name": name, "in": "query", "schema": _TEXT})
    wanted = ["Prefer", "X-Tenant-Id", "X-Request-Id", *operation.headers]
    wanted += (["Idempotency-Key"] if operation.write else []) + (["If-Match"] if operation.versioned else [])
    return [*found, *({"$ref": f"#/components/parameters/{name}"} for name in wanted)]


def _filters(entity: EntityType, rename: Callable[[str], str]) -> list[Document]:
    found = []
    for name, kind in entity.kinds.items():
        operators = ", ".join(OPERATORS[kind.name])
        if "eq" in OPERATORS[kind.name]:
            served = "; served by an index" if name in (*entity.indexes, *entity.orders, "id", "createdAt") else ""
            text = f"Equal to this; `{rename(name)}[operator]` with {operators}{served}"
            found.append({"name": rename(name), "in": "query", "schema": _TEXT, "description": text})
    return found


def _answer(schema: Schema | None, status: int, *, lists: bool) -> Document:
    texts = {
        200: "Done",
        201: "Made",
        202: "Accepted",
        207: "Done for some, as `Prefer: respond-multistatus` asks",
        204: "Done, as `Prefer: return=minimal` asks",
        302: "Found at `Location`",
        304: "Still that version",
        503: "A part is down",
    }
    if schema is None:
        return {"description": texts[status]}
    kind = schema.get("contentMediaType", "application/json")
    header = "X-Event-Cursor" if lists else "ETag"
    headers = {"headers": {header: {"$ref": f"#/components/headers/{header}"}}} if status in (200, 201) else {}
    # `return=minimal` leaves the body of a 201 out.
    return {"description": texts[status], **headers, "content": {kind: {"schema": schema}}}


def _example(place: Place, operation: Operation) -> Any:
    """A body that the route takes: of an entity the fields that must be there, one of them in a PATCH."""
    if place.entity is None:
        return example_of(operation.body or {})
    name = place.entity.model.__name__
    row = example_of(place.schemas[f"{name}Create"])
    if place.route.method == "POST" and (place.rule.endswith("/bulk") or "/import/" in place.rule):
        return [row]
    if "$ref" not in (operation.body or {}):
        return example_of(operation.body or {})
    if place.route.method == "POST":
        return row
    changed = place.schemas[f"{name}Replace"]["properties"]
    return {field: value for field, value in row.items() if field in changed}


def _file_example(kind: str, place: Place) -> str:
    """A file of one row that the route takes."""
    name = place.entity.model.__name__ if place.entity else "Video"
    row = example_of(place.schemas[f"{name}Create"])
    if kind == "text/csv":
        return f"{','.join(row)}\r\n{','.join(map(str, row.values()))}\r\n"
    return f"{json.dumps(row)}\n" if "json" in kind else "(the bytes of a workbook)"


def _error_name(operation: Operation, status: int, version: int) -> str:
    return f"{operation.error if version == 1 else 'Error'}{status}"


def _errors(version: int) -> Document:
    """The error answers of all routes, each once."""
    shapes = {operation.error for operation in OPERATIONS.values()} if version == 1 else {"Error"}
    made = {}
    for shape in sorted(shapes):
        own = ref("Error") if shape == "Error" else either(ref(shape), ref("Error"))
        for status, text in _ERRORS.items():
            kinds = {"application/json": {"schema": own}, "application/problem+json": {"schema": ref("Problem")}}
            made[f"{shape}{status}"] = {"description": text, "content": kinds}
    return made


def _header(name: str) -> Document:
    schema, text = _HEADERS[name]
    return {"name": name, "in": "header", "schema": schema, "description": text}


def _join(known: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if known.setdefault(name, value) != value:
            raise ValueError(f"two different things are called {name!r}")
