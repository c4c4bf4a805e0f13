"""Secrets of tenants at rest: encrypted under the stack's key and bound to their place (AWS KMS, encryption context)."""

from base64 import b64decode, b64encode
from collections.abc import Mapping

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


def forget() -> None:
    """Forget what this process has opened."""
    _known.clear()
