"""A row of the table Records and its item: the document, and beside it what keys, indexes and events need."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.access.caller import Caller
from sheaf.base.bounds import DOCUMENT_BYTES
from sheaf.base.clock import iso
from sheaf.base.errors import TooLarge
from sheaf.entity.filters import index_value
from sheaf.entity.registry import EntityType
from sheaf.store import keys
from sheaf.store.table import Item


@dataclass(frozen=True, slots=True)
class Row:
    """One version of an entity row. `text` is its JSON document as it is answered."""

    id: str
    version: int
    text: str

    @property
    def document(self) -> dict[str, Any]:
        """The document, parsed."""
        parsed: dict[str, Any] = from_json(self.text)
        return parsed


@dataclass(frozen=True, slots=True)
class Stamp:
    """Where a row of a job comes from; a second try knows its own rows by it."""

    job: str
    index: int


def from_item(item: Item) -> Row:
    """The row that an item holds."""
    return Row(item["sk"], item["v"], item["d"])


def to_item(
    caller: Caller,
    entity: EntityType,
    fields: Mapping[str, Any],
    *,
    row_id: str,
    version: int,
    created: str,
    at_ms: int,
    previous: Item | None = None,
    stamp: Stamp | None = None,
) -> Item:
    """The item of a new version, without its key; raises TooLarge.

    Short names, since DynamoDB charges for them: d document, v version, t event word, a actor, q request,
    u when, pu when the version before was made, j and n the job and index that made the row, ix1–ix3 indexes.
    """
    document = {"id": row_id, **fields, "createdAt": created, "updatedAt": iso(at_ms), "version": version}
    text = to_json(document).decode()
    if (size := _escaped_size(text)) > DOCUMENT_BYTES:
        raise TooLarge(f"The row is {size:,} bytes as escaped JSON; {DOCUMENT_BYTES:,} is the most")
    before = previous or {}
    return {
        "d": text,
        "v": version,
        "t": entity.word,
        "a": caller.principal,
        "q": caller.request_id,
        "u": at_ms,
        "pu": before.get("u"),
        "j": stamp.job if stamp else before.get("j"),
        "n": stamp.index if stamp else before.get("n"),
        **_indexed(caller, entity, fields),
    }


def _indexed(caller: Caller, entity: EntityType, fields: Mapping[str, Any]) -> Item:
    return {
        slot: keys.index(caller, entity.path, name, index_value(fields[name]))
        for name, slot in entity.indexes.items()
        if fields.get(name) is not None
    }


def _escaped_size(text: str) -> int:
    # A Lambda answer is itself a JSON string: quotes and backslashes of the document are escaped once more.
    return len(text.encode()) + text.count('"') + text.count("\\")
