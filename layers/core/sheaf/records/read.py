"""Reading one row, or several by id."""

from collections.abc import Sequence

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.config import config
from sheaf.base.errors import NotFound
from sheaf.entity.filters import index_value
from sheaf.entity.registry import EntityType
from sheaf.records.rows import Row, from_item
from sheaf.store import keys, table
from sheaf.store.table import Item


def one(caller: Caller, entity: EntityType, row_id: str) -> Row:
    """The row with this id; raises NotFound."""
    return from_item(item(caller, entity, row_id))


def item(caller: Caller, entity: EntityType, row_id: str) -> Item:
    """The item of a live row, with what stands beside its document; raises NotFound."""
    found = None
    if ids.is_id(row_id, entity.prefix):
        found = table.get(config().records_table, keys.record(caller, entity.path, row_id))
    if found is None:
        raise missing(entity, row_id)
    return found


def missing(entity: EntityType, row_id: str) -> NotFound:
    """The error that says there is no such row."""
    return NotFound(f"There is no {entity.word} {row_id[:80]!r}")


def holder(caller: Caller, entity: EntityType, name: str, value: object) -> str | None:
    """The id of the row that holds this value of a unique field, or None."""
    mark = keys.unique(caller, entity.path, name, index_value(entity.kinds.get(name), value))
    found = table.get(config().records_table, mark)
    return str(found["r"]) if found else None


def living_or_dead(caller: Caller, entity: EntityType, row_ids: Sequence[str]) -> dict[str, Item]:
    """The items of those ids that have a row or had one lately, by id."""
    wanted = [make(caller, entity.path, row_id) for row_id in dict.fromkeys(row_ids) for make in (keys.trash, keys.record)]
    found = table.get_many(config().records_table, wanted)
    return {key.sk: found[key] for key in wanted if key in found}
