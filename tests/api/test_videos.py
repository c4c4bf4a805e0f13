"""Videos by their addresses, asked for by oEmbed at a server that stands for YouTube and Vimeo."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import world
from sheaf.base.config import config
from sheaf.base.errors import ValidationFailed
from sheaf.features.bulk import videos

GOOD = [
    "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=5",
    "https://youtu.be/aaaaaaaaaaa",
    "https://vimeo.com/76979871",
    "https://m.youtube.com/shorts/bbbbbbbbbbb",
]


@contextmanager
def hosts(monkeypatch: pytest.MonkeyPatch, answer: Any = None) -> Iterator[list[str]]:
    """The two hosts; what they were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = parse_qs(urlsplit(self.path).query)["url"][0]
            asked.append(url)
            status, body = answer(url) if answer else (200, {"title": f"Video {url[-4:]}", "provider_name": "X", "duration": 61})
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name in ("YOUTUBE", "VIMEO"):
            monkeypatch.setenv(f"SHEAF_OEMBED_{name}", f"http://127.0.0.1:{server.server_address[1]}/{name.lower()}")
        config.cache_clear()
        yield asked
        server.shutdown()


def imported(sheaf: world.World, acme: world.Tenant, urls: Any) -> dict[str, Any]:
    answer = sheaf.http("POST", "/v1/import/videos", {"urls": urls}, key=acme.key)
    assert answer.status == 202, answer.text
    sheaf.settle()
    return dict(sheaf.http("GET", f"/v1/jobs/{answer.data['id']}", key=acme.key).data)


# contract: 123
def test_addresses_become_videos(sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    with hosts(monkeypatch) as asked:
        shown = imported(
            sheaf, acme, [*GOOD, "https://evil.example/watch?v=dQw4w9WgXcQ", {"url": GOOD[2] + "?x=1", "tags": ["a"]}]
        )
        assert shown["counts"] == {"total": 6, "created": 4, "updated": 0, "deleted": 0, "skipped": 1, "failed": 1}
    rows = {row["url"]: row for row in sheaf.http("GET", "/v1/videos", key=acme.key).data}
    assert set(rows) == {"https://www.youtube.com/watch?v=dQw4w9WgXcQ", "https://www.youtube.com/watch?v=aaaaaaaaaaa",
                         "https://vimeo.com/76979871", "https://www.youtube.com/watch?v=bbbbbbbbbbb"}  # fmt: skip
    assert (rows["https://vimeo.com/76979871"]["source"], rows["https://vimeo.com/76979871"]["duration_seconds"]) == ("vimeo", 61)
    assert rows["https://www.youtube.com/watch?v=dQw4w9WgXcQ"]["title"] == "Video gXcQ"
    assert not any("evil" in url for url in asked), "only the two hosts are ever asked"
    errors = sheaf.download(shown["errorsUrl"])
    assert "is no address of a video" in errors and "evil.example" in errors


@pytest.mark.parametrize(
    ("answer", "why"),
    [((404, b"Not Found"), "leads to no public video"), ((200, b"<html>"), "something else than JSON"), ((200, [1]), "something else than an object"),
     ((200, {"title": ""}), "without a title"), ((500, b""), "answered 500"), ((302, b""), "answered 302"), ((200, b'{"title": "' + b"x" * 50_000), "else than JSON")],
)  # fmt: skip
def test_whatever_a_host_answers_is_that_rows_result(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch, answer: Any, why: str
) -> None:
    with hosts(monkeypatch, lambda url: answer if "aaaa" in url else (200, {"title": "Good"})):
        shown = imported(sheaf, acme, GOOD[:2])
    assert (shown["status"], shown["counts"]["created"], shown["counts"]["failed"]) == ("succeeded", 1, 1), shown
    assert why in shown["errorGroups"][0]["error"]


@pytest.mark.parametrize(
    "url",
    ["", "x", "ftp://youtu.be/aaaaaaaaaaa", "https://youtube.com.evil.example/watch?v=aaaaaaaaaaa", "https://youtu.be/short", "https://www.youtube.com/",
     "https://vimeo.com/abc", "https://evil.example/vimeo.com/123", "http://[::1", "https://youtu.be@evil.example/aaaaaaaaaaa", "https://127.0.0.1/aaaaaaaaaaa"],
)  # fmt: skip
def test_what_is_no_address_of_a_video(url: str) -> None:
    with pytest.raises(ValidationFailed):
        videos.place(url)


@pytest.mark.parametrize(
    ("body", "status"), [({"urls": []}, 422), ({"urls": "x"}, 422), ({"urls": ["x"] * 501}, 413), ({"urls": ["x"], "y": 1}, 422)]
)
def test_a_malformed_request(sheaf: world.World, acme: world.Tenant, body: Any, status: int) -> None:
    assert sheaf.http("POST", "/v1/import/videos", body, key=acme.key).status == status


def test_videos_are_imported_like_other_rows_too(sheaf: world.World, acme: world.Tenant) -> None:
    assert sheaf.http("POST", "/v1/import/videos", {"items": [{"title": "V"}]}, key=acme.key).data["created"] == 1
