"""The example pages at the origin that the local stack's CorsOrigins names."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import template

ORIGIN = "http://localhost:3000"
FOLDER = template.ROOT / "docs/examples"


class Quiet(SimpleHTTPRequestHandler):
    """The folder of the examples, as `python3 -m http.server` serves it."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given, directory=str(FOLDER))

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def served() -> Iterator[None]:
    """A real server: a browser knows a page on loopback from one that only says so."""
    with ThreadingHTTPServer(("127.0.0.1", 3000), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()
