"""on_upload and on_image, killed before and after every AWS call: whoever comes again brings the file to the same end."""

import json
from collections.abc import Callable
from typing import Any

import pytest

import rights
import samples
import world
from sheaf.base import bounds
from sheaf.store import aws
from sim.faults import kill_at
from sim.sources import Killed

PICTURE = samples.picture("PNG", (300, 200))


def state(tenant: world.Tenant) -> Any:
    """What a person could find of files: rows without their times, objects with their tags, counters, holds."""
    dynamodb, s3 = aws.client("dynamodb"), aws.client("s3")
    rows = sorted((row["pk"]["S"], row["v"]["N"]) for row in dynamodb.scan(TableName="RecordsTable")["Items"])
    counters = sorted(
        (row["pk"]["S"], str(row.get("b")), str(row.get("n")))
        for row in dynamodb.scan(TableName="LimitsTable")["Items"]
        if row["pk"]["S"].endswith(("#storage", "#held"))
    )
    objects = [
        (
            each["Key"].rpartition("/")[2].split("_")[0],
            each["Size"],
            str(s3.get_object_tagging(Bucket="uploads", Key=each["Key"])["TagSet"]),
        )
        for each in s3.list_object_versions(Bucket="uploads").get("Versions", [])
    ]
    # A smaller picture that was written twice has an older version, which the bucket's lifecycle removes; of a file there is one.
    pictures, originals = ({each for each in objects if each[0] != "fil"}, [each for each in objects if each[0] == "fil"])
    return [(pk.partition("#")[2], version) for pk, version in rows], [pair[1:] for pair in counters], originals, pictures


def announced(sheaf: world.World) -> tuple[world.Tenant, str]:
    acme = sheaf.tenant()
    body = {"filename": "a.png", "size": len(PICTURE), "type": "image/png"}
    file_id = str(sheaf.http("POST", "/v1/uploads", body, key=acme.key).data["id"])
    sheaf.settle()
    return acme, file_id


def arrived(sheaf: world.World, content: bytes) -> tuple[world.Tenant, str]:
    acme, file_id = announced(sheaf)
    aws.client("s3").put_object(Bucket="uploads", Key=f"{acme.id}/uploads/{file_id}", Body=content)
    return acme, file_id


def good(sheaf: world.World) -> tuple[world.Tenant, Callable[[], None]]:
    acme, file_id = arrived(sheaf, PICTURE)
    return acme, lambda: sheaf.tell_upload(acme, file_id)


def bad(sheaf: world.World) -> tuple[world.Tenant, Callable[[], None]]:
    acme, file_id = arrived(sheaf, samples.GIF)
    return acme, lambda: sheaf.tell_upload(acme, file_id)


def deleted(sheaf: world.World) -> tuple[world.Tenant, Callable[[], None]]:
    acme, file_id = arrived(sheaf, PICTURE)
    sheaf.tell_upload(acme, file_id)
    sheaf.settle()
    assert sheaf.http("DELETE", f"/v1/uploads/{file_id}", key=acme.key).status == 200
    sheaf.settle()
    return acme, sheaf.sweep_uploads


def expired(sheaf: world.World) -> tuple[world.Tenant, Callable[[], None]]:
    acme, _ = announced(sheaf)

    def sweep() -> None:
        with world.later(bounds.UPLOAD_SECONDS + 120):
            sheaf.sweep_uploads()

    return acme, sweep


def pictures(sheaf: world.World) -> tuple[world.Tenant, Callable[[], None]]:
    acme, file_id = arrived(sheaf, PICTURE)
    sheaf.tell_upload(acme, file_id)
    sent = world.event("on_image.ready")
    sent["Records"][0]["body"] = json.dumps({"tenant": acme.id, "file": file_id, "requestId": "req_1"})

    def make() -> None:
        with rights.of("on_image"):
            assert world.function("on_image").handler(sent, world.CONTEXT) == {"batchItemFailures": []}

    return acme, make


@pytest.mark.parametrize("prepare", [good, bad, deleted, expired, pictures])
def test_a_death_at_any_call_changes_nothing(prepare: Callable[[world.World], tuple[world.Tenant, Callable[[], None]]]) -> None:
    with world.a_world() as sheaf:
        acme, step = prepare(sheaf)
        with kill_at(0, "before-call") as counter:
            step()
        calls, expected = counter.calls, state(acme)
    assert calls >= 3
    for number in range(1, calls + 1):
        for when in ("before-call", "after-call"):
            with world.a_world() as sheaf:
                acme, step = prepare(sheaf)
                try:
                    with kill_at(number, when):  # type: ignore[arg-type]
                        step()
                except (Killed, AssertionError):
                    pass  # the plumber itself may be what died
                step()
                assert state(acme) == expected, (number, when)
    print(f"\n{prepare.__name__}: {calls} calls, {2 * calls} deaths")
