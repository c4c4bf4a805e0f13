"""Allow-lists of network addresses: single ones and CIDR blocks, of either family."""

from collections.abc import Collection

from sheaf.base.bounds import ADDRESSES


def read(value: object) -> tuple[frozenset[str], str | None]:
    """The networks of a request's list (null: none) in their usual form, and what is wrong with it."""
    from ipaddress import ip_network

    if value is None:
        return frozenset(), None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        return frozenset(), "must be a list of addresses or CIDR blocks"
    if not 1 <= len(value) <= ADDRESSES:
        return frozenset(), f"must hold 1 to {ADDRESSES}; null takes the bound away"
    found = set()
    for each in value:
        try:
            found.add(str(ip_network(each.strip()[:50])))
        except ValueError:
            return frozenset(), f"{each[:50]!r} is no address or CIDR block (its host bits must be zero)"
    return frozenset(found), None


def holds(networks: Collection[str], address: str) -> bool:
    """Whether the address is in one of the networks."""
    from ipaddress import ip_address, ip_network

    try:
        asked = ip_address(address)
    except ValueError:
        return False  # the gateway always says; what it does not say is not allowed
    return any(asked in ip_network(each) for each in networks)


def within(inner: Collection[str], outer: Collection[str]) -> bool:
    """Whether every one of the networks lies in one of the others."""
    from ipaddress import ip_network

    wide = [ip_network(each) for each in outer]
    found = [ip_network(each) for each in inner]
    return all(any(one.version == other.version and one.subnet_of(other) for other in wide) for one in found)  # type: ignore[arg-type]
