"""Bodies as JSON, whatever a client sends: legal and illegal ones alike end in a value or in a clear error.

What a parser lets through and other parts choke on is refused here: nesting, endless numbers, infinities, names given
twice (RFC 8259 leaves open which one counts), and compressed bodies that grow without bound.
"""

import re
import zlib
from typing import Any

from pydantic_core import from_json

from sheaf.base.bounds import GZIP_RATIO, JSON_DEPTH, NUMBER_DIGITS
from sheaf.base.errors import BadRequest, InvalidJson, TooLarge, UnsupportedMediaType

GZIP = ("application/gzip", "application/x-gzip")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_HUGE = 10**NUMBER_DIGITS


def read(raw: bytes, content_type: str, content_encoding: str, limit: int) -> Any:
    """The JSON value; raises TooLarge, UnsupportedMediaType or InvalidJson."""
    kind = content_type.partition(";")[0].strip().lower()
    if content_encoding.strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType(f"Content-Encoding {content_encoding[:40]!r} is not read here; send a compressed body as "
                                   "Content-Type: application/gzip", headers={"Accept-Encoding": "identity"})  # fmt: skip
    if kind in GZIP:
        raw = _unpacked(raw, limit)
    elif kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMediaType(
            f"The body must be application/json, not {kind[:80]!r}", headers={"Accept": "application/json"}
        )
    if len(raw) > limit:
        raise TooLarge(f"The body is {len(raw):,} bytes; {limit:,} is the most here")
    return parse(raw)


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


def _unpacked(raw: bytes, limit: int) -> bytes:
    most = min(limit, max(len(raw), 1) * GZIP_RATIO)
    inflate = zlib.decompressobj(wbits=31)
    try:
        data = inflate.decompress(raw, most + 1)
    except zlib.error as error:
        raise BadRequest(f"The body is not gzip: {error}") from None
    if len(data) > most:
        what = f"{limit:,} bytes" if most == limit else f"{GZIP_RATIO} times its size"
        raise TooLarge(f"The body unpacks to more than {what}")
    if not inflate.eof or inflate.unused_data:
        raise BadRequest("The body is not one whole gzip member")
    return data
