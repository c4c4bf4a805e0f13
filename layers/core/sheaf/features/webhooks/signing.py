"""Signatures of deliveries: Standard Webhooks 1.0, and the plain HMAC header of older receivers beside it.

Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from hashlib import sha256


class Signer:
    """Signs with every secret that is good, the newest first, and with an ed25519 key where there is one."""

    def __init__(self, secrets: Sequence[str], private: bytes | None = None) -> None:
        self._secrets = [(secret.encode(), signing_key(secret)) for secret in secrets]
        self._private = None
        if private is not None:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # only webhooks that want it

            self._private = Ed25519PrivateKey.from_private_bytes(private)

    def headers(self, event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        """The headers that let a receiver verify `body` as sent at `timestamp` (seconds of the epoch)."""
        signed = f"{event_id}.{timestamp}.".encode() + body
        made = [f"v1,{_text(hmac.digest(key, signed, sha256))}" for _, key in self._secrets]
        if self._private is not None:
            made.append(f"v1a,{_text(self._private.sign(signed))}")
        return {
            "webhook-id": event_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(made),
            # One value, as its receivers compare it whole: made with the newest secret.
            "x-webhook-signature": hmac.digest(self._secrets[0][0], body, sha256).hex(),
        }


def signing_key(secret: str) -> bytes:
    """The bytes to sign with: what follows `whsec_` in base 64, or the secret itself where it is not that."""
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            pass  # a client's own secret that only looks like one: its bytes are the key
    return secret.encode()


def _text(signature: bytes) -> str:
    return base64.b64encode(signature).decode()
