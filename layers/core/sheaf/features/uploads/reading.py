"""Files as they are read: the row, and links to what it stands for, made on request and good for five minutes."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from sheaf.access.caller import Caller
from sheaf.base.bounds import JOB_WAIT_SECONDS, LINK_SECONDS
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import Conflict, NotFound
from sheaf.entity.names import LIVE
from sheaf.entity.registry import files
from sheaf.records import read
from sheaf.records.rows import fields_of, from_item
from sheaf.store import blobs, keys
from sheaf.store.table import Item

_PAUSES = (0.05, 0.1, 0.2, 0.5)  # between looks of a `wait`; the last one goes on


def show(caller: Caller, file_id: str, wait: int = 0) -> dict[str, Any]:
    """The file's row, with links once it is ready; `wait`: seconds until then, at most JOB_WAIT_SECONDS. Raises NotFound."""
    item = _settled(lambda: read.item(caller, files(), file_id), wait)
    document = from_item(item).document
    if document["status"] != "ready":
        return document
    until = iso(now_ms() + LINK_SECONDS * 1000)
    download = {"url": _link(caller, item), "expiresAt": until, "receipt": document["receipt"]}
    variants = {
        name: {**each, "url": _link(caller, item, name), "expiresAt": until} for name, each in document["variants"].items()
    }
    return {**document, "variants": variants, "download": download}


def link(caller: Caller, file_id: str, variant: str = "", wait: int = 0) -> str:
    """A link to the content of a file, or of one of its smaller pictures; raises NotFound, Conflict where it is not ready."""
    item = _settled(lambda: read.item(caller, files(), file_id), wait)
    document = from_item(item).document
    if document["status"] != "ready":
        raise Conflict(f"The file is {document['status']}: {document['reason'] or 'it was not looked at yet'}",
                       extra={"status": document["status"]})  # fmt: skip
    if variant and variant not in document["variants"]:
        known = ", ".join(document["variants"]) or "none"
        raise NotFound(f"The file has no variant {variant[:40]!r}; it has {known}")
    return _link(caller, item, variant)


def _settled(look: Callable[[], Item], wait: int) -> Item:
    until, tries = time.monotonic() + min(wait, JOB_WAIT_SECONDS), 0
    while True:
        item = look()
        left = until - time.monotonic()
        if left <= 0 or from_item(item).document["status"] not in LIVE:
            return item
        time.sleep(min(left, _PAUSES[min(tries, len(_PAUSES) - 1)]))
        tries += 1


def _link(caller: Caller, item: Item, variant: str = "") -> str:
    fields, bucket = fields_of(item), config().uploads_bucket
    if not variant:
        headers = {"ResponseContentDisposition": _disposition(fields["filename"]), "ResponseContentType": fields["type"]}
        return blobs.get_link(bucket, keys.upload_object(caller, item["sk"]), LINK_SECONDS, headers, fields["object_version"])
    made = fields["variants"][variant]
    name = (
        f"{fields['filename'].rpartition('.')[0] or fields['filename']}-{variant.partition('.')[0]}.{variant.rpartition('.')[2]}"
    )
    headers = {"ResponseContentDisposition": _disposition(name), "ResponseContentType": made["type"]}
    return blobs.get_link(bucket, keys.variant_object(caller, item["sk"], variant), LINK_SECONDS, headers)


def _disposition(filename: str) -> str:
    # RFC 6266 with RFC 8187: an ASCII fallback, and the true name percent-encoded.
    plain = "".join(letter if letter.isascii() and letter not in '"\\%' else "_" for letter in filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
