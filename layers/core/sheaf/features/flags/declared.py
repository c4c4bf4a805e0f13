"""A flag as it is declared, and how the rule engine of Powertools is told of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.base.bounds import FLAG_BYTES, FLAG_RULES, FLAG_VARIANTS
from sheaf.base.errors import ValidationFailed
from sheaf.entity.body import object_of
from sheaf.entity.moments import moment_of

KEY = re.compile(r"[a-z][a-z0-9._-]{0,62}")
NOW, BUCKET = "nowMs", "bucket"  # what the context holds beside what the caller says
BUCKETS = 100_000  # parts that users fall into, for percentages
_FIELDS = ("description", "enabled", "variants", "default", "off", "rules", "selfService", "guard")
_RULE = ("name", "variant", "when", "percentage", "from", "to")
_ON_OFF = {"on": True, "off": False}
_ACTIONS = frozenset({
    "EQUALS", "NOT_EQUALS", "KEY_GREATER_THAN_VALUE", "KEY_GREATER_THAN_OR_EQUAL_VALUE", "KEY_LESS_THAN_VALUE",
    "KEY_LESS_THAN_OR_EQUAL_VALUE", "STARTSWITH", "ENDSWITH", "KEY_IN_VALUE", "KEY_NOT_IN_VALUE", "VALUE_IN_KEY",
    "VALUE_NOT_IN_KEY", "ALL_IN_VALUE", "ANY_IN_VALUE", "NONE_IN_VALUE", "SCHEDULE_BETWEEN_TIME_RANGE",
    "SCHEDULE_BETWEEN_DATETIME_RANGE", "SCHEDULE_BETWEEN_DAYS_OF_WEEK",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Guard:
    """When a flag that is on is to be switched off: these routes fail too often, or take too long."""

    routes: tuple[str, ...]  # as metrics name them: GET /v1/tasks
    error_rate: float | None = None  # of the requests, from 0 to 1
    p95_ms: float | None = None
    minutes: int = 5  # that are looked at
    requests: int = 20  # below which nothing is said


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag. `rules` are Powertools' own, each with the variant that it gives."""

    key: str
    description: str = ""
    enabled: bool = False
    variants: Mapping[str, Any] = field(default_factory=lambda: dict(_ON_OFF))
    default: str = "on"  # where it is enabled and no rule fits
    off: str = "off"  # where it is not enabled
    rules: tuple[Mapping[str, Any], ...] = ()
    self_service: str | None = None  # the variant that a tenant's admins may choose for their tenant
    guard: Guard | None = None
    version: int = 0
    changed_ms: int = 0

    def shown(self) -> dict[str, Any]:
        """As it is declared."""
        guard = self.guard and {"routes": list(self.guard.routes), "errorRate": self.guard.error_rate, "p95Ms": self.guard.p95_ms,
                                "minutes": self.guard.minutes, "requests": self.guard.requests}  # fmt: skip
        return {"key": self.key, "description": self.description, "enabled": self.enabled, "variants": dict(self.variants),
                "default": self.default, "off": self.off, "rules": list(self.rules), "selfService": self.self_service,
                "guard": guard, "version": self.version}  # fmt: skip

    def schema(self) -> dict[str, Any]:
        """What Powertools evaluates (its feature flag schema): each value says the variant and why."""
        rules = {rule["name"]: {"when_match": {"variant": rule["variant"], "rule": rule["name"], "split": "percentage" in rule},
                                "conditions": _conditions(rule)} for rule in self.rules}  # fmt: skip
        return {self.key: {"boolean_type": False, "default": {"variant": self.default}, **({"rules": rules} if rules else {})}}

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> "Flag":
        """The flag of a stored row."""
        return replace(_read(item["sk"], from_json(item["d"])), version=item["v"], changed_ms=item["u"])


def read(key: str, body: object) -> Flag:
    """A flag from a request's body; raises ValidationFailed with one message per field."""
    flag = _read(key, body)
    if len(to_json(flag.shown())) > FLAG_BYTES:
        raise ValidationFailed.naming({"": f"is more than {FLAG_BYTES:,} bytes as JSON"})
    return flag


def _read(key: str, body: object) -> Flag:
    fields = object_of(body, *_FIELDS)
    wrong: dict[str, str] = {} if KEY.fullmatch(key) else {"key": "must be 1 to 63 of a-z, 0-9, ., _ and -, a letter first"}
    variants = fields.get("variants", _ON_OFF)
    if (
        not isinstance(variants, dict)
        or not 1 <= len(variants) <= FLAG_VARIANTS
        or not all(KEY.fullmatch(name) for name in variants)
    ):
        wrong["variants"] = f"must be an object of 1 to {FLAG_VARIANTS} values by their names"
        variants = _ON_OFF
    elif len({_kind(value) for value in variants.values()}) > 1 or _kind(next(iter(variants.values()))) == "null":
        wrong["variants"] = "must be values of one kind: true and false, texts, numbers or objects"
    first = next(iter(variants))
    flag = Flag(
        key=key,
        description=_text(fields, "description", wrong),
        enabled=_flag(fields, "enabled", wrong),
        variants=variants,
        default=_variant(fields.get("default", "on" if "on" in variants else first), variants, "default", wrong),
        off=_variant(fields.get("off", "off" if "off" in variants else first), variants, "off", wrong),
        rules=_rules(fields.get("rules", []), variants, wrong),
        self_service=_variant(fields["selfService"], variants, "selfService", wrong)
        if fields.get("selfService") is not None
        else None,
        guard=_guard(fields["guard"], wrong) if fields.get("guard") is not None else None,
    )
    if wrong:
        raise ValidationFailed.naming(wrong)
    return flag


def _kind(value: Any) -> str:
    kinds = {bool: "boolean", int: "number", float: "number", str: "text", dict: "object", list: "object", type(None): "null"}
    return kinds[type(value)]


def _text(fields: Mapping[str, Any], name: str, wrong: dict[str, str]) -> str:
    found = fields.get(name, "")
    if not isinstance(found, str) or len(found) > 500:
        wrong[name] = "must be a text of at most 500 characters"
        return ""
    return found


def _flag(fields: Mapping[str, Any], name: str, wrong: dict[str, str]) -> bool:
    found = fields.get(name, False)
    if not isinstance(found, bool):
        wrong[name] = "must be true or false"
        return False
    return found


def _variant(value: Any, variants: Mapping[str, Any], name: str, wrong: dict[str, str]) -> str:
    if not isinstance(value, str) or value not in variants:
        wrong[name] = f"must be one of the variants: {', '.join(variants)}"
        return ""
    return value


def _rules(value: Any, variants: Mapping[str, Any], wrong: dict[str, str]) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(value, list) or len(value) > FLAG_RULES:
        wrong["rules"] = f"must be a list of at most {FLAG_RULES} rules"
        return ()
    found = []
    for number, rule in enumerate(value):
        place = f"rules.{number}"
        if not isinstance(rule, dict):
            wrong[place] = "must be an object"
            continue
        wrong |= {
            f"{place}.{name}"[:200]: f"is not a field of a rule; {', '.join(_RULE)} are" for name in rule if name not in _RULE
        }
        _variant(rule.get("variant"), variants, f"{place}.variant", wrong)
        _when(rule.get("when", []), f"{place}.when", wrong)
        percentage = rule.get("percentage", 100)
        if isinstance(percentage, bool) or not isinstance(percentage, int | float) or not 0 <= percentage <= 100:
            wrong[f"{place}.percentage"] = "must be a number from 0 to 100"
        _moments(rule, place, wrong)
        if not rule.get("when") and not {"percentage", "from", "to"} & rule.keys():
            wrong[place] = "must say for whom: when, percentage, from or to"
        name = rule.get("name", f"rule {number + 1}")
        if not isinstance(name, str) or not 1 <= len(name) <= 100:
            wrong[f"{place}.name"] = "must have 1 to 100 characters"
        found.append({**rule, "name": name})
    if len({str(rule["name"]) for rule in found}) < len(found):
        wrong["rules"] = "must have different names"
    return tuple(found)


def _when(value: Any, place: str, wrong: dict[str, str]) -> None:
    if not isinstance(value, list) or len(value) > FLAG_RULES:
        wrong[place] = f"must be a list of at most {FLAG_RULES} conditions"
        return
    for number, condition in enumerate(value):
        if not isinstance(condition, dict) or set(condition) != {"action", "key", "value"}:
            wrong[f"{place}.{number}"] = "must be an object of action, key and value"
        elif not isinstance(condition["action"], str) or condition["action"] not in _ACTIONS:
            wrong[f"{place}.{number}.action"] = f"must be one of {', '.join(sorted(_ACTIONS))}"
        elif not isinstance(condition["key"], str) or not 1 <= len(condition["key"]) <= 100:
            wrong[f"{place}.{number}.key"] = "must name a value of the context: tenant, tier, role, user or one of its own"
        elif complaint := _engines_complaint(condition):
            wrong[f"{place}.{number}.value"] = complaint


def _engines_complaint(condition: Mapping[str, Any]) -> str:
    """What Powertools finds wrong with a condition."""
    from aws_lambda_powertools.utilities.feature_flags.exceptions import SchemaValidationError
    from aws_lambda_powertools.utilities.feature_flags.schema import SchemaValidator

    rules = {"r": {"when_match": True, "conditions": [dict(condition)]}}
    try:
        SchemaValidator({"f": {"default": False, "rules": rules}}).validate()
    except SchemaValidationError as error:
        return str(error)[:300]
    return ""


def _moments(rule: Mapping[str, Any], place: str, wrong: dict[str, str]) -> None:
    for name in ("from", "to"):
        if name in rule:
            try:
                moment_of(rule[name])
            except ValueError as error:
                wrong[f"{place}.{name}"] = str(error)


def _conditions(rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = [dict(condition) for condition in rule.get("when", [])]
    if "from" in rule:
        found.append({"action": "KEY_GREATER_THAN_OR_EQUAL_VALUE", "key": NOW, "value": moment_of(rule["from"])})
    if "to" in rule:
        found.append({"action": "KEY_LESS_THAN_VALUE", "key": NOW, "value": moment_of(rule["to"])})
    if "percentage" in rule:
        found.append({"action": "KEY_LESS_THAN_VALUE", "key": BUCKET, "value": round(rule["percentage"] * BUCKETS / 100)})
    return found


def _guard(value: Any, wrong: dict[str, str]) -> Guard | None:
    fields = value if isinstance(value, dict) else {}
    known = ("routes", "errorRate", "p95Ms", "minutes", "requests")
    wrong |= {f"guard.{name}"[:200]: f"is not a field of a guard; {', '.join(known)} are" for name in fields if name not in known}
    routes = fields.get("routes")
    if not isinstance(routes, list) or not 1 <= len(routes) <= 20 or not all(isinstance(each, str) and each for each in routes):
        wrong["guard.routes"] = "must be 1 to 20 routes as metrics name them, such as GET /v1/tasks"
    bounds = {"errorRate": (0, 1), "p95Ms": (1, 30_000), "minutes": (1, 60), "requests": (1, 1_000_000)}
    for name, (low, high) in bounds.items():
        found = fields.get(name)
        if found is not None and (isinstance(found, bool) or not isinstance(found, int | float) or not low <= found <= high):
            wrong[f"guard.{name}"] = f"must be a number from {low} to {high:,}"
    if fields.get("errorRate") is None and fields.get("p95Ms") is None:
        wrong["guard"] = "must have errorRate or p95Ms"
    if any(name.startswith("guard") for name in wrong):
        return None
    return Guard(tuple(fields["routes"]), fields.get("errorRate"), fields.get("p95Ms"), int(fields.get("minutes") or 5),
                 int(fields.get("requests") or 20))  # fmt: skip
