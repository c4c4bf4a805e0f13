"""Smaller pictures of a picture, for lists and previews: made once it is ready, in WebP and JPEG, by a function of its own.

What a picture asks for when it is opened is known from its first bytes; one with too many pixels is left as it is.
"""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings

from sheaf.access.caller import worker
from sheaf.base.bounds import IMAGE_FILE_BYTES, IMAGE_PIXELS, IMAGE_PREVIEW_PIXELS, IMAGE_THUMB_PIXELS
from sheaf.base.config import config
from sheaf.base.errors import NotFound, PreconditionFailed
from sheaf.base.log import log
from sheaf.entity.registry import files
from sheaf.records import read, write
from sheaf.records.events import Event
from sheaf.records.options import Options
from sheaf.records.rows import fields_of
from sheaf.store import blobs, keys

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/gif": "GIF", "image/webp": "WEBP"}
_SIZES = {"thumb": IMAGE_THUMB_PIXELS, "preview": IMAGE_PREVIEW_PIXELS}
_MADE: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "webp": ("WEBP", "image/webp", {"quality": 80, "method": 4}),
    "jpg": ("JPEG", "image/jpeg", {"quality": 82, "optimize": True}),
}


def wants(event: Event) -> bool:
    """Whether a change of a file's row is the one by which a picture has become ready."""
    document = event.document
    if event.verb != "updated" or document["status"] != "ready" or document["type"] not in _FORMATS:
        return False
    return (event.document_before or {}).get("status") != "ready" and document["size"] <= IMAGE_FILE_BYTES


def message(event: Event) -> dict[str, Any]:
    """What tells the function of it."""
    return {"tenant": event.tenant, "file": event.row, "requestId": event.request_id}


def work(message: Mapping[str, Any]) -> None:
    """Make the smaller pictures, and say so in the row; doing it twice changes nothing."""
    scope, file_id = worker(message["tenant"], "on_image", message["requestId"]), message["file"]
    try:
        item = read.item(scope, files(), file_id)
        fields = fields_of(item)
        if fields["variants"]:
            return
        data = blobs.get(config().uploads_bucket, keys.upload_object(scope, file_id), version=fields["object_version"])
        found = made(data, fields["type"])
        for name, (content, about) in found.items():
            blobs.put(config().uploads_bucket, keys.variant_object(scope, file_id, name), content, about["type"])
        if found:
            about = {name: each for name, (_, each) in found.items()}
            write.patch(scope, files(), file_id, {"variants": about}, Options(frozenset({item["v"]})))
    except (NotFound, PreconditionFailed):
        return  # it was deleted, or done by another delivery of the message; what lies there goes with the file
    log.info("variants", extra={"tenant": scope.tenant, "file": file_id, "made": len(found)})


def made(data: bytes, kind: str) -> dict[str, tuple[bytes, dict[str, Any]]]:
    """The smaller pictures by their names (keys.VARIANTS), each with what is told of it; none where it cannot be opened."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = IMAGE_PIXELS  # the library warns of more, and refuses twice as many
    found: dict[str, tuple[bytes, dict[str, Any]]] = {}
    try:
        with (
            catch_warnings(category=Image.DecompressionBombWarning, action="error"),
            Image.open(io.BytesIO(data), formats=[_FORMATS[kind]]) as opened,
        ):
            opened.draft("RGB", (IMAGE_PREVIEW_PIXELS, IMAGE_PREVIEW_PIXELS))  # a JPEG need not be unpacked in full
            upright = _plain(ImageOps.exif_transpose(opened))
            for size, pixels in _SIZES.items():
                for form in _MADE:
                    found[f"{size}.{form}"] = _smaller(upright, pixels, form)
    except (
        UnidentifiedImageError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
        OSError,
        ValueError,
        SyntaxError,
    ) as error:
        log.info("a picture cannot be opened", extra={"kind": type(error).__name__})
        return {}
    return found


def _plain(picture: "Image") -> "Image":
    """In colours that every format knows, see-through where the picture is."""
    if picture.mode.startswith("I"):  # 16 bits of grey; converting them cuts off what is over 255
        picture = picture.convert("I").point(lambda grey: grey / 256).convert("L")
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _smaller(picture: "Image", pixels: int, form: str) -> tuple[bytes, dict[str, Any]]:
    from PIL import Image

    name, kind, options = _MADE[form]
    small = picture.copy()
    small.thumbnail((pixels, pixels))
    if form == "jpg" and small.mode == "RGBA":  # no transparency there: what is see-through becomes white
        below = Image.new("RGB", small.size, "white")
        below.paste(small, mask=small.getchannel("A"))
        small = below
    out = io.BytesIO()
    small.save(out, name, **options)  # without the metadata of the original, where it was taken included
    content = out.getvalue()
    return content, {"type": kind, "width": small.width, "height": small.height, "size": len(content)}
