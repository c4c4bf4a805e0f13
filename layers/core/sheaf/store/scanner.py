"""The scanner for malware, where the installation has one: clamd's INSTREAM command (https://docs.clamav.net/manual/Usage/Scanning.html)."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from struct import pack

from sheaf.base.bounds import SCAN_SECONDS
from sheaf.base.errors import Unavailable

_PIECE = 256 * 1024


class Scan:
    """One file on its way through the scanner. Without a scanner it takes everything and finds nothing."""

    def __init__(self, link: socket.socket | None) -> None:
        self._link = link
        self._answer = b""

    def feed(self, piece: bytes) -> None:
        """Hand on the next piece; raises Unavailable."""
        if self._link is None or self._answer:
            return
        try:
            for start in range(0, len(piece), _PIECE):
                part = piece[start : start + _PIECE]
                self._link.sendall(pack("!I", len(part)) + part)
        except OSError as error:
            # It hangs up on what is too large for it, after it has said so.
            self._answer = self._read()
            if not self._answer:
                raise Unavailable("The scanner does not answer; the file is looked at again later") from error

    def result(self) -> str | None:
        """What was found, None where nothing was; raises Unavailable for no answer, or for one that is neither."""
        if self._link is None:
            return None
        if not self._answer:
            try:
                self._link.sendall(pack("!I", 0))
            except OSError as error:
                raise Unavailable("The scanner does not answer; the file is looked at again later") from error
            self._answer = self._read()
        text = self._answer.rstrip(b"\0\n").decode("utf-8", "replace").removeprefix("stream: ")
        if text == "OK":
            return None
        if text.endswith(" FOUND"):
            return text.removesuffix(" FOUND")[:200]
        if "size limit exceeded" in text:
            return "a file that is too large to be scanned"
        raise Unavailable(f"The scanner has answered {text[:100]!r}")

    def _read(self) -> bytes:
        found = b""
        if self._link is None:
            return found
        try:
            while not found.endswith((b"\0", b"\n")) and len(found) < 4_096 and (piece := self._link.recv(4_096)):
                found += piece
        except OSError:
            return b""
        return found


@contextmanager
def scan(address: str) -> Iterator[Scan]:
    """A scan at `host:port`, "none" for none at all; raises Unavailable where the scanner is away."""
    if address == "none":
        yield Scan(None)
        return
    host, _, port = address.rpartition(":")
    try:
        link = socket.create_connection((host, int(port)), timeout=SCAN_SECONDS)
        link.sendall(b"zINSTREAM\0")
    except OSError as error:
        raise Unavailable("The scanner does not answer; the file is looked at again later") from error
    with link:
        yield Scan(link)
