"""A file has arrived in the bucket of uploads: look at it and settle its row."""

from typing import Any

from sheaf.access.caller import worker
from sheaf.base.log import log
from sheaf.edge import consume
from sheaf.edge.start import start
from sheaf.features import uploads
from sheaf.store import keys

start()


def handler(event: dict[str, Any], context: Any) -> None:
    """An S3 event; it may come twice or late. An error makes Lambda call again and then keep the event in a queue."""
    for object_key in consume.objects(event):
        if not keys.is_upload_object(object_key):
            continue  # records that we have put there ourselves
        caller = worker(keys.tenant_of(object_key), "on_upload", context.aws_request_id)
        row = uploads.settle(caller, keys.name_of(object_key))
        log.info("upload", extra={"tenant": caller.tenant, "settled": row.id if row else None})
