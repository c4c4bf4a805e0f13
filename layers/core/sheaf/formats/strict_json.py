"""JSON as RFC 8259 has it and nothing beyond: whatever a client sends ends in a value or in a clear error.

What a parser lets through and other parts choke on is refused here: nesting, endless numbers, infinities, and names given
twice (the RFC leaves open which one counts).
"""

import re
from typing import Any

from pydantic_core import from_json

from sheaf.base.bounds import JSON_DEPTH, NUMBER_DIGITS
from sheaf.base.errors import InvalidJson

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_HUGE = 10**NUMBER_DIGITS


def parse(raw: bytes) -> Any:
    """The value of a JSON text; raises InvalidJson."""
    if not raw.strip():
        raise InvalidJson("The body is empty; this route needs a JSON body")
    try:
        value = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidJson(f"The body is not JSON: {error}") from None
    members = _walk(value)
    # Every colon outside a string belongs to one member: more of them than members means that a name was given twice.
    if raw.count(b":") != members and _STRING.sub(b"", raw).count(b":") != members:
        raise InvalidJson("The body gives a name twice in one object")
    return value


def _walk(value: Any) -> int:
    """The number of members of all objects; raises InvalidJson for what is too deep or beyond all range."""
    members, depth, level = 0, 0, [value]
    while level:
        following: list[Any] = []
        for each in level:
            if isinstance(each, dict | list) and depth == JSON_DEPTH:
                raise InvalidJson(f"The body is nested deeper than {JSON_DEPTH} levels")
            if isinstance(each, dict):
                members += len(each)
                following += each.values()
            elif isinstance(each, list):
                following += each
            elif isinstance(each, int) and not -_HUGE < each < _HUGE:
                raise InvalidJson(f"The body holds a whole number of more than {NUMBER_DIGITS} digits")
            elif isinstance(each, float) and each - each != 0:
                raise InvalidJson("The body holds a number beyond all range")
        depth, level = depth + 1, following
    return members
