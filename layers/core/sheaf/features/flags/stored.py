"""The flags of the installation, and what tenants have chosen for themselves; read anew after FLAG_SECONDS."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pydantic_core import to_json

from sheaf.access import operators
from sheaf.access.caller import Caller
from sheaf.base.bounds import FLAG_SECONDS, FLAGS
from sheaf.base.clock import now_ms
from sheaf.base.config import config
from sheaf.base.errors import Conflict, NotFound, PermissionDenied, PreconditionFailed, ValidationFailed
from sheaf.entity.body import object_of
from sheaf.features.flags import declared
from sheaf.features.flags.declared import Flag
from sheaf.records import notes
from sheaf.records.once import Once, put_once
from sheaf.store import keys, table
from sheaf.store.keys import Scope
from sheaf.store.table import ConditionFailed, Item, Write

_TRIES = 5
_all: tuple[float, dict[str, Flag]] | None = None
_chosen: dict[str, tuple[float, dict[str, bool]]] = {}


def every() -> Mapping[str, Flag]:
    """All flags by their keys, at most FLAG_SECONDS old."""
    global _all
    if _all is None or time.monotonic() - _all[0] > FLAG_SECONDS:
        begun = time.monotonic()
        _all = (begun, {item["sk"]: Flag.of(item) for item in table.query(config().control_table, keys.flags(), page=FLAGS)})
    return _all[1]


def chosen(scope: Scope) -> Mapping[str, bool]:
    """Which flags a tenant has switched on or off for itself, at most FLAG_SECONDS old."""
    cached = _chosen.get(scope.tenant)
    if cached is None or time.monotonic() - cached[0] > FLAG_SECONDS:
        begun = time.monotonic()
        found = {item["sk"]: item["on"] for item in table.query(config().control_table, keys.flag_of(scope, "").pk)}
        if len(_chosen) > 10_000:
            _chosen.clear()
        _chosen[scope.tenant] = cached = (begun, found)
    return cached[1]


def forget() -> None:
    """Read flags anew."""
    global _all
    _all = None
    _chosen.clear()


def find(key: str) -> Flag:
    """One flag as it stands; raises NotFound."""
    item = table.get(config().control_table, keys.flag(key)) if declared.KEY.fullmatch(key) else None
    if item is None:
        raise NotFound(f"There is no flag {key[:80]!r}")
    return Flag.of(item)


def declare(caller: Caller, key: str, body: object, versions: frozenset[int] | None, once: Once | None) -> tuple[Flag, bool]:
    """An operator declares a flag, or anew; and whether there was none.

    Raises PermissionDenied, ValidationFailed, PreconditionFailed, Conflict.
    """
    operators.require(caller, "features:write")
    if once and once.found():
        return find(key), False
    flag = declared.read(key, body)
    made: list[bool] = []

    def changed(before: Flag | None) -> Flag:
        if versions is not None and (before is None or before.version not in versions):
            raise PreconditionFailed("The flag was changed by somebody else meanwhile")
        if before is None and len(every()) >= FLAGS:
            raise Conflict(f"There are {FLAGS} flags, which is the most")
        made.append(before is None)
        return flag

    return _change(caller, key, "feature.declared", changed, once), made[-1]


def toggle(caller: Caller, body: object, once: Once | None) -> dict[str, Any]:
    """`{"feature", "enabled", "scope"?}`: operators for the installation, admins for their own tenant where the flag lets them.

    Raises ValidationFailed, NotFound, PermissionDenied.
    """
    fields = object_of(body, "feature", "enabled", "scope")
    key, enabled, scope = fields.get("feature"), fields.get("enabled"), fields.get("scope")
    wrong: dict[str, str] = {}
    if not isinstance(key, str):
        wrong["feature"] = "is required, the key of a flag"
    if not isinstance(enabled, bool):
        wrong["enabled"] = "is required, true or false"
    if scope not in (None, "installation", "tenant"):
        wrong["scope"] = "must be installation or tenant"
    if wrong:
        raise ValidationFailed.naming(wrong)
    flag = find(str(key))
    if scope is None:
        scope = "installation" if operators.includes(caller, "features:write") else "tenant"
    if scope == "installation":
        operators.require(caller, "features:write")
        if not (once and once.found()):
            flag = _change(caller, flag.key, "feature.toggled", lambda before: _switched(before or flag, bool(enabled)), once)
        return {"feature": flag.key, "enabled": flag.enabled, "scope": scope}
    if flag.self_service is None:
        raise PermissionDenied("Tenants cannot choose this flag for themselves")
    put = Write(
        config().control_table, "put", keys.flag_of(caller, flag.key), item={"on": enabled, "u": now_ms(), "a": caller.principal}
    )
    put_once([put, notes.note(caller, "feature.chosen", flag.key, {"enabled": enabled})], once, feature=flag.key)
    _chosen.pop(caller.tenant, None)
    return {"feature": flag.key, "enabled": enabled, "scope": scope}


def switch_off(caller: Caller, key: str, why: Mapping[str, Any]) -> None:
    """Switch a flag off because its guard says so; nothing where it is off already."""
    if find(key).enabled:
        _change(caller, key, "feature.rolled_back", lambda before: _switched(before, False), None, why=why)


def remove(caller: Caller, key: str, once: Once | None) -> None:
    """An operator takes a flag away; raises NotFound, PermissionDenied."""
    operators.require(caller, "features:write")
    if once and once.found():
        return
    before = find(key)
    gone = Write(config().control_table, "delete", keys.flag(key), condition="attribute_exists(#pk)")
    try:
        put_once([gone, notes.note(caller, "feature.removed", key, before=before.shown())], once, feature=key)
    except ConditionFailed:
        raise NotFound(f"There is no flag {key[:80]!r}") from None
    forget()


def _change(caller: Caller, key: str, action: str, change: Callable[[Any], Flag], once: Once | None, *,
            why: Mapping[str, Any] | None = None) -> Flag:  # fmt: skip
    for _ in range(_TRIES):
        item = table.get(config().control_table, keys.flag(key))
        before = Flag.of(item) if item else None
        after = change(before)
        document = {name: value for name, value in after.shown().items() if name not in ("key", "version")}
        version = (before.version if before else 0) + 1
        stored: Item = {"d": to_json(document).decode(), "v": version, "u": now_ms(), "a": caller.principal}
        condition, values = ("#v = :before", {"before": before.version}) if before else ("attribute_not_exists(#pk)", {})
        put = Write(config().control_table, "put", keys.flag(key), item=stored, condition=condition, values=values)
        told = notes.note(caller, action, key, {**document, **({"why": dict(why)} if why else {})},
                          before=before.shown() if before else None)  # fmt: skip
        try:
            put_once([put, told], once, feature=key)
        except ConditionFailed:
            continue
        forget()
        return Flag.of({"sk": key, **stored})
    raise Conflict("Others change this flag at the same time; try again")


def _switched(flag: Flag, enabled: bool) -> Flag:
    return replace(flag, enabled=enabled)
