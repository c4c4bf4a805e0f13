"""What credentials look like: access tokens and session cookies (JWT, RFC 7519 and 8725), API keys, refresh tokens, tickets,
and the tokens of mails. Only their forms: whether one still counts, its row says.
"""

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from sheaf.base.bounds import REFRESH_SECONDS, TOKEN_SECONDS
from sheaf.base.clock import now
from sheaf.base.config import config
from sheaf.base.errors import InvalidLink, InvalidToken
from sheaf.store.secrets import signing_secret

_ISSUER = "sheaf"
_LEEWAY = 30
_SUFFIX = "[0-9a-z]{26}"  # of a TypeID
_API_KEY = re.compile(rf"sk_([a-z]+)_({_SUFFIX})_([0-9a-f]{{64}})")
_TICKET = re.compile(rf"tk_([a-z]+)_({_SUFFIX})_([0-9a-f]{{64}})")
_REFRESH = re.compile(rf"rt_([a-z]+)_({_SUFFIX})_({_SUFFIX})_({_SUFFIX})_([0-9]{{1,9}})_([0-9a-f]{{64}})")
_MAIL = re.compile(rf"([a-z]{{3}}_{_SUFFIX})\.([0-9a-z]{{26}}|[0-9a-f]{{64}})\.([0-9A-Za-z_-]{{43}})")

Use = Literal["at+jwt", "session+jwt"]
_SECONDS: dict[Use, int] = {"at+jwt": TOKEN_SECONDS, "session+jwt": REFRESH_SECONDS}
_PURPOSE: dict[Use, str] = {"at+jwt": "access-token", "session+jwt": "session-cookie"}


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says. `tenant` makes it a scope, though an unproven one."""

    tenant: str
    user: str
    session: str


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token's parts: the `number` counts the tokens of its session."""

    tenant: str
    user: str
    session: str
    number: int
    proof: str


def issue(tenant: str, user: str, session: str, use: Use = "at+jwt", *, until: int | None = None) -> str:
    """A token for a session, good no longer than `until`: `at+jwt` for the Authorization header, `session+jwt` for the cookie."""
    import jwt

    secret = signing_secret()
    expiry = min(now() + _SECONDS[use], until or now() + _SECONDS[use])
    claims = {"iss": _ISSUER, "aud": config().stage, "sub": user, "tid": tenant, "sid": session,
              "iat": now(), "exp": expiry}  # fmt: skip
    return jwt.encode(claims, secret.derived(_PURPOSE[use]), "HS256", headers={"kid": secret.kid, "typ": use})


def read(token: str, use: Use = "at+jwt") -> Claims:
    """The claims of a good token; raises InvalidToken for any other text."""
    import jwt

    secret = signing_secret()
    try:
        header = jwt.get_unverified_header(token)
        if header.get("typ") != use or header.get("kid") != secret.kid:
            raise InvalidToken
        claims: dict[str, Any] = jwt.decode(
            token,
            secret.derived(_PURPOSE[use]),
            algorithms=["HS256"],
            issuer=_ISSUER,
            audience=config().stage,
            options={"require": ["exp", "iat", "sub", "tid", "sid"], "verify_exp": False, "verify_iat": False},
        )
    except jwt.PyJWTError:
        raise InvalidToken from None
    # The times are checked against our own clock, which tests and workers can set.
    if not (isinstance(claims["exp"], int) and isinstance(claims["iat"], int)):
        raise InvalidToken
    if claims["exp"] < now() - _LEEWAY or claims["iat"] > now() + _LEEWAY:
        raise InvalidToken
    return Claims(str(claims["tid"]), str(claims["sub"]), str(claims["sid"]))


def new_api_key(tenant: str) -> str:
    """A fresh API key of the tenant; shown once, kept only as `principal_of_key` makes of it."""
    return f"sk_{config().stage}_{tenant.removeprefix('tnt_')}_{secrets.token_hex(32)}"


def new_ticket(tenant: str) -> str:
    """A fresh one-time ticket."""
    return f"tk_{config().stage}_{tenant.removeprefix('tnt_')}_{secrets.token_hex(32)}"


def tenant_of_key(api_key: str) -> str:
    """The tenant that a key names; raises InvalidToken for text that is no key of this stage."""
    return _tenant(_API_KEY, api_key)


def tenant_of_ticket(ticket: str) -> str:
    """The tenant that a ticket names; raises InvalidToken for text that is no ticket of this stage."""
    return _tenant(_TICKET, ticket)


def principal_of_key(api_key: str) -> str:
    """The name under which a key's principal is kept: its SHA-256, which is enough for 256 random bits."""
    return f"sk_{digest(api_key)}"


def digest(secret: str) -> str:
    """What is kept of a random secret."""
    return sha256(secret.encode()).hexdigest()


def refresh_token(tenant: str, user: str, session: str, number: int, seed: str) -> str:
    """Token `number` of a session. The session's random seed and our secret make it, so nothing that is kept can be used."""
    names = "_".join(each.partition("_")[2] for each in (tenant, user, session))
    said = f"{tenant}\0{user}\0{session}\0{number}\0{seed}"
    return f"rt_{config().stage}_{names}_{number}_{_mac('refresh-token', said).hex()}"


def read_refresh_token(text: str) -> RefreshToken:
    """The parts of a refresh token, unproven; raises InvalidToken for text that is none of this stage."""
    match = _REFRESH.fullmatch(text)
    if match is None or match[1] != config().stage:
        raise InvalidToken
    return RefreshToken(f"tnt_{match[2]}", f"usr_{match[3]}", f"ses_{match[4]}", int(match[5]), match[6])


def mail_token(row_id: str, place: str) -> str:
    """The token of a mail: it names a row (a letter, an invitation) in a place (a mailbox, a tenant), and only we can make it."""
    return f"{row_id}.{place}.{_sealed(row_id, place)}"


def read_mail_token(text: object, *prefixes: str) -> tuple[str, str]:
    """The row id and the place that a mail's token names; raises InvalidLink."""
    match = _MAIL.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[1][:3] not in prefixes or not hmac.compare_digest(match[3], _sealed(match[1], match[2])):
        raise InvalidLink
    return match[1], match[2]


def _tenant(shape: re.Pattern[str], text: str) -> str:
    match = shape.fullmatch(text)
    if match is None or match[1] != config().stage:
        raise InvalidToken
    return f"tnt_{match[2]}"


def _sealed(row_id: str, place: str) -> str:
    return urlsafe_b64encode(_mac("mail-token", f"{row_id}\0{place}")).rstrip(b"=").decode()


def _mac(purpose: str, said: str) -> bytes:
    return hmac.digest(signing_secret().derived(purpose), said.encode(), "sha256")
