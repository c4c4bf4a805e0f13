"""The one entity of our own: the row of an uploaded file."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from sheaf.base.bounds import FILENAME_CHARACTERS, UPLOAD_BYTES
from sheaf.entity.fields import field
from sheaf.entity.hooks import Change
from sheaf.entity.model import Entity
from sheaf.entity.names import LIVE


class File(Entity, prefix="fil", writable=False, events=("ready", "rejected", "infected")):
    """A file's row; the file itself lies in the bucket."""

    filename: str = field(min_length=1, max_length=FILENAME_CHARACTERS, pattern=r"^[^\x00-\x1f\x7f/\\]+$")
    size: int = field(ge=1, le=UPLOAD_BYTES)
    type: str = field(max_length=100, index=True)
    sha256: str | None = field(None, pattern=r"^[0-9a-f]{64}$")
    status: Literal["pending", "uploaded", "ready", "rejected", "infected"] = field("pending", index=True)
    reason: str | None = None
    receipt: str | None = field(None, description="What was found, as a signed token (RFC 7515)")
    variants: dict[str, Any] = field(default_factory=dict, description="Smaller pictures of a picture")
    object_version: str | None = field(None, hidden=True)
    multipart: str | None = field(None, hidden=True)  # S3's id of the upload in parts
    job: str | None = None  # that waits for the file

    @classmethod
    def also(cls, change: Change, row: Mapping[str, Any]) -> Iterable[str]:
        """A verdict is an event of its own."""
        before = (change.before or {}).get("status")
        if row["status"] != before and row["status"] not in LIVE and change.verb == "updated":
            yield row["status"]
