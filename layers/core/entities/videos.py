"""Videos, kept elsewhere and described here."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from sheaf import Change, Entity, field


class Video(Entity, prefix="vid", events=("uploaded",), cached=10):
    title: str = field(min_length=1, max_length=200, search=True)
    description: str | None = field(None, max_length=10_000)
    url: str | None = field(None, max_length=2_000, pattern=r"^https://", unique=True)
    source: Literal["youtube", "vimeo", "upload"] = field("upload", index=True)
    duration_seconds: int | None = field(None, ge=0, sort=True)
    tags: list[str] = field(default_factory=list, max_length=50)
    status: Literal["draft", "published", "archived"] = field("draft", index=True)

    @classmethod
    def also(cls, change: Change, row: Mapping[str, Any]) -> Iterable[str]:
        """A video is uploaded when its row comes into being."""
        if change.verb == "created":
            yield "uploaded"
