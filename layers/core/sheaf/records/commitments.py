"""Salted commitments of personal values: what the audit log is chained over in the place of the values themselves.

A change row holds its personal values, for each of them a random salt, and SHA-256(salt, its place, the value). Erasing a
value and its salt leaves the commitment, so the chain over it stays valid, and nobody can find the value by guessing.
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


def made(values: Places) -> tuple[dict[str, str], dict[str, str]]:
    """New salts, and the commitments of the values under them, by place."""
    salts = {place: secrets.token_hex(16) for place in values}
    return salts, {place: commitment(salts[place], place, value) for place, value in values.items()}


def commitment(salt: str, place: str, value: Any) -> str:
    """SHA-256 of the salt, the place and the value as canonical JSON, joined by line feeds, in hexadecimal."""
    return sha256(f"{salt}\n{place}\n{canonical(value)}".encode()).hexdigest()


def wrong(salts: Mapping[str, str], commitments: Mapping[str, str], values: Places) -> Iterator[str]:
    """The places whose values are not those that were committed to: changed, gone, or there although they were erased."""
    for place in sorted(values.keys() | salts.keys()):
        known = place in values and place in salts
        if not known or commitments.get(place) != commitment(salts[place], place, values[place]):
            yield place


def canonical(value: Any) -> str:
    """JSON with sorted names and nothing between them, not escaped beyond what it must (RFC 8785 for what we keep)."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
