"""Salted commitments of personal values: what the audit log is chained over in the place of the values themselves.

A change row holds its personal values, a random salt, and for each value SHA-256(salt, its place, the value). Erasing the
values and the salt leaves the commitments, so the chain over them stays valid, and nobody can find the values by guessing.
"""

import json
import secrets
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

ADDRESS = "address"  # the place of the address that a change came from
Places = Mapping[str, Any]  # data.email → the value


def places(personal: tuple[str, ...], data: Mapping[str, Any], before: Mapping[str, Any] | None, address: str | None) -> Places:
    """The personal values of a change, by their places: `address`, `data.<field>`, `before.<field>`."""
    found: dict[str, Any] = {ADDRESS: address} if address is not None else {}
    for name, document in (("data", data), ("before", before or {})):
        found |= {f"{name}.{field}": document[field] for field in personal if field in document}
    return found


def made(values: Places) -> tuple[str, dict[str, str]]:
    """A new salt, and the commitments of the values under it."""
    salt = secrets.token_hex(16)
    return salt, {place: commitment(salt, place, value) for place, value in values.items()}


def commitment(salt: str, place: str, value: Any) -> str:
    """SHA-256 of the salt, the place and the value as canonical JSON, joined by line feeds, in hexadecimal."""
    return sha256(f"{salt}\n{place}\n{canonical(value)}".encode()).hexdigest()


def wrong(salt: str | None, commitments: Mapping[str, str], values: Places) -> Iterator[str]:
    """The places whose values are not those that were committed to: changed, or there although they were erased."""
    for place, value in values.items():
        if salt is None or commitments.get(place) != commitment(salt, place, value):
            yield place
    if salt is not None:
        yield from (place for place in commitments if place not in values)


def canonical(value: Any) -> str:
    """JSON with sorted names and nothing between them, not escaped beyond what it must (RFC 8785 for what we keep)."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
