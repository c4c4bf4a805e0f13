"""What the tests of real time share: walks through the event log, frames of streams, what sockets have heard."""

import json
from typing import Any

import rights
import world


def walk(sheaf: world.World, key: str, query: str = "", after: str = "", limit: int = 3) -> tuple[list[dict[str, Any]], str]:
    """Every event behind a cursor, page by page, and the cursor behind the last one."""
    found: list[dict[str, Any]] = []
    while True:
        answer = sheaf.http("GET", f"/v1/events?limit={limit}{query}{f'&after={after}' if after else ''}", key=key)
        assert answer.status == 200, answer.text
        found += answer.data
        after = answer.json["meta"]["nextCursor"]
        if not answer.json["meta"]["hasMore"]:
            return found, after


def frames(text: str) -> tuple[list[dict[str, Any]], str, int]:
    """The data of the frames of a stream's answer, the id that the client has at its end, and its retry time."""
    found, last, retry = [], "", 0
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        last = fields.get("id", last)
        retry = int(fields.get("retry", retry))
        if "data" in fields:
            found.append(json.loads(fields["data"]))
    return found, last, retry


def change(sheaf: world.World, tenant: world.Tenant, row: str, **fields: Any) -> None:
    assert sheaf.http("PATCH", f"/v1/tasks/{row}", fields, key=tenant.key).status == 200


def create(sheaf: world.World, tenant: world.Tenant, title: str = "x", **more: Any) -> str:
    return str(sheaf.http("POST", "/v1/tasks", {"title": title, **more}, key=tenant.key).data["id"])


def subscribed(sheaf: world.World, key: str, **asked: Any) -> world.Socket:
    """A socket with one subscription, which has been told so."""
    socket = sheaf.socket(key)
    assert socket.status == 200
    assert socket.say({"action": "subscribe", **asked}) == 200
    sheaf.settle()
    [told] = socket.heard()
    assert told["type"] == "subscribed", told
    return socket


def events(socket: world.Socket) -> list[dict[str, Any]]:
    """The events that it has been sent since the last look."""
    return [entry["event"] for message in socket.heard() if message["type"] == "events" for entry in message["events"]]


def titles(socket: world.Socket) -> list[str]:
    return [event["data"].get("title", event["type"]) for event in events(socket)]


def sweep(sheaf: world.World) -> None:
    with rights.of("on_schedule"):
        world.function("on_schedule").handler(world.event("on_schedule.minute"), world.CONTEXT)
    sheaf.settle()
