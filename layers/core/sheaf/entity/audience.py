"""Two more entities of our own: a batch of audience records that somebody has uploaded, and a segment saved from one."""

from typing import Any, Literal

from sheaf.entity.fields import Trimmed, field
from sheaf.entity.model import Entity

_NAME = r"^[^\x00-\x1f\x7f]+$"


class AudienceUpload(Entity, prefix="upl", writable=False, owner="user_id"):
    """A batch upload's row; its records lie in the bucket."""

    upload_name: Trimmed = field(min_length=1, max_length=100, pattern=_NAME)
    fields: list[str] = field(default_factory=list)
    rows_received: int = 0
    status: Literal["receiving", "uploaded", "failed"] = "uploaded"
    reason: str | None = None
    edges: list[int] = field(default_factory=list, hidden=True)  # where each AUDIENCE_PAGE records begin in the object
    job: str | None = None  # that waits for the file
    user_id: str | None = field(None, index=True, max_length=64)


class AudienceSegment(Entity, prefix="seg", writable=False, owner="user_id"):
    """A segment's row; its records lie in the bucket."""

    segment_name: Trimmed = field(min_length=1, max_length=100, pattern=_NAME)
    upload_id: str = field(index=True, max_length=64)
    fields: list[str] = field(default_factory=list)
    filter: dict[str, Any] | None = None
    rows: int = 0
    edges: list[int] = field(default_factory=list, hidden=True)
    user_id: str | None = field(None, index=True, max_length=64)
