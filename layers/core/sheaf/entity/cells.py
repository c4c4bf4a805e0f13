"""Tables as rows of an entity: which column is which field, and what the text of a cell means there."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from sheaf.base.errors import ValidationFailed
from sheaf.entity import kinds
from sheaf.entity.kinds import Kind
from sheaf.entity.names import SYSTEM_FIELDS, camel
from sheaf.entity.registry import EntityType

_BREAK = re.compile(r"[^0-9a-z]+")


@dataclass(frozen=True, slots=True)
class Columns:
    """The field of each column, None for one that is left aside.

    `born`: the rows are new ones. `clear`: an empty cell empties its field, which otherwise stays as it is.
    """

    entity: EntityType
    fields: tuple[str | None, ...]
    header: tuple[str, ...]
    born: bool = True
    clear: bool = False

    def row(self, cells: Sequence[Any]) -> dict[str, Any]:
        """The fields that a record holds; raises ValidationFailed where it has not as many cells as the header."""
        extra = [each for each in cells[len(self.header) :] if each not in ("", None)]
        if extra or len(cells) < len(self.header):
            raise ValidationFailed.naming({"": f"has {len(cells)} cells; the header has {len(self.header)}"})
        found = {}
        for name, cell in zip(self.fields, cells, strict=False):
            if name is None:
                continue
            if cell not in ("", None):
                found[name] = _meant(self._kind(name), cell)
            elif self.clear or self.born:
                if self._must_be_text(name):
                    found[name] = ""
                elif self.clear:
                    found[name] = None
        return found

    def original(self, cells: Sequence[Any]) -> dict[str, Any]:
        """The record under the names of its own header."""
        return dict(zip(self.header, cells, strict=False))

    def _kind(self, name: str) -> Kind:
        return kinds.SYSTEM.get(name) or kinds.kind_of(self.entity.model.model_fields[name].annotation)

    def _must_be_text(self, name: str) -> bool:
        """Whether an empty cell can mean nothing but an empty text."""
        return (
            name not in SYSTEM_FIELDS
            and self.entity.model.model_fields[name].is_required()
            and self._kind(name) == Kind("string")
        )


def columns(entity: EntityType, header: Sequence[str], mapping: Mapping[str, str | None], *, born: bool = True,
            clear: bool = False) -> Columns:  # fmt: skip
    """Find the field of each column: by the mapping, by name, by name in another case; raises ValidationFailed.

    Columns that only the server sets are left aside, as those that the mapping gives null; so are the ids of `born` rows.
    """
    plain = {_plain(name): name for name in (*entity.model.model_fields, *SYSTEM_FIELDS)}
    plain |= {_plain(camel(name)): name for name in entity.model.model_fields}
    told = {"_row", "_id", "_outcome", "_version", "_reason", "_error", "_code"}  # columns of a job's own files
    ignored = {*entity.given, "createdAt", "updatedAt", *(("id", "version") if born else ())}
    wrong: dict[str, str] = {f"mapping.{name[:80]}": "is no column of the file" for name in mapping if name not in header}
    found: list[str | None] = []
    for title in header:
        name = mapping[title] if title in mapping else plain.get(_plain(title))
        if title not in mapping and name is None and title not in told:
            wrong[f"columns.{title[:80]}"] = f"is no field of {entity.path}; map it to one, or to null"
        elif name is not None and name not in (*entity.model.model_fields, "id", "version"):
            if title in mapping:
                wrong[f"mapping.{title[:80]}"] = f"{str(name)[:80]!r} is no field of {entity.path}"
            name = None
        elif name is not None and name in found:
            wrong[f"columns.{title[:80]}"] = f"is {name}, as another column is"
        found.append(None if name in ignored else name)
    if not any(found):
        wrong.setdefault("columns", f"none is a field of {entity.path}")
    if wrong:
        raise ValidationFailed.naming(dict(list(wrong.items())[:100]))
    return Columns(entity, tuple(found), tuple(header), born, clear)


def _plain(title: str) -> str:
    return _BREAK.sub("", title.strip().lower())


def _meant(kind: Kind, cell: Any) -> Any:
    """What a cell holds for a field of a kind; what it cannot be is left for the field's own rules to say."""
    if kind.name in ("list", "object") and isinstance(cell, str):
        if cell[:1] in ("[", "{"):
            try:
                return from_json(cell)
            except ValueError:
                return cell
        return [part.strip() for part in cell.split(";") if part.strip()] if kind.name == "list" else cell
    if kind.name in ("string", "enum", "timestamp") and isinstance(cell, int | float) and not isinstance(cell, bool):
        return str(cell)
    return cell
