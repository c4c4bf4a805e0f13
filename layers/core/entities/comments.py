"""Comments below a post, or below another comment of it."""

from sheaf import Entity, field


class Comment(Entity, prefix="cmt", owner="author"):
    post: str = field(
        index=True,
        ref="posts",
        once=True,
        max_length=64,
        description="The id of the post",
        examples=["post_01m7z7b8mzfa9be8ewp2fn2yza"],
    )
    parent: str | None = field(
        None, index=True, ref="comments", once=True, max_length=64, description="The id of the comment it answers"
    )
    content: str = field(min_length=1, max_length=10_000)
    attachments: list[str] = field(default_factory=list, file=True, max_length=10, description="Ids of files that are ready")
    author: str | None = field(None, max_length=64, description="Who wrote it")
