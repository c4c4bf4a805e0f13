"""What a stream, a subscription or a page of the event log is asked for: types, an entity, a row, a filter, fields."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.access.guard import Present
from sheaf.base import ids
from sheaf.base.bounds import SUBSCRIPTION_FILTER_BYTES, WEBHOOK_EVENTS
from sheaf.base.clock import now_ms
from sheaf.base.errors import InvalidParameter
from sheaf.entity import event_types, filters, registry
from sheaf.entity.filters import EVERYTHING, Condition, Group, Test
from sheaf.entity.registry import EntityType
from sheaf.features.realtime import sight
from sheaf.records.events import NOTES, Event
from sheaf.store.table import Item

_NO_ROWS = ("events", "jobs", "webhooks")  # whose types may end in anything

Shape = Callable[[EntityType, Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events, and how much of each. Empty: every type, every entity, every row, every field."""

    types: frozenset[str] = frozenset()  # task.created, task.*
    paths: frozenset[str] = frozenset()
    row: str = ""
    condition: Group = EVERYTHING
    fields: tuple[str, ...] = ()

    def is_hinted(self, item: Item) -> bool:
        """Whether a change may hold such an event, by what the index of the log says of it."""
        if item["pa"] == NOTES or (self.paths and item["pa"] not in self.paths):
            return False
        return any(self._names(type_) for type_ in (item["ty"], *item.get("al", ())))

    def fits(self, event: Event) -> bool:
        """Whether an event is one of them. A change that takes a row out of the filter is one: its row is no match any more."""
        if (self.paths and event.path not in self.paths) or (self.row and event.row != self.row) or not self._names(event.type):
            return False
        if not self.condition.parts or filters.matches(_parsed(event.data), self.condition):
            return True
        return event.verb == "updated" and event.before is not None and filters.matches(_parsed(event.before), self.condition)

    @property
    def is_timely(self) -> bool:
        """Whether the filter may say something else tomorrow: it compares times."""
        return any(test.kind.name == "timestamp" for test in _tests(self.condition))

    def _names(self, type_: str) -> bool:
        return not self.types or event_types.covers(self.types, type_)


@lru_cache(maxsize=256)
def _parsed(text: str) -> Mapping[str, Any]:
    """A row, parsed once for all who ask for it."""
    return from_json(text)  # type: ignore[no-any-return]


def _tests(condition: Condition) -> Iterator[Test]:
    if isinstance(condition, Test):
        yield condition
    else:
        for part in condition.parts:
            yield from _tests(part)


def seen_by(who: Present, wanted: Wanted) -> tuple[Callable[[Item], bool], Callable[[Event], bool]]:
    """The two tests of `journal.read` for what a caller wants and may see."""
    known: dict[str, bool] = {}

    def hinted(item: Item) -> bool:
        path = item["pa"]
        if path not in known:
            known[path] = sight.may_see(who, path)
        return known[path] and wanted.is_hinted(item)

    return hinted, lambda event: wanted.fits(event) and sight.sees(who, event)


def rendered(event: Event, fields: tuple[str, ...] = (), shape: Shape | None = None) -> str:
    """An event as it is sent, as JSON: of a deleted row nothing but its id."""
    return event.body_of(data_of(event, fields, shape)).decode()


def data_of(event: Event, fields: tuple[str, ...] = (), shape: Shape | None = None) -> str:
    """What an event says of its row, as JSON."""
    if event.verb == "deleted" and event.path not in _NO_ROWS:
        return to_json({"id": event.row}).decode()
    if not fields and shape is None:
        return event.shown
    document: Mapping[str, Any] = from_json(event.shown)
    if fields:
        document = {name: value for name, value in document.items() if name in fields or name == "id"}
    entity = registry.known(event.path) if shape else None
    return to_json(shape(entity, document) if shape and entity else document).decode()


def types_of(found: list[str]) -> frozenset[str]:
    """The patterns of types in a request; raises InvalidParameter for one that stands for nothing."""
    if len(found) > WEBHOOK_EVENTS:
        raise InvalidParameter.naming({"types": f"must be at most {WEBHOOK_EVENTS} types"})
    known = event_types.every() if found else []
    for name in found:
        if wrong := event_types.objection(name, known):
            raise InvalidParameter.naming({"types": wrong})
    return frozenset(found)


def path_of(who: Present, text: str) -> str:
    """The path of an entity that the caller may see events of; raises InvalidParameter."""
    if not sight.may_see(who, text):
        raise InvalidParameter.naming({"entity": f"there is no entity {text[:64]!r} that you may read"})
    return text


def row_of(entity: EntityType | None, text: str) -> str:
    """The id of a row; raises InvalidParameter."""
    if entity is None or not ids.is_id(text, entity.prefix):
        raise InvalidParameter.naming({"row": "must be the id of a row of the entity"})
    return text


def fields_of(entity: EntityType | None, names: list[str]) -> tuple[str, ...]:
    """The fields of an entity; raises InvalidParameter."""
    if entity is None:
        raise InvalidParameter.naming({"fields": "needs an entity"})
    if wrong := [name for name in names if name not in entity.kinds]:
        raise InvalidParameter.naming({"fields": f"{entity.word} has no field {wrong[0][:64]!r}"})
    return tuple(dict.fromkeys(names))


def condition_of(entity: EntityType | None, body: Mapping[str, Any]) -> Group:
    """The condition that a filter is, read now; raises InvalidParameter."""
    if entity is None:
        raise InvalidParameter.naming({"filter": "needs an entity"})
    if len(to_json(body)) > SUBSCRIPTION_FILTER_BYTES:
        raise InvalidParameter.naming({"filter": f"must be at most {SUBSCRIPTION_FILTER_BYTES:,} bytes of JSON"})
    return filters.from_json(entity, body, now_ms())
