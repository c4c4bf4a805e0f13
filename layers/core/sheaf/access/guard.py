"""From a request's credential to its caller: whose it is, which tenant, from where, how much is left."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sheaf.access import limits, networks, roles, tenants, tickets, tokens
from sheaf.access.caller import Caller
from sheaf.access.limits import PER_WINDOW, Allowance, spend, spend_quota
from sheaf.base.config import config
from sheaf.base.errors import AddressDenied, TenantDisabled, TenantMismatch, Unauthenticated
from sheaf.entity.names import Least
from sheaf.store import keys, table
from sheaf.store.keys import Scope
from sheaf.store.table import Item


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brings: one of the three counts, the header before the ticket before the cookie."""

    authorization: str | None = None
    ticket: str | None = None
    cookie: str | None = None
    address: str = "unknown"
    stream: str | None = None  # of a request for a stream: what continues the one that its ticket has opened, or nothing


@dataclass(frozen=True, slots=True)
class Proof:
    """A proven caller, its principal's name in the table, its tenant's row and what is left."""

    caller: Caller
    principal: str
    tenant: Item
    left: Allowance


@dataclass(frozen=True, slots=True)
class Named:
    """A principal that a credential names, before anything is proven. `tenant` makes it a scope, though an unproven one."""

    tenant: str
    principal: str
    session: str | None = None
    address: str = "unknown"


@dataclass(frozen=True, slots=True)
class Present:
    """A proven caller, its principal's name in the table, its tenant's row, and where it is."""

    caller: Caller
    principal: str
    tenant: Item
    address: str

    def may(self, permission: str, least: Least) -> bool:
        """Whether the caller holds the permission, and holds it here."""
        if not (roles.allows(self.caller.role, least) and roles.covers(self.caller.scopes, permission)):
            return False
        return not _is_elsewhere(self.tenant, least, self.address)


def authenticate(given: Credentials, named: Iterable[str | None], request_id: str, cost: int = 1) -> Proof:
    """The caller behind the credentials, its window and its tenant's charged with `cost`.

    Raises Unauthenticated, RateLimited, TenantDisabled, AddressDenied, or TenantMismatch where the request has `named`
    another tenant.
    """
    return prove(replace(_named_by(given), address=given.address), named, request_id, cost)


def prove(scope: Named, named: Iterable[str | None], request_id: str, cost: int = 1) -> Proof:
    """`authenticate` for a principal whom a credential has named before: that of an open socket."""
    tenant = tenants.believed(scope)
    limit = PER_WINDOW[tenant["tier"]] if tenant else 0
    row, left = spend(keys.principal(scope, scope.principal), limit, session=scope.session, cost=cost)
    if tenant is None or tenant["st"] != "active":
        raise TenantDisabled("This tenant is disabled")
    if any(each is not None and each != scope.tenant for each in named):
        raise TenantMismatch("The request names another tenant than its credential")
    if "ips" in row and not networks.holds(row["ips"], scope.address):
        raise AddressDenied("This API key may not be used from this address")
    spend_quota(scope, tenant["tier"], cost)
    return Proof(_caller(scope, row, request_id), scope.principal, tenant, left)


def living(scope: Scope, principals: Iterable[Named], request_id: str) -> dict[Named, Present]:
    """Those of a tenant's principals who would be let in now from where they are, without a charge: their rows as they stand."""
    tenant = tenants.believed(scope)
    if tenant is None or tenant["st"] != "active":
        return {}
    found = {each: keys.principal(scope, each.principal) for each in principals}
    rows = table.get_many(config().limits_table, list(dict.fromkeys(found.values())))
    return {
        each: Present(_caller(each, rows[key], request_id), each.principal, tenant, each.address)
        for each, key in found.items()
        if key in rows and limits.is_alive(rows[key], each.session)
        and ("ips" not in rows[key] or networks.holds(rows[key]["ips"], each.address))
    }  # fmt: skip


def _caller(scope: Named, row: Item, request_id: str) -> Caller:
    scopes = frozenset(row["sc"]) if "sc" in row else None
    return Caller(scope.tenant, row.get("id", scope.principal), row["role"], request_id,
                  "user" if scope.session else "key", session=scope.session, until=row.get("exp"), scopes=scopes,
                  address=scope.address)  # fmt: skip


def charge(proof: Proof, cost: int) -> Allowance:
    """Take more from the windows of a proven caller; raises RateLimited, InvalidToken."""
    caller, tier = proof.caller, proof.tenant["tier"]
    _, left = spend(keys.principal(caller, proof.principal), PER_WINDOW[tier], session=caller.session, cost=cost)
    spend_quota(caller, tier, cost)
    return left


def give_back(proof: Proof, cost: int) -> None:
    """Let a request that had nothing to answer (304) cost nothing: the caller's next one here takes so much less."""
    limits.give_back(keys.principal(proof.caller, proof.principal), proof.caller, cost)


def require(proof: Proof, permission: str, least: Least, address: str) -> None:
    """Raise PermissionDenied unless the caller may, AddressDenied where admins may do it only from elsewhere."""
    roles.require(proof.caller, permission, least)
    if _is_elsewhere(proof.tenant, least, address):
        raise AddressDenied("Admins of this tenant may do this only from the addresses that it names")


def _is_elsewhere(tenant: Item, least: Least, address: str) -> bool:
    """Whether only admins may do it, and those of this tenant not from here."""
    return roles.is_for_admins(least) and "ips" in tenant and not networks.holds(tenant["ips"], address)


def _named_by(given: Credentials) -> Named:
    if given.authorization:
        credential = _bearer(given.authorization)
        if credential.startswith("sk_"):
            return Named(tokens.tenant_of_key(credential), tokens.principal_of_key(credential))
        return _of(tokens.read(credential))
    if given.ticket:
        found = tickets.redeem(given.ticket) if given.stream is None else tickets.redeem_for_stream(given.ticket, given.stream)
        return Named(found.tenant, found.principal, found.session)
    if given.cookie:
        return _of(tokens.read(given.cookie, "session+jwt"))
    raise Unauthenticated("No authentication token provided")


def _of(claims: tokens.Claims) -> Named:
    return Named(claims.tenant, claims.user, claims.session)


def _bearer(authorization: str) -> str:
    scheme, _, credential = authorization.partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise Unauthenticated("The Authorization header must be: Bearer <token or API key>")
    return credential.strip()
