"""GraphQL operations that a tenant has registered: a request may name one by the SHA-256 of its text instead of sending it."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from sheaf.access.caller import Caller
from sheaf.base.bounds import GRAPHQL_OPERATIONS
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import NotFound, ValidationFailed
from sheaf.entity.body import object_of
from sheaf.records import notes, roster
from sheaf.store import keys, table
from sheaf.store.table import Item

_KIND = "graphql operations"
_DIGEST = re.compile(r"[0-9a-f]{64}")


def digest_of(text: str) -> str:
    """What a text is called."""
    return sha256(text.encode()).hexdigest()


def is_digest(value: object) -> bool:
    """Whether it can be the name of a text."""
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def text_of(caller: Caller, digest: str) -> str | None:
    """The text of a registered operation."""
    found = table.get(config().control_table, keys.graphql_operation(caller, digest))
    return str(found["q"]) if found else None


def asked(body: object) -> str:
    """The text that a request registers; raises ValidationFailed."""
    text = object_of(body, "query").get("query")
    if not isinstance(text, str) or not text.strip():
        raise ValidationFailed.naming({"query": "must be a GraphQL document"})
    return text


def register(caller: Caller, text: str, name: str) -> Mapping[str, Any]:
    """Keep an operation for good; the same text again changes nothing. Raises Conflict over GRAPHQL_OPERATIONS."""
    key = keys.graphql_operation(caller, digest_of(text))
    item: Item = {"q": text, "n": name, "u": now_ms(), "a": caller.principal}
    if (found := table.get(config().control_table, key)) is None:
        noted = notes.note(caller, "graphql_operation.registered", key.sk, {"name": name})
        roster.join(caller, _KIND, key, item, None, most=GRAPHQL_OPERATIONS, noted=noted)
    return _shown({**(found or item), "sk": key.sk})


def listing(caller: Caller) -> list[Mapping[str, Any]]:
    """All registered operations, by their hashes, without their texts."""
    return [
        {name: value for name, value in _shown(item).items() if name != "query"}
        for item in table.query(config().control_table, keys.graphql_operation(caller, "").pk)
    ]


def show(caller: Caller, digest: str) -> Mapping[str, Any]:
    """One operation with its text; raises NotFound."""
    found = table.get(config().control_table, keys.graphql_operation(caller, digest)) if is_digest(digest) else None
    if found is None:
        raise NotFound(f"There is no registered operation {digest[:80]!r}")
    return _shown(found)


def remove(caller: Caller, digest: str) -> None:
    """Forget an operation; raises NotFound."""
    before = show(caller, digest)
    noted = notes.note(caller, "graphql_operation.removed", digest, before={"name": before["name"]})
    roster.leave(caller, _KIND, keys.graphql_operation(caller, digest), None, noted=noted)


def _shown(item: Item) -> Mapping[str, Any]:
    return {"id": item["sk"], "name": item["n"], "query": item["q"], "createdAt": iso(item["u"]), "createdBy": item["a"]}
