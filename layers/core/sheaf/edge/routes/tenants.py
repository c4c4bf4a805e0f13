"""`/v1/tenants`: a tenant, its members and invitations; and `/v1/rate-limits`."""

from sheaf.access import limits
from sheaf.access.limits import PER_WINDOW, TENANT_PER_WINDOW
from sheaf.base.errors import NotFound, ValidationFailed
from sheaf.edge.api import Api
from sheaf.edge.ended import closing
from sheaf.edge.envelope import Reply, paged
from sheaf.edge.request import Request
from sheaf.edge.routes.members import page_of
from sheaf.entity import query
from sheaf.entity.body import object_of
from sheaf.features.accounts import invitations, members, tenants
from sheaf.jobs import progress
from sheaf.store import keys


def register(api: Api) -> None:
    """Add the routes."""
    api.get("/v1/tenants", permission="tenants:read")(_list)
    api.post("/v1/tenants", permission="tenants:write")(_create)
    api.get("/v1/tenants/<tenant_id>", permission="tenant:read")(_show)
    api.route("PATCH", "/v1/tenants/<tenant_id>", permission="tenant:write", remember=True)(closing(_change))
    api.get("/v1/tenants/<tenant_id>/members", permission="members:read", lists=True)(_members)
    api.route("DELETE", "/v1/tenants/<tenant_id>/members/<user_id>", permission="members:write")(closing(_remove))
    api.get("/v1/tenants/<tenant_id>/invitations", permission="members:read")(_invitations)
    api.post("/v1/tenants/<tenant_id>/invitations", permission="members:write")(_invite)
    api.get("/v1/tenants/<tenant_id>/invitations/<invitation_id>", permission="members:read")(_invitation)
    api.route("DELETE", "/v1/tenants/<tenant_id>/invitations/<invitation_id>", permission="members:write")(_revoke)
    api.post("/v1/tenants/<tenant_id>/reset", permission="tenant:reset")(_reset)
    api.get("/v1/rate-limits/status", permission="rate-limits:read")(_status)
    api.post("/v1/rate-limits/reset", permission="rate-limits:reset", remember=True)(_refill)


def _list(request: Request) -> Reply:
    limit, cursor = query.window_of(request.query)
    found, following = tenants.listing(request.caller, limit, cursor)
    return paged(found, limit, following)


def _create(request: Request) -> Reply:
    made = tenants.create(request.caller, request.json(), request.once())
    return Reply(made, 201, headers={"Location": f"tenants/{made['id']}"})


def _show(request: Request, tenant_id: str) -> Reply:
    return Reply(tenants.show(request.caller, tenant_id))


def _change(request: Request, tenant_id: str) -> Reply:
    return Reply(tenants.change(request.caller, tenant_id, request.json(), request.source_ip))


def _members(request: Request, tenant_id: str) -> Reply:
    _require_own(request, tenant_id)
    return page_of(*members.listing(request.caller, request.query))


def _remove(request: Request, tenant_id: str, user_id: str) -> Reply:
    _require_own(request, tenant_id)
    members.remove(request.caller, user_id, request.once())
    return Reply({"id": user_id, "removed": True})


def _invitations(request: Request, tenant_id: str) -> Reply:
    _require_own(request, tenant_id)
    limit, cursor = query.window_of(request.query)
    found, following = invitations.listing(request.caller, limit, cursor)
    return paged(found, limit, following)


def _invite(request: Request, tenant_id: str) -> Reply:
    _require_own(request, tenant_id)
    made = invitations.invite(request.caller, request.json(), request.once())
    return Reply(made, 201, headers={"Location": f"invitations/{made['id']}"})


def _invitation(request: Request, tenant_id: str, invitation_id: str) -> Reply:
    _require_own(request, tenant_id)
    return Reply(invitations.shown(invitations.find(request.caller, invitation_id)))


def _revoke(request: Request, tenant_id: str, invitation_id: str) -> Reply:
    _require_own(request, tenant_id)
    invitations.revoke(request.caller, invitation_id, request.once())
    return Reply({"id": invitation_id, "revoked": True})


def _reset(request: Request, tenant_id: str) -> Reply:
    found = tenants.reset(request.caller, tenant_id, request.json() if request.body else {}, request.once())
    if "confirmation" in found:
        return Reply(found, message="Nothing has happened yet. Send this confirmation to move every row to the trash")
    return Reply(progress.view(request.caller, found), 202, headers={"Location": f"../../jobs/{found['sk']}"})


def _status(request: Request) -> Reply:
    proof = request.proven
    tier = proof.tenant["tier"]
    quota = limits.look(keys.quota(request.caller), TENANT_PER_WINDOW[tier])
    tiers = {name: {"perPrincipal": PER_WINDOW[name], "perTenant": TENANT_PER_WINDOW[name]} for name in PER_WINDOW}
    return Reply({"tier": tier, "principal": proof.left.shown(), "tenant": quota.shown(), "windowSeconds": 60, "tiers": tiers})


def _refill(request: Request) -> Reply:
    """`{"principal": "usr_… or key_…"}` of the caller's tenant; operators: `{"tenant": "tnt_…"}`, its quota."""
    fields = object_of(request.json(), "principal", "tenant")
    if len(fields) != 1 or not all(isinstance(each, str) and each for each in fields.values()):
        raise ValidationFailed.naming({"principal": "or tenant is required, one of the two"})
    if "tenant" in fields:
        return Reply(tenants.refill(request.caller, fields["tenant"]))
    return Reply(members.refill(request.caller, fields["principal"]))


def _require_own(request: Request, tenant_id: str) -> None:
    """Members are their own tenant's matter, whoever asks."""
    if tenant_id != request.caller.tenant:
        raise NotFound(f"There is no tenant {tenant_id[:80]!r}")
