"""How a version of the API calls the fields of an entity. v1 keeps their declared names, v2 has camelCase throughout."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.edge.request import Request
from sheaf.entity.names import GROUP_WORDS
from sheaf.entity.query import ORDER, PARAMETERS, SHAPE, SUMS
from sheaf.entity.registry import EntityType
from sheaf.records.rows import Row

_NAME = re.compile(r"[A-Za-z_]\w*")
_SNAKE = re.compile(r"_([a-z0-9])")
_NAMED = tuple(name for name in (*ORDER, *SHAPE, *SUMS) if name not in ("search", "trash"))


def camel(name: str) -> str:
    """`first_name` as `firstName`."""
    return _SNAKE.sub(lambda match: match[1].upper(), name)


class Wire:
    """The names of one entity in one request's version."""

    def __init__(self, request: Request, entity: EntityType) -> None:
        self._request = request
        self._out = {name: camel(name) for name in entity.model.model_fields} if request.version > 1 else {}
        self._in = {wire: name for name, wire in self._out.items()}
        request.names = self._out

    def body(self, value: Any) -> Any:
        """A row from a request's body, under its declared names."""
        if not self._in or not isinstance(value, dict):
            return value
        return {self._in.get(name, name): each for name, each in value.items()}

    def query(self) -> dict[str, str]:
        """The request's query parameters, under declared names."""
        if not self._in:
            return dict(self._request.query)
        found = {}
        for parameter, text in self._request.query.items():
            if parameter == "filter":
                found[parameter] = self._filter(text)
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
        """The same of a parsed document; what is expanded in it is shown alike."""
        shown = {self._out.get(name, name): value for name, value in document.items()}
        if self._out and "expand" in shown:
            shown["expand"] = _renamed(shown["expand"], lambda name: camel(name) if "_via_" not in name else name)
        return shown

    def _filter(self, text: str) -> str:
        try:
            value = from_json(text)
        except ValueError:
            return text  # the filter's own parser says what is wrong
        return to_json(_renamed(value, lambda name: name if name in GROUP_WORDS else self._in.get(name, name))).decode()


def _renamed(value: Any, rename: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {rename(str(name)): _renamed(each, rename) for name, each in value.items()}
    return [_renamed(each, rename) for each in value] if isinstance(value, list) else value
