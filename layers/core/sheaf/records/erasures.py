"""Which personal values of which rows were erased, and whose: whatever is put back from earlier times comes without them."""

import hmac
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sheaf.base.config import config
from sheaf.entity.registry import EntityType
from sheaf.store import keys, table
from sheaf.store.keys import Scope
from sheaf.store.secrets import signing_secret

_PERSON = "@"  # before the mark of an address, beside the ids of rows


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased of a tenant: fields of rows, and the marks of addresses whose rows of whatever time are blanked."""

    tenant: str
    rows: Mapping[str, frozenset[str]]
    people: frozenset[str]

    def applied(
        self, entity: EntityType, row_id: str, fields: Mapping[str, Any], now: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """The fields of an earlier time, the erased ones as they are now, or where there is no row as an erasure leaves them."""
        names = self.rows.get(row_id, frozenset()) & fields.keys()
        kept = {name: now[name] if now and name in now else blank(entity, name, row_id) for name in names}
        return self.without_people(entity, row_id, {**fields, **kept})

    def without_people(self, entity: EntityType, row_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields without anything personal, where they are about somebody who was erased."""
        personal = entity.personal & fields.keys()
        texts = [fields[name] for name in personal if self.people and isinstance(fields[name], str)]
        about = not self.people.isdisjoint(mark(self, text) for text in texts)
        return {**fields, **({name: blank(entity, name, row_id) for name in personal} if about else {})}


def of(scope: Scope) -> Erased:
    """Everything that was erased of a tenant."""
    found = list(table.query(config().control_table, keys.erased(scope, "").pk, page=1_000))
    rows = {item["sk"]: frozenset(item["f"]) for item in found if "f" in item}
    return Erased(scope.tenant, rows, frozenset(item["sk"][1:] for item in found if item["sk"].startswith(_PERSON)))


def of_person(scope: Scope, address: str) -> Iterator[tuple[str, frozenset[str], int | None]]:
    """The rows that were erased for a person: their fields, and the version in which they were, None for rows that are gone."""
    found, whose = table.query(config().control_table, keys.erased(scope, "").pk, page=1_000), mark(scope, address)
    return ((item["sk"], frozenset(item["f"]), item.get("v")) for item in found if item.get("s") == whose)


def note_person(scope: Scope, address: str) -> None:
    """Note that an address was erased, as a mark that tells it to nobody."""
    table.put(config().control_table, keys.erased(scope, f"{_PERSON}{mark(scope, address)}"), {})


def note(scope: Scope, row_id: str, names: Iterable[str], address: str, version: int | None = None) -> None:
    """Note that values of a row are erased, before they are; and with the `version` that lacks them, once there is one."""
    item = {"f": sorted(names), "s": mark(scope, address), "v": version}
    table.put(config().control_table, keys.erased(scope, row_id), item)


def mark(scope: Scope, address: str) -> str:
    """What an address is known by without being kept."""
    said = f"{scope.tenant}\0{address.strip().lower()}"
    return hmac.digest(signing_secret().derived("erased"), said.encode(), "sha256").hex()


def blank(entity: EntityType, name: str, row_id: str) -> Any:
    """What stands in the place of an erased value: nothing where that is possible, else a text that says so and fits."""
    kind = entity.kinds.get(name)
    if kind is None or kind.nullable:
        return None
    if kind.name == "list":
        return []
    return f"{row_id.replace('_', '-')}@erased.invalid" if "email" in name else "[erased]"
