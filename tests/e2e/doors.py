"""The clients of four doors to one event log: pages, a stream, a socket and a webhook; each can be cut off at any moment."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import urllib3
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from client import Client

Event = dict[str, Any]


def walk(client: Client, after: str, query: str = "", limit: int = 100) -> tuple[list[Event], str]:
    """Every event behind a cursor, page by page, and the cursor behind the last one."""
    found: list[Event] = []
    while True:
        answer = client.get(f"/v1/events?limit={limit}&after={after}{query}")
        assert answer.status == 200, answer.body
        found += answer.data
        after = answer.json["meta"]["nextCursor"]
        if not answer.json["meta"]["hasMore"]:
            return found, after


class Stream:
    """What an EventSource does: ask, read, ask again with the last id, until it is closed."""

    def __init__(self, client: Client, path: str, after: str) -> None:
        self._client, self._path = client, path
        self.last, self.events, self.arrived = after, [], []  # type: ignore[var-annotated]
        self._over = False
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(total=30))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Cut the connection off, whatever it is doing."""
        self._over = True
        for pool in list(self._pool.pools._container.values()):  # type: ignore[attr-defined]
            _shut(pool)
        self._thread.join()

    def _run(self) -> None:
        while not self._over:
            headers = {"Authorization": f"Bearer {self._client._credential}", "Last-Event-ID": self.last}
            try:
                answer = self._pool.request("GET", f"{self._client.base_url}{self._path}", headers=headers)
            except urllib3.exceptions.HTTPError:
                continue
            if self._over:
                return  # what has come was not looked at any more
            assert answer.status == 200, answer.data
            pause = 0.0
            for event, last, retry in frames(answer.data.decode()):
                self.last, pause = last or self.last, retry or pause
                if event and event["type"] != "connected":
                    self.events.append(event)
                    self.arrived.append(time.perf_counter())
            time.sleep(min(pause, 1.0))


def _shut(pool: Any) -> None:
    for connection in list(pool.pool.queue):
        if connection is not None and (wire := getattr(connection, "sock", None)) is not None:
            wire.shutdown(socket.SHUT_RDWR)


def frames(text: str) -> Iterator[tuple[Event | None, str, float]]:
    """The frames of an answer: data, id, and the pause before the next request in seconds."""
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        yield (json.loads(fields["data"]) if "data" in fields else None), fields.get("id", ""), int(fields.get("retry", 0)) / 1000


class Socket:
    """A WebSocket with one subscription; what it hears is kept with its moments."""

    def __init__(self, url: str, credential: str, asked: dict[str, Any]) -> None:
        self.events: list[Event] = []
        self.arrived: list[float] = []
        self.others: list[Event] = []
        self.cursor = asked.get("after", "")
        self.messages = 0
        headers = {"Authorization": f"Bearer {credential}"}
        self._wire: ClientConnection = connect(url, additional_headers=headers, open_timeout=30, max_size=None, legacy=True)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        self.say({"action": "subscribe", **asked})

    def say(self, message: Any) -> None:
        self._wire.send(json.dumps(message))

    def close(self) -> None:
        """Cut the connection off, without a word."""
        self._wire.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def told(self, kind: str) -> Event | None:
        return next((each for each in self.others if each["type"] == kind), None)

    @property
    def is_open(self) -> bool:
        return self._thread.is_alive()

    def _listen(self) -> None:
        while True:
            try:
                message = json.loads(self._wire.recv())
            except (ConnectionClosed, WebSocketException, OSError, EOFError):
                return
            if message["type"] == "events":
                self.messages += 1
                self.events += [entry["event"] for entry in message["events"]]
                self.arrived += [time.perf_counter()] * len(message["events"])
                self.cursor = message["cursor"]
            else:
                self.others.append(message)
                self.cursor = message.get("cursor", self.cursor)
