"""Equality filters of a list, `?status=todo`, checked against the entity's indexed fields."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from sheaf.base.bounds import FILTERS
from sheaf.base.errors import InvalidParameter
from sheaf.entity.registry import EntityType

Filters = dict[str, Any]


def parse(entity: EntityType, query: Mapping[str, str]) -> Filters:
    """The filters in `query` with their values in the field's type; raises InvalidParameter naming each wrong one."""
    if not query:
        return {}
    from pydantic import ValidationError

    wrong: dict[str, str] = {}
    found: Filters = {}
    for name, text in query.items():
        if name not in entity.indexes:
            known = ", ".join(sorted(entity.indexes)) or "none"
            wrong[name] = f"is not a filter of {entity.path}; its filters: {known}"
            continue
        try:
            found[name] = plain(entity, name, text)
        except ValidationError as error:
            wrong[name] = error.errors(include_url=False, include_input=False)[0]["msg"]
    if len(query) > FILTERS:
        wrong[""] = f"at most {FILTERS} filters"
    if wrong:
        raise InvalidParameter("; ".join(f"{name}: {text}" for name, text in wrong.items()), fields=wrong)
    return found


def plain(entity: EntityType, name: str, text: str) -> Any:
    """`text` as the JSON value that a row holds in this field."""
    from pydantic import TypeAdapter

    info = entity.model.model_fields[name]
    adapter: TypeAdapter[Any] = TypeAdapter(info.rebuild_annotation())
    return adapter.dump_python(adapter.validate_python(text), mode="json")


def matches(document: Mapping[str, Any], filters: Filters) -> bool:
    """Whether a row satisfies every filter."""
    return all(document.get(name) == value for name, value in filters.items())


def index_value(value: Any) -> str:
    """The text under which an index holds this value."""
    return to_json(value).decode()
