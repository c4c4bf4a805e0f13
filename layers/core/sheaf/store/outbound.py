"""The one way out to addresses that tenants name: resolve once, check every address, connect to the checked one.

No redirects, one deadline, a bounded answer, ports 443 only (any on loopback where the stage allows it).
"""

import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import urllib3

from sheaf.base.bounds import WEBHOOK_ANSWER_BYTES, WEBHOOK_TIMEOUT_SECONDS

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# `is_global` alone lets NAT64, 6to4, Teredo, multicast and others through, behind which private hosts can stand.
_FORBIDDEN = [
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
]  # fmt: skip
_GLOBAL_6 = ipaddress.ip_network("2000::/3")  # everything else of IPv6 is special: loopback, mapped, NAT64, ULA, …
_FORBIDDEN_6 = [
    ipaddress.ip_network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
]
_HOST = re.compile(r"(?=.{1,253}\.?$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]\.?", re.IGNORECASE)
_LOOPBACK_HOSTS = ("localhost", "127.0.0.1")


class AddressRefused(ValueError):
    """The URL is not one that may be called; the message says why, in words for its owner."""


class SendError(Exception):
    """No answer: the name is unknown, the connection or TLS failed, or the deadline passed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other side said."""

    status: int
    headers: Mapping[str, str]
    body: bytes  # at most WEBHOOK_ANSWER_BYTES


def checked_url(url: str, *, loopback: bool) -> SplitResult:
    """The parts of a URL that may be called; raises AddressRefused. The name is not resolved yet."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise AddressRefused("is not a URL") from None
    if len(url) > 2_000 or not url.isascii() or any(ord(letter) <= 32 for letter in url):
        raise AddressRefused("must be plain ASCII of at most 2,000 characters")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise AddressRefused("must not carry a user name or a password")
    if loopback and host in _LOOPBACK_HOSTS and parts.scheme in ("http", "https"):
        return parts
    if parts.scheme != "https":
        raise AddressRefused("must begin with https://")
    if port not in (None, 443):
        raise AddressRefused("must use port 443")
    if not _HOST.fullmatch(host):
        raise AddressRefused("must name a public host")
    return parts


def is_public(address: Address) -> bool:
    """Whether this is an ordinary host of the public internet."""
    if isinstance(address, ipaddress.IPv6Address):
        return address in _GLOBAL_6 and not any(address in network for network in _FORBIDDEN_6)
    return not any(address in network for network in _FORBIDDEN)


def resolve(host: str, port: int, *, loopback: bool) -> str:
    """The address to connect to; raises AddressRefused if any of the name's addresses is not public."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SendError(f"the name {host} cannot be resolved") from error
    addresses = [ipaddress.ip_address(str(entry[4][0])) for entry in found]
    local = loopback and host in _LOOPBACK_HOSTS
    for address in addresses:
        if not (is_public(address) or (local and address.is_loopback)):
            raise AddressRefused(f"{host} resolves to an address that is not public")
    return str(addresses[0])


def post(url: str, body: bytes, headers: Mapping[str, str], *, loopback: bool) -> Answer:
    """POST to a checked and pinned address; raises AddressRefused or SendError."""
    return _send("POST", url, body, headers, loopback=loopback)


def get(url: str, headers: Mapping[str, str], *, loopback: bool) -> Answer:
    """GET from a checked and pinned address; raises AddressRefused or SendError."""
    return _send("GET", url, None, headers, loopback=loopback)


def _send(method: str, url: str, body: bytes | None, headers: Mapping[str, str], *, loopback: bool) -> Answer:
    started = time.monotonic()
    parts = checked_url(url, loopback=loopback)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = resolve(host, port, loopback=loopback)
    timeout = urllib3.Timeout(total=WEBHOOK_TIMEOUT_SECONDS)
    pool: urllib3.HTTPConnectionPool
    if parts.scheme == "https":
        pool = urllib3.HTTPSConnectionPool(
            address, port, timeout=timeout, server_hostname=host, assert_hostname=host, ssl_context=ssl.create_default_context()
        )
    else:
        pool = urllib3.HTTPConnectionPool(address, port, timeout=timeout)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with pool:
            answer = pool.urlopen(
                method,
                target,
                body=body,
                headers={"Host": parts.netloc, **headers},
                redirect=False,
                retries=False,
                preload_content=False,
            )
            text = _bounded(answer, started + WEBHOOK_TIMEOUT_SECONDS)
            answer.close()
            return Answer(answer.status, dict(answer.headers), text)
    except urllib3.exceptions.HTTPError as error:
        raise SendError(_reason(error)) from error


def _bounded(answer: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    text = b""
    while len(text) < WEBHOOK_ANSWER_BYTES and (piece := answer.read1(WEBHOOK_ANSWER_BYTES - len(text))):
        text += piece
        if time.monotonic() > deadline:
            raise SendError("the deadline passed while the answer was coming")
    return text


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    match error:
        case urllib3.exceptions.NewConnectionError():  # a kind of TimeoutError to urllib3, so it comes first
            return "the connection was refused"
        case urllib3.exceptions.TimeoutError():
            return f"no answer within {WEBHOOK_TIMEOUT_SECONDS} s"
        case urllib3.exceptions.SSLError():
            return "the TLS handshake failed"
    return "the connection broke"
