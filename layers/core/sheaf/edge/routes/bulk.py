"""Many rows of an entity: `/v1/{entity}/bulk`, its older paths, and imports of files."""

from dataclasses import replace

from sheaf.base.bounds import BATCH_UPDATE_ITEMS, BULK_BODY_BYTES, BULK_UNPACKED_BYTES
from sheaf.base.errors import InvalidParameter, TooLarge, UnsupportedMediaType, ValidationFailed
from sheaf.edge.accepted import accepted
from sheaf.edge.api import Api
from sheaf.edge.body import GZIP
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request
from sheaf.edge.wire import Wire
from sheaf.entity import registry
from sheaf.entity.body import object_of
from sheaf.entity.registry import EntityType
from sheaf.features.bulk import inline, jobs
from sheaf.features.bulk.request import BulkRequest, parse, require, server_set, without
from sheaf.features.uploads import announce

_SOURCES = ("uploadId", "file")


def register(api: Api) -> None:
    """Add the routes."""
    for method in ("POST", "PATCH", "DELETE"):
        api.route(method, "/v1/<entity>/bulk", permission="<entity>:bulk", cost=5, writes="rows")(_bulk)
    api.post("/v1/import/<entity>", permission="<entity>:bulk", cost=5, writes="rows")(_import)
    api.post("/v1/import/videos", permission="videos:bulk", cost=5, writes="rows")(_import_videos)
    api.post("/v1/batch/<entity>/update", permission="<entity>:bulk", cost=5, writes="rows")(_update)


def _bulk(request: Request, entity: str) -> Reply:
    found = registry.find(entity)
    return _answer(request, found, _asked(request, found, request.method))


def _update(request: Request, entity: str) -> Reply:
    found = registry.find(entity)
    asked = _asked(request, found, "PATCH")
    if len(asked.items) > BATCH_UPDATE_ITEMS:
        raise TooLarge(f"{len(asked.items):,} items; {BATCH_UPDATE_ITEMS:,} is the most here, {entity}/bulk takes more")
    return _answer(request, found, asked, path="../../jobs/")


def _import_videos(request: Request) -> Reply:
    """Videos come by their addresses, too."""
    found = registry.find("videos")
    body = request.json(BULK_BODY_BYTES, BULK_UNPACKED_BYTES) if request.media_type == "application/json" else None
    if not isinstance(body, dict) or "urls" not in body:
        return _import(request, "videos")
    require(request.caller, found, "create")
    asked = object_of(body, "urls")
    return accepted(request, jobs.accept_urls(request.caller, found, asked["urls"], request.once(), dry=_dry(request)))


def _import(request: Request, entity: str) -> Reply:
    """Rows in the body as JSON, or a file: in the body, uploaded before, or to be sent by the form that the answer holds."""
    found = registry.find(entity)
    kind, form = request.media_type, request.query.get("format")
    if kind == "application/json" or (kind in GZIP and form is None):
        body = request.json(BULK_BODY_BYTES, BULK_UNPACKED_BYTES)
        if isinstance(body, dict) and any(name in body for name in _SOURCES):
            return _import_upload(request, found, body)
        asked = _read(request, found, body, "POST")
        if asked.verb in ("create", "upsert"):
            # What was exported can be sent back: what only the server sets is left aside, as in a file.
            asked = replace(asked, items=[without(each, server_set(found)) for each in asked.items])
        return _answer(request, found, asked)
    if kind not in (*jobs.MEDIA_TYPES, *GZIP):
        raise UnsupportedMediaType(f"A file to import must be CSV, XLSX, NDJSON or JSON, not {kind[:80]!r}",
                                   headers={"Accept": ", ".join(jobs.MEDIA_TYPES)})  # fmt: skip
    settings = object_of(dict(request.query), *jobs.SETTINGS, error="The import request is wrong")
    how = jobs.parse(found, settings, kind, camelled=request.version > 1, dry=_dry(request))
    require(request.caller, found, how.verb)
    return accepted(
        request, jobs.accept_file(request.caller, found, how, request.bytes(BULK_BODY_BYTES, BULK_UNPACKED_BYTES), request.once())
    )


def _import_upload(request: Request, entity: EntityType, body: dict[str, object]) -> Reply:
    given = object_of(body, *_SOURCES, *jobs.SETTINGS, error="The import request is wrong")
    settings = {name: value for name, value in given.items() if name in jobs.SETTINGS}
    asked = jobs.parse(entity, settings, "", camelled=request.version > 1, dry=_dry(request), later=True)
    require(request.caller, entity, asked.verb)
    if len(settings) + 1 < len(given):
        raise ValidationFailed.naming(dict.fromkeys(_SOURCES, "is one of two: uploadId or file"))
    if "uploadId" in given:
        return accepted(request, jobs.accept_upload(request.caller, entity, asked, given["uploadId"], request.once()))
    announced = announce.awaited(request.caller, given["file"], request.once())
    job = jobs.accept_awaited(request.caller, entity, asked, announced.fields, request.once())
    file = announce.expect(request.caller, announced, job["awaits"], job["sk"])
    return accepted(request, job, upload=file)


def _asked(request: Request, entity: EntityType, method: str) -> BulkRequest:
    return _read(request, entity, request.json(BULK_BODY_BYTES, BULK_UNPACKED_BYTES), method)


def _read(request: Request, entity: EntityType, body: object, method: str) -> BulkRequest:
    if request.query:
        told = "is not a parameter here; options stand in the body"
        raise InvalidParameter.naming(dict.fromkeys(sorted(request.query), told))
    wire = Wire(request, entity)
    return parse(entity, wire.bulk(body), method, dry=_dry(request), named=wire.field)


def _answer(request: Request, entity: EntityType, asked: BulkRequest, *, path: str = "../jobs/") -> Reply:
    """What became of the items, or the job that does them."""
    require(request.caller, entity, asked.verb)
    once = None if asked.dry else request.once()
    if not asked.is_inline:
        return accepted(request, jobs.accept_bulk(request.caller, entity, asked, once), path=path)
    outcomes = inline.run(request.caller, entity, asked, once)
    several = request.prefer.multistatus
    request.applied += ["respond-multistatus"] * several
    shown = inline.summary(entity, asked, outcomes, statuses=several)
    mixed = several and len({outcome.error is None for outcome in outcomes}) > 1
    return Reply(Wire(request, entity).named(shown), 207 if mixed else 200)


def _dry(request: Request) -> bool:
    request.applied += ["dry-run"] * request.prefer.dry_run
    return request.prefer.dry_run
