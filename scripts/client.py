"""A plain HTTP client of the API, and a local webhook receiver: what the tour and the end-to-end tests drive Sheaf with."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

import urllib3

Found = TypeVar("Found")


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        """The `data` of the envelope; raises KeyError, with what was answered, where there is none."""
        found = self.json
        if "data" not in found:
            raise KeyError(f"no data, but {self.status}: {self.body.decode()}")
        return found["data"]


class Client:
    """Calls with one credential; redirects are not followed."""

    def __init__(self, base_url: str, credential: str | None = None) -> None:
        self.base_url = base_url
        self._credential = credential
        self._pool = urllib3.PoolManager(maxsize=32, retries=False, timeout=urllib3.Timeout(total=180))

    def call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One call; `body` is sent as JSON, bytes as they are."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if self._credential:
            sent.setdefault("Authorization", f"Bearer {self._credential}")
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        answer = self._pool.request(method, f"{self.base_url}{path}", body=raw, headers=sent, redirect=False)
        return Answer(answer.status, answer.headers, answer.data)

    def get(self, path: str) -> Answer:
        """GET."""
        return self.call("GET", path)

    def post(self, path: str, body: Any) -> Answer:
        """POST."""
        return self.call("POST", path, body)


def fetch(url: str) -> Answer:
    """GET a presigned link."""
    answer = urllib3.request("GET", url, redirect=False, retries=False)
    return Answer(answer.status, answer.headers, answer.data)


def send_form(upload: Mapping[str, Any], content: bytes) -> Answer:
    """Send a file with a presigned POST."""
    fields = {**upload["fields"], "file": ("file", content)}
    answer = urllib3.request("POST", upload["url"], fields=fields, redirect=False, retries=False)
    return Answer(answer.status, answer.headers, answer.data)


def until(look: Callable[[], Found | None], seconds: float = 60, pause: float = 0.1) -> Found:
    """What `look` returns once it returns something; TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(pause)
    raise TimeoutError(f"nothing within {seconds:g} s")


@dataclass
class Receiver:
    """An HTTP server on loopback that keeps what it gets. `answers` are the statuses to give, the last one for ever."""

    answers: list[int] = field(default_factory=lambda: [200])
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)  # of every answer
    text: bytes = b""

    def __enter__(self) -> "Receiver":
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.answers[min(len(receiver.received), len(receiver.answers) - 1)]
                receiver.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(receiver.text)))
                self.end_headers()
                self.wfile.write(receiver.text)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"
