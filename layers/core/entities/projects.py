"""Projects: what tasks belong to."""

from typing import Literal

from sheaf import Entity, field


class Project(Entity, prefix="prj"):
    name: str = field(min_length=1, max_length=200)
    description: str | None = field(None, max_length=10_000)
    status: Literal["active", "on_hold", "completed", "archived"] = field("active", index=True)
