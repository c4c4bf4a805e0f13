"""Jobs over rows as they are accepted: a large bulk, an import, the retry of what failed, the reversal of what was done."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.access import roles
from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import IMPORT_FILE_BYTES, IMPORT_URLS, UPLOAD_LINK_SECONDS
from sheaf.base.clock import now
from sheaf.base.config import config
from sheaf.base.errors import Conflict, TooLarge, UnreadableFile, ValidationFailed
from sheaf.entity import registry
from sheaf.entity.body import object_of
from sheaf.entity.names import camel
from sheaf.entity.registry import EntityType
from sheaf.features.bulk import source
from sheaf.features.bulk.request import BulkRequest, Verb, check_key, require
from sheaf.features.bulk.source import FORMATS, Format, Source
from sheaf.formats import csv, media
from sheaf.jobs import machine, progress
from sheaf.records import read
from sheaf.records.once import Once
from sheaf.records.rows import fields_of
from sheaf.store import blobs, keys, table
from sheaf.store.table import ConditionFailed, Item

MEDIA_TYPES: Mapping[str, Format] = {
    "text/csv": "csv",
    "application/csv": "csv",
    media.XLSX: "xlsx",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/json": "json",
}
SETTINGS = ("format", "operation", "key", "mapping", "encoding", "delimiter", "sheet", "emptyCells", "dryRun", "skipInvalid")
_RETRIED = ("bulk", "import", "revert")
_ARRIVAL_SECONDS = UPLOAD_LINK_SECONDS + 3_600  # the form's time, and that of a slow upload begun at its end


@dataclass(frozen=True, slots=True)
class Import:
    """How the rows of a file are to be read and what is to become of them."""

    source: Source
    verb: Verb = "create"
    key: str = ""
    strict: bool = False
    dry: bool = False


def accept_bulk(caller: Caller, entity: EntityType, request: BulkRequest, once: Once | None = None) -> Item:
    """Put the items of a bulk request down as a job."""
    if once and (first := once.found()):
        return machine.find(caller, first["job"])
    asked = Import(Source("json"), request.verb, request.key, not request.skip_invalid, request.dry)
    more = {"data": to_json(request.data).decode()} if request.data else {}
    return _accept(caller, "bulk", entity, asked, once, data=to_json(request.items), total=len(request.items), more=more)


def accept_urls(caller: Caller, entity: EntityType, urls: object, once: Once | None = None, *, dry: bool = False) -> Item:
    """Put addresses of videos down as a job that finds out what they are; raises ValidationFailed, TooLarge."""
    if once and (first := once.found()):
        return machine.find(caller, first["job"])
    if not isinstance(urls, list) or not urls:
        raise ValidationFailed.naming({"urls": "must be a list of addresses"})
    if len(urls) > IMPORT_URLS:
        raise TooLarge(f"{len(urls):,} addresses; {IMPORT_URLS:,} is the most")
    asked = Import(Source("urls"), key="url", dry=dry)  # a video that is there already is left alone
    return _accept(caller, "import", entity, asked, once, data=to_json(urls), total=len(urls))


def accept_file(caller: Caller, entity: EntityType, asked: Import, data: bytes, once: Once | None = None) -> Item:
    """Put a file that came in the request's body down as a job; raises UnreadableFile, ValidationFailed.

    What can be seen at once is said at once: a header that does not fit, a workbook that is none.
    """
    if once and (first := once.found()):
        return machine.find(caller, first["job"])
    if asked.source.format == "xlsx":
        from sheaf.formats import xlsx  # zip and XML are for those who send a workbook

        xlsx.guard(data)
    elif asked.source.format == "csv":
        _, header = next(csv.records(iter([data]), asked.source.encoding, asked.source.delimiter), (0, []))
        if not header:
            raise UnreadableFile("The file is empty", fields={"file": "is empty"})
        asked.source.columns(entity, header, asked.verb)
    return _accept(caller, "import", entity, asked, once, data=data)


def accept_upload(caller: Caller, entity: EntityType, asked: Import, upload: object, once: Once | None = None) -> Item:
    """Import a file that was uploaded before; raises ValidationFailed, NotFound, Conflict where it is not ready."""
    if once and (first := once.found()):
        return machine.find(caller, first["job"])
    if not isinstance(upload, str):
        raise ValidationFailed.naming({"uploadId": "must be the id of an upload"})
    document = fields_of(read.item(caller, registry.files(), upload))
    if document["size"] > IMPORT_FILE_BYTES:
        raise TooLarge(f"The file is {document['size']:,} bytes; {IMPORT_FILE_BYTES:,} is the most here")
    if document["status"] != "ready":
        raise Conflict(f"The upload is {document['status']}: {document['reason'] or 'its file has not arrived yet'}")
    return _accept(caller, "import", entity, _of_upload(asked, document), once)


def accept_awaited(caller: Caller, entity: EntityType, asked: Import, announced: Mapping[str, Any], once: Once | None) -> Item:
    """A job that begins when its file arrives; `awaits` in its row is the id that the upload has to have."""
    if once and (first := once.found()):
        return machine.find(caller, first["job"])
    file_id = ids.new("fil")
    document = {"id": file_id, "type": announced.get("type"), "object_version": ""}
    more = {"awaits": file_id, "until": now() + _ARRIVAL_SECONDS}
    return _accept(caller, "import", entity, _of_upload(asked, document), once, more=more)


def retry(caller: Caller, job_id: str, once: Once | None = None) -> Item:
    """Do the rows again that a job could not do or did not come to; the second time it is the same new job.

    Raises NotFound, Conflict.
    """
    if once and (first_job := once.found()):
        return machine.find(caller, first_job["job"])
    job = _finished(caller, job_id, "retried")
    if job["verb"] != "revert":
        require(caller, registry.find(job["entity"]), job["verb"])
    counts, first = progress.counted(caller, job), machine.chunk(caller, job_id, 0)
    everything = first is not None and sum(counts[each] for each in machine.OUTCOMES) == counts["total"]
    if everything and counts["failed"] == 0:
        raise Conflict("No row of this job has failed or was left")
    kept: Item = {name: job[name] for name in ("verb", "key", "dry", "source", "strict", "data", "header") if name in job}
    header = {"header": first["header"]} if first and "header" in first else {}
    # Whoever retries: the rows are their owner's, who may do no more than their role lets them.
    owner = replace(caller, principal=job["a"], role=job["ro"])
    return machine.accept(owner, job["kind"], job_id=_retry_of(caller, job_id), entity=job["entity"], chunks=1, total=0,
                          plan={**kept, **header, "retry": job_id}, once=once)  # fmt: skip


def _retry_of(caller: Caller, job_id: str) -> str:
    """The id of the one retry of a job: rows that it has done must not be done by another."""
    made = machine.new_id()
    try:
        table.update(config().control_table, keys.job(caller, job_id), "SET #retried = :made",
                     condition="attribute_not_exists(#retried)", values={"made": made})  # fmt: skip
    except ConditionFailed as failure:
        return str((failure.old or {})["retried"])
    return made


def revert(caller: Caller, job_id: str, body: object, once: Once | None = None) -> Item:
    """Undo what a job did, row by row, but for rows that were edited since; raises NotFound, Conflict, ValidationFailed."""
    asked = object_of(body, "dryRun")
    if not isinstance(asked.get("dryRun", False), bool):
        raise ValidationFailed.naming({"dryRun": "must be true or false"})
    if once and (first := once.found()):
        return machine.find(caller, first["job"])
    job = _finished(caller, job_id, "reverted")
    entity = registry.find(job["entity"])
    for verb in ("update", "delete"):
        require(caller, entity, verb)
    if job.get("dry"):
        raise Conflict("The job was only tried, so there is nothing to revert")
    plan = {"verb": "revert", "source": Source("json").text(), "revert": job_id, "dry": 1 if asked.get("dryRun") else None}
    return machine.accept(
        caller, "revert", job_id=machine.new_id(), entity=job["entity"], chunks=1, total=0, plan=plan, once=once
    )


def parse(entity: EntityType, settings: Mapping[str, Any], kind: str, *, camelled: bool, dry: bool,
          later: bool = False) -> Import:  # fmt: skip
    """How a file is to be imported, from the members of a JSON body or the parameters of a query; raises ValidationFailed.

    `kind`: the media type of the file, which says the format where the settings do not; `later`: it is not known yet.
    """
    wrong: dict[str, str] = {}
    form = settings.get("format", MEDIA_TYPES.get(kind, ""))
    if form not in FORMATS and (form or not later):
        wrong["format"] = f"must be one of {', '.join(FORMATS)}"
    verb = settings.get("operation", "create")
    if verb not in ("create", "update", "upsert", "delete"):
        wrong["operation"] = "must be create, update, upsert or delete"
    flags = {name: _flag(settings, name, wrong, default=name == "skipInvalid") for name in ("dryRun", "skipInvalid")}
    texts = {name: _text(settings, name, wrong) for name in ("key", "encoding", "delimiter", "sheet", "emptyCells")}
    if texts["emptyCells"] not in ("", "keep", "clear"):
        wrong["emptyCells"] = "must be keep or clear"
    names = {camel(name): name for name in entity.model.model_fields} if camelled else {}
    key, delimiter = names.get(texts["key"], texts["key"]), {"tab": "\t"}.get(texts["delimiter"], texts["delimiter"])
    found = Source(
        form,
        encoding=texts["encoding"] or "utf-8",
        delimiter=delimiter,
        sheet=texts["sheet"],
        mapping=_mapping(settings, wrong),
        clear=texts["emptyCells"] == "clear",
        camel=camelled,
    )
    if "operation" not in wrong:
        wrong |= check_key(entity, verb, key)
    wrong |= source.check(found)
    if wrong:
        raise ValidationFailed("The import request is wrong", fields=wrong)
    return Import(found, verb, key, not flags["skipInvalid"], dry or flags["dryRun"])


def _accept(caller: Caller, kind: machine.Kind, entity: EntityType, asked: Import, once: Once | None, *,
            data: bytes | None = None, total: int = 0, more: Mapping[str, Any] | None = None) -> Item:  # fmt: skip
    job_id = machine.new_id()
    if data is not None:
        blobs.put(config().jobs_bucket, keys.job_object(caller, job_id, "source"), data, "application/octet-stream")
    plan = {"verb": asked.verb, "key": asked.key or None, "strict": 1 if asked.strict else None, "dry": 1 if asked.dry else None,
            "source": asked.source.text(), **(more or {})}  # fmt: skip
    return machine.accept(caller, kind, job_id=job_id, entity=entity.path, chunks=1, total=total, plan=plan, once=once)


def _of_upload(asked: Import, document: Mapping[str, Any]) -> Import:
    form = asked.source.format or MEDIA_TYPES.get(str(document["type"]), "")
    if form not in FORMATS:
        raise ValidationFailed.naming({"format": f"must be one of {', '.join(FORMATS)}"})
    return replace(
        asked, source=replace(asked.source, format=form, upload=document["id"], version=document["object_version"] or "")
    )


def _finished(caller: Caller, job_id: str, what: str) -> Item:
    """A job of the caller's over rows, which has ended; its entity's `bulk` is the caller's, too."""
    job = progress.owned(caller, job_id)
    if job["kind"] not in _RETRIED:
        raise Conflict(f"A job of the type {job['kind']} cannot be {what}")
    if job["st"] not in machine.ENDED:
        raise Conflict(f"The job is {job['st']}; it can be {what} when it has ended")
    permission, entity = f"{job['entity']}:bulk", registry.find(job["entity"])
    roles.require(caller, permission, roles.least_of(permission, entity.model.access))
    return job


def _flag(settings: Mapping[str, Any], name: str, wrong: dict[str, str], *, default: bool) -> bool:
    value = settings.get(name, default)
    if isinstance(value, str):
        value = {"true": True, "false": False}.get(value)  # from a query
    if not isinstance(value, bool):
        wrong[name] = "must be true or false"
        return default
    return value


def _text(settings: Mapping[str, Any], name: str, wrong: dict[str, str]) -> str:
    value = settings.get(name, "")
    if not isinstance(value, str) or len(value) > 200:
        wrong[name] = "must be a text of at most 200 characters"
        return ""
    return value


def _mapping(settings: Mapping[str, Any], wrong: dict[str, str]) -> dict[str, str | None]:
    value = settings.get("mapping", {})
    if isinstance(value, str):
        try:
            value = from_json(value)
        except ValueError:
            value = None
    if not isinstance(value, dict) or not all(each is None or isinstance(each, str) for each in value.values()):
        wrong["mapping"] = 'must be an object of columns and their fields: {"E-mail": "email", "Notes": null}'
        return {}
    if len(to_json(value)) > 16_384:
        wrong["mapping"] = "is larger than 16,384 bytes"
        return {}
    return value
