"""Files that come through the API itself, as multipart/form-data: small ones; the others are shown the way to the bucket."""

from collections.abc import Sequence
from typing import Any

from sheaf.access.caller import Caller
from sheaf.base.bounds import UPLOAD_FILES, UPLOAD_FORM_BYTES, UPLOAD_FORM_MOST
from sheaf.base.config import config
from sheaf.base.errors import TooLarge, UnsupportedMediaType, ValidationFailed
from sheaf.features.uploads import announce
from sheaf.features.uploads.announce import Announced
from sheaf.formats import form
from sheaf.formats.form import Part
from sheaf.formats.magic import Inspector
from sheaf.records.once import Once
from sheaf.store import blobs, keys

OLD_TYPES = ("application/pdf", "image/jpeg", "image/png")  # that clients of the older shape may send
NO_FILE, TOO_LARGE, WRONG_TYPE = "No file provided", "File too large", "Invalid file type"


class FileTooLarge(TooLarge):
    """A body that the API does not take; `upload` is the way that does. `is_old_limit`: over what the older shape ever took."""

    def __init__(self, message: str, ways: Sequence[dict[str, Any]], *, is_old_limit: bool) -> None:
        super().__init__(message, extra={"upload": ways[0]} if len(ways) == 1 else {"uploads": list(ways)})
        self.is_old_limit = is_old_limit


def receive(caller: Caller, body: bytes, content_type: str, once: Once | None, types: Sequence[str] | None = None
            ) -> tuple[list[dict[str, Any]], bool]:  # fmt: skip
    """Take the files of a body: the field `file`, or several `files`. Their rows, and whether there may be several.

    What each holds is looked at before anything is written: all, or none. Raises UnsupportedMediaType, BadRequest,
    ValidationFailed, FileTooLarge, StorageFull, TooManyUploads. `types`: none but these.
    """
    if content_type.partition(";")[0].strip().lower() != form.MEDIA_TYPE:
        raise UnsupportedMediaType(f"The body must be {form.MEDIA_TYPE}", headers={"Accept": form.MEDIA_TYPE})
    parts = [part for part in form.parse(body, content_type) if part.name in ("file", "files") and part.filename]
    several = any(part.name == "files" for part in parts)
    if not parts:
        raise ValidationFailed(NO_FILE, fields={"file": "is required"})
    if len(parts) > (UPLOAD_FILES if several else 1):
        raise ValidationFailed.naming({"files": f"at most {UPLOAD_FILES}"} if several else {"file": "is given more than once"})
    found = [_announced(caller, part, number if several else None, types) for number, part in enumerate(parts)]
    if len(body) > UPLOAD_FORM_BYTES:
        ways = [shown for _, shown in announce.create_all(caller, found, once)]
        message = f"{TOO_LARGE}: {len(body):,} bytes; {UPLOAD_FORM_BYTES:,} is the most here. Send it as `upload` says"
        raise FileTooLarge(message, ways, is_old_limit=max(len(part.content) for part in parts) > UPLOAD_FORM_MOST)
    rows = announce.create_all(caller, found, once)
    for (row, _), part in zip(rows, parts, strict=True):
        blobs.put(config().uploads_bucket, keys.upload_object(caller, row.id), part.content, row.document["type"])
    return [row.document for row, _ in rows], several


def _announced(caller: Caller, part: Part, number: int | None, types: Sequence[str] | None) -> Announced:
    place = "file" if number is None else f"files.{number}"
    name = (part.filename or "").rpartition("/")[2]  # some clients send a path
    if types is not None and part.type not in types:
        raise ValidationFailed(WRONG_TYPE, fields={place: f"must be one of {', '.join(types)}"})
    inspector = Inspector(part.type)
    inspector.feed(part.content)
    said = {"filename": name, "size": inspector.size, "type": part.type, "sha256": inspector.sha256}
    try:
        found = announce.announced(caller, said)
    except ValidationFailed as error:
        wrong = {f"{place}.{field}": text for field, text in error.fields.items()}
        raise ValidationFailed(WRONG_TYPE if "type" in error.fields else error.message, fields=wrong) from None
    if reason := inspector.objection():
        raise ValidationFailed(WRONG_TYPE, fields={place: reason})
    return found
