"""Cursors of the event log: a position as text, for nobody but its tenant. Whoever makes one up only misleads himself."""

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

from sheaf.base.errors import InvalidCursor
from sheaf.records import journal
from sheaf.records.journal import Position
from sheaf.store.keys import TRACKS, Scope

_CHECK = 4  # bytes that tell a typing error or another tenant's cursor
_SECONDS = 1.0  # how long a position may be told again: an older one is good too, it only leads past more events
_seen: dict[str, tuple[float, str]] = {}


def text_of(scope: Scope, position: Position) -> str:
    """The cursor of a position, about 30 characters."""
    raw = b"".join(map(_varint, position))
    return urlsafe_b64encode(_check(scope, raw) + raw).rstrip(b"=").decode()


def position_of(scope: Scope, text: str) -> Position:
    """The position of a cursor; raises InvalidCursor."""
    refusal = InvalidCursor("The cursor is damaged or was made for another tenant; start again without it")
    if not 8 <= len(text) <= 120 or not text.isascii():
        raise refusal
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise refusal from None
    if raw[:_CHECK] != _check(scope, raw[_CHECK:]):
        raise refusal
    found = _numbers(raw[_CHECK:])
    if len(found) != TRACKS:
        raise refusal
    return found


def present(scope: Scope) -> str:
    """The cursor of what the log holds now, or did a second ago: a list that is read afterwards shows all of that."""
    cached = _seen.get(scope.tenant)
    if cached and time.monotonic() - cached[0] < _SECONDS:
        return cached[1]
    started = time.monotonic()
    text = text_of(scope, journal.heads(scope).position)
    if len(_seen) > 1_000:
        _seen.clear()
    _seen[scope.tenant] = (started, text)
    return text


def forget() -> None:
    """Tell no position again that was seen earlier."""
    _seen.clear()


def _check(scope: Scope, raw: bytes) -> bytes:
    return sha256(scope.tenant.encode() + b"\0" + raw).digest()[:_CHECK]


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def _numbers(raw: bytes) -> Position:
    found, number, shift = [], 0, 0
    for byte in raw:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            found.append(number)
            number, shift = 0, 0
    return tuple(found)
