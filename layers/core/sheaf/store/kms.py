"""Secrets of tenants at rest: encrypted under the stack's key and bound to their place (AWS KMS, encryption context)."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from functools import cache

from sheaf.base.config import config
from sheaf.store.aws import client

_KEPT = 1_000  # texts that a process remembers, so that a busy webhook costs one call a process and not one a delivery
_known: dict[tuple[str, ...], str] = {}


def seal(text: str, place: Mapping[str, str]) -> str:
    """`text` (at most 4,096 bytes) encrypted; it opens only together with the same `place`."""
    answer = client("kms").encrypt(KeyId=config().secrets_key_arn, Plaintext=text.encode(), EncryptionContext=dict(place))
    return b64encode(answer["CiphertextBlob"]).decode()


def unseal(sealed: str, place: Mapping[str, str]) -> str:
    """What was sealed at this place; raises botocore's ClientError for any other."""
    name = (sealed, *place.values())
    if name not in _known:
        answer = client("kms").decrypt(
            KeyId=config().secrets_key_arn, CiphertextBlob=b64decode(sealed), EncryptionContext=dict(place)
        )
        if len(_known) >= _KEPT:
            _known.clear()
        _known[name] = answer["Plaintext"].decode()
    return _known[name]


def sign(key: str, message: bytes) -> bytes:
    """The signature of a message (at most 4,096 bytes) under a P-256 key, as RFC 7518 (3.4) has it: r and s, 32 bytes each."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    answer = client("kms").sign(KeyId=key, Message=message, MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256")
    r, s = decode_dss_signature(answer["Signature"])
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@cache
def public_point(key: str) -> tuple[bytes, bytes]:
    """The public half of a P-256 key: x and y, 32 bytes each."""
    der: bytes = client("kms").get_public_key(KeyId=key)["PublicKey"]
    return der[-64:-32], der[-32:]  # SubjectPublicKeyInfo ends with the uncompressed point (RFC 5480, 2.2)


def forget() -> None:
    """Forget what this process has opened."""
    _known.clear()
    public_point.cache_clear()
