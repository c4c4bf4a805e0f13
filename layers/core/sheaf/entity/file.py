"""The one entity of our own: the row of an uploaded file."""

from typing import Literal

from sheaf.base.bounds import FILENAME_CHARACTERS, UPLOAD_BYTES
from sheaf.entity.fields import field
from sheaf.entity.model import Entity


class File(Entity, prefix="fil", writable=False):
    """A file's row; the file itself lies in the bucket."""

    filename: str = field(min_length=1, max_length=FILENAME_CHARACTERS, pattern=r"^[^\x00-\x1f\x7f/\\]+$")
    size: int = field(ge=1, le=UPLOAD_BYTES)
    type: str = field(max_length=100)
    sha256: str | None = field(None, pattern=r"^[0-9a-f]{64}$")
    status: Literal["pending", "ready", "rejected"] = field("pending", index=True)
    reason: str | None = None
    object_version: str | None = None
    job: str | None = None  # that waits for the file
