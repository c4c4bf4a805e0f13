"""Earlier versions of rows: their history, the three-way comparison behind 412, and what a merge may keep."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import HISTORY_BYTES
from sheaf.base.clock import iso
from sheaf.base.config import config
from sheaf.entity.names import SYSTEM_FIELDS
from sheaf.entity.registry import EntityType
from sheaf.records import events
from sheaf.records.events import Event
from sheaf.records.read import missing
from sheaf.records.rows import escaped_size, fields_of
from sheaf.store import keys, table
from sheaf.store.table import Item

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Versions:
    """A page of a row's history, and the version after which the next one begins."""

    changes: list[dict[str, Any]]
    next_before: int | None


def history(caller: Caller, entity: EntityType, row_id: str, limit: int, before: int | None) -> Versions:
    """Who changed what and when, newest first, `limit` at most, of versions under `before`; raises NotFound.

    A row that was deleted has its history as long as it can be restored. The newest change comes a moment after its write.
    """
    if not ids.is_id(row_id, entity.prefix):
        raise missing(entity, row_id)
    live, trash = keys.record(caller, entity.path, row_id), keys.trash(caller, entity.path, row_id)
    if not table.get_many(config().records_table, [live, trash]):
        raise missing(entity, row_id)
    changes: list[dict[str, Any]] = []
    size = 0
    for event in _newest(caller, row_id, before, limit + 1):
        shown = _shown(event)
        size += escaped_size(to_json(shown).decode())
        if changes and (len(changes) == limit or size > HISTORY_BYTES):
            return Versions(changes, changes[-1]["version"])
        changes.append(shown)
    return Versions(changes, None)


def at_version(caller: Caller, entity: EntityType, current: Item | None, row_id: str, version: int) -> dict[str, Any] | None:
    """The fields of a row as they were at a version; None where it is not known."""
    if current is not None and current["v"] == version:
        return fields_of(current)
    event = events.load(caller, row_id, version)
    if event is not None:
        return event.document if event.path == entity.path else None
    following = events.load(caller, row_id, version + 1)
    if following is not None and following.path == entity.path and following.before and following.verb == "updated":
        return following.document_before
    return None


def comparison(entity: EntityType, base: Fields, yours: Fields, theirs: Fields) -> dict[str, dict[str, Any]]:
    """The visible fields that two writers changed from a common base: each with its three values and whether they conflict."""
    found = {}
    for name in (each for each in dict.fromkeys([*base, *yours, *theirs]) if each not in entity.hidden):
        values = base.get(name), yours.get(name), theirs.get(name)
        if name in SYSTEM_FIELDS or values[0] == values[1] == values[2]:
            continue
        conflict = values[1] not in (values[0], values[2]) and values[2] != values[0]
        found[name] = {"base": values[0], "yours": values[1], "theirs": values[2], "conflict": conflict}
    return found


def differences(before: Fields, after: Fields) -> dict[str, dict[str, Any]]:
    """The fields that a change touched, each with its value before and after."""
    return {
        name: {"from": before.get(name), "to": after.get(name)}
        for name in dict.fromkeys([*before, *after])
        if name not in SYSTEM_FIELDS and before.get(name) != after.get(name)
    }


def _newest(caller: Caller, row_id: str, before: int | None, page: int) -> Iterator[Event]:
    pk = keys.change(caller, row_id, 0).pk
    after = keys.change(caller, row_id, before).sk if before else ""
    for item in table.query(config().events_table, pk, after=after, newest_first=True, page=page):
        yield events.from_item(caller, row_id, item)


def _shown(event: Event) -> dict[str, Any]:
    return {
        "version": event.sequence,
        "type": event.type,
        "eventId": event.id,
        "at": iso(event.at_ms),
        "actor": event.actor,
        "requestId": event.request_id,
        "changes": differences(event.document_before or {}, event.document) if event.verb in ("created", "updated") else {},
    }
