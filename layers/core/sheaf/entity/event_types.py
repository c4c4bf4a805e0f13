"""The types of events, `task.created`, and the patterns that stand for several: `task.*` and `*`."""

import re
from collections.abc import Iterable

from sheaf.entity import registry
from sheaf.entity.names import OPERATIONAL, VERBS

PATTERN = re.compile(r"\*|[a-z][a-z_]{0,62}\.(\*|[a-z_]{1,32})")


def every() -> list[str]:
    """Every type of an event that can be told, sorted."""
    from sheaf.entity import custom

    entities = [registry.find(path) for path in registry.paths()] + [registry.files()]
    told = [f"{entity.word}.{name}" for entity in entities for name in (*VERBS, *entity.model.events)]
    return sorted([*told, *custom.known(), *OPERATIONAL])


def is_unknown(pattern: str, known: Iterable[str]) -> bool:
    """Whether a pattern stands for no type that there is."""
    return pattern != "*" and not any(covers((pattern,), name) for name in known)


def objection(pattern: object, known: Iterable[str]) -> str:
    """What is wrong with a pattern in a request, for the one who sent it; nothing where it is good."""
    if not (isinstance(pattern, str) and PATTERN.fullmatch(pattern)):
        return "must look like task.created, task.* or *"
    return f"there is no event {pattern}; GET /v1/event-types lists them" if is_unknown(pattern, known) else ""


def covers(patterns: Iterable[str], type_: str) -> bool:
    """Whether one of the patterns stands for a type."""
    return not {type_, f"{type_.partition('.')[0]}.*", "*"}.isdisjoint(patterns)
