"""What an export is asked for, and its acceptance as a job."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.access import roles
from sheaf.access.caller import Caller
from sheaf.base.bounds import EXPORT_FILTER_BYTES
from sheaf.base.clock import now_ms
from sheaf.base.errors import InvalidParameter, ValidationFailed
from sheaf.entity import filters, query
from sheaf.entity.body import object_of
from sheaf.entity.names import camel
from sheaf.entity.query import NEWEST_FIRST
from sheaf.entity.registry import EntityType, find, paths
from sheaf.jobs import machine
from sheaf.records.once import Once
from sheaf.records.plan import Wanted
from sheaf.store.table import Item

FORMATS = ("csv", "xlsx", "ndjson", "json")
_ERROR = "The export request is wrong"


@dataclass(frozen=True, slots=True)
class Export:
    """An export as it lies in its job's row: which rows, which fields under which titles, in which format."""

    format: str
    columns: list[tuple[str, str]]
    filter: Mapping[str, Any]
    sort: str
    search: str
    at_ms: int

    @classmethod
    def of(cls, job: Item) -> "Export":
        """The export of a job's row."""
        return cls(job["format"], from_json(job["columns"]), from_json(job["filter"]), job.get("sort", ""), job.get("search", ""),
                   job["at_ms"])  # fmt: skip

    def plan(self) -> Item:
        """What joins the job's row. Macros such as $now are read at one moment in every step."""
        return {"format": self.format, "columns": to_json(self.columns).decode(), "filter": to_json(self.filter).decode(),
                "sort": self.sort or None, "search": self.search or None, "at_ms": self.at_ms}  # fmt: skip

    def wanted(self, entity: EntityType) -> Wanted:
        """The rows, and their order."""
        condition = filters.from_json(entity, self.filter, self.at_ms)
        sort = query.order_of(entity, self.sort) if self.sort else NEWEST_FIRST
        return Wanted(condition, sort, query.terms_of(entity, self.search) if self.search else ())


def accept(caller: Caller, entity: EntityType, body: object, once: Once | None = None, *, camelled: bool = False) -> Item:
    """Put an export of an entity down as a job; raises ValidationFailed.

    `{"format": "csv", "filter"?: {…}, "sort"?: "-title,id", "search"?: "…", "fields"?: […]}`, `filter` being the JSON form of
    the lists' grammar (entity/filters.py) and `sort` that of the lists.
    """
    if once and (first := once.found()):
        return machine.find(caller, first["job"])
    asked = _parse(entity, body, camelled=camelled)
    return machine.accept(caller, "export", job_id=machine.new_id(), entity=entity.path, chunks=1, total=0, plan=asked.plan(),
                          once=once)  # fmt: skip


def accept_data(caller: Caller, body: object, once: Once | None = None, *, camelled: bool = False) -> Item:
    """The same of `{"type": "users", …}`: an entity's path, or analytics (how many rows were made on which day)."""
    if not isinstance(body, dict):
        raise ValidationFailed("The body must be a JSON object", fields={"": "must be an object"})
    kind = body.get("type")
    rest = {name: value for name, value in body.items() if name != "type"}
    if kind == "analytics":
        return _accept_analytics(caller, rest, once)
    entity = find(kind) if isinstance(kind, str) and kind in paths() else None
    if entity is None:
        raise ValidationFailed(_ERROR, fields={"type": "must be analytics or the path of an entity, such as users or videos"})
    permission = f"{entity.path}:export"
    roles.require(caller, permission, roles.least_of(permission, entity.model.access))
    return accept(caller, entity, rest, once, camelled=camelled)


def _accept_analytics(caller: Caller, body: dict[str, Any], once: Once | None) -> Item:
    if once and (first := once.found()):
        return machine.find(caller, first["job"])
    object_of(body, "format", error=_ERROR)
    if body.get("format") not in FORMATS:
        raise ValidationFailed(_ERROR, fields={"format": f"must be one of {', '.join(FORMATS)}"})
    return machine.accept(caller, "analytics", job_id=machine.new_id(), entity="*", chunks=1, total=0,
                          plan={"format": body["format"]}, once=once)  # fmt: skip


def _parse(entity: EntityType, body: object, *, camelled: bool) -> Export:
    asked = object_of(body, "format", "filter", "sort", "search", "fields", error=_ERROR)
    wrong: dict[str, str] = {}
    if asked.get("format") not in FORMATS:
        wrong["format"] = f"must be one of {', '.join(FORMATS)}"
    columns = _columns(entity, asked.get("fields", entity.columns), wrong)
    for name in ("sort", "search"):
        if not isinstance(asked.get(name, ""), str):
            wrong[name] = "must be a string"
    if wrong:
        raise ValidationFailed(_ERROR, fields=wrong)
    titles = [(name, camel(name) if camelled else name) for name in columns]
    made = Export(
        asked["format"], titles, asked.get("filter", {}), asked.get("sort", ""), asked.get("search", "").strip(), now_ms()
    )
    if (size := len(to_json(made.filter))) > EXPORT_FILTER_BYTES:
        raise ValidationFailed(_ERROR, fields={"filter": f"is {size:,} bytes; {EXPORT_FILTER_BYTES:,} is the most"})
    for name, check in (("sort", query.order_of), ("search", query.terms_of)):
        try:
            if text := getattr(made, name):
                check(entity, text)
        except ValueError as error:
            wrong[name] = str(error)
    try:
        filters.from_json(entity, made.filter, made.at_ms)
    except InvalidParameter as error:
        wrong |= error.fields
    if wrong:
        raise ValidationFailed(_ERROR, fields=wrong)
    return made


def _columns(entity: EntityType, columns: Any, wrong: dict[str, str]) -> list[str]:
    if not isinstance(columns, list) or not columns:
        wrong["fields"] = "must be a list of names"
    elif not all(isinstance(name, str) for name in columns) or len(set(columns)) < len(columns):
        wrong["fields"] = "must be different names of fields"
    elif unknown := [name for name in columns if name not in entity.columns]:
        wrong["fields"] = f"{str(unknown[0])[:80]!r} is not a field of {entity.path}"
    return columns if "fields" not in wrong else []
