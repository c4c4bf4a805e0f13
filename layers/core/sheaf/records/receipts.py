"""Receipts: what was found in a file, signed, so that anybody can verify it without asking (RFC 7515, ES256).

The key lies in KMS and never leaves it; only on_upload signs. `GET /v1/uploads/jwks.json` publishes the other half (RFC 7517).
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from sheaf.base.config import config
from sheaf.store import kms
from sheaf.store.keys import Scope


def signed(scope: Scope, told: Mapping[str, Any]) -> str:
    """The receipt: a compact JWS of `told` and the tenant."""
    key = config().receipts_key_arn
    header = {"alg": "ES256", "typ": "receipt+jwt", "kid": _kid(key)}
    text = f"{_part(header)}.{_part({**told, 'tenant': scope.tenant})}"
    return f"{text}.{_encoded(kms.sign(key, text.encode()))}"


def published() -> dict[str, Any]:
    """The key set (RFC 7517) that verifies receipts."""
    key = config().receipts_key_arn
    return {"keys": [{**_public(key), "kid": _kid(key), "alg": "ES256", "use": "sig"}]}


def _public(key: str) -> dict[str, str]:
    x, y = kms.public_point(key)
    return {"kty": "EC", "crv": "P-256", "x": _encoded(x), "y": _encoded(y)}


def _kid(key: str) -> str:
    # RFC 7638: the digest of the required members, in the order of the alphabet.
    text = json.dumps(_public(key), sort_keys=True, separators=(",", ":"))
    return _encoded(sha256(text.encode()).digest())


def _part(value: Mapping[str, Any]) -> str:
    return _encoded(json.dumps(value, separators=(",", ":")).encode())


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
