"""multipart/form-data (RFC 7578): a body into its fields, bytes as they are."""

from dataclasses import dataclass
from email.message import MIMEPart
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from sheaf.base.bounds import UPLOAD_FORM_PARTS
from sheaf.base.errors import BadRequest

MEDIA_TYPE = "multipart/form-data"
_OCTETS = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Part:
    """One field. `filename` is None where the client has not said that it is a file."""

    name: str
    filename: str | None
    type: str
    content: bytes


def parse(body: bytes, content_type: str) -> list[Part]:
    """The fields of a body, in their order; raises BadRequest for a body that is none or has more than UPLOAD_FORM_PARTS."""
    if "\r" in content_type or "\n" in content_type or not content_type.isascii():
        raise BadRequest("The Content-Type cannot be read")
    # The library's parser is for MIME as a whole, of which this is a part.
    whole = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    if not whole.get_boundary() or not whole.is_multipart() or whole.defects:
        raise BadRequest("The body is no multipart/form-data, or it ends too early")
    parts = list(whole.iter_parts())
    if len(parts) > UPLOAD_FORM_PARTS:
        raise BadRequest(f"The body has {len(parts)} fields; {UPLOAD_FORM_PARTS} is the most")
    return [found for part in parts if (found := _part(part)) is not None]


def _part(part: "MIMEPart[Any, Any]") -> Part | None:
    name = part.get_param("name", header="content-disposition")
    if not isinstance(name, str) or part.get_content_disposition() != "form-data":
        return None
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        raise BadRequest(f"The field {name[:80]!r} holds a message of its own and no file")
    return Part(name, part.get_filename(), part.get_content_type() if "content-type" in part else _OCTETS, content)
