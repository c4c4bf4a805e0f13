"""Access tokens (JWT, RFC 7519 and 8725) and API keys (`sk_<stage>_<tenant>_<random>`)."""

import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sheaf.base.bounds import TOKEN_SECONDS
from sheaf.base.clock import now
from sheaf.base.config import config
from sheaf.base.errors import Unauthenticated
from sheaf.store.secrets import signing_secret

_ISSUER = "sheaf"
_LEEWAY = 30
_API_KEY = re.compile(r"sk_([a-z]+)_([0-9a-z]{26})_([0-9a-f]{64})")
_REFUSAL = "Authentication token is invalid or expired"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good access token says."""

    tenant: str
    user: str
    session: str


def issue(tenant: str, user: str, session: str) -> str:
    """An access token for a session, good for TOKEN_SECONDS."""
    import jwt

    secret = signing_secret()
    claims = {"iss": _ISSUER, "aud": config().stage, "sub": user, "tid": tenant, "sid": session,
              "iat": now(), "exp": now() + TOKEN_SECONDS}  # fmt: skip
    return jwt.encode(claims, secret.derived("access-token"), "HS256", headers={"kid": secret.kid, "typ": "at+jwt"})


def read(token: str) -> Claims:
    """The claims of a good access token; raises Unauthenticated for any other text."""
    import jwt

    secret = signing_secret()
    try:
        header = jwt.get_unverified_header(token)
        if header.get("typ") != "at+jwt" or header.get("kid") != secret.kid:
            raise Unauthenticated(_REFUSAL)
        claims: dict[str, Any] = jwt.decode(
            token,
            secret.derived("access-token"),
            algorithms=["HS256"],
            issuer=_ISSUER,
            audience=config().stage,
            options={"require": ["exp", "iat", "sub", "tid", "sid"], "verify_exp": False, "verify_iat": False},
        )
    except jwt.PyJWTError:
        raise Unauthenticated(_REFUSAL) from None
    # The times are checked against our own clock, which tests and workers can set.
    if not (isinstance(claims["exp"], int) and isinstance(claims["iat"], int)):
        raise Unauthenticated(_REFUSAL)
    if claims["exp"] < now() - _LEEWAY or claims["iat"] > now() + _LEEWAY:
        raise Unauthenticated(_REFUSAL)
    return Claims(str(claims["tid"]), str(claims["sub"]), str(claims["sid"]))


def new_api_key(tenant: str) -> str:
    """A fresh API key of the tenant; shown once, kept only as `key_id` makes of it."""
    return f"sk_{config().stage}_{tenant.removeprefix('tnt_')}_{secrets.token_hex(32)}"


def tenant_of_key(api_key: str) -> str:
    """The tenant that a key names; raises Unauthenticated for text that is no key of this stage."""
    match = _API_KEY.fullmatch(api_key)
    if match is None or match[1] != config().stage:
        raise Unauthenticated(_REFUSAL)
    return f"tnt_{match[2]}"


def key_id(api_key: str) -> str:
    """The principal id under which a key is kept: its SHA-256, which is enough for 256 random bits."""
    return f"key_{sha256(api_key.encode()).hexdigest()}"
