"""From a request's headers to its caller: which credential, which tenant, how much is left."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from sheaf.access import tokens
from sheaf.access.caller import Caller
from sheaf.access.limits import PER_WINDOW, Allowance, spend
from sheaf.base import ids
from sheaf.base.config import config
from sheaf.base.errors import TenantDisabled, TenantMismatch, Unauthenticated
from sheaf.store import keys, table
from sheaf.store.table import Item

_TENANT_SECONDS = 1.0  # how long a tenant's tier and state may be believed
_tenants: dict[str, tuple[float, Item]] = {}


@dataclass(frozen=True, slots=True)
class _Unproven:
    """A tenant that a credential names, before anything is proven."""

    tenant: str


def authenticate(
    authorization: str | None, named: Iterable[str | None], request_id: str, cost: int = 1
) -> tuple[Caller, Allowance]:
    """The caller behind an `Authorization` header, its window charged with `cost`.

    Raises Unauthenticated, RateLimited, TenantDisabled, or TenantMismatch where the request has `named` another tenant.
    """
    credential = _bearer(authorization)
    session: str | None = None
    if credential.startswith("sk_"):
        scope = _Unproven(tokens.tenant_of_key(credential))
        principal = tokens.key_id(credential)
    else:
        claims = tokens.read(credential)
        scope, principal, session = _Unproven(claims.tenant), claims.user, claims.session
    tenant = _tenant(scope)
    limit = PER_WINDOW[tenant["tier"]] if tenant else 0
    row, left = spend(keys.principal(scope, principal), limit, session=session, cost=cost)
    if tenant is None or tenant["st"] != "active":
        raise TenantDisabled("This tenant is disabled")
    if any(each is not None and each != scope.tenant for each in named):
        raise TenantMismatch("The request names another tenant than its credential")
    name = principal if session else principal[:16]  # a key is named by the head of its digest in logs and events
    return Caller(scope.tenant, name, row["role"], request_id, "user" if session else "key"), left


def _bearer(authorization: str | None) -> str:
    if not authorization:
        raise Unauthenticated("No authentication token provided")
    scheme, _, credential = authorization.partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise Unauthenticated("The Authorization header must be: Bearer <token or API key>")
    return credential.strip()


def _tenant(scope: _Unproven) -> Item | None:
    if not ids.is_id(scope.tenant, "tnt"):
        raise Unauthenticated("The credential is unknown, expired or revoked")
    cached = _tenants.get(scope.tenant)
    if cached and time.monotonic() - cached[0] < _TENANT_SECONDS:
        return cached[1]
    found = table.get(config().control_table, keys.tenant(scope))
    if found:
        if len(_tenants) > 1_000:
            _tenants.clear()
        _tenants[scope.tenant] = (time.monotonic(), found)
    return found
