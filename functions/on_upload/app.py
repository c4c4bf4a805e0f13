"""A file has arrived: look at it and settle its row. Every few minutes: whatever did not come on by itself."""

from typing import Any

from sheaf.access.caller import worker
from sheaf.base.log import log
from sheaf.edge import consume
from sheaf.edge.start import start
from sheaf.features.uploads.settle import settle
from sheaf.features.uploads.sweep import sweep
from sheaf.store import keys

start()


def handler(event: dict[str, Any], context: Any) -> None:
    """An S3 event, which may come twice or late, or a scheduled one. An error makes Lambda call again and then keep the event."""
    if "Records" not in event:
        log.info("arrivals", extra=sweep("on_upload", context.aws_request_id, consume.survives))
        return
    for object_key in consume.objects(event):
        if not keys.is_upload_object(object_key):
            continue  # records and smaller pictures that we have put there ourselves
        caller = worker(keys.tenant_of(object_key), "on_upload", context.aws_request_id)
        row = settle(caller, keys.name_of(object_key))
        log.info("upload", extra={"tenant": caller.tenant, "settled": row.id if row else None})
