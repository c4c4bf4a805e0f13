"""What a field holds, seen from outside: enough to read a value from a URL, to compare two, to put them in order."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic_core import to_json

from sheaf.base.bounds import NUMBER_DIGITS

Name = Literal["string", "integer", "number", "boolean", "timestamp", "enum", "list", "object"]

_WHOLE = re.compile(r"-?[0-9]{1,38}")
_DECIMAL = re.compile(r"-?[0-9]{1,38}(\.[0-9]{1,38})?([eE][+-]?[0-9]{1,3})?")
_HUGE = 10**NUMBER_DIGITS
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Kind:
    """A field's type without its rules. `values` are an enum's, `item` is a list's."""

    name: Name
    nullable: bool = False
    values: tuple[Any, ...] = ()
    item: "Kind | None" = None

    def __str__(self) -> str:
        """What an error message calls it."""
        if self.name == "enum":
            return f"one of {', '.join(map(str, self.values))}"
        article = "an" if self.name in ("integer", "object") else "a"
        return f"{article} {'list' if self.name == 'list' else self.name}"


SYSTEM: dict[str, Kind] = {
    "id": Kind("string"),
    "createdAt": Kind("timestamp"),
    "updatedAt": Kind("timestamp"),
    "version": Kind("integer"),
}


def kind_of(annotation: Any, nullable: bool = False) -> Kind:
    """The kind that a field's annotation stands for."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind_of(arguments[0], nullable)
    if origin in (Union, UnionType):
        rest = [each for each in arguments if each is not NoneType]
        return kind_of(rest[0], len(rest) < len(arguments)) if len(rest) == 1 else Kind("object", True)
    if origin is Literal:
        return Kind("enum", nullable, arguments)
    if origin in (list, set, tuple) or annotation in (list, set, tuple):
        return Kind("list", nullable, item=kind_of(arguments[0]) if arguments else Kind("object"))
    plain: dict[Any, Name] = {
        str: "string",
        bool: "boolean",
        int: "integer",
        float: "number",
        datetime: "timestamp",
        date: "string",
    }
    # Pydantic's own class for times with an offset, by name: this module does without pydantic.
    known = "timestamp" if getattr(annotation, "__name__", "") == "AwareDatetime" else plain.get(annotation, "object")
    return Kind(known, nullable)


def read(kind: Kind, value: Any) -> Any:
    """`value`, a URL's text or a JSON value, as a row holds it; raises ValueError with what it must be."""
    wrong = ValueError(f"must be {kind}")
    if kind.name == "enum":
        if value not in kind.values:
            raise wrong
        return value
    if kind.name == "boolean":
        if value not in (True, False, "true", "false") or (isinstance(value, int | float) and not isinstance(value, bool)):
            raise wrong
        return value in (True, "true")
    if kind.name in ("integer", "number"):
        return _number(kind, value, wrong)
    if not isinstance(value, str):
        raise wrong
    return moment(value) if kind.name == "timestamp" else value


def moment(text: str) -> str:
    """An RFC 3339 time with an offset, or a date (its first instant in UTC), in UTC; raises ValueError."""
    wrong = ValueError("must be an RFC 3339 time such as 2026-01-31T08:00:00Z, a date, or a macro such as $now or -7d")
    try:
        read_as = datetime.fromisoformat(f"{text}T00:00:00+00:00" if _DATE.fullmatch(text) else text)
    except ValueError:
        raise wrong from None
    if read_as.tzinfo is None:
        raise wrong
    try:
        return read_as.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError:
        raise wrong from None


def comparable(kind: Kind | None, value: Any) -> Any:
    """A value that equals another exactly if the two mean the same: times lose their trailing zeros, numbers are doubles."""
    if kind is not None and kind.name == "number" and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is not None and kind.name == "timestamp" and isinstance(value, str):
        head = value.removesuffix("Z")
        return head.rstrip("0").rstrip(".") if "." in head else head
    return value


def order(kind: Kind | None, value: Any) -> tuple[int, Any]:
    """A key that puts values in order, null first; values of an older declaration's type stand apart from the others."""
    match value:
        case None:
            return 0, 0
        case bool():
            return 1, value
        case int() | float():
            return 2, comparable(kind, value)
        case str():
            return 3, comparable(kind, value)
    return 4, to_json(value).decode()


def ordered_text(kind: Kind, value: Any) -> str:
    """A text whose UTF-8 bytes sort as `order` does, for the sort key of an index."""
    rank, key = order(kind, value)
    if rank in (0, 1):
        return f"{rank}{int(key)}"
    if rank == 2:
        return f"2{_ordered_number(key)}"
    # A NUL inside a text must not end it: the terminator 0 1 sorts before the escaped 0 2.
    return f"{rank}{str(key).replace(chr(0), chr(0) + chr(2))}"


def _number(kind: Kind, value: Any, wrong: ValueError) -> Any:
    if isinstance(value, str) and (_WHOLE if kind.name == "integer" else _DECIMAL).fullmatch(value):
        value = int(value) if _WHOLE.fullmatch(value) else float(value)
    if isinstance(value, bool) or not isinstance(value, int if kind.name == "integer" else int | float):
        raise wrong
    if not (-_HUGE < value < _HUGE if isinstance(value, int) else _is_finite(value)):
        raise wrong
    return float(value) if kind.name == "number" else value


def _is_finite(value: float) -> bool:
    return value - value == 0


def _ordered_number(value: int | float) -> str:
    """Hexadecimal digits in the order of the numbers: the bits of a double, the negative ones turned over."""
    import struct

    rounded = float(value) + 0.0  # -0.0 becomes 0.0
    bits = int.from_bytes(struct.pack(">d", rounded), "big")
    bits = bits ^ ((1 << 64) - 1) if bits >> 63 else bits | 1 << 63
    # Whole numbers that share a double are told apart by what the rounding took; 38 digits leave less than 2**74.
    rest = f"{value - int(rounded) + (1 << 75):020x}" if isinstance(value, int) and abs(value) > 1 << 53 else ""
    return f"{bits:016x}{rest}"
