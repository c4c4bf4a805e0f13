"""Writes of several rows as one transaction, and which of them a refusal is about."""

from collections.abc import Mapping, Sequence

from sheaf.base.bounds import ATOMIC_ACTIONS, ATOMIC_BYTES
from sheaf.base.errors import NotUnique, SheafError, TooLarge, ValidationFailed
from sheaf.records.commit import commit, marks_of_all
from sheaf.records.options import Options
from sheaf.records.write import Planned
from sheaf.store.keys import Key

_BESIDE_BYTES = 1_000  # what stands in an item beside the document


class Blamed(Exception):
    """The transaction was refused for one of its rows, that at `place`."""

    def __init__(self, place: int, error: SheafError) -> None:
        super().__init__(error.message)
        self.place = place
        self.error = error


def commit_all(plans: Sequence[Planned], options: Options, pointer: Mapping[str, str | int]) -> None:
    """Write all the rows or none.

    Raises Blamed, TooLarge where they take more than one transaction has, and what commit.commit raises: RowMoved where another
    writer came between the look and the transaction, KeyTaken, Unavailable, the refusal of a mark that no row is to blame for.
    """
    _refuse_large(plans, bool(options.once) and not options.dry)
    _refuse_twice(plans)
    rows = [write for plan in plans for write in plan.writes]
    found = [mark for plan in plans for mark in plan.marks]
    try:
        commit(rows, marks_of_all(found), options, pointer)
    except NotUnique as error:
        raise Blamed(_holder(plans, error.key), error) from None


def _refuse_large(plans: Sequence[Planned], remembered: bool) -> None:
    # Together with the record of the request: what is counted is what DynamoDB counts.
    actions = sum(len(plan.writes) + len(plan.marks) for plan in plans) + remembered
    if actions > ATOMIC_ACTIONS:
        raise TooLarge(f"One transaction has {ATOMIC_ACTIONS} actions and these items take {actions}: a new or changed row takes "
                       "one, a deletion two, each change of a unique field one or two more, an Idempotency-Key one")  # fmt: skip
    size = sum(len(plan.item["d"].encode()) + _BESIDE_BYTES for plan in plans)
    if size > ATOMIC_BYTES:
        raise TooLarge(f"The rows take {size:,} bytes in one transaction, which has {ATOMIC_BYTES:,}")


def _refuse_twice(plans: Sequence[Planned]) -> None:
    """Raise Blamed where two touch one item, which DynamoDB does not do: a row, or a unique value that they take or leave."""
    seen: set[Key] = set()
    for place, plan in enumerate(plans):
        touched = [("", write.key) for write in plan.writes]
        # A hold on a file is an update: those of one file are added up.
        touched += [(mark.field, mark.write.key) for mark in plan.marks if mark.write.kind != "update"]
        for name, key in touched:
            if key in seen:
                text = "another item of this transaction takes or leaves the same value"
                twice = ValidationFailed("another item of this transaction writes the same row")
                raise Blamed(place, NotUnique(f"{name}: {text}", fields={name: text}) if name else twice)
            seen.add(key)


def _holder(plans: Sequence[Planned], key: object) -> int:
    return next(place for place, plan in enumerate(plans) if any(mark.write.key == key for mark in plan.marks))
