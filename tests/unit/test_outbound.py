"""Where webhooks may go: every address that is not an ordinary public host is refused, in every spelling."""

import ipaddress

import pytest

from sheaf.store.addresses import AddressRefused, checked_url, is_public, permitted

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
    "https://127.0.0.1:443/",
    "https://127.000.000.001/",
    "https://127.0.1/",
    "https://127.0.0.1./",
    "https://0/",
    "https://0.0.0.0/",
    "https://0x7f.1/",
    "https://0x7F000001./",
    "https://017700000001/",
    "https://00000177.0.0.1/",
    "https://1/",
    "https://10.1/",
    "https://3232235777/",
    "https://0xc0a80101/",
    "https://192.168.257/",
    "https://[::]/",
    "https://[::127.0.0.1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fd00:ec2::254]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2606:4700:4700::1111]/",
    "https://8.8.8.8/",
    "https://169.254.170.2/v2/credentials",
    "https://metadata/",
    "https://LOCALHOST/",
    "https://example/",
    "https://example.123/",
    "https://example.0x1/",
    "https://.example.com/",
    "https://example..com/",
    "https://exam\tple.com/",
    "https://example.com\x7f/",
    "https://%31%32%37.0.0.1/",
    "https://127。0。0。1/",
    "https://①②⑦.⓪.⓪.①/",
    "https://localhost#@example.com/",
    "https://example.com:80@127.0.0.1/",
    "https://@127.0.0.1/",
    "https://:@example.com/",
    "https://example.com:0/",
    "https://example.com:-1/",
    "https://example.com:443x/",
    "https://example.com:6379/",
    "https:///example.com/",
    "https:example.com",
    "https://?/",
    "HTTP://example.com/",
    "ws://example.com/",
    "gopher://example.com/_x",
    "data:text/plain,x",
    "",
    " ",
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


@pytest.mark.parametrize(("port", "good"), [("", True), (":443", True), (":8443", True), (":80", False), (":22", False)])
def test_the_ports_are_those_of_the_template(port: str, good: bool) -> None:
    url = f"https://example.com{port}/"
    if good:
        assert checked_url(url, loopback=False, ports=(443, 8443))
    else:
        with pytest.raises(AddressRefused, match="443 or 8443"):
            checked_url(url, loopback=False, ports=(443, 8443))


@pytest.mark.parametrize(
    ("answers", "good"),
    [(["8.8.8.8"], True), (["2606:4700:4700::1111", "8.8.8.8"], True), (["8.8.8.8", "127.0.0.1"], False), (["10.0.0.1"], False),
     (["::1"], False), (["8.8.8.8", "::ffff:10.0.0.1"], False), ([], False)],
)  # fmt: skip
def test_one_bad_address_of_a_name_refuses_it(answers: list[str], good: bool) -> None:
    if good:
        assert permitted("hooks.example.com", answers, loopback=False) == sorted(answers, key=lambda each: ":" in each)
    else:
        with pytest.raises(AddressRefused):
            permitted("hooks.example.com", answers, loopback=True)


def test_loopback_is_permitted_to_its_own_names_alone() -> None:
    assert permitted("localhost", ["127.0.0.1", "::1"], loopback=True) == ["127.0.0.1", "::1"]
    for name in ("rebound.example.com", "localhost.example.com"):
        with pytest.raises(AddressRefused):
            permitted(name, ["127.0.0.1"], loopback=True)
