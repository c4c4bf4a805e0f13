"""Tasks: what a team has to do."""

from typing import Literal

from sheaf import Entity, field


class Task(Entity, prefix="tsk"):
    title: str = field(min_length=1, max_length=200, search=True)
    description: str | None = field(None, max_length=10_000, search=True)
    status: Literal["todo", "in_progress", "completed"] = field("todo", index=True)
    priority: Literal["low", "medium", "high", "urgent"] = field("medium", index=True)
    assignee: str | None = field(None, index=True, ref="users", max_length=64, description="The id of a user")
