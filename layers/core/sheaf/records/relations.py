"""Relations between rows: checked when they are written, followed when they are expanded."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sheaf.access import roles
from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import EXPAND_BYTES, EXPAND_QUERIES, EXPAND_ROWS
from sheaf.base.errors import InvalidParameter, NotFound, PermissionDenied, ValidationFailed
from sheaf.entity import kinds, registry
from sheaf.entity.filters import Group, Test
from sheaf.entity.registry import EntityType
from sheaf.records.plan import Wanted, plan
from sheaf.records.rows import escaped_size, from_item
from sheaf.records.sources import by_id
from sheaf.store.table import Item

_THREADS = 16  # of queries, one a row: waiting for the table dominates
Document = dict[str, Any]
VIA = "_via_"  # comments_via_post: the rows of `comments` whose field `post` points here


@dataclass(frozen=True, slots=True)
class Beside:
    """The ids of rows that a transaction makes, and of those that it deletes."""

    made: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)


def check(caller: Caller, entity: EntityType, fields: Mapping[str, Any], before: Mapping[str, Any] | None = None, *,
          beside: Beside | None = None) -> None:  # fmt: skip
    """Raise ValidationFailed for a field that points to a row that does not exist.

    What did not change, or the server itself has set, is not looked at; `beside` is what the same transaction does to other rows.
    """
    made, gone = (beside.made, beside.gone) if beside else (frozenset[str](), frozenset[str]())
    wrong: dict[str, str] = {}
    for name, relation in entity.relations.items():
        if name in entity.given or (before is not None and before.get(name) == fields.get(name)):
            continue
        wanted = pointers(fields.get(name))
        target = registry.known(relation.path)
        if target is None or not wanted:
            continue
        good = [each for each in wanted if ids.is_id(each, target.prefix)]
        there = by_id(caller, target, good) if good else {}
        here = {each for each in good if each in there or each in made} - gone
        if missing := [each for each in wanted if each not in here]:
            wrong[name] = f"there is no {target.word} {missing[0][:80]!r}"
        elif name in entity.attached and (
            unready := [(each, state) for each in wanted if each in there and (state := _state(there[each])) != "ready"]
        ):
            wrong[name] = f"the file {unready[0][0]!r} is {unready[0][1]}, not ready"
    if wrong:
        raise ValidationFailed.naming(wrong)


@dataclass(slots=True)
class Expansion:
    """What is left of an answer's room for expanded rows and of its queries, and what found none."""

    room: int
    queries: int
    omitted: dict[str, int] = field(default_factory=dict)  # a relation's path, and how many of its rows, or lists, were left out
    more: dict[str, int] = field(default_factory=dict)  # and how many rows have more than EXPAND_ROWS on its other side


def expand(caller: Caller, entity: EntityType, documents: Sequence[Document], paths: Sequence[Sequence[str]]) -> Expansion:
    """Put related rows under `expand` of each document, level by level.

    A relation of the entity's own takes one batch of reads, a `…_via_…` one a query for each row, EXPAND_QUERIES in all.
    Raises InvalidParameter for what is no relation, PermissionDenied for rows that the caller may not read.
    """
    state = Expansion(EXPAND_BYTES, EXPAND_QUERIES)
    for path in sorted(paths, key=len):
        level, here = list(documents), entity
        for depth, name in enumerate(path, 1):
            target = target_of(here, name)
            if not roles.may(caller, f"{target.path}:read", target.model.access):
                raise PermissionDenied(f"expand: {name} is not yours to read")
            # A path that shares its beginning with a shorter one goes on from what that one has found.
            if any(name not in each.get("expand", {}) for each in level):
                _attach(caller, here, level, path[:depth], state)
            level = [row for each in level for row in _rows(each.get("expand", {}).get(name))]
            here = target
    return state


def target_of(entity: EntityType, name: str) -> EntityType:
    """The entity at the other end of a relation; raises InvalidParameter."""
    if name in entity.relations:
        return registry.known(entity.relations[name].path) or registry.find(entity.relations[name].path)
    path, via, pointer = name.partition(VIA)
    try:
        other = registry.find(path) if via else None
    except NotFound:
        other = None
    if other is None or other.relations.get(pointer, ("",))[0] != entity.path:
        known = ", ".join(entity.relations) or "none"
        message = f"{name[:80]!r} is not a relation of {entity.path}; its own: {known}; those of others: entity{VIA}field"
        raise InvalidParameter(f"expand: {message}", fields={"expand": message})
    if pointer not in other.indexes or other.relations[pointer].many:
        message = f"{name!r} needs {pointer} = field(…, index=True) in {other.model.__name__}"
        raise InvalidParameter(f"expand: {message}", fields={"expand": message})
    return other


def _attach(caller: Caller, here: EntityType, level: Sequence[Document], path: Sequence[str], state: Expansion) -> None:
    name, told = path[-1], ".".join(path)
    target = target_of(here, name)
    if name in here.relations:
        wanted = {pointer for each in level for pointer in pointers(each.get(name))}
        good = [each for each in wanted if ids.is_id(each, target.prefix)]
        found = {row_id: from_item(item).document for row_id, item in by_id(caller, target, good).items()}
        for each in level:
            held = pointers(each.get(name))
            rows = _admitted([found[pointer] for pointer in held if pointer in found], told, state)
            value = rows if here.relations[name].many else next(iter(rows), None)
            each.setdefault("expand", {})[name] = value
        return
    pointer = name.partition(VIA)[2]
    asked = level[: state.queries if state.room else 0]
    state.queries -= len(asked)
    found_by = dict(zip((each["id"] for each in asked), _all_pointing(caller, target, pointer, asked), strict=True))
    for each in level:
        rows = found_by.get(each["id"], [])
        if each["id"] not in found_by:
            state.omitted[told] = state.omitted.get(told, 0) + 1
        elif len(rows) > EXPAND_ROWS:
            state.more[told] = state.more.get(told, 0) + 1
        each.setdefault("expand", {})[name] = _admitted(rows[:EXPAND_ROWS], told, state)


def _all_pointing(caller: Caller, target: EntityType, pointer: str, level: Sequence[Document]) -> list[list[Document]]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(lambda each: _pointing(caller, target, pointer, each["id"]), level))


def _pointing(caller: Caller, target: EntityType, pointer: str, row_id: str) -> list[Document]:
    test = Test(pointer, "eq", row_id, kinds.Kind("string"))
    found = plan(caller, target, Wanted(Group("and", (test,)))).rows("", EXPAND_ROWS + 1)
    return [row.document for row in islice((row for _, row in found if row), EXPAND_ROWS + 1)]


def _admitted(rows: Iterable[Document], path: str, state: Expansion) -> list[Document]:
    """The rows there is room for, each a copy of its own."""
    from pydantic_core import to_json

    kept = []
    for row in rows:
        size = escaped_size(to_json(row).decode())
        if size > state.room:
            state.omitted[path] = state.omitted.get(path, 0) + 1
            continue
        state.room -= size
        kept.append(dict(row))
    return kept


def _state(file: Item) -> str:
    return str(from_item(file).document["status"])


def pointers(value: Any) -> list[str]:
    """The ids that a relation's field holds: one, a list, or none."""
    if isinstance(value, list):
        return [each for each in value if isinstance(each, str)]
    return [value] if isinstance(value, str) else []


def _rows(value: Any) -> list[Document]:
    if isinstance(value, list):
        return value
    return [value] if isinstance(value, dict) else []
