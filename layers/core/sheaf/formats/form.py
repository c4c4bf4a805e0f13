"""multipart/form-data (RFC 7578): a body into its fields, bytes as they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.policy import HTTP

from sheaf.base.bounds import UPLOAD_FORM_PARTS
from sheaf.base.errors import BadRequest

MEDIA_TYPE = "multipart/form-data"
_OCTETS = "application/octet-stream"
_HEAD_BYTES = 8_192  # of one field's headers
_BROKEN = "The body is no multipart/form-data, or it ends too early"


@dataclass(frozen=True, slots=True)
class Part:
    """One field. `filename` is None where the client has not said that it is a file."""

    name: str
    filename: str | None
    type: str
    content: bytes


def parse(body: bytes, content_type: str) -> list[Part]:
    """The fields of a body, in their order; raises BadRequest for a body that is none or has more than UPLOAD_FORM_PARTS."""
    found: list[Part] = []
    for number, raw in enumerate(_cut(body, boundary_of(content_type))):
        if number == UPLOAD_FORM_PARTS:
            raise BadRequest(f"The body has more than {UPLOAD_FORM_PARTS} fields")
        if (part := _part(raw)) is not None:
            found.append(part)
    return found


def boundary_of(content_type: str) -> bytes:
    """What parts the fields; raises BadRequest."""
    head = Message()
    try:
        head["Content-Type"] = content_type.encode("ascii").decode()
        text = head.get_boundary() or ""
    except (UnicodeError, ValueError):
        raise BadRequest("The Content-Type cannot be read") from None
    if not 1 <= len(text) <= 200 or not text.isascii() or not text.isprintable():  # RFC 2046, 5.1.1, says 70
        raise BadRequest("The Content-Type names no boundary")
    return text.encode()


def _cut(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """The parts between the delimiters; raises BadRequest where the last one is missing."""
    delimiter = b"\r\n--" + boundary
    body = b"\r\n" + body  # the first delimiter needs no line before it
    begun, at = -1, body.find(delimiter)
    while at >= 0:
        after = at + len(delimiter)
        line = body[after : after + 100].partition(b"\r\n")[0].strip(b" \t")
        if line not in (b"", b"--"):
            at = body.find(delimiter, at + 2)  # a longer word that begins like the boundary: content
            continue
        if begun >= 0:
            yield body[begun:at]
        if line == b"--":
            return
        begun = body.find(b"\r\n", after) + 2
        at = body.find(delimiter, begun - 2)
    raise BadRequest(_BROKEN)


def _part(raw: bytes) -> Part | None:
    head, mark, content = raw.partition(b"\r\n\r\n") if not raw.startswith(b"\r\n") else (b"", b"\r\n", raw[2:])
    if not mark or len(head) > _HEAD_BYTES:
        raise BadRequest(_BROKEN)
    told = message_from_bytes(head + b"\r\n\r\n", policy=HTTP)
    name = told.get_param("name", header="content-disposition")
    if not isinstance(name, str) or told.get_content_disposition() != "form-data":
        return None
    kind = told.get_content_type() if "content-type" in told else _OCTETS
    return Part(name, told.get_filename(), kind, content)
