"""TypeIDs: a prefix, `_` and a UUIDv7 in 26 characters of Crockford's base 32 (typeid spec 0.3, RFC 9562).

They sort by the time they were made, so the newest row of a partition is its last.
"""

import re
import secrets
from hashlib import sha256

from sheaf.base.clock import now_ms

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_SHAPE = re.compile(r"([a-z](?:[a-z_]{0,61}[a-z])?)_([0-7][0-9a-hjkmnp-tv-z]{25})")
_MARKS = (0x7 << 76) | (0b10 << 62)  # version 7, variant of RFC 9562


def new(prefix: str, at_ms: int | None = None) -> str:
    """A fresh id; `at_ms` is its time, now when left out."""
    return _build(prefix, now_ms() if at_ms is None else at_ms, secrets.randbits(74))


def derived(prefix: str, at_ms: int, seed: str) -> str:
    """The one id of `seed` at `at_ms`: the same input gives the same id, whoever computes it."""
    return _build(prefix, at_ms, _digest(seed, 74))


def numbered(prefix: str, at_ms: int, seed: str, index: int) -> str:
    """The one id of item `index` (0 to 2³²-1) of `seed`; ids of one seed and time sort by `index`."""
    return _build(prefix, at_ms, index << 42 | _digest(f"{seed}\0{index}", 42))


def is_id(text: str, prefix: str) -> bool:
    """Whether `text` is a TypeID with this prefix."""
    match = _SHAPE.fullmatch(text)
    return match is not None and match[1] == prefix


def time_of(typeid: str) -> int:
    """The milliseconds of the epoch at which the id was made."""
    number = 0
    for letter in typeid[-26:]:
        number = number << 5 | _VALUES[letter]
    return number >> 80


def lowest(prefix: str, at_ms: int) -> str:
    """A text that sorts before every id made at `at_ms` or later, and after every earlier one."""
    return _build(prefix, at_ms, 0)


def _digest(seed: str, bits: int) -> int:
    return int.from_bytes(sha256(seed.encode()).digest()[:10], "big") & ((1 << bits) - 1)


def _build(prefix: str, at_ms: int, low74: int) -> str:
    number = at_ms << 80 | _MARKS | (low74 >> 62) << 64 | (low74 & ((1 << 62) - 1))
    letters = [_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5)]
    return f"{prefix}_{''.join(letters)}"
