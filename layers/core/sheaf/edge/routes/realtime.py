"""The event log, `/v1/events`, and streams, `/v1/stream` and `/v1/stream/{entity}`."""

from collections.abc import Mapping

from sheaf.access.caller import Caller
from sheaf.base.bounds import EVENTS_WAIT_SECONDS, STREAM_FULL_RETRY_MS
from sheaf.base.clock import now_ms
from sheaf.base.config import config
from sheaf.base.errors import EventsGone, InvalidCursor, InvalidParameter
from sheaf.edge.api import Api, later
from sheaf.edge.envelope import Raw, Reply
from sheaf.edge.request import Request
from sheaf.edge.streams import Stream
from sheaf.edge.wire import Wire, shown
from sheaf.entity import filters, query, registry
from sheaf.features.realtime import cursors, waiting, wanted
from sheaf.features.realtime.holds import held
from sheaf.features.realtime.wanted import Wanted
from sheaf.records import journal
from sheaf.records.journal import Heads, Position

_NOW = "now"
_OWN = ("after", "types", "entity", "row", "fields", "limit", "wait", "profile")  # parameters that are no filters
_FRAMES = 100  # of one answer of a stream


def register(api: Api) -> None:
    """Add the routes."""
    api.get("/v1/events", permission="events:read")(_events)
    api.post("/v1/events", permission="events:publish")(later("sheaf.edge.routes.publishing", "publish"))
    api.get("/v1/stream", permission="events:read", streams=True)(_stream_of_all)
    api.get("/v1/stream/<entity>", permission="<entity>:read", streams=True)(_stream)


def _events(request: Request) -> Reply:
    asked = _asked(request, ("after", "types", "entity", "row", "fields", "limit", "wait"))
    paths = [path.strip() for path in asked.get("entity", "").split(",") if path.strip()]
    chosen = _wanted(request, asked, paths)
    limit = query.limit_of({"limit": asked["limit"]} if "limit" in asked else {})
    seconds = _wait(asked.get("wait", "0"))
    until = journal.heads(request.caller)
    after = _after(request.caller, asked.get("after", ""), until)
    if not until.holds(after):
        raise EventsGone(
            "Events behind this cursor are not kept any more: read what you need again, then go on from latest",
            extra={"oldest": cursors.text_of(request.caller, until.oldest),
                   "latest": cursors.text_of(request.caller, until.position)})  # fmt: skip
    with held(request.caller, seconds) as may_wait:
        found = waiting.page(request.present, chosen, after, until, limit=limit, seconds=seconds if may_wait else 0)
    shape = shown if request.version > 1 else None
    events = [wanted.rendered(event, chosen.fields, shape) for event, _ in found.found]
    meta = {"limit": limit, "hasMore": found.more, "nextCursor": cursors.text_of(request.caller, found.position)}
    wait = {} if may_wait or not seconds or events else {"Retry-After": str(STREAM_FULL_RETRY_MS // 1000)}
    return Reply(Raw.array(events), meta=meta, headers=wait)


def _stream_of_all(request: Request) -> Reply:
    return _streamed(request, [], ("after", "types", "profile"))


def _stream(request: Request, entity: str) -> Reply:
    return _streamed(request, [entity], ("after", "types", "row", "fields", "profile"))


def _streamed(request: Request, paths: list[str], own: tuple[str, ...]) -> Reply:
    asked = _asked(request, own)
    chosen = _wanted(request, asked, paths)
    plain = bool(paths) and request.version == 1 and not _canonical(request, asked)
    until = journal.heads(request.caller)
    stream, after = Stream(request), _resumed(request, asked, until)
    if after is None or not until.holds(after):
        stream.gap(until)
        return stream.reply(until.position)
    stream.connected(after)
    seconds = float(config().stream_hold_seconds) if request.method == "GET" else 0.0
    found = waiting.page(request.present, chosen, after, until, limit=_FRAMES)
    full = False
    if not found.found and not found.more:
        with held(request.caller, seconds) as may_wait:
            full = not may_wait
            if may_wait:
                found = waiting.page(request.present, chosen, found.position, until, limit=_FRAMES, seconds=seconds)
    stream.events(found.found, chosen.fields, shown if request.version > 1 else None, plain=plain)
    return stream.reply(found.position, full=full)


def _resumed(request: Request, asked: Mapping[str, str], until: Heads) -> Position | None:
    """Where a stream goes on; None where nobody knows: the client's last id is none of ours."""
    last = request.last_event.partition(".")[0]
    if not last:
        return _after(request.caller, asked.get("after", _NOW), until)
    try:
        return cursors.position_of(request.caller, last)
    except InvalidCursor:
        return None


def _asked(request: Request, own: tuple[str, ...]) -> dict[str, str]:
    if wrong := [name for name in _OWN if name in request.query and name not in own]:
        raise InvalidParameter.naming(dict.fromkeys(wrong, "is not a parameter here"))
    return {name: request.query[name] for name in own if name in request.query}


def _wanted(request: Request, asked: Mapping[str, str], paths: list[str]) -> Wanted:
    """What is asked for, every mistake named."""
    for path in paths:
        wanted.path_of(request.present, path)
    entity = registry.known(paths[0]) if len(paths) == 1 else None
    found = Wire(request, entity).query() if entity else dict(request.query)
    rest = {name: text for name, text in found.items() if name not in _OWN}
    if rest and entity is None:
        raise InvalidParameter.naming(dict.fromkeys(rest, "is not a parameter here; filters need an entity"))
    names = [name.strip() for name in found.get("fields", "").split(",") if name.strip()]
    return Wanted(
        types=wanted.types_of([name.strip() for name in asked.get("types", "").split(",") if name.strip()]),
        paths=frozenset(paths),
        row=wanted.row_of(entity, asked["row"]) if "row" in asked else "",
        condition=filters.from_query(entity, rest, now_ms()) if entity else filters.EVERYTHING,
        fields=wanted.fields_of(entity, names) if "fields" in asked else (),
    )


def _canonical(request: Request, asked: Mapping[str, str]) -> bool:
    if asked.get("profile", "canonical") != "canonical":
        raise InvalidParameter.naming({"profile": "must be canonical"})
    return "profile" in asked or request.prefer.canonical


def _after(caller: Caller, text: str, until: Heads) -> Position:
    """The position that `after` names: a cursor, `now`, or nothing for the oldest event that is kept."""
    if text == _NOW:
        return until.position
    return cursors.position_of(caller, text.partition(".")[0]) if text else until.oldest  # the id of a stream may be given


def _wait(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and int(text) <= EVENTS_WAIT_SECONDS):
        raise InvalidParameter.naming({"wait": f"must be a number of seconds from 0 to {EVENTS_WAIT_SECONDS}"})
    return int(text)
