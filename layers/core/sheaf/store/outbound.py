"""The one way out to addresses that tenants name: resolve once, check every address, connect to a checked one.

No redirects, no proxies, a bounded answer, and one deadline from the look-up of the name to the last byte: every wait of a
connection is cut at the same moment, so a receiver that sends a byte now and then gains nothing by it.
"""

import io
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, parse_headers
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from urllib.parse import SplitResult

from sheaf.base.bounds import WEBHOOK_ANSWER_BYTES, WEBHOOK_TIMEOUT_SECONDS
from sheaf.base.config import config
from sheaf.store.addresses import checked_url, permitted, port_of

_INTERIM = 10  # answers (1xx) that may come before the final one


class SendError(Exception):
    """No answer: the name is unknown, the connection or TLS failed, or the deadline passed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other side said."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes  # at most WEBHOOK_ANSWER_BYTES


class Door:
    """Calls to one URL after the other; connections stay open for the next call until the `with` block ends.

    For any number of threads. A door is one tenant's: what one receiver does to a connection, no other tenant meets.
    """

    def __init__(self) -> None:
        self._idle: dict[tuple[str, str, int], SimpleQueue[_Connection]] = {}

    def __enter__(self) -> "Door":
        return self

    def __exit__(self, *_: object) -> None:
        for idle in self._idle.values():
            while not idle.empty():
                idle.get().close()

    def call(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """One call; raises AddressRefused or SendError."""
        deadline = time.monotonic() + WEBHOOK_TIMEOUT_SECONDS
        loopback = config().webhook_loopback
        parts = checked_url(url, loopback=loopback, ports=config().webhook_ports)
        place = (parts.scheme, parts.hostname or "", port_of(parts))
        idle = self._idle.setdefault(place, SimpleQueue())
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        sent = {"Host": parts.netloc, "Accept-Encoding": "identity", **headers}
        try:
            kept = _next(idle, deadline)
            if kept is not None:
                try:
                    return self._exchange(kept, idle, (method, target, body, sent))
                except ConnectionError:
                    pass  # it was closed while it lay idle; nothing was answered, and receivers know an event by its id
            fresh = _Connection(parts, deadline)
            fresh.open(_resolved(place[1], place[2], deadline, loopback=loopback))
            return self._exchange(fresh, idle, (method, target, body, sent))
        except (OSError, HTTPException, UnicodeError) as error:
            raise SendError(_reason(error)) from error

    def _exchange(self, connection: "_Connection", idle: "SimpleQueue[_Connection]", call: tuple[Any, ...]) -> Answer:
        method, target, body, headers = call
        try:
            connection.request(method, target, body=body, headers=headers)
            answer = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        try:
            text = answer.read(WEBHOOK_ANSWER_BYTES)
        except (OSError, HTTPException) as error:
            connection.close()
            raise SendError(f"{_reason(error)}, in the middle of the answer") from error
        if _is_over(answer):
            idle.put(connection)
        else:
            connection.close()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, text)


def get(url: str, headers: Mapping[str, str]) -> Answer:
    """GET from a checked and pinned address; raises AddressRefused or SendError."""
    with Door() as door:
        return door.call("GET", url, None, headers)


class _Response(HTTPResponse):
    """An answer behind any number of interim ones (1xx), of which http.client knows 100 alone (RFC 9110, 15.2)."""

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_INTERIM):
            version, status, reason = super()._read_status()  # type: ignore[misc]  # which the stubs leave out
            if not 100 < status < 200:
                return version, status, reason
            parse_headers(self.fp)
        raise HTTPException("too many interim answers")


class _Connection(HTTPConnection):
    """A connection to an address that was checked, with TLS to the name, whose waits all end at `deadline`."""

    response_class = _Response

    def __init__(self, parts: SplitResult, deadline: float) -> None:
        super().__init__(parts.hostname or "", port_of(parts))
        self.deadline = deadline
        self._tls = parts.scheme == "https"

    def open(self, addresses: list[str]) -> None:
        """Connect to the first of the addresses that answers."""
        for number, address in enumerate(addresses, 1):
            try:
                raw = _dialled(address, self.port, self.left())
                break
            except OSError:
                if number == len(addresses) or self.left() <= 0:
                    raise
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.settimeout(self.left())
            wrapped = _tls().wrap_socket(raw, server_hostname=self.host) if self._tls else raw
        except BaseException:
            raw.close()
            raise
        self.sock = _Timed(wrapped, self)  # the three methods that http.client uses

    def connect(self) -> None:
        """Nothing is ever connected to but what `open` was given."""
        raise ConnectionError("the connection is closed")

    def left(self) -> float:
        """Seconds to the deadline; raises TimeoutError when there are none."""
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds


class _Timed:
    """A socket whose every wait ends at its connection's deadline. Like any socket it closes when its last reader has."""

    def __init__(self, wrapped: socket.socket, connection: _Connection) -> None:
        self._wrapped = wrapped
        self._connection = connection
        self._readers = 0
        self._closing = False

    def sendall(self, data: Any) -> None:
        self._wrapped.settimeout(self._connection.left())
        self._wrapped.sendall(data)

    def makefile(self, *_: object) -> io.BufferedReader:
        self._readers += 1
        return io.BufferedReader(_Reader(self))

    def recv_into(self, buffer: Any) -> int:
        self._wrapped.settimeout(self._connection.left())
        return self._wrapped.recv_into(buffer)

    def close(self) -> None:
        self._closing = True
        if not self._readers:
            self._wrapped.close()

    def leave(self) -> None:
        self._readers -= 1
        if self._closing:
            self.close()


class _Reader(io.RawIOBase):
    def __init__(self, source: _Timed) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._source.recv_into(buffer)

    def close(self) -> None:
        if not self.closed:
            self._source.leave()
        super().close()


def _dialled(address: str, port: int, seconds: float) -> socket.socket:
    """A connection to a literal address: nothing is looked up any more."""
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        made.settimeout(seconds)
        made.connect((address, port))
    except BaseException:
        made.close()
        raise
    return made


def _next(idle: "SimpleQueue[_Connection]", deadline: float) -> _Connection | None:
    try:
        connection = idle.get_nowait()
    except Empty:
        return None
    connection.deadline = deadline
    return connection


def _resolved(host: str, port: int, deadline: float, *, loopback: bool) -> list[str]:
    """The addresses of a name, each of them checked. The look-up knows no deadline, so it has a thread of its own."""
    answers: SimpleQueue[list[str] | OSError | UnicodeError] = SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put([str(entry[4][0]).partition("%")[0] for entry in found])
        except (OSError, UnicodeError) as error:
            answers.put(error)

    Thread(target=look_up, daemon=True).start()
    try:
        answer = answers.get(timeout=max(0, deadline - time.monotonic()))
    except Empty:
        raise SendError(f"the name {host} was not resolved within {WEBHOOK_TIMEOUT_SECONDS} s") from None
    if isinstance(answer, Exception):
        raise SendError(f"the name {host} cannot be resolved") from answer
    return permitted(host, answer, loopback=loopback)


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()  # reads all authorities, which takes 20 ms


def _is_over(answer: HTTPResponse) -> bool:
    """Whether the answer was read to its end and the connection can be used again."""
    return answer.isclosed() and not answer.will_close


def _reason(error: Exception) -> str:
    match error:
        case TimeoutError():
            return f"no answer within {WEBHOOK_TIMEOUT_SECONDS} s"
        case ssl.SSLCertVerificationError():
            return f"the certificate is not valid: {error.verify_message}"[:200]
        case ssl.SSLError():
            return "the TLS handshake failed"
        case ConnectionRefusedError():
            return "the connection was refused"
        case HTTPException() if not isinstance(error, OSError):
            return "the answer is not HTTP"
    return "the connection broke"
