"""Small verbs over S3."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Self

from botocore.exceptions import ClientError

from sheaf.store.aws import client

PART_BYTES = 8 * 1024 * 1024  # of a multipart upload; S3 wants 5 MB at least
_ABSENT = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound"})


def put(bucket: str, key: str, data: bytes, content_type: str) -> None:
    """Write the object."""
    client("s3").put_object(Bucket=bucket, Key=key, Body=data, ContentType=content_type)


def get(bucket: str, key: str, first: int = 0, last: int | None = None, version: str | None = None) -> bytes:
    """The bytes from `first` to `last` (inclusive; to the end when left out), of one version or the latest."""
    span = {"Range": f"bytes={first}-{'' if last is None else last}"} if first or last is not None else {}
    data: bytes = client("s3").get_object(Bucket=bucket, Key=key, **span, **_of(version))["Body"].read()
    return data


def stream(bucket: str, key: str, version: str | None = None) -> Iterator[bytes]:
    """The object in pieces of 1 MiB."""
    body = client("s3").get_object(Bucket=bucket, Key=key, **_of(version))["Body"]
    yield from body.iter_chunks(1024 * 1024)


def head(bucket: str, key: str) -> dict[str, Any] | None:
    """Its `ContentLength`, `ContentType` and `VersionId`, or None where there is no such object."""
    try:
        answer: dict[str, Any] = client("s3").head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            return None
        raise
    return answer


def delete(bucket: str, key: str, version: str | None = None) -> None:
    """Remove the object, or one version of it; nothing happens where there is none."""
    client("s3").delete_object(Bucket=bucket, Key=key, **_of(version))


def start_multipart(bucket: str, key: str, content_type: str) -> str:
    """Begin a multipart upload; its id."""
    upload_id: str = client("s3").create_multipart_upload(Bucket=bucket, Key=key, ContentType=content_type)["UploadId"]
    return upload_id


def put_part(bucket: str, key: str, upload_id: str, number: int, data: bytes) -> str:
    """Upload part `number` (1–10,000; written again it replaces the former); its ETag."""
    answer = client("s3").upload_part(Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=data)
    etag: str = answer["ETag"]
    return etag


def finish_multipart(bucket: str, key: str, upload_id: str, etags: Sequence[str]) -> None:
    """Make the object of its parts, in order; does nothing where an earlier call has done it."""
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    try:
        client("s3").complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts})
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchUpload" or head(bucket, key) is None:
            raise


def drop_multipart(bucket: str, key: str, upload_id: str) -> None:
    """Give up a multipart upload and its parts; nothing happens where there is none."""
    try:
        client("s3").abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchUpload":
            raise


class Writer:
    """An object that is written piece by piece with flat memory, and is there, whole, only once it is closed.

    `size` and `sha256` are those of what was written. Leaving the block by an error leaves no object.
    """

    def __init__(self, bucket: str, key: str, content_type: str) -> None:
        self.size = 0
        self._digest = sha256()
        self._at = (bucket, key)
        self._type = content_type
        self._buffer = bytearray()
        self._upload = ""
        self._etags: list[str] = []

    @property
    def sha256(self) -> str:
        """The digest, in hexadecimal digits."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> int:
        """Add to the object."""
        self.size += len(data)
        self._digest.update(data)
        self._buffer += data
        if len(self._buffer) >= PART_BYTES:
            self._upload = self._upload or start_multipart(*self._at, self._type)
            self._etags.append(put_part(*self._at, self._upload, len(self._etags) + 1, bytes(self._buffer)))
            self._buffer.clear()
        return len(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            if self._upload:
                drop_multipart(*self._at, self._upload)
        elif not self._upload:
            put(*self._at, bytes(self._buffer), self._type)
        else:
            if self._buffer:
                self._etags.append(put_part(*self._at, self._upload, len(self._etags) + 1, bytes(self._buffer)))
            finish_multipart(*self._at, self._upload, self._etags)


def post_link(bucket: str, key: str, content_type: str, size: int, seconds: int) -> tuple[str, dict[str, str]]:
    """A presigned POST (URL and form fields) for exactly this key, type and size."""
    answer = client("s3").generate_presigned_post(
        bucket,
        key,
        Fields={"Content-Type": content_type},
        Conditions=[{"Content-Type": content_type}, ["content-length-range", size, size]],
        ExpiresIn=seconds,
    )
    return answer["url"], answer["fields"]


def get_link(bucket: str, key: str, seconds: int, headers: Mapping[str, str], version: str | None = None) -> str:
    """A presigned GET. `headers` are the answer's: `ResponseContentDisposition`, `ResponseContentType`."""
    params = {"Bucket": bucket, "Key": key, **headers, **_of(version)}
    url: str = client("s3").generate_presigned_url("get_object", Params=params, ExpiresIn=seconds)
    return url


def _of(version: str | None) -> dict[str, str]:
    return {"VersionId": version} if version else {}
