"""How a version of the API calls the fields of an entity. v1 keeps their declared names, v2 has camelCase throughout."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.base.errors import InvalidParameter, ValidationFailed
from sheaf.edge.request import Request
from sheaf.entity.names import GROUP_WORDS, camel
from sheaf.entity.query import PARAMETERS
from sheaf.entity.registry import EntityType
from sheaf.records import relations
from sheaf.records.rows import Row

_NAME = re.compile(r"[A-Za-z_]\w*")
_LISTS = ("items", "updates", "ids")  # members of a bulk request that hold rows
_NAMED = ("sort", "fields", "aggregate", "groupBy")  # parameters that name fields


class Wire:
    """The names of one entity in one request's version."""

    def __init__(self, request: Request, entity: EntityType) -> None:
        self._entity = entity
        self._out = names_of(entity) if request.version > 1 else {}
        self._in = {wire: name for name, wire in self._out.items()}
        self._request = request
        request.names = self._out

    def body(self, value: Any) -> Any:
        """A row from a request's body, under its declared names; raises ValidationFailed for a name of another version."""
        if not self._in or not isinstance(value, dict):
            return value
        if wrong := {name: f"is called {self._out[name]} in this version" for name in value if self._out.get(name, name) != name}:
            raise ValidationFailed.naming(wrong)
        return self._declared(value)

    def bulk(self, value: Any) -> Any:
        """The items of a bulk request, under their declared names."""
        if isinstance(value, list):
            return [self._declared(each) for each in value]
        if not isinstance(value, dict):
            return value
        lists = {name: [self._declared(each) for each in value[name]] for name in _LISTS if isinstance(value.get(name), list)}
        data = {"data": self._declared(value["data"])} if "data" in value else {}
        return {**value, **lists, **data}

    def field(self, name: str) -> str:
        """The declared name of a field."""
        return self._in.get(name, name)

    def export(self, value: Any) -> Any:
        """An export request, its filter and fields under declared names."""
        if not self._in or not isinstance(value, dict):
            return value
        named = dict(value)
        if isinstance(value.get("fields"), list):
            named["fields"] = [self._in.get(each, each) if isinstance(each, str) else each for each in value["fields"]]
        if "filter" in value:
            named["filter"] = self._condition(value["filter"])
        if isinstance(value.get("sort"), str):
            named["sort"] = _NAME.sub(lambda match: self._in.get(match[0], match[0]), value["sort"])
        return named

    def query(self) -> dict[str, str]:
        """The request's query parameters, under declared names."""
        if not self._in:
            return dict(self._request.query)
        found = {}
        for parameter, text in self._request.query.items():
            if parameter == "filter":
                found[parameter] = self._filter(text)
            elif parameter == "expand":
                found[parameter] = ",".join(self._path(path) for path in text.split(","))
            elif parameter in _NAMED:
                found[parameter] = _NAME.sub(lambda match: self._in.get(match[0], match[0]), text)
            elif parameter in PARAMETERS:
                found[parameter] = text
            else:
                found[_NAME.sub(lambda match: self._in.get(match[0], match[0]), parameter, count=1)] = text
        return found

    def row(self, row: Row) -> str:
        """A row's JSON document as this version shows it."""
        return to_json(self.document(row.document)).decode() if self._out else row.text

    def document(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The same of a parsed document, and of the rows that are expanded in it."""
        return shown(self._entity, document) if self._out else dict(document)

    def named(self, value: Any) -> Any:
        """Sums, changes and outcomes as this version shows them: whatever is called like a field, at any depth."""
        return _renamed(value, self._out) if self._out else value

    def _declared(self, value: Any) -> Any:
        return {self._in.get(name, name): each for name, each in value.items()} if isinstance(value, dict) else value

    def _condition(self, value: Any) -> Any:
        """A filter: only groups hold names further down."""
        if not isinstance(value, dict):
            return value
        found = {}
        for name, each in value.items():
            if name not in GROUP_WORDS:
                found[self._in.get(name, name)] = each
            else:
                found[name] = [self._condition(part) for part in each] if isinstance(each, list) else self._condition(each)
        return found

    def _filter(self, text: str) -> str:
        try:
            value = from_json(text)
        except ValueError:
            return text  # the filter's own parser says what is wrong
        return to_json(self._condition(value)).decode()

    def _path(self, path: str) -> str:
        here, found = self._entity, []
        for part in path.strip().split("."):
            name = next((name for name in here.relations if camel(name) == part), part)
            found.append(name)
            try:
                here = relations.target_of(here, name)
            except InvalidParameter:
                return path  # whoever expands says what is wrong
        return ".".join(found)


def names_of(entity: EntityType) -> dict[str, str]:
    """The declared names of an entity's fields, each with its name in camelCase."""
    return {name: camel(name) for name in entity.model.model_fields}


def shown(entity: EntityType, document: Mapping[str, Any]) -> dict[str, Any]:
    """A row in camelCase: its own fields, not what they hold."""
    names = names_of(entity)
    found = {names.get(name, name): value for name, value in document.items()}
    if isinstance(document.get("expand"), dict):
        found["expand"] = {names.get(name, name): _related(entity, name, value) for name, value in document["expand"].items()}
    return found


def _related(entity: EntityType, name: str, value: Any) -> Any:
    target = relations.target_of(entity, name)
    if isinstance(value, list):
        return [shown(target, each) for each in value]
    return shown(target, value) if isinstance(value, dict) else value


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {names.get(name, name): _renamed(each, names) for name, each in value.items()}
    return [_renamed(each, names) for each in value] if isinstance(value, list) else value
