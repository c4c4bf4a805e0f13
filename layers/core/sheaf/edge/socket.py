"""The WebSocket door: sockets that open and close, and the messages of their clients.

A client says `{"action": "subscribe", …}`; what it is answered and sent is in docs/realtime.md. Every message is proven and
paid for as a request is: a session that has ended, a ban or a changed role counts from the next one on.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from sheaf.access import guard
from sheaf.access.caller import Caller
from sheaf.access.guard import Credentials, Present
from sheaf.base import ids
from sheaf.base.bounds import CHANNEL_DATA_BYTES, SOCKET_MESSAGE_BYTES
from sheaf.base.clock import iso, now_ms
from sheaf.base.errors import SheafError, TooLarge, Unauthenticated, ValidationFailed, unforeseen
from sheaf.base.log import log
from sheaf.edge.envelope import bare_failure, json_text
from sheaf.entity.body import object_of
from sheaf.features.realtime import frames, orders, sockets, subscriptions
from sheaf.features.realtime.sockets import Socket
from sheaf.formats import strict_json
from sheaf.store import sockets as wires

Event = Mapping[str, Any]
Answer = dict[str, Any]


def handler(event: Event, context: Any) -> Answer:
    """The Lambda entry point (API Gateway WebSocket events)."""
    started = time.monotonic()
    told = event["requestContext"]
    request_id = str(told.get("requestId") or ids.new("req"))
    kind = told["eventType"]
    try:
        status = {"CONNECT": _connect, "DISCONNECT": _disconnect, "MESSAGE": _message}[kind](event, request_id)
    except SheafError as error:
        status = error.status
    except Exception:
        log.exception("socket failed", extra={"requestId": request_id})
        status = 500
    log.info("socket", extra={"requestId": request_id, "kind": kind, "status": status,
                              "ms": round((time.monotonic() - started) * 1000, 1)})  # fmt: skip
    return {"statusCode": status}


def _connect(event: Event, request_id: str) -> int:
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    ticket = (event.get("queryStringParameters") or {}).get("ticket")
    # No cookies: a page of another origin may open a socket, and the browser would send them along.
    given = Credentials(headers.get("authorization"), ticket, None, _address(event))
    proof = guard.authenticate(given, (headers.get("x-tenant-id"),), request_id)
    sockets.remember(proof, _connection(event), given.address)
    return 200


def _disconnect(event: Event, request_id: str) -> int:
    if socket := sockets.find(_connection(event)):
        sockets.forget(socket, request_id)
    return 200


def _message(event: Event, request_id: str) -> int:
    connection = _connection(event)
    asked: dict[str, Any] = {}
    try:
        socket = sockets.find(connection)
        if socket is None or socket.is_lost:
            raise Unauthenticated("This socket is not known any more; open another one")
        proof = guard.prove(socket.who, (), request_id)
        asked = _read(event.get("body") or "")
        act = _ACTIONS.get(str(asked.get("action")))
        if act is None:
            raise ValidationFailed.naming({"action": f"must be one of {', '.join(_ACTIONS)}"})
        answer = act(socket, Present(proof.caller, proof.principal, proof.tenant, socket.who.address), asked)
    except SheafError as error:
        _post(connection, _failure(error, asked))
        if error.status == 401:
            _end(connection, request_id)
        return error.status
    except Exception:
        log.exception("message failed", extra={"requestId": request_id})
        _post(connection, _failure(unforeseen(), asked))
        return 500
    if answer:
        _post(connection, answer)
    return 200


def _read(body: str) -> dict[str, Any]:
    raw = body.encode("utf-8", "surrogatepass")
    if len(raw) > SOCKET_MESSAGE_BYTES:
        raise TooLarge(f"A message has at most {SOCKET_MESSAGE_BYTES:,} bytes")
    return object_of(strict_json.parse(raw))


# ---- actions ----


def _ping(socket: Socket, who: Present, asked: Mapping[str, Any]) -> str:
    return frames.text("pong", time=iso(now_ms()))


def _subscribe(socket: Socket, who: Present, asked: Mapping[str, Any]) -> str:
    return _ask(socket, who.caller, *subscriptions.read(who, asked))


def _resume(socket: Socket, who: Present, asked: Mapping[str, Any]) -> str:
    return _ask(socket, who.caller, *subscriptions.read(who, asked, needs_after=True))


def _ask(socket: Socket, caller: Caller, name: str, terms: Mapping[str, Any]) -> str:
    sockets.name_subscription(socket, name)
    order = {"do": "subscribe", "connection": socket.connection, "id": name, "p": socket.who.principal,
             "s": socket.who.session, "ip": socket.who.address, "m": caller.principal, "terms": json_text(terms)}  # fmt: skip
    orders.send(caller, order, caller.request_id)
    return ""  # the pump says from where on


def _unsubscribe(socket: Socket, who: Present, asked: Mapping[str, Any]) -> str:
    name = object_of(asked, "action", "id").get("id")
    if not isinstance(name, str) or not subscriptions.NAME.fullmatch(name):
        raise ValidationFailed.naming({"id": subscriptions.NAME_RULE})
    orders.send(socket, {"do": "unsubscribe", "connection": socket.connection, "id": name}, who.caller.request_id)
    sockets.drop_subscription(socket, name)
    return ""


def _presence(socket: Socket, who: Present, asked: Mapping[str, Any]) -> str:
    _, terms = subscriptions.read(who, {**object_of(asked, "action", "entity", "row", "channel"), "presence": True})
    order = {"do": "presence", "connection": socket.connection, "topic": subscriptions.topic_of(terms)}
    orders.send(socket, order, who.caller.request_id)
    return ""


def _publish(socket: Socket, who: Present, asked: Mapping[str, Any]) -> str:
    given = object_of(asked, "action", "id", "channel", "data")
    channel = subscriptions.require_channel(who.caller, given.get("channel"), "channels:publish")
    if "data" not in given:
        raise ValidationFailed.naming({"data": "is required"})
    if len(json_text(given["data"]).encode()) > CHANNEL_DATA_BYTES:
        raise TooLarge(f"The data of a message on a channel has at most {CHANNEL_DATA_BYTES:,} bytes of JSON")
    order = {"do": "publish", "channel": channel, "data": given["data"], "from": who.caller.principal, "at": iso(now_ms())}
    orders.send(socket, order, who.caller.request_id)
    return frames.text("published", channel=channel, id=given.get("id"))


_ACTIONS: Mapping[str, Callable[[Socket, Present, Mapping[str, Any]], str]] = {
    "subscribe": _subscribe, "resume": _resume, "unsubscribe": _unsubscribe, "publish": _publish, "presence": _presence,
    "ping": _ping,
}  # fmt: skip


# ---- answers ----


def _failure(error: SheafError, asked: Mapping[str, Any]) -> str:
    named = {name: asked[name] for name in ("action", "id") if isinstance(asked.get(name), str)}
    found = bare_failure(error, {})
    return json_text({"type": "error", **named, "message": found.pop("error"), **found})


def _post(connection: str, text: str) -> None:
    try:
        wires.post(connection, text)
    except wires.SocketGone:
        log.info("a socket has closed before its answer")


def _end(connection: str, request_id: str) -> None:
    if socket := sockets.find(connection):
        sockets.close(socket, request_id)
    else:
        wires.close(connection)


def _connection(event: Event) -> str:
    return str(event["requestContext"]["connectionId"])


def _address(event: Event) -> str:
    return str((event["requestContext"].get("identity") or {}).get("sourceIp") or "unknown")
