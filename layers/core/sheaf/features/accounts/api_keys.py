"""API keys: made, listed, rotated, revoked. The secret is shown once; its SHA-256 names the principal that the key is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sheaf.access import networks, persons, roles, tokens
from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import API_KEY_SECONDS, API_KEYS, ROTATION_SECONDS, SCOPES
from sheaf.base.clock import iso, now, now_ms
from sheaf.base.config import config
from sheaf.base.errors import Conflict, NotFound, PermissionDenied, ValidationFailed
from sheaf.entity.body import object_of
from sheaf.entity.names import ROLES, Role
from sheaf.records import notes
from sheaf.records.once import Once, put_once
from sheaf.store import keys, table
from sheaf.store.table import ConditionFailed, Item, Span, Write

_FRESH = "attribute_not_exists(#pk)"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a key is called and may do. None: no bound."""

    name: str
    role: Role
    scopes: frozenset[str] | None = None
    expires: int | None = None  # second of the epoch
    addresses: frozenset[str] | None = None


def read_terms(caller: Caller, body: object, before: Terms | None = None) -> Terms:
    """`{"name", "role"?, "scopes"?, "expiresAt"?, "allowedIps"?}`, laid over `before`.

    Raises ValidationFailed, PermissionDenied.
    """
    fields = object_of(body, "name", "role", "scopes", "expiresAt", "allowedIps")
    wrong: dict[str, str] = {}
    former = before or Terms("", "user")
    name = fields.get("name", former.name)
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= 100:
        wrong["name"] = "is required, 1 to 100 characters"
    role = fields.get("role", former.role)
    if role not in ROLES:
        wrong["role"] = f"must be one of {', '.join(ROLES)}"
    scopes = _read_scopes(fields["scopes"], wrong) if "scopes" in fields else former.scopes
    expires = _read_moment(fields["expiresAt"], wrong) if "expiresAt" in fields else former.expires
    addresses = former.addresses
    if "allowedIps" in fields:
        found, complaint = networks.read(fields["allowedIps"])
        addresses = found or None
        wrong |= {"allowedIps": complaint} if complaint else {}
    if wrong:
        raise ValidationFailed.naming(wrong)
    terms = Terms(str(name).strip(), role, scopes, expires, addresses)
    _require_within(caller, terms)
    return terms


def make(caller: Caller, body: object, once: Once | None) -> tuple[dict[str, Any], str | None]:
    """A new key as a request's body describes it; raises as `read_terms` and `create`."""
    if once and (first := once.found()):
        return show(caller, first["made"]), None
    return create(caller, read_terms(caller, body), once)


def create(caller: Caller, terms: Terms, once: Once | None = None) -> tuple[dict[str, Any], str | None]:
    """A new key, and its secret, in clear for the only time: a request that comes again gets None for it.

    Raises Conflict where the tenant has too many.
    """
    kept = table.count(config().control_table, Span(keys.api_key(caller, "").pk), reads=1)
    if kept is None or kept >= API_KEYS:
        raise Conflict(f"A tenant has {API_KEYS} API keys at most")
    key_id, secret = ids.new("key"), tokens.new_api_key(caller.tenant)
    principal = tokens.principal_of_key(secret)
    item = {
        "by": caller.principal,
        "own": persons.person_of(caller),
        "at": iso(now_ms()),
        "p": principal,
        "rev": 0,
        **_described(terms),
    }
    first = put_once([
        Write(config().control_table, "put", keys.api_key(caller, key_id), item=item, condition=_FRESH),
        Write(config().limits_table, "put", keys.principal(caller, principal), item=_principal(key_id, terms), condition=_FRESH),
        notes.note(caller, "api_key.created", key_id, _told(terms)),
    ], once, made=key_id)  # fmt: skip
    return (show(caller, first["made"]), None) if first else (_shown({"sk": key_id, **item}, None), secret)


def find(caller: Caller, key_id: str) -> Item:
    """The row of a key; raises NotFound."""
    item = table.get(config().control_table, keys.api_key(caller, key_id)) if ids.is_id(key_id, "key") else None
    if item is None:
        raise NotFound(f"There is no API key {key_id[:80]!r}")
    return item


def listing(caller: Caller) -> list[dict[str, Any]]:
    """Every key of the tenant, the newest first, without secrets."""
    rows = list(_rows(caller))
    principals = table.get_many(config().limits_table, [keys.principal(caller, row["p"]) for row in rows])
    return [_shown(row, principals.get(keys.principal(caller, row["p"]))) for row in rows]


def show(caller: Caller, key_id: str) -> dict[str, Any]:
    """One key, without its secret; raises NotFound."""
    row = find(caller, key_id)
    return _shown(row, table.get(config().limits_table, keys.principal(caller, row["p"])))


def change(caller: Caller, key_id: str, body: object, once: Once | None = None) -> dict[str, Any]:
    """Other terms for a key and for its former secret, at once; raises NotFound, ValidationFailed, Conflict."""
    if once and once.found():
        return show(caller, key_id)
    row = find(caller, key_id)
    _require_present(caller, row)
    terms = read_terms(caller, body, _terms(row))
    described, bounds = _described(terms), _bounds(terms)
    writes = [_bounding(keys.principal(caller, row["p"]), bounds)]
    former = keys.principal(caller, row["pp"]) if "pp" in row else None
    if former and (old := table.get(config().limits_table, former)):
        # A former secret keeps its end, unless the key itself ends before.
        writes.append(_bounding(former, {**bounds, "exp": min(old["exp"], terms.expires or old["exp"])}))
    writes.append(notes.note(caller, "api_key.updated", key_id, _told(terms), before=_told(_terms(row))))
    _commit(caller, row, once, writes, expression=table.setting(described), values=described)
    return show(caller, key_id)


def rotate(caller: Caller, key_id: str, body: object, once: Once | None = None) -> tuple[dict[str, Any], str | None]:
    """A new secret for a key; the former one goes on for `{"graceSeconds": 0…}`. Raises NotFound, ValidationFailed."""
    if once and once.found():
        return show(caller, key_id), None
    fields = object_of(body, "graceSeconds")
    grace = fields.get("graceSeconds", 0)
    if isinstance(grace, bool) or not isinstance(grace, int) or not 0 <= grace <= ROTATION_SECONDS:
        raise ValidationFailed.naming({"graceSeconds": f"must be 0 to {ROTATION_SECONDS}"})
    row = find(caller, key_id)
    _require_present(caller, row)
    _require_within(caller, _terms(row))
    terms, secret = _terms(row), tokens.new_api_key(caller.tenant)
    principal, until = tokens.principal_of_key(secret), min(now() + grace, terms.expires or now() + grace)
    former = keys.principal(caller, row["p"])
    retired = (
        Write(config().limits_table, "update", former, expression="SET #exp = :until", condition="attribute_exists(#pk)",
              values={"until": until})
        if grace else Write(config().limits_table, "delete", former)
    )  # fmt: skip
    before = row.get("pp")  # the secret before the former one may still be in its grace: now it ends
    first = _commit(caller, row, once, [
        Write(config().limits_table, "put", keys.principal(caller, principal), item=_principal(key_id, terms), condition=_FRESH),
        retired,
        *([Write(config().limits_table, "delete", keys.principal(caller, before))] if before else []),
        notes.note(caller, "api_key.rotated", key_id, {"graceSeconds": grace}),
    ], expression="SET #p = :new, #turned = :at" + (", #pp = :was" if grace else " REMOVE #pp"),
        values={"new": principal, "at": iso(now_ms()), "was": row["p"] if grace else None})  # fmt: skip
    return show(caller, key_id), None if first else secret


def revoke(caller: Caller, key_id: str, once: Once | None = None) -> None:
    """End a key, both secrets of it; raises NotFound."""
    if once and once.found():
        return
    row = find(caller, key_id)
    both = [keys.principal(caller, each) for each in (row["p"], row.get("pp")) if each]
    noted = notes.note(caller, "api_key.revoked", key_id, before=_told(_terms(row)))
    _commit(caller, row, once, [*(Write(config().limits_table, "delete", key) for key in both), noted])


def _shown(row: Item, principal: Item | None) -> dict[str, Any]:
    """A key as it is answered."""
    seen = (principal or {}).get("seen")
    return {
        "id": row["sk"],
        "name": row["name"],
        "role": row["role"],
        "scopes": sorted(row["sc"]) if row.get("sc") else None,
        "allowedIps": sorted(row["ips"]) if row.get("ips") else None,
        "expiresAt": iso(row["exp"] * 1000) if row.get("exp") else None,
        "createdAt": row["at"],
        "createdBy": row["by"],
        "rotatedAt": row.get("turned"),
        "lastUsedAt": iso(seen * 1000) if seen else None,
    }


def _require_present(caller: Caller, row: Item) -> None:
    """The former secret of a key, in its grace, does not steer the key."""
    if caller.principal == row["sk"] and caller.until != row.get("exp"):
        raise PermissionDenied("The former secret of a key cannot change it")


def _require_within(caller: Caller, terms: Terms) -> None:
    """Nobody hands out more than they hold: no higher role, and from a key no wider scopes, longer life or other addresses."""
    if ROLES.index(terms.role) > ROLES.index(caller.role):
        raise PermissionDenied("A key cannot have a higher role than whoever makes it")
    if caller.kind != "key":
        return
    mine = _terms(find(caller, caller.principal))
    if caller.scopes is not None and not all(roles.covers(caller.scopes, each) for each in terms.scopes or ("*",)):
        raise PermissionDenied("A key cannot have wider scopes than the key that makes it")
    ends = min((end for end in (mine.expires, caller.until) if end), default=None)
    if ends and (terms.expires is None or terms.expires > ends):
        raise PermissionDenied("A key cannot last longer than the key that makes it")
    if mine.addresses and not (terms.addresses and networks.within(terms.addresses, mine.addresses)):
        raise PermissionDenied("A key cannot be used from more addresses than the key that makes it")


def _told(terms: Terms) -> dict[str, Any]:
    """What the audit log is told of a key."""
    return {"name": terms.name, "role": terms.role, "scopes": sorted(terms.scopes) if terms.scopes is not None else None,
            "expiresAt": iso(terms.expires * 1000) if terms.expires else None,
            "allowedIps": sorted(terms.addresses) if terms.addresses else None}  # fmt: skip


def _described(terms: Terms) -> Item:
    return {"name": terms.name, **_bounds(terms)}


def _bounds(terms: Terms) -> Item:
    return {"role": terms.role, "sc": terms.scopes, "exp": terms.expires, "ips": terms.addresses}


def _bounding(key: keys.Key, bounds: Item) -> Write:
    """The write that holds a key's principal to other bounds."""
    return Write(config().limits_table, "update", key, expression=table.setting(bounds), condition="attribute_exists(#pk)",
                 values=bounds)  # fmt: skip


def _principal(key_id: str, terms: Terms) -> Item:
    return {"id": key_id, "st": "active", "w": 0, "n": 0, **_bounds(terms)}


def _terms(row: Item) -> Terms:
    sets = [frozenset(row[name]) if name in row else None for name in ("sc", "ips")]
    return Terms(row["name"], row["role"], sets[0], row.get("exp"), sets[1])


def _commit(caller: Caller, row: Item, once: Once | None, writes: list[Write], *, expression: str = "",
            values: Mapping[str, Any] | None = None) -> Item | None:  # fmt: skip
    """Change the key's row (without an expression: delete it) together with its principals, if it is as it was read."""
    key, same = keys.api_key(caller, row["sk"]), {"rev": row["rev"]}
    if expression:
        head, remove, tail = expression.partition(" REMOVE ")
        changed = Write(config().control_table, "update", key, expression=f"{head}, #rev = :next{remove}{tail}",
                        condition="#rev = :rev", values={**same, "next": row["rev"] + 1, **(values or {})})  # fmt: skip
    else:
        changed = Write(config().control_table, "delete", key, condition="#rev = :rev", values=same)
    try:
        return put_once([changed, *writes], once, made=row["sk"])
    except ConditionFailed:
        raise Conflict(f"The API key {row['sk']!r} was changed by somebody else just now") from None


def _rows(caller: Caller) -> Iterable[Item]:
    return table.query(config().control_table, keys.api_key(caller, "").pk, newest_first=True)


def _read_scopes(value: object, wrong: dict[str, str]) -> frozenset[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not 1 <= len(value) <= SCOPES or not all(isinstance(each, str) for each in value):
        wrong["scopes"] = f"must be 1 to {SCOPES} texts such as tasks:read, or null"
        return None
    bad = next((each for each in value if not roles.is_scope(each)), None)
    if bad is not None:
        wrong["scopes"] = f"{bad[:80]!r} is no scope; one is <resource>:<action>, each part may be *"
    return frozenset(value)


def _read_moment(value: object, wrong: dict[str, str]) -> int | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        known = moment.astimezone(UTC) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):
        known = None
    if known is None:
        wrong["expiresAt"] = "must be a time with its zone (RFC 3339), or null"
        return None
    seconds = int(known.timestamp())
    if not 0 < seconds - now() <= API_KEY_SECONDS:
        wrong["expiresAt"] = "has passed" if seconds <= now() else f"is more than {API_KEY_SECONDS // 31_536_000} years ahead"
    return seconds
