"""Segments: records of a batch, chosen by number or by value (or enriched and sent back), saved under a name."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from sheaf.access.caller import Caller
from sheaf.base.errors import ValidationFailed
from sheaf.entity import registry
from sheaf.entity.body import object_of
from sheaf.entity.registry import EntityType
from sheaf.features.audience import records, uploads
from sheaf.records import write
from sheaf.records.once import Once
from sheaf.records.rows import Row, fields_of

_CHOICES = ("rows", "filter", "records")


def entity() -> EntityType:
    """The entity of segments."""
    return registry.own("audience_segments")


def create(caller: Caller, upload_id: str, body: object, once: Once | None = None) -> Row:
    """Save a segment of `{"segment_name", "rows"?: [0, 2], "filter"?: {"domain": "a.com"}, "records"?: […], "fields"?: […]}`.

    Without a choice it is the whole batch. Raises NotFound, ValidationFailed, TooLarge.
    """
    if once and (first := once.found()):
        return write.replayed(caller, entity(), first)
    item = fields_of(uploads.find(caller, upload_id))
    asked = _parse(body, item["rows_received"])
    chosen = _chosen(caller, upload_id, item["edges"], asked)
    first = next(chosen, None)
    if first is None:
        raise ValidationFailed.naming({"filter": "matches no record of the batch"})
    fields = {"segment_name": asked["segment_name"], "upload_id": upload_id, "fields": asked.get("fields") or item["fields"],
              "filter": asked.get("filter")}  # fmt: skip
    return uploads.keep(caller, entity(), chain([first], chosen), lambda rows: {**fields, "rows": rows}, once)


def _parse(body: object, count: int) -> Mapping[str, Any]:
    asked = object_of(body, "segment_name", *_CHOICES, "fields", error="The segment cannot be saved")
    wrong: dict[str, str] = {}
    name = asked.get("segment_name")
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= 100 or not name.strip().isprintable():
        wrong["segment_name"] = "is required" if name is None else "must have 1 to 100 characters and no line break"
    chosen = [each for each in _CHOICES if each in asked]
    if len(chosen) > 1:
        wrong[chosen[1]] = f"cannot be given together with {chosen[0]}"
    rows = asked.get("rows", [])
    if (
        not isinstance(rows, list)
        or not all(isinstance(each, int) and 0 <= each < count for each in rows)
        or ("rows" in asked and not rows)
    ):
        wrong["rows"] = f"must be a list of numbers of records, from 0 to {count - 1}"
    if not isinstance(asked.get("filter", {}), dict):
        wrong["filter"] = "must be an object of fields and the values that they have to have"
    fields = asked.get("fields", [])
    if not isinstance(fields, list) or not uploads.are_names(fields):
        wrong["fields"] = uploads.NAMES_RULE
    found = asked.get("records")
    if "records" in asked and (not isinstance(found, list) or not found):
        wrong["records"] = "must be an array that is not empty"
    if wrong:
        raise ValidationFailed.naming(wrong)
    if isinstance(found, list):
        records.require_good(enumerate(found))
    return asked


def _chosen(caller: Caller, upload_id: str, edges: list[int], asked: Mapping[str, Any]) -> Iterator[Any]:
    if "records" in asked:
        found = iter(asked["records"])
    elif "rows" in asked:
        wanted = set(asked["rows"])
        found = (each for number, each in enumerate(records.every(caller, upload_id, edges)) if number in wanted)
    else:
        test = asked.get("filter", {})
        found = (each for each in records.every(caller, upload_id, edges)
                 if all(each.get(name) == value for name, value in test.items()))  # fmt: skip
    fields = asked.get("fields")
    return ({name: each[name] for name in fields if name in each} for each in found) if fields else found
