"""The catalogue of events: each type with what it means, the JSON schema of its body as webhooks send it, and an example."""

from collections.abc import Iterator
from typing import Any

from sheaf.describe.schemas import COUNT, ID, MOMENT, SERVER, SHARED, Schema, example_of, nullable, record
from sheaf.entity import custom, registry
from sheaf.entity.names import OPERATIONAL, SYSTEM_FIELDS, VERBS
from sheaf.entity.registry import EntityType

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EXAMPLE_ID = "01kagd9vhqe5sbq9y6c9t0v9mk"
_MEANINGS = {
    "created": "{} came into being",
    "updated": "{} was changed",
    "deleted": "{} was moved to the trash; data is the row as it was",
    "restored": "{} came back from the trash",
}
_ENDPOINT = record(
    {
        "id": ID,
        "url": ID,
        "status": {"enum": ["enabled", "disabled"]},
        "reason": nullable({"type": "string", "description": "Why it was disabled"}),
        "failingPercent": nullable({**COUNT, "description": "Of the time after which it is disabled"}),
        "disablesAt": nullable(MOMENT),
    }
)


_LINKS = ("result", "errorsUrl", "unprocessedUrl", "manifestUrl", "upload")  # would be over before somebody reads the event
_JOB = {
    **SHARED["Job"],
    "properties": {name: schema for name, schema in SHARED["Job"]["properties"].items() if name not in _LINKS},
    "required": [name for name in SHARED["Job"]["required"] if name not in _LINKS],
}


def catalogue() -> list[dict[str, Any]]:
    """Every type, sorted by its name."""
    return sorted([*_of_entities(), *_of_publishers(), *_operational()], key=lambda each: str(each["type"]))


def _of_entities() -> Iterator[dict[str, Any]]:
    for entity in [*(registry.find(path) for path in registry.paths()), registry.files()]:
        schema, defs = _row(entity)
        noun = f"A {entity.word.replace('_', ' ')}" if entity.word[0] not in "aeio" else f"An {entity.word.replace('_', ' ')}"
        for verb in VERBS:
            yield _entry(f"{entity.word}.{verb}", _MEANINGS[verb].format(noun), schema, defs)
        told = (entity.model.also.__doc__ or "").strip()
        for name in entity.model.events:
            yield _entry(f"{entity.word}.{name}", told or f"{noun} was {name}", schema, defs)


def _of_publishers() -> Iterator[dict[str, Any]]:
    for type_, model in custom.known().items():
        schema = model.model_json_schema(mode="serialization")
        defs = schema.pop("$defs", {})
        meaning = schema.pop("description", "Published by this installation")
        yield _entry(type_, meaning, _untitled(schema), defs)


def _operational() -> Iterator[dict[str, Any]]:
    for type_, meaning in OPERATIONAL.items():
        yield _entry(type_, meaning, _JOB if type_.startswith("job.") else _ENDPOINT, {})


def _row(entity: EntityType) -> tuple[Schema, dict[str, Schema]]:
    made = entity.model.model_json_schema(mode="serialization")
    shown = {name: made["properties"][name] for name in entity.model.model_fields if name not in entity.hidden}
    fields = {"id": SERVER["id"], **shown, **{name: SERVER[name] for name in SYSTEM_FIELDS[1:]}}
    return _untitled(record(fields)), made.get("$defs", {})


def _entry(type_: str, meaning: str, data: Schema, defs: dict[str, Schema]) -> dict[str, Any]:
    head: dict[str, Schema] = {
        "id": {"type": "string", "description": "The same however often the event is sent"},
        "type": {"const": type_},
        "createdAt": MOMENT,
        "tenant": ID,
        "sequence": {
            "type": "integer",
            "minimum": 1,
            "description": "The row's version; its events are sent in this order",
        },
        "previousEventId": {**nullable(ID), "description": "The event of the same row before it"},
    }
    schema = {"$schema": _DIALECT, **record({**head, "data": data}), **({"$defs": defs} if defs else {})}
    example = {
        "id": f"evt_{_EXAMPLE_ID}",
        "type": type_,
        "createdAt": "2026-01-31T08:00:00.000Z",
        "tenant": f"tnt_{_EXAMPLE_ID}",
        "sequence": 1,
        "previousEventId": None,
        "data": example_of(data),
    }
    return {"type": type_, "description": meaning, "schema": schema, "example": example}


def _untitled(schema: Schema) -> Schema:
    """Without the titles that only repeat the names."""
    properties = {
        name: {key: value for key, value in each.items() if key != "title"} for name, each in schema["properties"].items()
    }
    return {
        **{name: value for name, value in schema.items() if name not in ("title", "additionalProperties")},
        "properties": properties,
    }
