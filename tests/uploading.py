"""What tests of files have in common."""

from typing import Any

import samples
import world
from sheaf.store import aws, keys, table


def announce(sheaf: world.World, tenant: world.Tenant, content: bytes = samples.PNG, **change: Any) -> Any:
    body = {"filename": "dot.png", "size": len(content), "type": "image/png", **change}
    answer = sheaf.http("POST", "/v1/uploads", body, key=tenant.key)
    assert answer.status == 201, answer.text
    return answer.data


def ready(sheaf: world.World, tenant: world.Tenant, content: bytes = samples.PNG, **change: Any) -> str:
    file_id = str(announce(sheaf, tenant, content, **change)["id"])
    sheaf.arrive(tenant, file_id, content)
    return file_id


def show(sheaf: world.World, tenant: world.Tenant, file_id: str) -> Any:
    return sheaf.http("GET", f"/v1/uploads/{file_id}", key=tenant.key).data


def in_the_bucket(tenant: world.Tenant) -> list[str]:
    found = aws.client("s3").list_object_versions(Bucket="uploads", Prefix=tenant.id)
    return [each["Key"] for kind in ("Versions", "DeleteMarkers") for each in found.get(kind, [])]


def parts_in_the_bucket() -> int:
    return len(aws.client("s3").list_multipart_uploads(Bucket="uploads").get("Uploads", []))


def room(tenant: world.Tenant) -> tuple[int, int]:
    item = table.get("LimitsTable", keys.storage(tenant.setup)) or {}
    return item.get("b", 0), item.get("n", 0)
