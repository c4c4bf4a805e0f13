"""Sums over a list: count, sum, avg, min and max, of all matching rows or by groups."""

from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

from sheaf.access.caller import Caller
from sheaf.base.bounds import GROUPS, SUMS_BYTES
from sheaf.base.clock import now_ms
from sheaf.base.errors import InvalidParameter
from sheaf.entity import kinds
from sheaf.entity.query import Aggregate, Query
from sheaf.records.page import total
from sheaf.records.plan import Wanted, plan
from sheaf.records.rows import escaped_size

_BATCH = 500


def aggregate(caller: Caller, query: Query, *, strict: bool = False) -> list[dict[str, Any]]:
    """One object a group (one in all without `groupBy`), in the order of the groups' values.

    `{"status": "todo", "count": 3, "sum": {"points": 8}}`; avg, min and max of no value are null.
    Raises IndexRequired over the scan budget (or `strict`).
    """
    chosen = plan(caller, query.entity, Wanted(query.condition(now_ms()), search=query.search, trash=query.trash))
    if strict and not chosen.served:
        raise chosen.refusal("strict handling is asked for")
    if not query.group_by and all(each.function == "count" for each in query.aggregates):
        return [{"count": total(chosen)}]
    groups: dict[tuple[Any, ...], list[_Sum]] = {}
    if not query.group_by:
        groups[()] = [_Sum(query, each) for each in query.aggregates]
    for _, row in chosen.rows("", _BATCH):
        if row is None:
            continue
        document = row.document
        values = tuple(_groupable(document.get(name)) for name in query.group_by)
        if values not in groups:
            if len(groups) == GROUPS:
                message = f"makes more than {GROUPS:,} groups"
                raise InvalidParameter(f"groupBy {message}", fields={"groupBy": message})
            groups[values] = [_Sum(query, each) for each in query.aggregates]
        for each in groups[values]:
            each.add(document.get(each.asked.field) if each.asked.field else 1)
    ordered = sorted(groups, key=lambda values: [kinds.order(query.entity.kinds.get(name), value)
                                                 for name, value in zip(query.group_by, values, strict=True)])  # fmt: skip
    sums = [_shown(query, values, groups[values]) for values in ordered]
    if (size := escaped_size(to_json(sums).decode())) > SUMS_BYTES:
        message = f"makes an answer of {size:,} bytes; {SUMS_BYTES:,} is the most"
        raise InvalidParameter(f"aggregate {message}", fields={"aggregate": message})
    return sums


class _Sum:
    def __init__(self, query: Query, asked: Aggregate) -> None:
        self.asked = asked
        self._kind = query.entity.kinds.get(asked.field)
        self._count = 0
        self._sum: int | float = 0
        self._extreme: Any = None

    def add(self, value: Any) -> None:
        if value is None:
            return
        self._count += 1
        if self.asked.function in ("sum", "avg"):
            self._sum += value if isinstance(value, int | float) else 0
        elif self.asked.function != "count" and (self._extreme is None or self._beats(value)):
            self._extreme = value

    def _beats(self, value: Any) -> bool:
        mine, theirs = kinds.order(self._kind, value), kinds.order(self._kind, self._extreme)
        return mine < theirs if self.asked.function == "min" else mine > theirs

    @property
    def value(self) -> Any:
        total = self._sum if self._sum - self._sum == 0 else None  # beyond all range there is no number that JSON knows
        if self.asked.function == "avg":
            return total / self._count if self._count and total is not None else None
        return {"count": self._count, "sum": total}.get(self.asked.function, self._extreme)


def _groupable(value: Any) -> Any:
    # A row from before the field was declared as it is now may hold what cannot be a group.
    return None if isinstance(value, list | dict) else value


def _shown(query: Query, values: Sequence[Any], sums: Sequence[_Sum]) -> dict[str, Any]:
    shown: dict[str, Any] = dict(zip(query.group_by, values, strict=True))
    for each in sums:
        if each.asked.function == "count":
            shown["count"] = each.value
        else:
            shown.setdefault(each.asked.function, {})[each.asked.field] = each.value
    return shown
