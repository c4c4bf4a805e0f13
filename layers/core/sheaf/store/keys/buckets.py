"""Keys of objects in the buckets."""

from sheaf.store.keys.scope import Scope


def upload_object(scope: Scope, file_id: str) -> str:
    """The object of an upload."""
    return f"{scope.tenant}/uploads/{file_id}"


VARIANTS = ("thumb.webp", "thumb.jpg", "preview.webp", "preview.jpg")  # the smaller pictures of a picture


def variant_object(scope: Scope, file_id: str, name: str) -> str:
    """A smaller picture of a picture."""
    return f"{scope.tenant}/variants/{file_id}/{name}"


def audience_object(scope: Scope, row_id: str) -> str:
    """The records of a batch upload, or of a segment of one."""
    return f"{scope.tenant}/audience/{row_id}"


def is_upload_object(object_key: str) -> bool:
    """Whether an object of the bucket of uploads is a file that somebody has sent there."""
    return "/uploads/" in object_key


def backup_object(scope: Scope, backup_id: str, name: str) -> str:
    """A file of a backup; without a name what stands before all of them."""
    return f"{scope.tenant}/backups/{backup_id}/{name}"


def heads(scope: Scope) -> str:
    """Where the anchors of a tenant's audit log lie."""
    return f"{scope.tenant}/heads/"


def head(scope: Scope, segment: int, digest: str) -> str:
    """The anchor of a segment; without a digest what stands before all of that segment's."""
    return f"{heads(scope)}{segment:012d}-{digest}"


def headed(object_key: str) -> tuple[int, str]:
    """The segment and the hash that the key of an anchor tells."""
    number, _, digest = object_key.rpartition("/")[2].partition("-")
    return int(number), digest


def job_object(scope: Scope, job_id: str, name: str) -> str:
    """A file of a job: its input, its result, its errors."""
    return f"{scope.tenant}/jobs/{job_id}/{name}"
