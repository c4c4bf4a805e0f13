"""Webhooks on the deployed stack: from a change to a real receiver, how long and how many, and the helpers of the command line."""

import json
import signal
import statistics
import subprocess
import sys
import time
from typing import Any

import pytest
import urllib3

import template
from client import Client, Receiver, until
from sheaf.features.webhooks.signing import Signer
from sheaf_webhooks import Webhook

pytestmark = pytest.mark.e2e


@pytest.fixture
def client(stack: dict[str, Any]) -> Client:
    return Client(stack["base_url"], stack["tenants"][1]["api_key"])


class Timed(list[Any]):
    """What a receiver gets, each with its moment."""

    def append(self, each: Any) -> None:
        super().append((time.perf_counter(), *each))


def receiver() -> Receiver:
    made = Receiver()
    made.received = Timed()
    return made


def latency(client: Client, changes: int) -> list[float]:
    """Seconds from the answer of each change to its arrival, one change after the other."""
    with receiver() as told:
        webhook = client.post("/v1/webhooks", {"url": told.url, "events": ["project.created"]}).data
        found = []
        for number in range(changes):
            answer = client.post("/v1/projects", {"name": f"p{number}"})
            answered = time.perf_counter()
            until(lambda number=number: len(told.received) > number or None, 30, pause=0.002)  # type: ignore[misc]
            arrived, headers, body = told.received[number]  # type: ignore[misc]
            assert Webhook(webhook["secret"]).verify(body, headers)["data"]["id"] == answer.data["id"]
            found.append(max(0.0, arrived - answered))
        client.call("DELETE", f"/v1/webhooks/{webhook['id']}")
    return sorted(found)


def throughput(client: Client, events: int) -> tuple[float, float]:
    """Deliveries a second of the whole stack, and of a bare loop that signs and posts the same bodies."""
    with receiver() as told:
        webhook = client.post("/v1/webhooks", {"url": told.url, "events": ["appointment.created"]}).data
        row = {
            "title": "x",
            "start_time": "2026-11-21T10:00:00Z",
            "end_time": "2026-11-21T11:00:00Z",
            "contact_email": "a@example.com",
        }
        for _ in range(events // 100):
            assert client.post("/v1/appointments/bulk", [row] * 100).data["created"] == 100
        until(lambda: len(told.received) >= events or None, 120)
        moments = [each[0] for each in told.received]
        ids = {json.loads(body)["id"] for _, _, body in told.received}  # type: ignore[misc]
        assert len(ids) == events
        client.call("DELETE", f"/v1/webhooks/{webhook['id']}")
        body = told.received[0][2]  # type: ignore[misc]
        pool, signer = urllib3.PoolManager(), Signer([webhook["secret"]])
        begun = time.perf_counter()
        for number in range(events):
            headers = signer.headers(f"evt_{number}", int(time.time()), body)
            assert pool.request("POST", told.url, body=body, headers=headers, retries=False).status == 200
        bare = events / (time.perf_counter() - begun)
    return events / (moments[-1] - moments[0]), bare


def test_from_a_change_to_its_receiver(client: Client) -> None:
    found = latency(client, 30)
    median, p95 = statistics.median(found), found[int(len(found) * 0.95)]
    print(f"\nchange → received: median {median * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms, of {len(found)}")
    assert median < 2


def test_many_deliveries(client: Client) -> None:
    ours, bare = throughput(client, 300)
    print(f"\n{ours:.0f} deliveries/s; a bare signed urllib3 loop {bare:.0f}/s: ratio {ours / bare:.3f}")
    assert ours > 5


@pytest.mark.soak
def test_webhook_delivery(client: Client) -> None:
    """Soak: latency of 300 changes, throughput of 3,000 deliveries beside a bare loop."""
    found = latency(client, 300)
    print(f"change → received: median {statistics.median(found) * 1000:.0f} ms, p95 {found[285] * 1000:.0f} ms, of 300")
    ours, bare = throughput(client, 3_000)
    print(f"{ours:.0f} deliveries/s; a bare signed urllib3 loop {bare:.0f}/s: ratio {ours / bare:.3f}", flush=True)


def test_listen_and_trigger(stack: dict[str, Any], tmp_path: Any) -> None:
    """What a developer does on their machine: listen, trigger, and hand on to a program of theirs."""
    place = tmp_path / "stack.json"
    place.write_text(json.dumps(stack))
    with Receiver() as program:
        port = program.url.split(":")[2].split("/")[0]
        command = [
            sys.executable,
            "scripts/webhook-listen",
            "--register",
            "task.*,video.uploaded",
            "--forward",
            port,
            "--stack",
            str(place),
        ]
        listening = subprocess.Popen(command, cwd=template.ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert listening.stdout is not None
            first = listening.stdout.readline()
            assert first.startswith("listening at http://127.0.0.1:"), first
            webhook = first.split()[-1]
            trigger = [sys.executable, "scripts/webhook-trigger", "video.uploaded", webhook, "--stack", str(place)]
            done = subprocess.run(trigger, cwd=template.ROOT, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0 and "delivered  200" in done.stdout, done.stdout + done.stderr
            assert "video.uploaded" in listening.stdout.readline()
            assert len(program.received) == 1 and program.received[0][0]["webhook-id"].startswith("evt_")
            listed = subprocess.run(
                [*trigger[:2], "--list", "--stack", str(place)], cwd=template.ROOT, capture_output=True, text=True, check=True
            )
            assert "payment.completed" in listed.stdout
        finally:
            listening.send_signal(signal.SIGINT)
            rest, _ = listening.communicate(timeout=30)
        assert f"removed {webhook}" in rest
    assert listening.returncode == 0
