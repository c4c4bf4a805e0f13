"""How a write is asked for. Apart from the writing itself, so that a function which never writes a row does not load it."""

from dataclasses import dataclass

from sheaf.records.once import Once


@dataclass(frozen=True, slots=True)
class Options:
    """How a write is asked for.

    `versions`: those that If-Match allows, None for any. `merge`: a stale version is fine where the changed fields do not
    overlap. `dry`: find out, write nothing. `once`: the request's Idempotency-Key.
    """

    versions: frozenset[int] | None = None
    merge: bool = False
    dry: bool = False
    once: Once | None = None


PLAIN = Options()
