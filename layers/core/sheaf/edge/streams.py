"""Server-sent events (WHATWG HTML, 9.2) in one answer: what is there, and when to ask again.

Python functions cannot send while they work. So a stream is a row of answers; the browser's EventSource asks again by itself and
says what it has got last (`Last-Event-ID`), so nothing is missed in between.
"""

from collections.abc import Iterable

from sheaf.access.tickets import continuation
from sheaf.base.bounds import STREAM_FULL_RETRY_MS, STREAM_RETRY_MS
from sheaf.edge.envelope import Raw, Reply, json_text
from sheaf.edge.request import Request
from sheaf.entity import registry
from sheaf.features.realtime import cursors, wanted
from sheaf.features.realtime.wanted import Shape
from sheaf.records.events import Event
from sheaf.records.journal import Heads, Position

HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache", "Connection": "keep-alive"}


class Stream:
    """The answer to one request of a stream, frame by frame."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._frames: list[str] = []

    def connected(self, position: Position) -> None:
        """The first frame: where the stream stands."""
        self._add(json_text({"type": "connected"}), position)

    def gap(self, until: Heads) -> None:
        """Events were lost to this client: what it shows has to be read again. The stream goes on from now."""
        told = {"type": "gap", "message": "Events before this one are not kept any more; read what you show again",
                "oldest": cursors.text_of(self._request.caller, until.oldest)}  # fmt: skip
        self._add(json_text(told), until.position)

    def events(self, found: Iterable[tuple[Event, Position]], fields: tuple[str, ...], shape: Shape | None,
               *, plain: bool) -> None:  # fmt: skip
        """A frame for each event; `plain`: as `{"type", "task"}` and `{"type", "taskId"}`."""
        for event, position in found:
            text = _plain(event, wanted.data_of(event, fields, shape)) if plain else wanted.rendered(event, fields, shape)
            self._add(text, position)

    def reply(self, position: Position, *, full: bool = False) -> Reply:
        """The whole answer. The client asks again from `position` on; later than usual where no request could be held."""
        retry = STREAM_FULL_RETRY_MS if full else STREAM_RETRY_MS
        # An id without data moves the client on past events that it did not want.
        return Reply(Raw(f"retry: {retry}\n\n{''.join(self._frames)}{self._id(position)}\n\n"), headers=HEADERS, bare=True)

    def _add(self, text: str, position: Position) -> None:
        self._frames.append(f"{self._id(position)}\ndata: {text}\n\n")

    def _id(self, position: Position) -> str:
        cursor = cursors.text_of(self._request.caller, position)
        return f"id: {cursor}.{continuation(self._request.ticket)}" if self._request.ticket else f"id: {cursor}"


def _plain(event: Event, data: str) -> str:
    entity = registry.known(event.path)
    word = entity.word if entity else event.path
    if event.verb == "deleted":
        return json_text({"type": event.type, f"{word}Id": event.row})
    return f'{{"type":{json_text(event.type)},{json_text(word)}:{data}}}'
