"""Which personal values of which rows were erased: whatever is put back from earlier times comes without them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sheaf.base.config import config
from sheaf.entity.registry import EntityType
from sheaf.store import keys, table
from sheaf.store.keys import Scope


def of(scope: Scope) -> Mapping[str, frozenset[str]]:
    """The erased fields of each row that has some."""
    found = table.query(config().control_table, keys.erased(scope, "").pk, page=1_000)
    return {item["sk"]: frozenset(item["f"]) for item in found}


def of_job(scope: Scope, job_id: str) -> Iterator[tuple[str, frozenset[str]]]:
    """The rows that one job has erased something of."""
    found = table.query(config().control_table, keys.erased(scope, "").pk, page=1_000)
    return ((item["sk"], frozenset(item["f"])) for item in found if item.get("j") == job_id)


def note(scope: Scope, row_id: str, names: Iterable[str], job_id: str) -> None:
    """Note that values of a row are erased, before they are."""
    table.put(config().control_table, keys.erased(scope, row_id), {"f": sorted(names), "j": job_id})


def applied(erased: Mapping[str, frozenset[str]], entity: EntityType, row_id: str, fields: Mapping[str, Any],
            now: Mapping[str, Any] | None) -> dict[str, Any]:  # fmt: skip
    """The fields of an earlier time, the erased ones as they are now; where there is no row now, as an erasure leaves them."""
    names = erased.get(row_id, frozenset()) & fields.keys()
    return {**fields, **{name: now[name] if now and name in now else blank(entity, name, row_id) for name in names}}


def blank(entity: EntityType, name: str, row_id: str) -> Any:
    """What stands in the place of an erased value: nothing where that is possible, else a text that says so and fits."""
    kind = entity.kinds.get(name)
    if kind is None or kind.nullable:
        return None
    if kind.name == "list":
        return []
    return f"{row_id.replace('_', '-')}@erased.invalid" if "email" in name else "[erased]"
