"""Each endpoint makes the calls that docs/costs.md says, and no more."""

import re

import template
import world
from sheaf.access import limits, tenants
from sheaf.base import clock
from sim.faults import kill_at
from uploading import ready


def test_every_endpoint_makes_the_calls_it_is_said_to_make(sheaf: world.World, acme: world.Tenant) -> None:
    documented = dict(re.findall(r"^\| `([^`]+)` \| (\d+) \|", (template.ROOT / "docs/costs.md").read_text(), re.MULTILINE))
    task = sheaf.http("POST", "/v1/tasks", {"title": "x"}, key=acme.key).data["id"]
    user = sheaf.user(acme, "ann@acme.example")
    sheaf.http("PATCH", f"/v1/tasks/{task}", {"title": "Water", "assignee": user}, key=acme.key)
    sheaf.settle()
    job = sheaf.http("POST", "/v1/tasks/export", {"format": "csv"}, key=acme.key).data["id"]
    file = ready(sheaf, acme)
    window = clock.now() // 60
    with clock.using(lambda: (window + 1) * 60.0):
        sheaf.http("GET", "/v1/tasks", key=acme.key)  # the first one of a window begins it
    for name, calls in documented.items():
        # A process that has been at work for a moment holds a block of the tenant's quota.
        limits._blocks[acme.id] = limits._Block(window + 1, 100, 0)
        tenants.forget()
        tenants.believed(acme.setup)  # and has looked at the tenant less than a second ago
        method, path, *key = name.split(" ", maxsplit=2)
        path = path.replace("/jobs/{id}", f"/jobs/{job}").replace("/uploads/{id}", f"/uploads/{file}")
        path = path.replace("{entity}", "tasks").replace("{id}", task)
        body = {"filename": "a.png", "size": 9, "type": "image/png"} if path == "/v1/uploads" else {"title": "x"}
        with clock.using(lambda: (window + 1) * 60.0), kill_at(0, "before-call") as counter:
            answer = sheaf.http(
                method,
                path,
                body if method != "GET" else None,
                key=None if "health" in path else acme.key,
                headers={"Idempotency-Key": name} if key else None,
            )
        assert answer.status < 300, answer.text
        assert counter.calls == int(calls), f"{name} makes {counter.calls} calls"
    assert len(documented) >= 8
