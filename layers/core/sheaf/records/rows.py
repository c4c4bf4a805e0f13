"""A row of the table Records and its item: the document, and beside it what keys, indexes and events need."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import DOCUMENT_BYTES
from sheaf.base.clock import iso
from sheaf.base.errors import TooLarge
from sheaf.entity import kinds
from sheaf.entity.filters import index_value
from sheaf.entity.registry import EntityType
from sheaf.store import keys
from sheaf.store.keys import Scope
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
    quiet: bool = False  # webhooks are not told of it


def is_stamped(item: Item, stamp: Stamp) -> bool:
    """Whether this item of a job wrote the row, whatever became of it since."""
    return (item.get("j"), item.get("n")) == (stamp.job, stamp.index)


def stamped(item: Item) -> Row:
    """The row with the version that the job of its stamp made."""
    return Row(item["sk"], item.get("jv", 1), item["d"])


def from_item(item: Item) -> Row:
    """The row that an item holds."""
    return Row(item["sk"], item["v"], item["d"])


def fields_of(item: Item) -> dict[str, Any]:
    """Everything the row's item knows of its fields: the document and what is hidden."""
    fields: dict[str, Any] = from_json(item["d"])
    return {**fields, **from_json(item["h"])} if "h" in item else fields


def to_item(
    caller: Caller,
    entity: EntityType,
    fields: Mapping[str, Any],
    *,
    row_id: str,
    version: int,
    at_ms: int,
    previous: Item | None = None,
    stamp: Stamp | None = None,
) -> Item:
    """The item of a new version, without its key; raises TooLarge.

    Short names, since DynamoDB charges for them: d document, h hidden fields, v version, t event word, a actor,
    q request, ip from where, u when, pu when the version before was made, j, n and jv the last job that wrote the row, its index
    there and the version it made, qt that webhooks are not told, ix1–ix3 the indexes by value, or1–or2 the indexes by order with
    their sort keys os1–os2.
    """
    shown = {name: value for name, value in fields.items() if name not in entity.hidden}
    created = iso(ids.time_of(row_id))  # an id's own time, so that the order of ids is the order of `createdAt`
    document = {"id": row_id, **shown, "createdAt": created, "updatedAt": iso(at_ms), "version": version}
    text = to_json(document).decode()
    hidden = {name: value for name, value in fields.items() if name in entity.hidden}
    secret = to_json(hidden).decode() if hidden else None
    if (size := escaped_size(text) + len(secret or "")) > DOCUMENT_BYTES:
        raise TooLarge(f"The row is {size:,} bytes as escaped JSON; {DOCUMENT_BYTES:,} is the most")
    before = previous or {}
    return {
        "d": text,
        "h": secret,
        "v": version,
        "t": entity.word,
        "a": caller.principal,
        "q": caller.request_id,
        "ip": caller.address,
        "u": at_ms,
        "pu": before.get("u"),
        "j": stamp.job if stamp else before.get("j"),
        "n": stamp.index if stamp else before.get("n"),
        "jv": version if stamp else before.get("jv"),
        "qt": 1 if stamp and stamp.quiet else None,
        **_indexed(caller, entity, document),
    }


def order_key(entity: EntityType, name: str, document: Mapping[str, Any]) -> str:
    """Where a row stands in the index by order of a field."""
    return keys.place(kinds.ordered_text(entity.kinds[name], document.get(name)), document["id"])


def in_trash(entity: EntityType, item: Item, expiry: int) -> Item:
    """The item of a deleted row: no index finds it, and it expires."""
    indexes = {*entity.indexes.values(), *entity.orders.values(), *map(order_attribute, entity.orders.values())}
    return {**{name: value for name, value in item.items() if name not in indexes}, "ttl": expiry}


def order_attribute(slot: str) -> str:
    """The attribute that holds the sort key of an index by order."""
    return slot.replace("or", "os")


def _indexed(scope: Scope, entity: EntityType, document: Mapping[str, Any]) -> Item:
    found: Item = {}
    for name, slot in entity.indexes.items():
        if document.get(name) is not None:
            found[slot] = keys.index(scope, entity.path, name, index_value(entity.kinds[name], document[name]))
    for name, slot in entity.orders.items():
        found[slot] = keys.ordered(scope, entity.path, name)
        found[order_attribute(slot)] = order_key(entity, name, document)
    return found


def escaped_size(text: str) -> int:
    """The bytes that JSON text takes in an answer."""
    # A Lambda answer is itself a JSON string: quotes and backslashes of the document are escaped once more.
    return len(text.encode()) + text.count('"') + text.count("\\")
