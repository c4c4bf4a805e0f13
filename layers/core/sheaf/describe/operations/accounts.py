"""Accounts, sessions, keys, members, tenants and rate limits."""

from typing import Any

from sheaf.describe.operations.operation import Operation, Operations
from sheaf.describe.operations.rows import JOB, LIST
from sheaf.describe.schemas import ID, MOMENT, Schema, array, either, envelope, nullable, record, ref

PASSWORD: Schema = {"type": "string", "minLength": 8, "maxLength": 128}
EMAIL: Schema = {"type": "string", "minLength": 3, "maxLength": 254}
NAME: Schema = {"type": "string", "minLength": 2, "maxLength": 50}
ROLE: Schema = {"enum": ["user", "moderator", "admin"]}
STATUS: Schema = {"enum": ["active", "suspended", "banned", "pending"]}
TOKEN: Schema = {"type": "string", "maxLength": 300}
ADDRESSES = nullable(array({"type": "string", "examples": ["192.0.2.0/24"]}, maxItems=50))
TENANT_NAME: Schema = {"type": "string", "minLength": 2, "maxLength": 100}
TIER: Schema = {"enum": ["free", "pro", "enterprise"]}
NOTHING = record({})
REGISTERED = record({"user": record({"name": ID, "email": ID})})
VERIFIED = record({"email": ID, "verified": {"const": True}})
RENEWED = either(ref("Tokens"), record({"token": ID, "tokenType": {"const": "Bearer"}, "expiresIn": {"type": "integer"}}))
WINDOW = record({"limit": {"type": "integer"}, "remaining": {"type": "integer"}, "resetAt": MOMENT})
LIMITS = record(
    {
        "tier": TIER,
        "principal": WINDOW,
        "tenant": WINDOW,
        "windowSeconds": {"type": "integer"},
        "tiers": {"type": "object"},
    }
)
TERMS = record(
    {
        "name": {"type": "string", "minLength": 1, "maxLength": 100},
        "role": ROLE,
        "scopes": nullable(array({"type": "string", "examples": ["tasks:read"]}, minItems=1, maxItems=50)),
        "expiresAt": nullable(MOMENT),
        "allowedIps": ADDRESSES,
    },
    optional=("role", "scopes", "expiresAt", "allowedIps"),
)
SECRET = envelope({"allOf": [ref("ApiKey"), {"properties": {"key": nullable(ID)}, "required": ["key"]}]}, message=True)
ACTION = record(
    {
        "action": {"enum": ["ban", "unban", "suspend", "unsuspend", "verify", "change_role"]},
        "userIds": array({"type": "string", "minLength": 1}, minItems=1, maxItems=1000, uniqueItems=True),
        "role": ROLE,
    },
    optional=("role",),
)
REVOKED = envelope(record({"id": ID, "revoked": {"const": True}}))
REMOVED = envelope(record({"id": ID, "removed": {"const": True}}))


def _told(data: Schema) -> Schema:
    """An answer of `/v1/auth`: its data inside the envelope, and in v1 beside `success` too."""
    inside = envelope(data, message=True)
    both = [{"allOf": [each, {"required": ["success", "message", "data"]}]} for each in _open(data)]
    return {"anyOf": [inside, *both]}


def _open(data: Schema) -> list[Schema]:
    return [{"type": "object"}] if "anyOf" in data or "$ref" in data else [{"type": "object", "properties": data["properties"]}]


def _public(
    summary: str, data: Schema, body: Schema, example: Any, *, status: int = 200, errors: tuple[int, ...] = ()
) -> Operation:
    return Operation(summary, "accounts", {status: _told(data)}, body=body, example=example, errors=(429, *errors))


AUTH: Operations = {
    ("POST", "/v1/auth/register"): Operation(
        "Register; the address is confirmed by a mail before anything exists",
        "accounts",
        {201: _told(REGISTERED)},
        body=record(
            {"name": NAME, "email": EMAIL, "password": PASSWORD, "tenantName": TENANT_NAME, "invitation": TOKEN},
            optional=("tenantName", "invitation"),
        ),
        example={"name": "Ann", "email": "ann@example.com", "password": "correct horse battery"},
        write=True,
        errors=(403, 429),
    ),
    ("POST", "/v1/auth/verify"): _public(
        "Confirm an address by the token of a mail and the password that was chosen", VERIFIED,
        record({"token": TOKEN, "password": {"type": "string", "minLength": 1, "maxLength": 254}}),
        {"token": "opn_…", "password": "correct horse battery"},
    ),
    ("POST", "/v1/auth/resend"): Operation(
        "Have the mail sent again", "accounts", {200: _told(NOTHING)}, body=record({"email": EMAIL}),
        example={"email": "ann@example.com"}, write=True, errors=(429,),
    ),
    ("POST", "/v1/auth/login"): _public(
        "Log in",
        ref("Login"),
        record({"email": {"type": "string", "minLength": 1, "maxLength": 254}, "password": {"type": "string", "minLength": 1,
                "maxLength": 254}, "rememberMe": {"type": "boolean"}}, optional=("rememberMe",)),
        {"email": "admin@acme.example", "password": "…"},
        errors=(401, 403),
    ),
    ("POST", "/v1/auth/refresh"): Operation(
        "New tokens for a refresh token, or, without a body, for the cookie",
        "accounts",
        {200: _told(RENEWED)},
        body=record({"refreshToken": TOKEN}),
        example={"refreshToken": "rt_…"},
        errors=(401, 403, 429),
    ),
    ("POST", "/v1/auth/forgot"): Operation(
        "Ask for a mail to set a new password with", "accounts", {200: _told(NOTHING)}, body=record({"email": EMAIL}),
        example={"email": "ann@example.com"}, write=True, errors=(429,),
    ),
    ("POST", "/v1/auth/reset"): _public(
        "Set a new password by the token of a mail; every session ends",
        NOTHING,
        record({"token": TOKEN, "password": PASSWORD}),
        {"token": "ltr_…", "password": "correct horse battery"},
    ),
    ("POST", "/v1/auth/logout"): Operation("End this session", "accounts", {200: _told(NOTHING)}, write=True, errors=(404,)),
    ("POST", "/v1/auth/password"): Operation(
        "Change one's own password; the other sessions end",
        "accounts",
        {200: _told(NOTHING)},
        body=record({"currentPassword": {"type": "string", "minLength": 1, "maxLength": 254}, "password": PASSWORD}),
        example={"currentPassword": "…", "password": "correct horse battery"},
        write=True,
    ),
    ("POST", "/v1/auth/tickets"): Operation(
        "A ticket for one GET without headers (`?ticket=`), good for 30 seconds",
        "accounts",
        {201: envelope(record({"ticket": ID, "expiresAt": MOMENT, "expiresIn": {"type": "integer"}}))},
    ),
}  # fmt: skip

MINE: Operations = {
    ("GET", "/v1/me"): Operation("Who is calling", "accounts", {200: envelope({"type": "object"})}),
    ("PATCH", "/v1/me"): Operation(
        "Change one's own name or picture",
        "accounts",
        {200: envelope(ref("Person"))},
        body=record(
            {"name": NAME, "avatar": nullable({"type": "string", "pattern": "^https://", "maxLength": 2000})},
            optional=("name", "avatar"),
        )
        | {"minProperties": 1},
        example={"name": "Ann"},
        write=True,
        versioned=True,
        errors=(409,),
    ),
    ("GET", "/v1/me/permissions"): Operation("What the caller may do", "accounts", {200: envelope({"type": "object"})}),
    ("GET", "/v1/sessions"): Operation(
        "The caller's live sessions", "accounts", {200: envelope(array(ref("Session")), ref("Page"))}
    ),
    ("GET", "/v1/sessions/list"): Operation(
        "The same as sessions", "accounts", {200: envelope(array(ref("Session")), ref("Page"))}
    ),
    ("DELETE", "/v1/sessions"): Operation(
        "End every session, or with `except=current` every other one",
        "accounts",
        {200: envelope(record({"ended": {"type": "integer"}}))},
        query=("except",),
        write=True,
    ),
    ("DELETE", "/v1/sessions/<session_id>"): Operation(
        "End a session", "accounts", {200: envelope(record({"id": ID, "ended": {"const": True}}))}, write=True, errors=(404,)
    ),
    ("GET", "/v1/api-keys"): Operation("List API keys", "keys", {200: envelope(array(ref("ApiKey")), ref("Page"))}),
    ("POST", "/v1/api-keys"): Operation(
        "Make an API key; the answer is the only one that shows it",
        "keys",
        {201: SECRET},
        body=TERMS,
        example={"name": "CI", "role": "user", "scopes": ["tasks:read"]},
        write=True,
        errors=(409,),
    ),
    ("GET", "/v1/api-keys/<key_id>"): Operation("Read an API key", "keys", {200: envelope(ref("ApiKey"))}, errors=(404,)),
    ("PATCH", "/v1/api-keys/<key_id>"): Operation(
        "Give an API key other terms",
        "keys",
        {200: envelope(ref("ApiKey"))},
        body={**TERMS, "required": []},
        example={"name": "CI"},
        write=True,
        errors=(404, 409),
    ),
    ("POST", "/v1/api-keys/<key_id>/rotate"): Operation(
        "A new secret for an API key", "keys", {200: SECRET}, write=True, errors=(404, 409, 413, 415, 422)
    ),
    ("DELETE", "/v1/api-keys/<key_id>"): Operation("Revoke an API key", "keys", {200: REVOKED}, write=True, errors=(404, 409)),
}

ADMIN: Operations = {
    ("GET", "/v1/admin/users"): Operation(
        "List users with their last logins",
        "members",
        {
            200: either(
                record({"users": array({"type": "object"}), "total": {"type": "integer"}, "page": {"type": "integer"}}),
                envelope(array(ref("Member")), ref("Page")),
            )
        },
        query=LIST[:-2],
        error="BlogError",
    ),
    ("POST", "/v1/admin/users"): Operation(
        "Add a user, who sets a password by a mail",
        "members",
        {201: envelope(ref("User"), message=True)},
        body=record({"name": NAME, "email": EMAIL, "role": ROLE}, optional=("role",)),
        example={"name": "Bob", "email": "bob@example.com"},
        write=True,
        errors=(409,),
        error="BlogError",
    ),
    ("GET", "/v1/admin/users/<user_id>"): Operation("Read a user", "members", {200: envelope(ref("Member"))}, errors=(404,)),
    ("PATCH", "/v1/admin/users/<user_id>"): Operation(
        "Change a user's role, status or name",
        "members",
        {200: envelope(ref("Member"))},
        body=record({"role": ROLE, "status": STATUS, "name": NAME}, optional=("role", "status", "name")) | {"minProperties": 1},
        example={"status": "suspended"},
        write=True,
        errors=(404, 409),
    ),
    ("DELETE", "/v1/admin/users/<user_id>"): Operation(
        "Take a user out of the tenant", "members", {200: REMOVED}, write=True, errors=(404, 409)
    ),
    ("POST", "/v1/admin/users/<user_id>/unlock"): Operation(
        "Forget a user's wrong passwords",
        "members",
        {200: envelope(record({"id": ID, "unlocked": {"const": True}}))},
        write=True,
        errors=(404,),
    ),
    ("POST", "/v1/admin/users/<user_id>/welcome"): Operation(
        "Send the mail again that lets a user set a first password",
        "members",
        {200: envelope(record({"id": ID, "sent": {"const": True}}))},
        write=True,
        errors=(404, 409),
    ),
    ("POST", "/v1/admin/users/actions"): Operation(
        "Ban, unban, suspend, unsuspend, verify or change the role of many users, as a job",
        "members",
        {202: JOB},
        body=ACTION,
        example={"action": "suspend", "userIds": ["usr_01h00000000000000000000000"]},
        write=True,
    ),
    ("POST", "/v1/batch/users/action"): Operation(
        "The same as admin/users/actions",
        "members",
        {202: JOB},
        body=ACTION,
        example={"action": "suspend", "userIds": ["usr_01h00000000000000000000000"]},
        write=True,
    ),
    ("GET", "/v1/rate-limits/status"): Operation("What is left of the limits", "limits", {200: envelope(LIMITS)}),
    ("POST", "/v1/rate-limits/reset"): Operation(
        "Give a user, an API key or (operators) a tenant the window of this minute back",
        "limits",
        {200: envelope(record({"principal": ID, "tenant": ID, "reset": {"const": True}}, optional=("principal", "tenant")))},
        body=record({"principal": ID, "tenant": ID}, optional=("principal", "tenant")) | {"minProperties": 1, "maxProperties": 1},
        example={"principal": "usr_01h00000000000000000000000"},
        write=True,
        errors=(404,),
    ),
}

TENANTS: Operations = {
    ("GET", "/v1/tenants"): Operation(
        "List tenants (operators)",
        "tenants",
        {200: envelope(array(ref("Tenant")), ref("Page"))},
        query=("limit", "cursor"),
    ),
    ("POST", "/v1/tenants"): Operation(
        "Make a tenant (operators)",
        "tenants",
        {201: envelope(ref("Tenant"))},
        body=record({"name": TENANT_NAME, "tier": TIER, "adminEmail": EMAIL}, optional=("tier", "adminEmail")),
        example={"name": "Initech"},
        write=True,
    ),
    ("GET", "/v1/tenants/<tenant_id>"): Operation("Read a tenant", "tenants", {200: envelope(ref("Tenant"))}, errors=(404,)),
    ("PATCH", "/v1/tenants/<tenant_id>"): Operation(
        "Change a tenant's name or admin addresses; operators: tier and status",
        "tenants",
        {200: envelope(ref("Tenant"))},
        body=record(
            {"name": TENANT_NAME, "adminIps": ADDRESSES, "tier": TIER, "status": {"enum": ["active", "disabled"]}},
            optional=("name", "adminIps", "tier", "status"),
        )
        | {"minProperties": 1},
        example={"name": "Acme"},
        write=True,
        errors=(404,),
    ),
    ("GET", "/v1/tenants/<tenant_id>/members"): Operation(
        "List members", "tenants", {200: envelope(array(ref("Member")), ref("Page"))}, query=LIST[:-2], errors=(404,)
    ),
    ("DELETE", "/v1/tenants/<tenant_id>/members/<user_id>"): Operation(
        "Take a user out of the tenant", "tenants", {200: REMOVED}, write=True, errors=(404, 409)
    ),
    ("GET", "/v1/tenants/<tenant_id>/invitations"): Operation(
        "List invitations",
        "tenants",
        {200: envelope(array(ref("Invitation")), ref("Page"))},
        query=("limit", "cursor"),
        errors=(404,),
    ),
    ("POST", "/v1/tenants/<tenant_id>/invitations"): Operation(
        "Invite somebody by mail",
        "tenants",
        {201: envelope(ref("Invitation"))},
        body=record({"email": EMAIL, "role": ROLE}, optional=("role",)),
        example={"email": "bob@example.com"},
        write=True,
        errors=(404, 409),
    ),
    ("GET", "/v1/tenants/<tenant_id>/invitations/<invitation_id>"): Operation(
        "Read an invitation", "tenants", {200: envelope(ref("Invitation"))}, errors=(404,)
    ),
    ("DELETE", "/v1/tenants/<tenant_id>/invitations/<invitation_id>"): Operation(
        "Take an invitation back", "tenants", {200: REVOKED}, write=True, errors=(404, 409)
    ),
    ("POST", "/v1/tenants/<tenant_id>/reset"): Operation(
        "Move every row to the trash, after a confirmation (not in production)",
        "tenants",
        {
            200: envelope(record({"confirmation": ID, "expiresIn": {"type": "integer"}}), message=True),
            202: JOB,
        },
        write=True,
        errors=(404, 409, 413, 415, 422),
    ),
}

ROUTES: Operations = {**AUTH, **MINE, **ADMIN, **TENANTS}
