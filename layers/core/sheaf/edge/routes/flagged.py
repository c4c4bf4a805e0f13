"""The endpoints of feature flags."""

from hashlib import sha256
from typing import Any

from sheaf.access import operators
from sheaf.base.bounds import FLAG_SECONDS
from sheaf.base.errors import ValidationFailed
from sheaf.edge.envelope import NOTHING, Reply, json_text, paged
from sheaf.edge.request import Request
from sheaf.entity.body import object_of
from sheaf.features.flags import evaluating, stored
from sheaf.features.flags.declared import Flag
from sheaf.features.flags.evaluating import Asker


def listing(request: Request) -> Reply:
    """Every flag with what it is for the caller; operators see how it is declared."""
    asker, whole = _asker(request, {}), operators.includes(request.caller, "features:write")
    found = [_shown(flag, asker, whole) for _, flag in sorted(stored.every().items())]
    return paged(found, max(1, len(found)), None)


def show(request: Request, key: str) -> Reply:
    """One flag."""
    flag = stored.find(key)
    shown = _shown(flag, _asker(request, {}), operators.includes(request.caller, "features:write"))
    return Reply(shown, headers={"ETag": f'"{flag.version}"'})


def declare(request: Request, key: str) -> Reply:
    """Declare a flag."""
    flag, is_new = stored.declare(request.caller, key, request.json(), request.if_match(), request.once())
    return Reply(flag.shown(), 201 if is_new else 200, headers={"ETag": f'"{flag.version}"'})


def remove(request: Request, key: str) -> Reply:
    """Take a flag away."""
    stored.remove(request.caller, key, request.once())
    return Reply({"key": key, "removed": True})


def toggle(request: Request) -> Reply:
    """Switch a flag."""
    return Reply(stored.toggle(request.caller, request.json(), request.once()))


def evaluate(request: Request, key: str) -> Reply:
    """OFREP: one flag for the caller's context."""
    flag = stored.every().get(key) or stored.find(key)
    return Reply(evaluating.evaluate(flag, _asker(request, _context(request))).shown(), bare=True)


def evaluate_all(request: Request) -> Reply:
    """OFREP: all flags; 304 where `If-None-Match` says that the client has them."""
    shown = {"flags": [each.shown() for each in evaluating.every(_asker(request, _context(request)))]}
    etag = f'"{sha256(json_text(shown).encode()).hexdigest()[:32]}"'
    if request.has(etag):
        return Reply(NOTHING, 304, headers={"ETag": etag}, bare=True)
    return Reply(shown, headers={"ETag": etag}, bare=True)


def configuration(request: Request) -> Reply:
    """OFREP: what a provider may expect."""
    polling = {"enabled": True, "minPollingIntervalMs": FLAG_SECONDS * 1_000}
    capabilities = {"cacheInvalidation": {"polling": polling},
                    "flagEvaluation": {"supportedTypes": ["int", "float", "string", "boolean", "object"]},
                    "caching": {"enabled": True, "ttl": FLAG_SECONDS * 1_000}}  # fmt: skip
    return Reply({"name": "sheaf", "capabilities": capabilities}, bare=True)


def _shown(flag: Flag, asker: Asker, whole: bool) -> dict[str, Any]:
    found = evaluating.evaluate(flag, asker)
    mine = {
        "key": flag.key,
        "description": flag.description,
        "enabled": flag.enabled,
        "variant": found.variant,
        "value": found.value,
        "reason": found.reason,
        "selfService": flag.self_service,
        "chosen": stored.chosen(asker.caller).get(flag.key),
    }
    return {**flag.shown(), **mine} if whole else mine


def _context(request: Request) -> dict[str, Any]:
    context = object_of(request.json(), "context").get("context", {}) if request.body else {}
    if not isinstance(context, dict):
        raise ValidationFailed.naming({"context": "must be an object"})
    if "targetingKey" in context and not (isinstance(context["targetingKey"], str) and len(context["targetingKey"]) <= 200):
        raise ValidationFailed.naming({"context.targetingKey": "must be a text of at most 200 characters"})
    return context


def _asker(request: Request, context: dict[str, Any]) -> Asker:
    return Asker(request.caller, request.proven.tenant["tier"], context)
