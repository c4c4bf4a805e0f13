"""What becomes of a file that has arrived: pinned to one version, looked at as a whole, scanned, and judged once.

Events of the bucket come twice, late and out of order, and a step may die in the middle: each step is a conditional
write of the file's row, and whoever comes again goes on from there.
"""

from dataclasses import dataclass
from typing import Any

from sheaf.access.caller import Caller
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import NotFound, PreconditionFailed, Unavailable
from sheaf.entity.names import LIVE
from sheaf.entity.registry import files
from sheaf.formats.magic import Inspector
from sheaf.records import read, receipts, write
from sheaf.records.options import Options
from sheaf.records.rows import Row, fields_of
from sheaf.store import blobs, keys, scanner

READY_TAG = {"state": "ready"}  # the bucket's policy lets nobody but on_upload read an object without it
_TRIES = 10


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. `status` is ready, rejected or infected."""

    status: str
    reason: str | None
    sha256: str | None


def settle(scope: Caller, file_id: str) -> Row | None:
    """Bring a file as far as it goes: pending → uploaded → ready, rejected or infected; its row where this call has judged it.

    What must not be kept is removed: the object of a file that has no row, and versions that came after the judged one.
    """
    bucket, key = config().uploads_bucket, keys.upload_object(scope, file_id)
    for _ in range(_TRIES):
        try:
            item = read.item(scope, files(), file_id)
        except NotFound:
            remove(scope, file_id)  # the row was deleted while the file was on its way
            return None
        fields = fields_of(item)
        if fields["status"] not in LIVE:
            blobs.purge(bucket, key, keep=fields["object_version"] if fields["status"] == "ready" else None)
            return None
        try:
            if fields["status"] == "uploaded":
                return _judged(scope, item, fields)
            found = blobs.head(bucket, key)
            if found is None:
                return None
            pinned = {"status": "uploaded", "object_version": found.get("VersionId")}
            write.patch(scope, files(), file_id, pinned, Options(frozenset({item["v"]})))
        except (PreconditionFailed, NotFound):
            continue  # another delivery of the same event was faster, or the row was deleted: look again
    raise Unavailable(f"other writers keep changing {file_id}")


def give_up(scope: Caller, file_id: str) -> None:
    """Reject a file that has arrived and could not be looked at in all its time; nothing happens to another."""
    item = read.item(scope, files(), file_id)
    if fields_of(item)["status"] == "uploaded":
        verdict = {"status": "rejected", "reason": "The file could not be looked at"}
        write.patch(scope, files(), file_id, verdict, Options(frozenset({item["v"]})))


def remove(scope: Caller, file_id: str) -> None:
    """Remove what lies in the bucket of a file, its parts and its smaller pictures; nothing happens where there is nothing."""
    bucket = config().uploads_bucket
    blobs.purge(bucket, keys.upload_object(scope, file_id))
    for name in keys.VARIANTS:
        blobs.purge(bucket, keys.variant_object(scope, file_id, name))


def _judged(scope: Caller, item: dict[str, Any], fields: dict[str, Any]) -> Row:
    file_id, version = item["sk"], fields["object_version"]
    bucket, key = config().uploads_bucket, keys.upload_object(scope, file_id)
    verdict = look(bucket, key, version, fields)
    change: dict[str, Any] = {"status": verdict.status, "reason": verdict.reason, "sha256": fields["sha256"] or verdict.sha256}
    told = {"id": file_id, "sha256": verdict.sha256, "size": fields["size"], "type": fields["type"], "verdict": verdict.status,
            "version": version, "time": iso(now_ms())}  # fmt: skip
    change["receipt"] = receipts.signed(scope, told)
    if verdict.status == "ready":
        # Before the row says so: the worst that a death in between leaves is a good file that nobody knows of yet.
        blobs.tag(bucket, key, version, READY_TAG)
    row = write.patch(scope, files(), file_id, change, Options(frozenset({item["v"]})))
    blobs.purge(bucket, key, keep=version if verdict.status == "ready" else None)
    return row


def look(bucket: str, key: str, version: str | None, fields: dict[str, Any]) -> Verdict:
    """Read one version of an object as a whole, and say what it is."""
    inspector = Inspector(fields["type"])
    with scanner.scan(config().scanner) as scan:
        try:
            for piece in blobs.stream(bucket, key, version):
                inspector.feed(piece)
                if inspector.size > fields["size"]:
                    break
                scan.feed(piece)
        except blobs.Missing:
            return Verdict("rejected", "The file was removed before it was looked at", None)
        digest = inspector.sha256
        if inspector.size != fields["size"]:
            found = "more" if inspector.size > fields["size"] else f"{inspector.size:,}"
            return Verdict("rejected", f"The file has {found} bytes, {fields['size']:,} were announced", None)
        if fields["sha256"] and digest != fields["sha256"]:
            return Verdict("rejected", "The SHA-256 of the file is another than the announced one", digest)
        if reason := inspector.objection():
            return Verdict("rejected", reason, digest)
        if infection := scan.result():
            return Verdict("infected", f"The scanner has found {infection}", digest)
    return Verdict("ready", None, digest)
