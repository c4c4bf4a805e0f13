"""Large jobs on the deployed stack: how long they take beside a bare loop of writes, and what they do to small ones."""

import csv
import gzip
import io
import itertools
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import botocore.config
import botocore.session
import pytest

from client import Client, fetch, send_form, until

pytestmark = pytest.mark.e2e
ENDED = ("succeeded", "failed", "cancelled")


def contacts(count: int, mark: str) -> list[dict[str, str]]:
    return [{"first_name": f"A{n}", "last_name": mark, "email": f"{mark}{n}@b.example"} for n in range(count)]


def watched(client: Client, job: str, seconds: float) -> tuple[dict[str, Any], list[tuple[float, int]]]:
    """The job when it has ended, and when its counts moved."""
    moves: list[tuple[float, int]] = []

    def look() -> Any:
        shown = client.get(f"/v1/jobs/{job}").data
        done = sum(shown["counts"][name] for name in ("created", "updated", "deleted", "skipped", "failed"))
        if not moves or moves[-1][1] != done:
            moves.append((time.monotonic(), done))
        return shown if shown["status"] in ENDED else None

    return until(look, seconds, pause=0.2), moves


def bare(stack: dict[str, Any], count: int) -> float:
    """Seconds that a loop of conditional PutItem calls takes for as many items as large, 16 threads, nothing else."""
    settings = botocore.config.Config(max_pool_connections=16)
    made = botocore.session.get_session().create_client(
        "dynamodb", region_name=stack["region"], endpoint_url=stack["endpoint_url"], config=settings,
        aws_access_key_id="test", aws_secret_access_key="test")  # fmt: skip
    name = f"bare{time.time_ns()}"
    made.create_table(TableName=name, BillingMode="PAY_PER_REQUEST",
                      KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
                      AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in ("pk", "sk")])  # fmt: skip
    document = json.dumps(
        {**contacts(1, "x" * 19)[0], "id": "x" * 30, "createdAt": "x" * 24, "updatedAt": "x" * 24, "version": 1}
    )

    def put(number: int) -> None:
        made.put_item(TableName=name, ConditionExpression="attribute_not_exists(pk)",
                      Item={"pk": {"S": "p"}, "sk": {"S": str(number)}, "d": {"S": document}, "v": {"N": "1"}})  # fmt: skip

    started = time.monotonic()
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(put, range(count)))
    took = time.monotonic() - started
    made.delete_table(TableName=name)
    return took


def imported(stack: dict[str, Any], client: Client, count: int, seconds: float, steady: float = 1.0) -> None:
    """As one compressed body, and as a finished upload: accepted at once, moving all the time, every record in one bucket."""
    warm = client.post("/v1/contacts/bulk", contacts(1_000, "warm"))  # cold starts are measured elsewhere
    watched(client, warm.data["id"], 120)
    yardstick = bare(stack, count)
    mark = f"m{time.time_ns()}"
    packed = gzip.compress(json.dumps(contacts(count, mark)).encode())
    started = time.monotonic()
    answer = client.call("POST", "/v1/contacts/bulk", packed, {"Content-Type": "application/gzip"})
    accepted = time.monotonic() - started
    assert answer.status == 202, answer.body
    shown, moves = watched(client, answer.data["id"], seconds)
    took = time.monotonic() - started
    check(shown, count)
    gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(moves)]
    print(f"\n{count:,} contacts in one gzip body of {len(packed):,} bytes: accepted in {accepted:.2f} s, done in {took:.1f} s, "
          f"{count / took:,.0f} rows/s; a bare loop of conditional PutItem, 16 threads: {yardstick:.1f} s, {count / yardstick:,.0f} rows/s; "
          f"ratio of rates {yardstick / took:.2f}; counts moved every {statistics.mean(gaps):.2f} s on average, {max(gaps):.2f} s at most",
          flush=True)  # fmt: skip
    assert accepted < 1.0
    assert statistics.mean(gaps) <= steady
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["first_name", "last_name", "email"])
    writer.writeheader()
    writer.writerows(contacts(count, f"u{mark}"))
    raw = text.getvalue().encode()
    body = {"file": {"filename": "contacts.csv", "size": len(raw), "type": "text/csv"}}
    made = client.post("/v1/import/contacts", body)
    assert made.status == 202 and send_form(made.data["upload"]["upload"], raw).status in (200, 204)
    started = time.monotonic()
    shown, _ = watched(client, made.data["id"], seconds)
    check(shown, count)
    results = list(csv.DictReader(io.StringIO(fetch(shown["result"]["url"]).body.decode(), newline="")))
    assert [int(row["_row"]) for row in results] == list(range(2, count + 2)), "exactly one line a record"
    assert len({row["_id"] for row in results}) == count
    print(
        f"{count:,} contacts as a finished upload of {len(raw):,} bytes: done in {time.monotonic() - started:.1f} s", flush=True
    )


def check(shown: dict[str, Any], count: int) -> None:
    assert shown["status"] == "succeeded", shown
    assert shown["counts"] == {"total": count, "created": count, "updated": 0, "deleted": 0, "skipped": 0, "failed": 0}


def small_beside_large(client: Client, other: Client, count: int, most: float) -> None:
    """A job of four chunks of one tenant beside one of many thousand rows of another: it waits `most` seconds."""
    large = client.call(
        "POST",
        "/v1/leads/bulk",
        gzip.compress(json.dumps(contacts(count, "large")).encode()),
        {"Content-Type": "application/gzip"},
    )
    assert large.status == 202
    until(lambda: client.get(f"/v1/jobs/{large.data['id']}").data["counts"]["created"] or None, 60)
    waits = []
    for number in range(3):
        started = time.monotonic()
        small = other.post("/v1/leads/bulk", contacts(1_000, f"small{number}"))
        job = small.data["id"]
        until(lambda job=job: other.get(f"/v1/jobs/{job}").data.get("startedAt"), 60, pause=0.05)  # type: ignore[misc]
        waits.append(time.monotonic() - started)
        assert watched(other, job, 120)[0]["status"] == "succeeded"
    still = client.get(f"/v1/jobs/{large.data['id']}").data
    print(f"\na 4-chunk job waits {', '.join(f'{each:.2f}' for each in waits)} s to begin beside one of {count:,} rows "
          f"(which was {still['status']} with {still['counts']['created']:,} rows)", flush=True)  # fmt: skip
    assert max(waits) <= most
    if still["status"] not in ENDED:
        assert client.post(f"/v1/jobs/{large.data['id']}/cancel", {}).status == 202
        ended, _ = watched(client, large.data["id"], 120)
        assert ended["counts"]["created"] + ended["counts"]["unprocessed"] == count


def reverted(client: Client, count: int) -> None:
    """An import of which one row in a hundred is edited afterwards is reverted: those are kept, the others go."""
    mark = f"r{time.time_ns()}"
    made = client.call(
        "POST",
        "/v1/contacts/bulk",
        gzip.compress(json.dumps(contacts(count, mark)).encode()),
        {"Content-Type": "application/gzip"},
    )
    shown, _ = watched(client, made.data["id"], 600)
    check(shown, count)
    lines = [json.loads(line) for line in fetch(shown["result"]["url"]).body.splitlines()]
    edited = {line["id"] for line in lines[::100]}
    for row_id in edited:
        assert client.call("PATCH", f"/v1/contacts/{row_id}", {"first_name": "Edited"}).status == 200
    started = time.monotonic()
    revert, _ = watched(client, client.post(f"/v1/jobs/{made.data['id']}/revert", {}).data["id"], 600)
    took = time.monotonic() - started
    kept = len(edited)
    assert revert["status"] == "succeeded" and (revert["counts"]["deleted"], revert["counts"]["skipped"], revert["counts"]["failed"]) == (
        count - kept, kept, 0)  # fmt: skip
    for line in lines[:: max(1, count // 50)] + lines[1 :: max(1, count // 50)]:
        answer = client.get(f"/v1/contacts/{line['id']}")
        assert answer.status == (200 if line["id"] in edited else 404)
        assert line["id"] not in edited or answer.data["first_name"] == "Edited"
    print(
        f"\nan import of {count:,} rows with {kept} edited since, reverted in {took:.1f} s: {count - kept:,} undone, {kept} kept",
        flush=True,
    )


@pytest.mark.alone
def test_two_thousand_contacts(stack: dict[str, Any], client: Client) -> None:
    imported(stack, client, 2_000, 120, steady=3.0)  # the soak is held to one second


@pytest.mark.alone
def test_a_small_job_does_not_wait_for_a_large_one(client: Client, other: Client) -> None:
    small_beside_large(client, other, 10_000, 6.0)


def test_a_revert_keeps_what_was_edited(client: Client) -> None:
    reverted(client, 500)


@pytest.mark.soak
def test_large_import(stack: dict[str, Any], client: Client) -> None:
    """Soak: 50,000 contacts as one body and as a file, beside a bare loop."""
    imported(stack, client, 50_000, 1_200)


@pytest.mark.soak
def test_large_neighbour(client: Client, other: Client) -> None:
    """Soak: a 4-chunk job beside a 50,000-row one."""
    small_beside_large(client, other, 50_000, 2.0)


@pytest.mark.soak
def test_large_revert(client: Client) -> None:
    """Soak: an import of 10,000 rows, 1 % edited, reverted."""
    reverted(client, 10_000)
