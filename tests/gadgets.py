"""What several tests of the API share: an entity with every kind of field, and calls that are short to write."""

from typing import Any

import world
from sheaf import Change, Entity, Timestamp, ValidationFailed, field

TASK = {"title": "Water", "priority": "high"}


class Gadget(Entity, prefix="gad", owner="maker"):
    """One entity with every kind of field."""

    name: str = field(min_length=1, max_length=50, unique=True)
    serial: str | None = field(None, unique=True, once=True, max_length=50)
    note: str | None = field(None, hidden=True, max_length=50)
    slug: str = field("", readonly=True)
    maker: str | None = None
    parts: list[str] = field(default_factory=list, ref="gadgets")
    at: Timestamp | None = None
    level: int = field(1, ge=1, le=9)

    def before(self, change: Change) -> None:
        self.slug = f"{self.name.lower()}-{change.verb}"
        if self.name == "forbidden":
            raise ValidationFailed("name: is forbidden", fields={"name": "is forbidden"})


class Api:
    """Calls of one key, short to write."""

    def __init__(self, sheaf: world.World, key: str) -> None:
        self._sheaf, self._key = sheaf, key

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> world.Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._sheaf.http(method, path, body, key=self._key, headers=named)
