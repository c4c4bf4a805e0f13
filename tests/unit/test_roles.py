"""Permissions: named by every route, held by roles, taken away by scopes."""

import itertools

import pytest

import template
import world
from shape.routes import every_route
from sheaf import Entity
from sheaf.access import roles
from sheaf.access.caller import Caller
from sheaf.base.errors import PermissionDenied
from sheaf.edge.api import Api
from sheaf.entity.names import ACCESS, ROLES
from sheaf.entity.registry import DeclarationError, entity_type


def test_a_route_without_a_permission_does_not_start() -> None:
    api = Api()
    with pytest.raises(TypeError, match="permission"):
        api.route("GET", "/v1/things")  # type: ignore[call-arg]
    for bad in ("", "read", ":read", "tasks", "tasks:", "tasks:fly", "records:write", "*"):
        with pytest.raises(ValueError, match="no permission"):
            api.get("/v1/things", permission=bad)
    assert list(api.rules()) == []


def test_every_route_names_one_or_is_public_on_purpose() -> None:
    public = set()
    for folder in sorted(set(template.routes().values())):
        for rule in world.function(folder).api.rules():
            for method, route in rule.methods.items():
                if route.permission:
                    assert roles.known(route.permission), rule
                else:
                    public.add((method, "/" + "/".join(rule.segments)))
    assert len(every_route()) > 40
    accounts = ("register", "verify", "resend", "login", "refresh", "forgot", "reset")
    assert public == {*(("POST", f"/v1/auth/{name}") for name in accounts), ("GET", "/v1/hello"), ("POST", "/v1/contact"),
                      ("POST", "/v1/hooks/<token>"), ("POST", "/v1/webhooks/zapier/leads"),
                      ("GET", "/v1/uploads/jwks.json"), ("GET", "/v1/health"), ("GET", "/v1/openapi.json"), ("GET", "/v1/docs"),
                      ("GET", "/v1/graphql/explorer")}  # fmt: skip


# contract: 88
def test_a_role_may_what_the_ones_below_it_may_unless_it_is_exact() -> None:
    for one, least in itertools.product(ROLES, ROLES):
        assert roles.allows(one, least) == (ROLES.index(one) >= ROLES.index(least))
        assert roles.allows(one, (least,)) == (one == least)
    assert roles.is_for_admins("admin") and roles.is_for_admins(("admin",)) and not roles.is_for_admins(("admin", "user"))


def test_an_entity_says_its_own() -> None:
    class Secret(Entity, prefix="sec", access={"read": "moderator", "delete": ("admin",), "create": ("user", "admin")}):
        name: str

    secret = entity_type(Secret, "secrets")
    allowed = {action: [role for role in ROLES if roles.allows(role, roles.least_of(f"secrets:{action}", secret.model.access))]
               for action in ACCESS}  # fmt: skip
    assert allowed == {"read": ["moderator", "admin"], "create": ["user", "admin"], "update": list(ROLES), "delete": ["admin"],
                       "bulk": ["moderator", "admin"], "export": ["moderator", "admin"]}  # fmt: skip


@pytest.mark.parametrize("access", [{"fly": "user"}, {"read": "god"}, {"read": ("user", "god")}, {"read": 5}])
def test_a_wrong_declaration_is_refused(access: object) -> None:
    class Odd(Entity, prefix="odd", access=access):  # type: ignore[arg-type]
        name: str

    with pytest.raises((DeclarationError, TypeError)):
        entity_type(Odd, "odds")


@pytest.mark.parametrize("scope", ["tasks:read", "tasks:*", "*:read", "*", "rate-limits:read", "contact_messages:export"])
def test_scopes_have_a_form(scope: str) -> None:
    assert roles.is_scope(scope)


@pytest.mark.parametrize(
    "scope", ["", ":", "*:*", "**", "tasks", "tasks:", ":read", "Tasks:read", "tasks:read:x", "tasks:read ", "tasks:r*"]
)
def test_other_texts_are_no_scopes(scope: str) -> None:
    assert not roles.is_scope(scope)


def test_scopes_cover_exactly_what_they_name() -> None:
    permissions = ["tasks:read", "tasks:update", "leads:read", "webhooks:read"]
    cases = {("tasks:read",): ["tasks:read"], ("tasks:*",): ["tasks:read", "tasks:update"], ("*:read",): ["tasks:read", "leads:read", "webhooks:read"],
             ("*",): permissions, ("leads:*", "tasks:update"): ["tasks:update", "leads:read"], ("none:none",): []}  # fmt: skip
    for scopes, held in cases.items():
        assert [each for each in permissions if roles.covers(scopes, each)] == held
    assert all(roles.covers(None, each) for each in permissions)


def test_a_key_with_scopes_gives_no_roles() -> None:
    narrow = Caller("tnt_x", "key_x", "admin", "req", "key", scopes=frozenset({"members:write"}))
    whole = Caller("tnt_x", "key_x", "admin", "req", "key", scopes=frozenset({"*"}))
    roles.require_grant(narrow, "user")
    roles.require_grant(whole, "admin")
    for role in ("moderator", "admin"):
        with pytest.raises(PermissionDenied):
            roles.require_grant(narrow, role)
