"""Blog posts."""

from typing import Literal

from sheaf import Entity, field


class Post(Entity, prefix="post"):
    title: str = field(min_length=3, max_length=200)
    content: str = field(min_length=10, max_length=30_000)
    excerpt: str | None = field(None, max_length=500)
    tags: list[str] = field(default_factory=list, max_length=50)
    status: Literal["draft", "published", "archived"] = field("draft", index=True)
