"""In which order the requests of a batch run: what depends on another waits for it, the rest runs side by side.

Two that touch the same rows, one of them writing, keep the order in which they were sent, as if all ran one by one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sheaf.base.errors import ValidationFailed
from sheaf.features.batch.references import is_free
from sheaf.features.batch.request import Call

_BELOW_ROWS = ("history", "restore", "revert")


@dataclass(frozen=True, slots=True)
class Step:
    """What runs as one: a request, or those of an atomicity group, in an order that suits their references.

    `needs` are the steps whose success it depends on, `after` all that it waits for, by their places.
    """

    calls: tuple[Call, ...]
    needs: frozenset[int]
    after: frozenset[int]


@dataclass(frozen=True, slots=True)
class Touch:
    """What a request reads or writes: an entity's row, all its rows (`row` None), or anything (`entity` None)."""

    entity: str | None
    row: str | None
    writes: bool

    def meets(self, other: "Touch") -> bool:
        """Whether the order of the two can be seen."""
        if not (self.writes or other.writes):
            return False
        if self.entity is None or other.entity is None:
            return True
        return self.entity == other.entity and (self.row is None or other.row is None or self.row == other.row)


def steps_of(calls: Sequence[Call], touches: Callable[[Call], Sequence[Touch]]) -> list[Step]:
    """The steps, each behind those that it waits for; raises ValidationFailed where some depend on each other in a circle."""
    grouped: dict[str, list[Call]] = {}
    for call in calls:
        grouped.setdefault(f"group {call.group}" if call.group else f"call {call.id}", []).append(call)
    bundles = list(grouped.values())
    place_of = {call.id: place for place, bundle in enumerate(bundles) for call in bundle}
    needs = [{place_of[need] for call in bundle for need in call.needs} - {place} for place, bundle in enumerate(bundles)]
    order = _sorted(needs, [bundle[0] for bundle in bundles])
    moved = {place: position for position, place in enumerate(order)}
    steps: list[Step] = []
    touched: list[list[Touch]] = []
    for place in order:
        inner = {call.id: number for number, call in enumerate(bundles[place])}
        inside = [{inner[need] for need in call.needs if need in inner} for call in bundles[place]]
        bundle = tuple(bundles[place][number] for number in _sorted(inside, bundles[place]))
        mine = [each for call in bundle for each in touches(call)]
        wanted = frozenset(moved[need] for need in needs[place])
        met = {number for number, theirs in enumerate(touched) if any(one.meets(two) for one in mine for two in theirs)}
        steps.append(Step(bundle, wanted, wanted | met))
        touched.append(mine)
    return steps


def touch_of(call: Call, rest: Sequence[str], *, unique: bool) -> Touch:
    """What a request touches, by its path below the version. `unique`: its entity has values that only one row may hold."""
    if not rest or not is_free(rest[0]) or len(rest) > 3 or (len(rest) == 3 and rest[2] not in _BELOW_ROWS):
        return Touch(None, None, call.writes)
    if any(name == "expand" for name, _ in call.query):
        return Touch(None, None, call.writes)  # other entities' rows, too
    if call.writes and unique:
        return Touch(rest[0], None, True)  # one may take the value that another leaves
    if len(rest) == 1:
        return Touch(rest[0], f"the new one of {call.id}" if call.writes else None, call.writes)
    return Touch(rest[0], rest[1] if is_free(rest[1]) else None, call.writes)


def levels(steps: Sequence[Step]) -> list[list[str]]:
    """The ids that run side by side, level by level."""
    found: list[list[str]] = []
    level_of: dict[int, int] = {}
    for place, step in enumerate(steps):
        level = max((level_of[each] + 1 for each in step.after), default=0)
        level_of[place] = level
        found += [[]] * (level == len(found))
        found[level] = [*found[level], *(call.id for call in step.calls)]
    return found


def _sorted(needs: Sequence[set[int]], calls: Sequence[Call]) -> list[int]:
    """The places in their own order, each with what it needs just before it."""
    done: dict[int, None] = {}

    def visit(place: int, above: tuple[int, ...]) -> None:
        if place in above:
            raise _circle([*above[above.index(place) :], place], calls)
        if place in done:
            return
        for need in sorted(needs[place]):
            visit(need, (*above, place))
        done[place] = None

    for place in range(len(needs)):
        visit(place, ())
    return list(done)


def _circle(places: Sequence[int], calls: Sequence[Call]) -> ValidationFailed:
    told = " → ".join(calls[place].group or calls[place].id for place in places)
    return ValidationFailed("The batch is wrong, so nothing of it was run",
                            fields={f"requests.{calls[places[0]].index}.dependsOn": f"is circular: {told}"})  # fmt: skip
