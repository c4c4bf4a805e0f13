"""The audit log: who did what, on which, from where; whatever is done to it afterwards is found."""

import json

import sheaf_audit

from world import World


def logs(sheaf: World, tenant, query: str = "", key: str = "") -> list[dict]:
    sheaf.settle()
    answer = sheaf.http("GET", f"/v1/audit/logs{query}", key=key or tenant.key)
    assert answer.status == 200, answer.text
    return answer.data


def test_a_change_of_a_row_is_an_entry_with_who_what_and_from_where(sheaf: World, acme) -> None:  # contract: 115
    made = sheaf.http("POST", "/v1/tasks", {"title": "One"}, key=acme.key, headers={"X-Request-Id": "my-request-1"},
                      source_ip="192.0.2.77").data  # fmt: skip
    sheaf.http("PATCH", f"/v1/tasks/{made['id']}", {"title": "Two"}, key=acme.key)
    sheaf.http("DELETE", f"/v1/tasks/{made['id']}", key=acme.key)
    found = [each for each in logs(sheaf, acme, "?entity=tasks")]
    assert [each["action"] for each in found] == ["task.deleted", "task.updated", "task.created"]
    created = found[-1]
    assert created["target"] == made["id"] and created["requestId"] == "my-request-1" and created["address"] == "192.0.2.77"
    assert created["actor"].startswith("key_") and created["actorType"] == "key"
    assert created["before"] is None and created["after"]["title"] == "One"
    assert (found[1]["before"]["title"], found[1]["after"]["title"]) == ("One", "Two")
    assert found[0]["after"] is None and found[0]["before"]["title"] == "Two"


def test_verify_and_chain(sheaf: World, acme, tmp_path) -> None:
    for number in range(5):
        sheaf.http("POST", "/v1/contacts", {"first_name": "Ann", "last_name": f"Lee{number}", "email": f"a{number}@example.com"}, key=acme.key)
    sheaf.seal(acme)
    found = sheaf.http("GET", "/v1/audit/verify", key=acme.key)
    assert found.status == 200 and found.data["valid"], found.text
    assert found.data["unsealed"] == 0 and found.data["entries"] >= 5, found.text
    job = sheaf.http("POST", "/v1/audit/export", {"chain": True}, key=acme.key)
    assert job.status == 202, job.text
    sheaf.settle()
    done = sheaf.http("GET", f"/v1/jobs/{job.data['id']}", key=acme.key).data
    assert done["status"] == "succeeded", done
    text = sheaf.download(done["result"]["url"])
    result = sheaf_audit.verify(text.splitlines())
    assert result.problems == [] and result.entries == found.data["entries"]
    assert json.loads(text.splitlines()[0])["tenant"] == acme.id
