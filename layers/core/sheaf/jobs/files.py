"""The file that a job has made."""

from hashlib import sha256

from pydantic_core import to_json

from sheaf.access.caller import Caller
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.jobs.runner import Result
from sheaf.store import blobs, keys
from sheaf.store.table import Item


def ended(caller: Caller, job: Item, name: str, rows: int) -> Result:
    """What a file that is there adds to its job's row; its manifest is written beside it."""
    bucket = config().jobs_bucket
    digest, size = sha256(), 0
    for piece in blobs.stream(bucket, keys.job_object(caller, job["sk"], name)):
        digest.update(piece)
        size += len(piece)
    told: dict[str, int | str] = {"file": name, "rows": rows, "bytes": size, "sha256": digest.hexdigest()}
    manifest = {**told, "format": job["format"], "entity": job["entity"], "job": job["sk"], "createdAt": iso(now_ms())}
    blobs.put(bucket, keys.job_object(caller, job["sk"], "manifest.json"), to_json(manifest), "application/json")
    return {**told, "files": to_json({"manifest": "manifest.json"}).decode()}
