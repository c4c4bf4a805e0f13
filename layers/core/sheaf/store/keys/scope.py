"""A proven tenant, and a primary key."""

from typing import NamedTuple, Protocol


class Scope(Protocol):
    """Whatever carries a proven tenant."""

    @property
    def tenant(self) -> str:
        """The tenant's id."""
        ...


class Key(NamedTuple):
    """A primary key."""

    pk: str
    sk: str
