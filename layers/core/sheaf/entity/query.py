"""What a list is asked for: filter, order, page, fields, relations, search, sums."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic_core import to_json

from sheaf.base.bounds import (
    AGGREGATES,
    EXPAND_DEPTH,
    EXPANSIONS,
    GROUP_FIELDS,
    ORDER_CHARACTERS,
    PAGE_DEFAULT,
    PAGE_LIMIT,
    SORTS,
)
from sheaf.base.clock import now_ms
from sheaf.base.errors import InvalidParameter
from sheaf.entity import filters, kinds, words
from sheaf.entity.filters import Group
from sheaf.entity.registry import EntityType

Sort = tuple[str, bool]  # a field, and whether it is descending

NEWEST_FIRST: tuple[Sort, ...] = (("id", True),)
WINDOW = ("limit", "cursor", "page", "total")  # which part of the answer; a cursor goes on with another limit
SHAPE = ("fields", "expand")  # what is shown of a row
ORDER = ("sort", "search", "trash")
SUMS = ("aggregate", "groupBy")
PARAMETERS = (*WINDOW, *SHAPE, *ORDER, *SUMS)

_AGGREGATE = re.compile(r"(count)|(sum|avg|min|max)\((\w{1,63})\)")


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`count`, or a function of a field."""

    function: Literal["count", "sum", "avg", "min", "max"]
    field: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """A list's query parameters, checked. `page` is from 1 on; without it a cursor leads through the list."""

    entity: EntityType
    filters: Mapping[str, str]
    identity: str  # what a cursor is bound to
    sort: tuple[Sort, ...] = NEWEST_FIRST
    search: tuple[str, ...] = ()
    trash: bool = False
    limit: int = PAGE_DEFAULT
    page: int | None = None
    cursor: str | None = None
    total: bool = False
    fields: tuple[str, ...] = ()
    expand: tuple[tuple[str, ...], ...] = ()
    aggregates: tuple[Aggregate, ...] = ()
    group_by: tuple[str, ...] = ()

    def condition(self, at_ms: int) -> Group:
        """The filter, its macros read at `at_ms`: the same on every page of a list."""
        return filters.from_query(self.entity, self.filters, at_ms)


def parse(entity: EntityType, query: Mapping[str, str], *, lenient: bool = False) -> Query:
    """Read a list's parameters; raises InvalidParameter naming each wrong one. `lenient` clamps `limit` instead of refusing."""
    wrong: dict[str, str] = {}

    def take(name: str, read: Callable[[EntityType, str], Any], default: Any) -> Any:
        if name not in query:
            return default
        try:
            return read(entity, query[name])
        except ValueError as error:
            wrong[name] = str(error)
            return default

    rest = {name: text for name, text in query.items() if name not in PARAMETERS}
    kept = {name: text for name, text in query.items() if name not in WINDOW + SHAPE}
    read_limit = _clamped if lenient else _limit
    page = take("page", _page, None)
    found = Query(
        entity, rest, to_json(dict(sorted(kept.items()))).decode(),
        sort=take("sort", order_of, NEWEST_FIRST), search=take("search", terms_of, ()), trash=take("trash", _flag, False),
        limit=take("limit", read_limit, PAGE_DEFAULT), page=page, cursor=query.get("cursor"),
        total=take("total", _flag, False) or page is not None, fields=take("fields", _fields, ()),
        expand=take("expand", _expand, ()), aggregates=take("aggregate", _aggregates, ()), group_by=take("groupBy", _groups, ()),
    )  # fmt: skip
    if page is not None and found.cursor is not None:
        wrong["page"] = "cannot be given together with cursor"
    if found.group_by and not found.aggregates:
        wrong["groupBy"] = "needs aggregate"
    try:
        found.condition(now_ms())
    except InvalidParameter as error:
        wrong |= error.fields
    if wrong:
        raise InvalidParameter.naming(wrong)
    return found


def shape_of(entity: EntityType, query: Mapping[str, str]) -> Query:
    """The `fields` and `expand` of a request for one row; raises InvalidParameter for any other parameter."""
    if others := sorted(query.keys() - set(SHAPE)):
        message = "is not a parameter here; fields and expand are"
        raise InvalidParameter(f"{others[0]}: {message}", fields=dict.fromkeys(others, message))
    return parse(entity, query)


def limit_of(query: Mapping[str, str]) -> int:
    """The `limit` of a list that has no other parameter; raises InvalidParameter."""
    wrong = dict.fromkeys(sorted(query.keys() - {"limit"}), "is not a parameter here")
    try:
        found = _limit(None, query.get("limit", str(PAGE_DEFAULT)))
    except ValueError as error:
        wrong["limit"] = str(error)
    if wrong:
        raise InvalidParameter.naming(wrong)
    return found


def filters_and_window(query: Mapping[str, str]) -> tuple[dict[str, str], int, str]:
    """The parameters of a list that has filters of its own, and the `limit` and the `cursor` beside them."""
    window = {name: query[name] for name in ("limit", "cursor") if name in query}
    return {name: text for name, text in query.items() if name not in window}, *window_of(window)


def window_of(query: Mapping[str, str]) -> tuple[int, str]:
    """The `limit` and the `cursor` (empty without one) of a list that has no other parameter; raises InvalidParameter."""
    return limit_of({name: text for name, text in query.items() if name != "cursor"}), query.get("cursor", "")


def choice_of(query: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str | None:
    """The one parameter of a route that has no other, one of a few words; raises InvalidParameter."""
    wrong = dict.fromkeys(sorted(query.keys() - {name}), "is not a parameter here")
    if name in query and query[name] not in choices:
        wrong[name] = f"must be {' or '.join(choices)}"
    if wrong:
        raise InvalidParameter.naming(wrong)
    return query.get(name)


def position_of(sort: tuple[Sort, ...], row_id: str, document: Mapping[str, Any]) -> list[Any]:
    """Where a row stands in an order, as JSON: the values it is sorted by, then its id.

    Of a text its first ORDER_CHARACTERS decide, so that a cursor can carry them; rows that share those go by id.
    """
    values = (document.get(name) for name, _ in sort)
    return [*(each[:ORDER_CHARACTERS] if isinstance(each, str) else each for each in values), row_id]


def sort_key(entity: EntityType, sort: tuple[Sort, ...], position: list[Any]) -> tuple[Any, ...]:
    """A key that puts positions in order; equal values go by id, in the direction of the first field."""
    named = zip(sort, position, strict=False)
    keys = [_Descending(key) if down else key
            for key, down in ((kinds.order(entity.kinds.get(name), value), down) for (name, down), value in named)]  # fmt: skip
    last = position[-1]
    return (*keys, _Descending(last) if sort[0][1] else last)


@dataclass(frozen=True, slots=True)
class _Descending:
    key: Any

    def __lt__(self, other: "_Descending") -> bool:
        return bool(other.key < self.key)


def _limit(_: EntityType | None, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= PAGE_LIMIT):
        raise ValueError(f"must be a whole number from 1 to {PAGE_LIMIT}")
    return int(text)


def _clamped(_: EntityType, text: str) -> int:
    try:
        return max(1, min(int(text[:20]), PAGE_LIMIT))
    except ValueError:
        return PAGE_DEFAULT


def _page(_: EntityType, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 7 and int(text) >= 1):
        raise ValueError("must be a whole number from 1 on")
    return int(text)


def _flag(_: EntityType, text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def order_of(entity: EntityType, text: str) -> tuple[Sort, ...]:
    """The order that `sort=-title,id` asks for; raises ValueError."""
    found: dict[str, bool] = {}
    for part in text.split(","):
        name = part.removeprefix("-").strip()
        _known(entity, name)
        if entity.kinds[name].name in ("list", "object"):
            raise ValueError(f"{name!r} has no order")
        # Ids are made in the order of time and `createdAt` is an id's time: the two orders are one.
        found.setdefault("id" if name == "createdAt" else name, part.strip().startswith("-"))
    if len(found) > SORTS:
        raise ValueError(f"has {len(found)} fields; {SORTS} is the most")
    names = list(found)
    ends = names.index("id") + 1 if "id" in found else len(names)  # an id decides: nothing after it can
    return tuple((name, found[name]) for name in names[:ends])


def terms_of(entity: EntityType, text: str) -> tuple[str, ...]:
    """The words that `search=` asks for; raises ValueError."""
    if not entity.searched:
        raise ValueError(f"{entity.path} has no searchable field; add search=True to one")
    return words.terms(text)


def _fields(entity: EntityType, text: str) -> tuple[str, ...]:
    names = list(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        _known(entity, name)
    return ("id", *(name for name in names if name != "id"))


def _expand(_: EntityType, text: str) -> tuple[tuple[str, ...], ...]:
    paths = list(dict.fromkeys(part.strip() for part in text.split(",")))
    if len(paths) > EXPANSIONS:
        raise ValueError(f"has {len(paths)} relations; {EXPANSIONS} is the most")
    found = [tuple(path.split(".")) for path in paths]
    if deep := [path for path in found if len(path) > EXPAND_DEPTH]:
        raise ValueError(f"{'.'.join(deep[0])[:80]!r} is deeper than {EXPAND_DEPTH} relations")
    return tuple(found)


def _aggregates(entity: EntityType, text: str) -> tuple[Aggregate, ...]:
    found: list[Aggregate] = []
    for part in dict.fromkeys(each.strip() for each in text.split(",")):
        match = _AGGREGATE.fullmatch(part)
        if match is None:
            raise ValueError(f"{part[:80]!r} must be count, sum(field), avg(field), min(field) or max(field)")
        if match[1]:
            found.append(Aggregate("count"))
            continue
        _known(entity, match[3])
        numbers, ordered = ("integer", "number"), ("integer", "number", "string", "timestamp")
        if entity.kinds[match[3]].name not in (numbers if match[2] in ("sum", "avg") else ordered):
            raise ValueError(f"{match[2]} cannot be taken of {match[3]!r}, which is {entity.kinds[match[3]]}")
        found.append(Aggregate(match[2], match[3]))  # type: ignore[arg-type]  # one of the pattern's words
    if len(found) > AGGREGATES:
        raise ValueError(f"has {len(found)} functions; {AGGREGATES} is the most")
    return tuple(found)


def _groups(entity: EntityType, text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        _known(entity, name)
        if entity.kinds[name].name in ("list", "object"):
            raise ValueError(f"{name!r} is {entity.kinds[name]} and cannot be grouped by")
    if len(names) > GROUP_FIELDS:
        raise ValueError(f"has {len(names)} fields; {GROUP_FIELDS} is the most")
    return names


def _known(entity: EntityType, name: str) -> None:
    if name not in entity.kinds:
        raise ValueError(f"{name[:80]!r} is not a field of {entity.path}; its fields: {', '.join(entity.columns)}")
