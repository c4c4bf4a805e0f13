"""Where webhooks may go: every address that is not an ordinary public host is refused, in every spelling."""

import ipaddress

import pytest

from sheaf.store import outbound
from sheaf.store.outbound import AddressRefused, checked_url, is_public

PRIVATE = [
    "0.0.0.0",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.170",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.175.48.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "2620:4f:8000::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.215.14",
    "172.15.0.1",
    "172.32.0.1",
    "192.167.0.1",
    "198.20.0.1",
    "100.63.0.1",
    "2606:4700:4700::1111",
    "2a00:1450:4001::1",
]
URLS = [
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "//example.com/",
    "example.com",
    "https://",
    "https://user@example.com/",
    "https://user:pw@example.com/",
    "https://example.com:8443/",
    "https://example.com:22/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://localhost/",
    "https://localhost./",
    "https://intranet/",
    "https://169.254.169.254/",
    "https://1.2.3.4/",
    "https://exa_mple.com/",
    "https://-a.com/",
    "https://a-.com/",
    "https://example.com:99999/",
    "https://example.c/",
    "https://１２７.0.0.1/",
    "https://ⓔxample.com/",
    "https://example.com\\@evil.com/",
    "https://example.com%00.evil.com/",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_refused_addresses(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url", [*URLS, "https://example.com/\r\nX: y", "https://example.com/" + "a" * 2_000, "https://exam ple.com/"]
)
def test_refused_urls(url: str) -> None:
    with pytest.raises(AddressRefused):
        checked_url(url, loopback=False)


@pytest.mark.parametrize(
    "url", ["https://example.com", "https://hooks.example.co.uk:443/a?b=c", "https://xn--bcher-kva.example/"]
)
def test_good_urls(url: str) -> None:
    assert checked_url(url, loopback=False)


def test_loopback_only_where_the_stage_allows_it() -> None:
    assert checked_url("http://127.0.0.1:8000/hook", loopback=True)
    for url in ("http://127.0.0.2:8000/", "http://example.com/", "http://10.0.0.1/"):
        with pytest.raises(AddressRefused):
            checked_url(url, loopback=True)


@pytest.mark.parametrize(
    ("answers", "good"), [(["8.8.8.8"], True), (["8.8.8.8", "127.0.0.1"], False), (["10.0.0.1"], False), (["::1"], False)]
)
def test_one_bad_address_of_a_name_refuses_it(monkeypatch: pytest.MonkeyPatch, answers: list[str], good: bool) -> None:
    found = [(0, 1, 6, "", (address, 443)) for address in answers]
    monkeypatch.setattr(outbound.socket, "getaddrinfo", lambda *_, **__: found)
    if good:
        assert outbound.resolve("hooks.example.com", 443, loopback=False) == answers[0]
    else:
        with pytest.raises(AddressRefused):
            outbound.resolve("hooks.example.com", 443, loopback=False)
