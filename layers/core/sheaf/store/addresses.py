"""Which addresses of the world may be called on behalf of a tenant: ordinary public hosts, and nothing else.

Names are checked as text first, and every address that a name resolves to before one of them is connected to.
"""

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from sheaf.base.bounds import URL_CHARACTERS

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
_DEFAULT_PORTS = {"https": 443, "http": 80}


class AddressRefused(ValueError):
    """The URL is not one that may be called; the message says why, in words for its owner."""


def checked_url(url: str, *, loopback: bool, ports: tuple[int, ...] = (443,)) -> SplitResult:
    """The parts of a URL that may be called; raises AddressRefused. The name is not resolved yet.

    `loopback` lets http(s)://localhost and 127.0.0.1 through, on any port; everything else must be https on one of `ports`.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", port_of(parts)
    except ValueError:
        raise AddressRefused("is not a URL") from None
    if len(url) > URL_CHARACTERS or not url.isascii() or any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise AddressRefused(f"must be plain ASCII of at most {URL_CHARACTERS:,} characters")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise AddressRefused("must not carry a user name or a password")
    if loopback and host in _LOOPBACK_HOSTS and parts.scheme in _DEFAULT_PORTS:
        return parts
    if parts.scheme != "https":
        raise AddressRefused("must begin with https://")
    if port not in ports:
        raise AddressRefused(f"must use port {' or '.join(map(str, ports))}")
    if not _HOST.fullmatch(host):
        raise AddressRefused("must name a public host")
    return parts


def port_of(parts: SplitResult) -> int:
    """The port that a URL leads to; raises ValueError."""
    return _DEFAULT_PORTS.get(parts.scheme, 0) if parts.port is None else parts.port


def is_public(address: Address) -> bool:
    """Whether this is an ordinary host of the public internet."""
    if isinstance(address, ipaddress.IPv6Address):
        return address in _GLOBAL_6 and not any(address in network for network in _FORBIDDEN_6)
    return not any(address in network for network in _FORBIDDEN)


def permitted(host: str, found: Iterable[str], *, loopback: bool) -> list[str]:
    """The addresses that a name resolved to, IPv4 first; raises AddressRefused if any of them is not public."""
    addresses = [ipaddress.ip_address(text) for text in dict.fromkeys(found)]
    local = loopback and host in _LOOPBACK_HOSTS
    if not addresses or not all(is_public(address) or (local and address.is_loopback) for address in addresses):
        raise AddressRefused(f"{host} resolves to an address that is not public")
    return [str(address) for address in sorted(addresses, key=lambda each: each.version)]
