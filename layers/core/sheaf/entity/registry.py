"""Which entities there are: one file of the `entities` package each, loaded when first asked for."""

import re
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Any

import entities
from sheaf.base.errors import NotFound
from sheaf.entity.names import INDEX_MARK, SYSTEM_FIELDS

if TYPE_CHECKING:  # pydantic comes with the first request that touches an entity, not with the start of a function
    from sheaf.entity.model import Entity

INDEXES = ("ix1", "ix2", "ix3")  # the sparse KEYS_ONLY indexes of the table Records
RESERVED = frozenset({"auth", "bulk", "batch", "errors", "events", "export", "health", "import", "jobs", "uploads", "webhooks"})

_PATH = re.compile(r"[a-z][a-z0-9_]{0,62}")
_WORD_BREAK = re.compile(r"(?<!^)(?=[A-Z])")


class DeclarationError(TypeError):
    """An entity file breaks a rule; the message says which."""


@dataclass(frozen=True)
class EntityType:
    """An entity as the rest of the code sees it."""

    path: str  # tasks: the URL's segment
    word: str  # task: the first half of an event's type
    model: "type[Entity]"

    @property
    def prefix(self) -> str:
        """The prefix of its ids."""
        return self.model.prefix

    @cached_property
    def indexes(self) -> dict[str, str]:
        """Its indexed fields, each with the table index it uses."""
        marked = [name for name, info in self.model.model_fields.items() if _is_indexed(info.json_schema_extra)]
        if len(marked) > len(INDEXES):
            raise DeclarationError(f"{self.model.__name__} has {len(marked)} indexed fields; {len(INDEXES)} is the most")
        return dict(zip(marked, INDEXES, strict=False))

    def checked(self, body: object) -> dict[str, Any]:
        """The fields of a valid `body` as plain JSON values; raises ValidationFailed with one message per field."""
        from sheaf.entity.model import checked

        return checked(self.model, body)

    @property
    def columns(self) -> list[str]:
        """Every field of a row, in the order of a file's columns."""
        return ["id", *self.model.model_fields, *SYSTEM_FIELDS[1:]]


_known: dict[str, EntityType] = {}


def find(path: str) -> EntityType:
    """The entity at this path; raises NotFound."""
    if path not in _known:
        if not _PATH.fullmatch(path) or find_spec(f"entities.{path}") is None:
            raise NotFound(f"There is no entity {path[:64]!r}")
        _known[path] = declared(import_module(f"entities.{path}"), path)
    return _known[path]


def paths() -> list[str]:
    """The paths of all entities."""
    return sorted(found.name for found in iter_modules(entities.__path__))


def declared(module: ModuleType, path: str) -> EntityType:
    """The one entity of `module`, checked; raises DeclarationError."""
    models = [value for value in vars(module).values() if _is_model(value, module.__name__)]
    if len(models) != 1:
        raise DeclarationError(f"{module.__name__} must declare exactly one Entity, not {len(models)}")
    return entity_type(models[0], path)


def entity_type(model: "type[Entity]", path: str) -> EntityType:
    """The type of one entity class at `path`; raises DeclarationError."""
    if path in RESERVED:
        raise DeclarationError(f"the path {path!r} is taken by the API itself")
    if clash := [name for name in SYSTEM_FIELDS if name in model.model_fields]:
        raise DeclarationError(f"{model.__name__} declares {clash[0]!r}, which is the server's")
    made = EntityType(path, _WORD_BREAK.sub("_", model.__name__).lower(), model)
    assert made.indexes is not None  # too many of them fail here, at build, and not in a request
    return made


def _is_model(value: object, module: str) -> bool:
    from sheaf.entity.model import Entity

    return isinstance(value, type) and issubclass(value, Entity) and value.__module__ == module


def _is_indexed(extra: Any) -> bool:
    return isinstance(extra, dict) and bool(extra.get(INDEX_MARK))
