"""What several tests of webhooks share: calls that are short to write, and a queue whose delays go by the clock of the test."""

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest

import world
from client import Receiver
from sheaf.base.clock import now_ms
from sheaf.features.webhooks import repair
from sheaf.store import queues

SCHEDULE = "5,300,1800"


def hold_delays(sheaf: world.World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep delayed messages until the clock of the test has reached their time: the queue goes by another one."""
    held: list[tuple[float, str, list[Any]]] = []
    send, settle = queues.send, sheaf.settle

    def hold(url: str, messages: Any, *, delay: int = 0, group: str = "") -> None:
        if delay:
            held.append((now_ms() / 1000 + delay, url, list(messages)))
        else:
            send(url, messages, group=group)

    def release() -> None:
        for each in [each for each in held if each[0] <= now_ms() / 1000]:
            held.remove(each)
            send(each[1], each[2])

    def settled(rounds: int = 200) -> None:
        release()
        settle(rounds)

    monkeypatch.setattr(queues, "send", hold)
    monkeypatch.setattr(sheaf, "settle", settled)


def register(sheaf: world.World, tenant: world.Tenant, url: str, *events: str, **more: Any) -> Any:
    answer = sheaf.http("POST", "/v1/webhooks", {"url": url, "events": list(events), **more}, key=tenant.key)
    assert answer.status == 201, answer.text
    return answer.data


def call(sheaf: world.World, tenant: world.Tenant, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    answer = sheaf.http(method, f"/v1/{path}", body, key=tenant.key)
    assert answer.status == status, answer.text
    return answer.json.get("data")


def task(sheaf: world.World, tenant: world.Tenant, **fields: Any) -> str:
    return str(call(sheaf, tenant, "POST", "tasks", {"title": "x", **fields}, 201)["id"])


def events(receiver: Receiver) -> list[Any]:
    return [json.loads(body) for _, body in receiver.received]


def deliveries(sheaf: world.World, tenant: world.Tenant, webhook: Any, query: str = "") -> list[Any]:
    return list(call(sheaf, tenant, "GET", f"webhooks/{webhook['id']}/deliveries{query}"))


def tick(sheaf: world.World) -> None:
    """What happens every minute."""
    with world.rights.of("on_schedule"):
        world.function("on_schedule").handler(world.event("on_schedule.minute"), world.CONTEXT)


def meanwhile(sheaf: world.World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sender work while a request waits."""

    def sleep(_: float) -> None:
        with world.rights.nobody():
            sheaf.settle()

    # Not the module itself: servers of other tests sleep, too.
    monkeypatch.setattr(repair, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
