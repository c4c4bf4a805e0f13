"""IAM's evaluation of one policy, as far as ours go (docs: "Policy evaluation logic", "Condition operators", multivalued context keys).

Context keys map to lists of values; one that is absent is absent. `ForAllValues:` holds for an absent key, which is its trap.
"""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

Context = Mapping[str, Sequence[str]]
_VARIABLE = re.compile(r"\$\{([^}]+)\}")


def allows(statements: Sequence[Mapping[str, Any]], action: str, resource: str, context: Context) -> bool:
    """Whether the statements allow an action on a resource: one allows and none denies."""
    fitting = [each["Effect"] for each in statements if _fits(each, action, resource, context)]
    return "Allow" in fitting and "Deny" not in fitting


def _fits(statement: Mapping[str, Any], action: str, resource: str, context: Context) -> bool:
    return (
        any(fnmatchcase(action.lower(), each.lower()) for each in _listed(statement["Action"]))
        and any(_like(resource, each) for each in _listed(statement.get("Resource", "*")))
        and all(
            _holds(operator, key, _listed(wanted), context)
            for operator, pairs in statement.get("Condition", {}).items()
            for key, wanted in pairs.items()
        )
    )


def _holds(operator: str, key: str, wanted: Sequence[str], context: Context) -> bool:
    values = next((found for name, found in context.items() if name.lower() == key.lower()), None)
    if operator == "Null":
        return all((each.lower() == "true") == (values is None) for each in wanted)
    quantifier, _, plain = operator.rpartition(":")
    if plain not in ("StringLike", "StringEquals", "ArnLike"):
        raise NotImplementedError(operator)
    patterns = [_filled(each, context) for each in wanted]

    def matches(value: str) -> bool:
        return any(pattern is not None and (value == pattern if plain == "StringEquals" else _like(value, pattern))
                   for pattern in patterns)  # fmt: skip

    if quantifier == "ForAllValues":
        return all(matches(value) for value in values or ())
    if quantifier == "ForAnyValue":
        return any(matches(value) for value in values or ())
    return values is not None and len(values) == 1 and matches(values[0])


def _filled(pattern: str, context: Context) -> str | None:
    """The pattern with its variables; None where one has no value, which then matches nothing."""
    names = _VARIABLE.findall(pattern)
    if any(len(context.get(name, ())) != 1 for name in names):
        return None
    # What a variable holds is text and no pattern.
    return _VARIABLE.sub(lambda match: re.sub(r"([*?\[])", r"[\1]", context[match[1]][0]), pattern)


def _like(value: str, pattern: str) -> bool:
    """IAM's `*` and `?`; brackets stand only where `_filled` has put them."""
    return fnmatchcase(value, pattern)


def _listed(value: Any) -> Sequence[str]:
    return value if isinstance(value, list) else [value]
