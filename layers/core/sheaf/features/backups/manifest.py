"""What a backup's parts are, with the SHA-256 of each, and a signature over all of it: a flipped bit anywhere is seen."""

import gzip
import hmac
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.base.clock import iso
from sheaf.base.config import config
from sheaf.base.errors import DamagedBackup
from sheaf.formats import ndjson
from sheaf.store import blobs, keys
from sheaf.store.keys import Scope
from sheaf.store.secrets import signing_secret

Part = Mapping[str, Any]  # name, path, rows, bytes, sha256, first and last: the ids of its first and last row


def put_part(scope: Scope, backup_id: str, number: int, path: str, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Keep some rows of one entity, in the order of their ids; what the manifest says of them."""
    data = gzip.compress(ndjson.dump(lines), mtime=0)  # the same rows are the same bytes, whoever writes them again
    name = f"part-{number:06d}.ndjson.gz"
    blobs.put(config().backups_bucket, keys.backup_object(scope, backup_id, name), data, "application/gzip")
    return {"name": name, "path": path, "rows": len(lines), "bytes": len(data), "sha256": sha256(data).hexdigest(),
            "first": lines[0]["id"], "last": lines[-1]["id"]}  # fmt: skip


def seal(scope: Scope, backup_id: str, at_ms: int, about: Mapping[str, Any], parts: Sequence[Part]) -> tuple[str, int]:
    """Write the manifest; its SHA-256 and the bytes of everything."""
    told = {"version": 1, "tenant": scope.tenant, "backup": backup_id, "at": iso(at_ms), **about, "parts": list(parts)}
    text = to_json(told)
    signed = {**told, "hmac": _mac(text)}
    data = to_json(signed)
    blobs.put(config().backups_bucket, keys.backup_object(scope, backup_id, "manifest.json"), data, "application/json")
    return sha256(data).hexdigest(), len(data) + sum(part["bytes"] for part in parts)


def opened(scope: Scope, backup_id: str, digest: str) -> list[Part]:
    """The parts of a backup; raises DamagedBackup where the manifest is not the one that was written."""
    data = _get(scope, backup_id, "manifest.json")
    if sha256(data).hexdigest() != digest:
        raise DamagedBackup("The manifest of this backup was changed; nothing was restored")
    told = from_json(data)
    mac = told.pop("hmac")
    if not hmac.compare_digest(mac, _mac(to_json(told))) or (told["tenant"], told["backup"]) != (scope.tenant, backup_id):
        raise DamagedBackup("The manifest of this backup is not ours; nothing was restored")
    parts: list[Part] = told["parts"]
    return parts


def rows(scope: Scope, backup_id: str, parts: Sequence[Part], path: str, after: str) -> Iterator[dict[str, Any]]:
    """The rows of one entity behind an id, in the order of their ids; raises DamagedBackup before any of a changed part."""
    for part in parts:
        if part["path"] == path and part["last"] > after:
            data = _get(scope, backup_id, part["name"])
            if sha256(data).hexdigest() != part["sha256"]:
                raise DamagedBackup(f"{part['name']} of this backup was changed; nothing was restored")
            for line in ndjson.load(gzip.decompress(data)):
                if line["id"] > after:
                    yield line


def _get(scope: Scope, backup_id: str, name: str) -> bytes:
    try:
        return b"".join(blobs.stream(config().backups_bucket, keys.backup_object(scope, backup_id, name)))
    except blobs.Missing:
        raise DamagedBackup(f"{name} of this backup is missing; nothing was restored") from None


def _mac(text: bytes) -> str:
    return hmac.digest(signing_secret().derived("backup"), text, "sha256").hex()
