"""The endpoints that every entity has: rows in, rows out."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from sheaf.base.errors import InvalidCursor, ValidationFailed
from sheaf.edge import cached
from sheaf.edge.envelope import NOTHING, Raw, Reply, paged
from sheaf.edge.request import Request
from sheaf.edge.router import Verb
from sheaf.edge.wire import Wire
from sheaf.entity import query
from sheaf.entity.body import object_of
from sheaf.entity.query import Query
from sheaf.entity.registry import EntityType
from sheaf.records import read, relations, versions, write
from sheaf.records.aggregate import aggregate
from sheaf.records.page import page
from sheaf.records.relations import Beside, Expansion
from sheaf.records.rows import Row
from sheaf.records.write import Planned


def as_row(
    request: Request, entity: EntityType, row: Row, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Reply:
    """One row with its version as the ETag; without a body where `Prefer: return=minimal` asks for that."""
    sent = {"ETag": f'"{row.version}"', **(headers or {})}
    wanted = request.prefer
    if wanted.minimal and not wanted.dry_run and request.method not in ("GET", "HEAD"):
        request.applied.append("return=minimal")
        return Reply(NOTHING, 204 if status == 200 else status, headers=sent)
    return Reply(Raw(Wire(request, entity).row(row)), status, meta=dry(request), headers=sent)


def dry(request: Request) -> Mapping[str, Any] | None:
    """What `meta` says of a write that was only tried."""
    return {"dryRun": True} if "dry-run" in request.applied else None


def place_of(request: Request, row_id: str) -> Mapping[str, str]:
    """The Location of a new row, relative to the request's own path; a row that was only tried has none."""
    path = request.path
    up = "../" if path.endswith("/") else ""
    return {} if dry(request) else {"Location": f"{up}{path.rstrip('/').rpartition('/')[2]}/{row_id}"}


def show(request: Request, entity: EntityType, row_id: str) -> Reply:
    """GET of one row, with the fields and relations that are asked for; 304 where the client has the version."""
    return shown(request, entity, read.one(request.caller, entity, row_id))


def shown(request: Request, entity: EntityType, row: Row) -> Reply:
    """`show` of a row that has been read."""
    wire = Wire(request, entity)
    asked = query.shape_of(entity, wire.query())
    if not (asked.fields or asked.expand):
        # Only the whole row is told by its version; what is expanded changes without it.
        known = request.knows(row.version)
        return Reply(NOTHING, 304, headers={"ETag": f'"{row.version}"'}) if known else as_row(request, entity, row)
    texts, meta = _shaped(request, wire, asked, [row])
    return Reply(Raw(texts[0]), meta=meta or None, headers={"ETag": f'"{row.version}"'})


def listing(request: Request, entity: EntityType) -> Reply:
    """The page, or the sums, that the request's parameters ask for, through the read cache where the entity allows it."""
    return cached.through(request, entity, _listed)


def _listed(request: Request, entity: EntityType) -> Reply:
    wire, wanted = Wire(request, entity), request.prefer
    asked = query.parse(entity, wire.query(), lenient=wanted.lenient)
    request.applied += ["handling=strict"] * wanted.strict + ["handling=lenient"] * wanted.lenient
    if asked.aggregates:
        return Reply(wire.named(aggregate(request.caller, asked, strict=wanted.strict)))
    found = page(request.caller, asked, strict=wanted.strict)
    texts, extra = _shaped(request, wire, asked, found.rows)
    return paged(Raw.array(texts), asked.limit, found.next_cursor, page=asked.page, total=found.total, **extra)


def history(request: Request, entity: EntityType, row_id: str) -> Reply:
    """GET of the page of a row's history that `limit` and `cursor` ask for."""
    limit, cursor = query.window_of(request.query)
    if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 12):
        raise InvalidCursor("The cursor is damaged; start again without it")
    found = versions.history(request.caller, entity, row_id, limit, int(cursor) if cursor else None)
    return paged(Wire(request, entity).named(found.changes), limit, str(found.next_before) if found.next_before else None)


def create(request: Request, entity: EntityType) -> Reply:
    """POST of a new row."""
    return told(request, entity, "create", write.create(request.caller, entity, _body(request, entity), request.options()))


def replace(request: Request, entity: EntityType, row_id: str) -> Reply:
    """PUT of a whole row."""
    row = write.replace(request.caller, entity, row_id, _body(request, entity), request.options())
    return told(request, entity, "replace", row)


def patch(request: Request, entity: EntityType, row_id: str) -> Reply:
    """PATCH of some fields."""
    return told(request, entity, "patch", write.patch(request.caller, entity, row_id, _body(request, entity), request.options()))


def delete(request: Request, entity: EntityType, row_id: str) -> Reply:
    """DELETE of a row; it can be restored."""
    return told(request, entity, "delete", write.delete(request.caller, entity, row_id, request.options()))


def restore(request: Request, entity: EntityType, row_id: str) -> Reply:
    """POST that takes a row out of the trash."""
    return told(request, entity, "restore", write.restore(request.caller, entity, row_id, request.options()))


def revert(request: Request, entity: EntityType, row_id: str) -> Reply:
    """POST of `{"version": 3}`: the row as it was then, as a new version."""
    row = write.revert(request.caller, entity, row_id, _version(request), request.options())
    return told(request, entity, "revert", row)


def plan(request: Request, entity: EntityType, verb: Verb, row_id: str, beside: Beside) -> Planned:
    """The write that a request asks for, to be done with others; `beside` is what those do."""
    caller, options = request.caller, request.options()
    match verb:
        case "create":
            return write.plan_create(caller, entity, write.checked(caller, entity, _body(request, entity)), beside=beside)
        case "replace":
            return write.plan_replace(caller, entity, row_id, _body(request, entity), options, beside=beside)
        case "patch":
            return write.plan_patch(caller, entity, row_id, _body(request, entity), options, beside=beside)
        case "delete":
            return write.plan_delete(caller, entity, row_id, options)
        case "restore":
            return write.plan_restore(caller, entity, row_id, options)
        case "revert":
            return write.plan_revert(caller, entity, row_id, _version(request), options, beside=beside)
    raise ValueError(f"{verb!r} writes nothing")


def told(request: Request, entity: EntityType, verb: Verb, row: Row) -> Reply:
    """What a write of a row answers."""
    if verb == "delete":
        return Reply({"id": row.id, "deleted": True, "version": row.version}, meta=dry(request))
    if verb == "create":
        return as_row(request, entity, row, status=201, headers=place_of(request, row.id))
    return as_row(request, entity, row)


def _version(request: Request) -> int:
    body = object_of(request.json(), "version")
    version = body.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        message = "is required" if version is None else "must be a whole number from 1 on"
        raise ValidationFailed(f"version: {message}", fields={"version": message})
    return version


def _body(request: Request, entity: EntityType) -> Any:
    return Wire(request, entity).body(request.json())


def _shaped(request: Request, wire: Wire, asked: Query, rows: list[Row]) -> tuple[list[str], dict[str, Any]]:
    """The rows with the fields and relations that are asked for, and what `meta` says of the relations."""
    if not (asked.fields or asked.expand):
        return [wire.row(row) for row in rows], {}
    documents = [row.document for row in rows]
    state = relations.expand(request.caller, asked.entity, documents, asked.expand) if asked.expand else None
    if asked.fields:
        keep = {*asked.fields, "expand"}
        documents = [{name: value for name, value in each.items() if name in keep} for each in documents]
    return [to_json(wire.document(each)).decode() for each in documents], _told(state)


def _told(state: Expansion | None) -> dict[str, Any]:
    if state is None or not (state.omitted or state.more):
        return {}
    omitted = {"omitted": state.omitted} if state.omitted else {}
    more = {"truncated": state.more} if state.more else {}
    return {"expand": {**omitted, **more}}
