"""Bodies: of the media type that a route takes, in full, and no larger than the route allows, compressed or not."""

import zlib
from typing import Any

from sheaf.base.bounds import GZIP_RATIO
from sheaf.base.errors import BadRequest, TooLarge, UnsupportedMediaType
from sheaf.formats import strict_json

GZIP = ("application/gzip", "application/x-gzip")


def read(raw: bytes, content_type: str, content_encoding: str, limit: int, unpacked: int = 0) -> Any:
    """The JSON value; raises TooLarge, UnsupportedMediaType or InvalidJson. `limit` and `unpacked` as in `whole`."""
    kind = media_type(content_type)
    if kind not in GZIP and kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMediaType(
            f"The body must be application/json, not {kind[:80]!r}", headers={"Accept": "application/json"}
        )
    return strict_json.parse(whole(raw, kind, content_encoding, limit, unpacked))


def whole(raw: bytes, content_type: str, content_encoding: str, limit: int, unpacked: int = 0) -> bytes:
    """The bytes of a body, unpacked where they come as gzip; raises TooLarge, UnsupportedMediaType or BadRequest.

    A body has at most `limit` bytes as it comes, and one in gzip at most `unpacked` afterwards (`limit`, where it is 0).
    """
    if content_encoding.strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType(f"Content-Encoding {content_encoding[:40]!r} is not read here; send a compressed body as "
                                   "Content-Type: application/gzip", headers={"Accept-Encoding": "identity"})  # fmt: skip
    if len(raw) > limit:
        raise TooLarge(f"The body is {len(raw):,} bytes; {limit:,} is the most here")
    return _unpacked(raw, unpacked or limit) if media_type(content_type) in GZIP else raw


def media_type(content_type: str) -> str:
    """The type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def _unpacked(raw: bytes, limit: int) -> bytes:
    most = min(limit, max(len(raw), 1) * GZIP_RATIO)
    inflate = zlib.decompressobj(wbits=31)
    try:
        data = inflate.decompress(raw, most + 1)
    except zlib.error as error:
        raise BadRequest(f"The body is not gzip: {error}") from None
    if len(data) > most:
        what = f"{limit:,} bytes" if most == limit else f"{GZIP_RATIO} times its size"
        raise TooLarge(f"The body unpacks to more than {what}")
    if not inflate.eof or inflate.unused_data:
        raise BadRequest("The body is not one whole gzip member")
    return data
