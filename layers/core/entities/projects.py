"""Projects: what tasks belong to. A team edits them together, so every change says which version it is about."""

from typing import Literal

from sheaf import Entity, field


class Project(Entity, prefix="prj", versioned=True):
    name: str = field(min_length=1, max_length=200, search=True, sort=True)
    description: str | None = field(None, max_length=10_000)
    status: Literal["active", "on_hold", "completed", "archived"] = field("active", index=True)
