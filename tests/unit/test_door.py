"""The way out, against real servers on loopback that do what a bad receiver does."""

import datetime
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import world
from sheaf.base.config import config
from sheaf.store import outbound
from sheaf.store.addresses import AddressRefused
from sheaf.store.outbound import Door, SendError

Script = Callable[[socket.socket], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in world.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    config.cache_clear()
    monkeypatch.setattr(outbound, "WEBHOOK_TIMEOUT_SECONDS", 0.5)


@contextmanager
def server(script: Script) -> Iterator[Any]:
    """A server that runs `script` on each connection; its `url`, `port` and how many connections it `accepted`."""
    listening = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    class Told:
        port = listening.getsockname()[1]
        url = f"http://127.0.0.1:{port}/hook"
        accepted = 0

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            Told.accepted += 1
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    def talk(connection: socket.socket) -> None:
        with connection:
            try:
                script(connection)
            except OSError:
                return  # the other side has hung up

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield Told
    finally:
        over.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def request_of(connection: socket.socket) -> bytes:
    """One request with its body."""
    found = b""
    while b"\r\n\r\n" not in found:
        piece = connection.recv(65_536)
        if not piece:
            return b""
        found += piece
    head, _, body = found.partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), 0)
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def answering(*pieces: bytes, pause: float = 0) -> Script:
    def script(connection: socket.socket) -> None:
        while request_of(connection):
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)

    return script


def post(url: str, door: Door | None = None) -> outbound.Answer:
    if door is not None:
        return door.call("POST", url, b"{}", {"x-a": "b"})
    with Door() as made:
        return made.call("POST", url, b"{}", {"x-a": "b"})


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [(OK, 200, b"ok"), (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""), (b"HTTP/1.0 500 No\r\n\r\nbroken", 500, b"broken"),
     (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, b"ok"),
     (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 302, b""),
     (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok")],
)  # fmt: skip
def test_answers(sent: bytes, status: int, body: bytes) -> None:
    def script(connection: socket.socket) -> None:
        request_of(connection)
        connection.sendall(sent)

    with server(script) as one:
        answer = post(one.url)
        assert (answer.status, answer.body, one.accepted) == (status, body, 1)


def drip(first: bytes, every: bytes) -> Script:
    def script(connection: socket.socket) -> None:
        request_of(connection)
        connection.sendall(first)
        while True:
            time.sleep(0.05)
            connection.sendall(every)

    return script


@pytest.mark.parametrize(
    ("first", "every"),
    [(b"", b""), (b"HTTP/1.1 200 OK\r\n", b"x-a: b\r\n"), (b"H", b"T"), (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
     (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b"x"),
     (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"), (b"HTTP/1.1 200 OK\r\n\r\n", b"x")],
    ids=["silence", "headers", "the first line", "100 for ever", "the body", "chunks", "a body without an end"],
)  # fmt: skip
def test_whoever_drips_is_cut_off_at_the_deadline(first: bytes, every: bytes) -> None:
    with server(drip(first, every)) as one:
        started = time.monotonic()
        with pytest.raises(SendError, match="no answer within"):
            post(one.url)
        assert 0.4 < time.monotonic() - started < 1.0


def test_a_name_that_is_not_resolved_is_cut_off_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound.socket, "getaddrinfo", lambda *_, **__: time.sleep(3) or [])
    started = time.monotonic()
    with pytest.raises(SendError, match="was not resolved within"):
        post("https://hooks.example.com/")
    assert time.monotonic() - started < 1.0


def test_a_gigabyte_is_read_for_sixteen_kilobytes() -> None:
    def script(connection: socket.socket) -> None:
        request_of(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        for _ in range(1_000):
            connection.sendall(b"x" * 1_000_000)

    with server(script) as one:
        answer = post(one.url)
        assert (answer.status, len(answer.body)) == (200, 16_384)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [(b"hello\r\n", "not HTTP"), (b"", "broke"), (b"HTTP/1.1 9999 x\r\n\r\n", "not HTTP"), (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n", "not HTTP"),
     (b"HTTP/1.1 200 OK\r\na: " + b"x" * 70_000, "not HTTP"), (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "not HTTP")],
)  # fmt: skip
def test_an_answer_that_is_none_is_a_failure_with_a_reason(sent: bytes, reason: str) -> None:
    def script(connection: socket.socket) -> None:
        request_of(connection)
        connection.sendall(sent)

    with server(script) as one, pytest.raises(SendError, match=reason):
        post(one.url)


def test_a_refused_connection() -> None:
    with pytest.raises(SendError, match="refused"):
        post("http://127.0.0.1:1/")


def test_one_connection_serves_the_calls_of_a_door() -> None:
    with server(answering(OK)) as one:
        with Door() as door:
            for _ in range(20):
                assert post(one.url, door).body == b"ok"
        assert one.accepted == 1


def test_a_connection_that_was_closed_while_idle_is_made_anew() -> None:
    def script(connection: socket.socket) -> None:
        request_of(connection)
        connection.sendall(OK)

    with server(script) as one, Door() as door:
        for _ in range(5):
            assert post(one.url, door).body == b"ok"
            time.sleep(0.02)
        assert one.accepted == 5


def test_what_stays_unread_is_never_the_next_answer() -> None:
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n" + b"HTTP/1.1 299 X\r\nContent-Length: 0\r\n\r\n" * 2_000
    with server(answering(long[:40_100])) as one, Door() as door:
        assert [post(one.url, door).status for _ in range(3)] == [200, 200, 200]
        assert one.accepted == 3


# ---- names: an attacker's name server, and TLS ----


def named(monkeypatch: pytest.MonkeyPatch, *rounds: list[str]) -> list[str]:
    """Let every name resolve to the addresses of the next round, the last one for ever; the names that were asked for."""
    asked: list[str] = []

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(0, 1, 6, "", (address, port)) for address in rounds[min(len(asked), len(rounds)) - 1]]

    monkeypatch.setattr(outbound.socket, "getaddrinfo", look_up)
    return asked


@pytest.mark.parametrize(
    "answers", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["169.254.169.254"], ["::1"], ["fd00:ec2::254"], ["64:ff9b::7f00:1"]]
)
def test_no_name_leads_inside(monkeypatch: pytest.MonkeyPatch, answers: list[str]) -> None:
    named(monkeypatch, answers)
    with server(answering(OK)) as one:
        monkeypatch.setenv("SHEAF_WEBHOOK_PORTS", f"443,{one.port}")
        config.cache_clear()
        with pytest.raises(AddressRefused):
            post(f"https://rebound.example.com:{one.port}/")
        assert one.accepted == 0


def test_rebinding_meets_one_look_up_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = named(monkeypatch, ["192.0.2.255"], ["127.0.0.1"])
    called: list[Any] = []

    def dial(address: str, port: int, _: float) -> socket.socket:
        called.append((address, port))
        raise ConnectionRefusedError

    monkeypatch.setattr(outbound, "_dialled", dial)
    monkeypatch.setattr("sheaf.store.addresses.is_public", lambda address: not address.is_loopback)
    with pytest.raises(SendError, match="refused"):
        post("https://rebound.example.com/")
    assert (asked, called) == (["rebound.example.com"], [("192.0.2.255", 443)])


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for a name, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    )  # fmt: skip
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return public, private


@pytest.mark.parametrize(
    ("of", "trusted", "reason"),
    [
        ("hooks.example.com", True, ""),
        ("hooks.example.com", False, "self-signed"),
        ("other.example.com", True, "Hostname mismatch"),
    ],
)
def test_tls_is_to_the_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, of: str, trusted: bool, reason: str) -> None:
    public, private = certificate(tmp_path, of)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(public, private)
    seen: list[str | None] = []
    theirs.sni_callback = lambda _, name, __: seen.append(name)

    def script(connection: socket.socket) -> None:
        with theirs.wrap_socket(connection, server_side=True) as wrapped:
            answering(OK)(wrapped)

    ours = ssl.create_default_context(cafile=str(public) if trusted else None)
    monkeypatch.setattr(outbound, "_tls", lambda: ours)
    monkeypatch.setattr("sheaf.store.addresses.is_public", lambda _: True)
    named(monkeypatch, ["127.0.0.1"])
    with server(script) as one:
        monkeypatch.setenv("SHEAF_WEBHOOK_PORTS", str(one.port))
        config.cache_clear()
        url = f"https://hooks.example.com:{one.port}/"
        if reason:
            with pytest.raises(SendError, match=reason):
                post(url)
        else:
            assert post(url).body == b"ok"
        assert seen == ["hooks.example.com"]


def test_a_handshake_that_never_ends_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(drip(b"", b"")) as one:
        started = time.monotonic()
        with pytest.raises(SendError, match="no answer within"):
            post(one.url.replace("http:", "https:"))
        assert time.monotonic() - started < 1.0
