"""Small verbs over S3."""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple, Self

from botocore.exceptions import ClientError

from sheaf.store.aws import client

PART_BYTES = 8 * 1024 * 1024  # of a multipart upload; S3 wants 5 MB at least
_ABSENT = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound"})


class Missing(LookupError):
    """There is no such object."""


class Part(NamedTuple):
    """One part of a multipart upload that has arrived."""

    number: int
    size: int
    etag: str


def put(bucket: str, key: str, data: bytes, content_type: str) -> None:
    """Write the object."""
    client("s3").put_object(Bucket=bucket, Key=key, Body=data, ContentType=content_type)


def get(bucket: str, key: str, first: int = 0, last: int | None = None, version: str | None = None) -> bytes:
    """The bytes from `first` to `last` (inclusive; to the end when left out), of one version or the latest."""
    span = {"Range": f"bytes={first}-{'' if last is None else last}"} if first or last is not None else {}
    data: bytes = client("s3").get_object(Bucket=bucket, Key=key, **span, **_of(version))["Body"].read()
    return data


def stream(bucket: str, key: str, version: str | None = None) -> Iterator[bytes]:
    """The object in pieces of 1 MiB; raises Missing."""
    try:
        body = client("s3").get_object(Bucket=bucket, Key=key, **_of(version))["Body"]
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            raise Missing(key) from None
        raise
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
    made = join_parts(bucket, key, upload_id, [Part(number, 0, etag) for number, etag in enumerate(etags, 1)])
    if not made and head(bucket, key) is None:
        raise LookupError(f"there is no multipart upload {upload_id} of {key}, and no object")


def join_parts(bucket: str, key: str, upload_id: str, found: Sequence[Part]) -> bool | None:
    """Make the object of its parts; False where there is no such multipart upload (any more), None where a part has changed."""
    parts = [{"PartNumber": part.number, "ETag": part.etag} for part in found]
    try:
        client("s3").complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts})
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in ("InvalidPart", "InvalidPartOrder", "EntityTooSmall"):
            return None
        if code != "NoSuchUpload":
            raise
        return False
    return True


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


def find_multipart(bucket: str, key: str) -> list[str]:
    """The ids of the multipart uploads that were begun for the key and neither finished nor given up."""
    answer = client("s3").list_multipart_uploads(Bucket=bucket, Prefix=key)
    return [each["UploadId"] for each in answer.get("Uploads", []) if each["Key"] == key]


def parts(bucket: str, key: str, upload_id: str) -> list[Part] | None:
    """The parts that have arrived, in order; None where there is no such multipart upload (any more)."""
    found: list[Part] = []
    after = 0
    while True:
        try:
            answer = client("s3").list_parts(Bucket=bucket, Key=key, UploadId=upload_id, PartNumberMarker=after)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchUpload":
                return None
            raise
        found += [Part(each["PartNumber"], each["Size"], each["ETag"]) for each in answer.get("Parts", [])]
        if not answer.get("IsTruncated"):
            return found
        after = answer["NextPartNumberMarker"]


def tag(bucket: str, key: str, version: str | None, tags: Mapping[str, str]) -> None:
    """Set the tags of the object (of one version)."""
    found = [{"Key": name, "Value": value} for name, value in tags.items()]
    client("s3").put_object_tagging(Bucket=bucket, Key=key, Tagging={"TagSet": found}, **_of(version))


def require(bucket: str) -> None:
    """Raise where a bucket does not answer."""
    client("s3").head_bucket(Bucket=bucket)


def names(bucket: str, prefix: str, *, after: str = "") -> Iterator[str]:
    """The keys of the objects that begin with `prefix`, behind `after`, in order."""
    pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, StartAfter=after)
    return (each["Key"] for page in pages for each in page.get("Contents", []))


def versions(bucket: str, key: str) -> list[str]:
    """The ids of all versions and delete markers of the object."""
    pages = client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
    return [each["VersionId"] for page in pages for kind in ("Versions", "DeleteMarkers") for each in page.get(kind, [])
            if each["Key"] == key]  # fmt: skip


def purge(bucket: str, key: str, keep: str | None = None) -> None:
    """Remove every version of the object but one, and whatever parts were sent for it; nothing happens where there is none."""
    for upload_id in find_multipart(bucket, key):
        drop_multipart(bucket, key, upload_id)
    for version in versions(bucket, key):
        if version != keep:
            delete(bucket, key, version)


def post_link(
    bucket: str, key: str, content_type: str, *, size: int, seconds: int, sha256: str | None = None
) -> tuple[str, dict[str, str]]:
    """A presigned POST (URL and form fields) for exactly this key, type, size and (in hexadecimal digits) content."""
    fields = {"Content-Type": content_type, **_checksum(sha256)}
    answer = client("s3").generate_presigned_post(
        bucket,
        key,
        Fields=fields,
        Conditions=[*({name: value} for name, value in fields.items()), ["content-length-range", size, size]],
        ExpiresIn=seconds,
    )
    return answer["url"], answer["fields"]


def put_link(
    bucket: str, key: str, content_type: str, *, size: int, seconds: int, sha256: str | None = None
) -> tuple[str, dict[str, str]]:
    """A presigned PUT (URL and headers to send) for exactly this key, type, size and content, while no object is there."""
    checked = {"ChecksumSHA256": _checksum(sha256)["x-amz-checksum-sha256"]} if sha256 else {}
    params = {"Bucket": bucket, "Key": key, "ContentType": content_type, "ContentLength": size, "IfNoneMatch": "*", **checked}
    url: str = client("s3").generate_presigned_url("put_object", Params=params, ExpiresIn=seconds)
    headers = {"Content-Type": content_type, "If-None-Match": "*", **_checksum(sha256)}
    return url, {name: value for name, value in headers.items() if not name.startswith("x-amz-checksum-algorithm")}


def part_link(bucket: str, key: str, upload_id: str, *, number: int, seconds: int, size: int | None = None) -> str:
    """A presigned PUT for one part, of exactly `size` bytes where that is known."""
    params = {"Bucket": bucket, "Key": key, "UploadId": upload_id, "PartNumber": number,
              **({} if size is None else {"ContentLength": size})}  # fmt: skip
    url: str = client("s3").generate_presigned_url("upload_part", Params=params, ExpiresIn=seconds)
    return url


def signed(operation: str, bucket: str, key: str, seconds: int, *, upload_id: str | None = None, size: int | None = None) -> str:
    """The presigned URL of a call that a client makes itself: `create_multipart_upload`, `list_parts`, `put_object` …"""
    params = {"Bucket": bucket, "Key": key, **({"UploadId": upload_id} if upload_id else {}),
              **({} if size is None else {"ContentLength": size})}  # fmt: skip
    url: str = client("s3").generate_presigned_url(operation, Params=params, ExpiresIn=seconds)
    return url


def _checksum(sha256: str | None) -> dict[str, str]:
    """The fields of a form that make S3 refuse another content."""
    if sha256 is None:
        return {}
    return {"x-amz-checksum-algorithm": "SHA256", "x-amz-checksum-sha256": b64encode(bytes.fromhex(sha256)).decode()}


def get_link(bucket: str, key: str, seconds: int, headers: Mapping[str, str], version: str | None = None) -> str:
    """A presigned GET. `headers` are the answer's: `ResponseContentDisposition`, `ResponseContentType`."""
    params = {"Bucket": bucket, "Key": key, **headers, **_of(version)}
    url: str = client("s3").generate_presigned_url("get_object", Params=params, ExpiresIn=seconds)
    return url


def _of(version: str | None) -> dict[str, str]:
    return {"VersionId": version} if version else {}
