"""Registration: nothing exists before the address is confirmed, and no answer tells whether it was known."""

from collections.abc import Mapping
from typing import Any

from sheaf.access import passwords, tenants, tries
from sheaf.base import ids
from sheaf.base.bounds import PASSWORD_MOST
from sheaf.base.config import config
from sheaf.base.errors import InvalidLink, PermissionDenied, Unavailable, ValidationFailed
from sheaf.entity import registry
from sheaf.entity.body import object_of
from sheaf.entity.hooks import Change
from sheaf.features.accounts import invitations, letters, people
from sheaf.features.accounts.people import KnownAddress
from sheaf.records import notes
from sheaf.records.commit import AlongFailed
from sheaf.records.once import Once
from sheaf.store import keys
from sheaf.store.table import Item

TOLD = "Registered. If the address is not confirmed yet, a mail with a link is on its way"


def read_address(body: object) -> str:
    """The `email` of a body, as it is kept; raises ValidationFailed."""
    found = object_of(body, "email").get("email")
    if not isinstance(found, str) or not 0 < len(found.strip()) <= 254:
        raise ValidationFailed.naming({"email": "is required, an e-mail address"})
    return found.strip().lower()


def register(body: object, once: Once | None, request_id: str) -> dict[str, Any]:
    """Take `{"name", "email", "password", "tenantName"?, "invitation"?}`; raises ValidationFailed, PermissionDenied.

    An invitation that was sent to the very address proves it, so the person is there at once; everybody else gets a letter.
    """
    settings = config()
    if settings.registration == "closed":
        raise PermissionDenied("Registration is closed")
    person, password, tenant_name, token = _read(body)
    if once and once.found():
        return person
    if settings.registration == "invitation" and token is None:
        raise PermissionDenied("Registration needs an invitation")
    invitation = None
    if token is not None:
        invitation = invitations.find_open(token)
        if invitation is None or invitation["email"] != person["email"]:
            raise _bad_invitation()
    kept = passwords.hashed(password)
    if invitation is None or not _has_joined(invitation, person, kept, once, request_id):
        letters.ask(person["email"], "register", once, name=person["name"], hash=kept, tenant=tenant_name)
    return person


def verify(body: object, request_id: str) -> dict[str, Any]:
    """Confirm an address by `{"token", "password"}`: now the tenant and its first admin exist.

    Raises InvalidLink, ValidationFailed.

    The token shows who reads the mailbox, the password who has registered: with one of the two alone, somebody could open
    an account for somebody else. A second time it says the same and does nothing.
    """
    fields = object_of(body, "token", "password")
    letter = letters.read(fields.get("token"), "register")
    mailbox, password = keys.mailbox_of(letter["pk"]), fields.get("password")
    tries.admit_login(mailbox)
    if not isinstance(password, str) or not passwords.matches(letter["hash"], password[: PASSWORD_MOST + 1]):
        raise ValidationFailed("Validation failed", fields={"password": "is not the one that was chosen"})
    tries.clear_login(mailbox)
    if "used" not in letter:
        try:
            _open(letter, request_id)
        except (AlongFailed, Unavailable) as refusal:
            if "used" not in letters.read(fields.get("token"), "register"):  # else our twin was faster
                raise (refusal if isinstance(refusal, Unavailable) else InvalidLink()) from None
    return {"email": letter["email"], "verified": True}


def _open(letter: Item, request_id: str) -> None:
    # Both ids follow from the letter, so that two tries that meet make one tenant.
    at_ms = ids.time_of(letter["sk"])
    scope = tenants.setup(ids.derived("tnt", at_ms, f"{letter['sk']}:tenant"), request_id)
    user_id = ids.derived("usr", at_ms, f"{letter['sk']}:user")
    noted = notes.note(scope, "tenant.created", scope.tenant, {"name": letter["tenant"], "tier": "free"})
    along = (letters.use(letter, user_id), *tenants.writes(scope, letter["tenant"], "free", admins=1), noted)
    fields = {"name": letter["name"], "email": letter["email"], "role": "admin", "status": "active", "emailVerified": True}
    try:
        people.create(scope, user_id, fields, letter["hash"], first=True, along=along)
    except KnownAddress:
        raise InvalidLink from None


def _has_joined(invitation: Item, person: Mapping[str, str], kept: str, once: Once | None, request_id: str) -> bool:
    scope = tenants.setup(invitations.tenant_of(invitation), request_id)
    user_id = ids.new("usr")
    fields = {**person, "role": invitation["role"], "status": "active", "emailVerified": True}
    try:
        noted = notes.note(scope, "invitation.accepted", invitation["sk"], {"user": user_id})
        people.create(scope, user_id, fields, kept, along=[invitations.accept(invitation, user_id), noted], once=once)
    except KnownAddress:
        return False
    except AlongFailed:
        raise _bad_invitation() from None
    return True


def _read(body: object) -> tuple[dict[str, str], str, str, object]:
    fields = object_of(body, "name", "email", "password", "tenantName", "invitation")
    wrong: dict[str, str] = {}
    person: dict[str, str] = {}
    change = Change("created", "registration", "", None)
    given = {name: fields[name] for name in ("name", "email") if name in fields}
    try:
        checked = registry.find("users").created(given, change)
        person = {name: checked[name] for name in ("name", "email")}
    except ValidationFailed as error:
        wrong |= error.fields
    password = fields.get("password")
    texts = {name: value if isinstance(value, str) else "" for name, value in given.items()}
    if complaint := passwords.complaint(password, email=texts.get("email", "")[:254], name=texts.get("name", "")[:50]):
        wrong["password"] = complaint
    tenant_name = fields.get("tenantName")
    if tenant_name is None:
        tenant_name = person.get("name", "a name is missing above")
    if not tenants.is_name(tenant_name):
        wrong["tenantName"] = tenants.NAME_RULE
    if wrong:
        raise ValidationFailed("Validation failed", fields=wrong)
    return person, str(password), tenant_name.strip(), fields.get("invitation")


def _bad_invitation() -> ValidationFailed:
    text = "is damaged, expired or used, or was sent to another address"
    return ValidationFailed("Validation failed", fields={"invitation": text})
