"""Blog posts."""

from datetime import datetime
from typing import Literal

from sheaf import Change, Entity, Timestamp, Trimmed, ValidationFailed, field

_EXCERPT = 200


class Post(Entity, prefix="post", owner="author"):
    title: Trimmed = field(min_length=3, max_length=200, search=True)
    content: Trimmed = field(min_length=10, max_length=30_000)
    excerpt: Trimmed | None = field(None, max_length=500, description="The beginning of the content where it is left out")
    tags: list[str] = field(default_factory=list, max_length=50, search=True)
    status: Literal["draft", "published", "archived"] = field("draft", index=True)
    author: str | None = field(None, index=True, ref="users", max_length=64, description="Who wrote it")
    publishedAt: Timestamp | None = field(None, readonly=True, sort=True, description="When it was first published")

    def before(self, change: Change) -> None:
        """The excerpt follows the content until somebody writes one; a post is published for the first time once."""
        if change.verb == "created" and self.status == "archived":
            message = "must be draft or published in a new post"
            raise ValidationFailed(f"status: {message}", fields={"status": message})
        if not self.excerpt or (change.before and self.excerpt == _excerpt(change.before["content"])):
            self.excerpt = _excerpt(self.content)
        if self.status == "published" and self.publishedAt is None:
            self.publishedAt = datetime.fromisoformat(change.at)


def _excerpt(content: str) -> str:
    return f"{content[:_EXCERPT]}..."
