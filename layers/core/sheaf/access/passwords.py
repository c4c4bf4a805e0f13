"""Passwords: which ones are taken, and how they are kept (NIST SP 800-63B-4, 3.1.1; OWASP Password Storage Cheat Sheet)."""

from typing import Any

from sheaf.base.bounds import PASSWORD_LEAST, PASSWORD_MOST
from sheaf.base.config import config
from sheaf.base.text import is_line

# A hash of random bytes: an unknown address costs the same work as a known one with a wrong password.
DUMMY = "$argon2id$v=19$m=19456,t=2,p=1$A0negQNOirBT6S1rtvVZqw$juatDXt3V1DQ9l/B3mRGqomdY+k30R6XWeX/1FLoGxc"
_GUESSABLE = 2  # zxcvbn's score: below it, a guesser who knows what people choose needs less than a million tries
_LOOKED_AT = 40  # characters that zxcvbn looks at: its work grows with a power of the length, and these decide


def complaint(password: object, *, email: str, name: str) -> str | None:
    """What is wrong with a new password: its length, or that guessers try it early; nothing about its characters."""
    low = max(PASSWORD_LEAST, config().password_least)
    if not isinstance(password, str):
        return "is required, a string"
    if not low <= len(password) <= PASSWORD_MOST:
        return f"must have {low} to {PASSWORD_MOST} characters"
    if not is_line(password):
        return "must hold no control characters"
    from zxcvbn import zxcvbn  # with its lists 20 ms, for those who set a password

    found = zxcvbn(password[:_LOOKED_AT], user_inputs=[email, email.partition("@")[0], name, *name.split()])
    if found["score"] >= _GUESSABLE:
        return None
    return f"is easy to guess: {found['feedback']['warning'] or 'add a word or two'}".rstrip(".")


def hashed(password: str) -> str:
    """The hash to keep."""
    made: str = _hasher().hash(password)
    return made


def matches(kept: str | None, password: str) -> bool:
    """Whether the password is the one behind the hash. Without a hash it is none, and the work is the same."""
    from argon2.exceptions import VerificationError

    try:
        _hasher().verify(kept or DUMMY, password)
    except VerificationError:
        return False
    return kept is not None


def is_dated(kept: str) -> bool:
    """Whether a hash was made with other costs than today's, and should be made anew."""
    return bool(_hasher().check_needs_rehash(kept))


def _hasher() -> Any:
    from argon2 import PasswordHasher

    # OWASP: Argon2id, 19 MiB, two passes, one lane.
    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
