"""The one filter grammar: of lists (`?status=todo&priority[in]=high,urgent`), exports, webhooks, GraphQL and real time.

As JSON: `{"status": "todo", "priority": {"in": ["high", "urgent"]}, "or": [{…}, {…}], "not": {…}}`; members of one
object must all hold. A null field satisfies `ne` and `nin` and no other comparison.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic_core import from_json as parsed
from pydantic_core import to_json

from sheaf.base.bounds import FILTER_DEPTH, FILTER_VALUES, FILTERS
from sheaf.base.clock import iso
from sheaf.base.errors import InvalidParameter
from sheaf.entity import kinds
from sheaf.entity.kinds import Kind, comparable
from sheaf.entity.names import GROUP_WORDS
from sheaf.entity.registry import EntityType

Operator = Literal[
    "eq", "ne", "lt", "le", "gt", "ge", "between", "in", "nin", "contains", "icontains", "startswith", "empty", "null"
]

EQUALITY: tuple[Operator, ...] = ("eq", "ne", "in", "nin")
ORDERING: tuple[Operator, ...] = ("lt", "le", "gt", "ge", "between")
TEXT: tuple[Operator, ...] = ("contains", "icontains", "startswith")
OPERATORS: dict[kinds.Name, tuple[Operator, ...]] = {
    "string": (*EQUALITY, *ORDERING, *TEXT, "empty", "null"),
    "integer": (*EQUALITY, *ORDERING, "null"),
    "number": (*EQUALITY, *ORDERING, "null"),
    "timestamp": (*EQUALITY, *ORDERING, "null"),
    "boolean": ("eq", "ne", "null"),
    "enum": (*EQUALITY, "null"),
    "list": ("contains", "empty", "null"),
    "object": ("empty", "null"),
}

_MACRO = re.compile(r"(?:\$(now|todayStart|todayEnd|weekStart|monthStart|yearStart))?([+-](?:\d{1,6}[smh]|\d{1,4}[dw]))?")
_PARAMETER = re.compile(r"(\w{1,63})(?:\[(\w{1,20})\])?")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison. `value` is a list for in, nin and between, a bool for empty and null."""

    field: str
    operator: Operator
    value: Any
    kind: Kind


@dataclass(frozen=True, slots=True)
class Group:
    """`and`, `or`, or `not` (none of the parts holds)."""

    word: Literal["and", "or", "not"]
    parts: "tuple[Condition, ...]" = ()


Condition = Test | Group
EVERYTHING = Group("and")


class _Wrong(Exception):
    """Collected complaints, by the place they are about."""

    def __init__(self, found: dict[str, str]) -> None:
        super().__init__()
        self.found = found


def from_query(entity: EntityType, query: Mapping[str, str], at_ms: int) -> Group:
    """The filters among a list's query parameters, macros read at `at_ms`; raises InvalidParameter naming each wrong one."""
    reader = _Reader(entity, at_ms)
    wrong: dict[str, str] = {}
    parts: list[Condition] = []
    for parameter, text in query.items():
        try:
            if parameter == "filter":
                parts.append(reader.text(text))
                continue
            match = _PARAMETER.fullmatch(parameter)
            if match is None:
                raise _Wrong({parameter[:80]: "is not a parameter of this list"})
            parts.append(reader.test(match[1], match[2] or "eq", text, parameter))
        except _Wrong as found:
            wrong |= found.found
    return _bounded(Group("and", tuple(parts)), wrong)


def from_json(entity: EntityType, body: Any, at_ms: int, where: str = "filter") -> Group:
    """The condition that a JSON filter is; raises InvalidParameter naming each wrong member."""
    try:
        return _bounded(_Reader(entity, at_ms).object(body, where, 0), {})
    except _Wrong as found:
        return _bounded(EVERYTHING, found.found)


def matches(document: Mapping[str, Any], condition: Condition) -> bool:
    """Whether a row satisfies the condition."""
    if isinstance(condition, Test):
        return _holds(document.get(condition.field), condition)
    if condition.word == "or":
        return any(matches(document, part) for part in condition.parts)
    found = all(matches(document, part) for part in condition.parts)
    return not found if condition.word == "not" else found


def index_value(kind: Kind | None, value: Any) -> str:
    """The text under which an index holds this value."""
    return to_json(comparable(kind, value)).decode()


def tests_of(condition: Group) -> list[Test]:
    """The comparisons that every match satisfies: those an index may serve."""
    found: list[Test] = []
    for part in condition.parts:
        if isinstance(part, Test):
            found.append(part)
        elif part.word == "and":
            found += tests_of(part)
    return found


@dataclass(frozen=True, slots=True)
class _Reader:
    """The grammar for one entity, with macros read at one moment."""

    entity: EntityType
    at_ms: int

    def text(self, text: str) -> Group:
        try:
            body = parsed(text, allow_inf_nan=False)
        except ValueError as error:
            raise _Wrong({"filter": f"is not JSON: {error}"}) from None
        return self.object(body, "filter", 0)

    def object(self, body: Any, where: str, depth: int) -> Group:
        if not isinstance(body, dict):
            raise _Wrong({where: "must be an object"})
        if depth > FILTER_DEPTH:
            raise _Wrong({where: f"is nested deeper than {FILTER_DEPTH} groups"})
        if depth and not body:
            raise _Wrong({where: "must not be empty"})
        if len(body) > FILTERS:
            raise _Wrong({where: f"has {len(body)} members; {FILTERS} is the most"})
        wrong: dict[str, str] = {}
        parts: list[Condition] = []
        for name, value in body.items():
            try:
                parts += self._member(name, value, f"{where}.{name[:80]}", depth)
            except _Wrong as found:
                wrong |= found.found
        if wrong:
            raise _Wrong(wrong)
        return Group("and", tuple(parts))

    def test(self, name: str, operator: str, value: Any, where: str) -> Test:
        kind = self.entity.kinds.get(name)
        if kind is None:
            raise _Wrong({where: f"is not a field of {self.entity.path}; its fields: {', '.join(self.entity.columns)}"})
        known = OPERATORS[kind.name]
        if operator not in known:
            raise _Wrong({where: f"{operator[:20]!r} is not an operator here; {', '.join(known)} are"})
        chosen = next(each for each in known if each == operator)
        try:
            return Test(name, chosen, self._value(name, kind, chosen, value), kind)
        except ValueError as error:
            raise _Wrong({where: str(error)}) from None

    def _member(self, name: str, value: Any, where: str, depth: int) -> list[Condition]:
        if name == "not":
            return [Group("not", (self.object(value, where, depth + 1),))]
        if name in GROUP_WORDS:
            if not isinstance(value, list) or not 1 <= len(value) <= FILTERS:
                raise _Wrong({where: f"must be a list of 1 to {FILTERS} objects"})
            parts = [self.object(each, f"{where}.{number}", depth + 1) for number, each in enumerate(value)]
            return [Group("or" if name == "or" else "and", tuple(parts))]
        if isinstance(value, dict) and not value:
            raise _Wrong({where: "must hold a comparison"})
        if isinstance(value, dict):
            return [self.test(name, operator, each, f"{where}.{operator[:20]}") for operator, each in value.items()]
        if value is None:
            return [self.test(name, "null", True, where)]
        return [self.test(name, "eq", value, where)]

    def _value(self, name: str, kind: Kind, operator: Operator, value: Any) -> Any:
        if operator in ("empty", "null"):
            return kinds.read(Kind("boolean"), value)
        if operator in TEXT and kind.name != "list":
            return kinds.read(Kind("string"), value)
        if operator in ("in", "nin", "between"):
            values = value.split(",") if isinstance(value, str) else value
            if not isinstance(values, list):
                raise ValueError("must be a list")
            if len(values) > FILTER_VALUES:
                raise ValueError(f"has {len(values)} values; {FILTER_VALUES} is the most")
            if operator == "between" and len(values) != 2:
                raise ValueError("must be two values, the lower one first")
            return [self._one(name, kind, operator, each) for each in values]
        return self._one(name, kind, operator, value)

    def _one(self, name: str, kind: Kind, operator: Operator, value: Any) -> Any:
        if kind.name == "list":
            return kinds.read(kind.item or Kind("string"), value)
        if kind.name == "timestamp" and isinstance(value, str) and value and (match := _MACRO.fullmatch(value)):
            return comparable(kind, _macro(match[1] or "now", match[2], self.at_ms))
        plain = kinds.read(kind, value)
        if kind.name == "string" and operator in EQUALITY:
            plain = self.entity.normal(name, plain)
        return comparable(kind, plain)


def only_tests(condition: Group) -> bool:
    """Whether `tests_of` is all there is: no alternatives, no negations."""
    return all(isinstance(part, Test) or (part.word == "and" and only_tests(part)) for part in condition.parts)


def _macro(word: str, offset: str | None, at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms // 1000, UTC) + timedelta(milliseconds=at_ms % 1000)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    start = {
        "now": moment,
        "todayStart": midnight,
        "todayEnd": midnight + timedelta(days=1, milliseconds=-1),
        "weekStart": midnight - timedelta(days=midnight.weekday()),
        "monthStart": midnight.replace(day=1),
        "yearStart": midnight.replace(month=1, day=1),
    }[word]
    if offset:
        start += timedelta(**{_UNITS[offset[-1]]: int(offset[:-1])})
    return iso(int(start.timestamp() * 1000))


def _holds(value: Any, test: Test) -> bool:
    match test.operator:
        case "null":
            return (value is None) == bool(test.value)
        case "empty":
            return (value is None or value in ("", [], {})) == bool(test.value)
        case "eq" | "ne":
            same = value is not None and _same(comparable(test.kind, value), test.value)
            return same == (test.operator == "eq")
        case "in" | "nin":
            found = value is not None and any(_same(comparable(test.kind, value), each) for each in test.value)
            return found == (test.operator == "in")
        case "contains" | "icontains" | "startswith":
            return _contains(value, test)
    return value is not None and _compares(kinds.order(test.kind, value), test)


def _same(mine: Any, theirs: Any) -> bool:
    return bool(mine == theirs) and isinstance(mine, bool) == isinstance(theirs, bool)


def _contains(value: Any, test: Test) -> bool:
    if isinstance(value, list):
        return any(_same(each, test.value) for each in value)
    if not isinstance(value, str):
        return False
    if test.operator == "icontains":
        return str(test.value).casefold() in value.casefold()
    return value.startswith(test.value) if test.operator == "startswith" else test.value in value


def _compares(mine: tuple[int, Any], test: Test) -> bool:
    limits: Sequence[Any] = test.value if test.operator == "between" else [test.value]
    keys = [kinds.order(test.kind, each) for each in limits]
    if any(key[0] != mine[0] for key in keys):
        return False  # a value of an older declaration's type is neither more nor less
    match test.operator:
        case "lt":
            return bool(mine < keys[0])
        case "le":
            return bool(mine <= keys[0])
        case "gt":
            return bool(mine > keys[0])
        case "ge":
            return bool(mine >= keys[0])
    return bool(keys[0] <= mine <= keys[1])


def _bounded(condition: Group, wrong: dict[str, str]) -> Group:
    if not wrong and (count := _count(condition)) > FILTERS:
        wrong = {"filter": f"has {count} tests; {FILTERS} is the most"}
    if wrong:
        raise InvalidParameter.naming(wrong)
    return condition


def _count(condition: Condition) -> int:
    return 1 if isinstance(condition, Test) else sum(map(_count, condition.parts))
