"""Comments below a post, or below another comment of it."""

from sheaf import Entity, field


class Comment(Entity, prefix="cmt"):
    post: str = field(index=True, max_length=64, description="The id of the post")
    parent: str | None = field(None, index=True, max_length=64, description="The id of the comment it answers")
    content: str = field(min_length=1, max_length=10_000)
