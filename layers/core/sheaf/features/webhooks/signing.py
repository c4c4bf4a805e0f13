"""Signatures of deliveries: Standard Webhooks 1.0, and the plain HMAC header of older receivers beside it."""

import base64
import binascii
import hmac
from hashlib import sha256


def headers(secret: str, event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that let a receiver verify `body` as sent at `timestamp` (seconds of the epoch)."""
    key = signing_key(secret)
    signed = f"{event_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.digest(key, signed, sha256)).decode()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
        "x-webhook-signature": hmac.new(secret.encode(), body, sha256).hexdigest(),
    }


def signing_key(secret: str) -> bytes:
    """The bytes to sign with: what follows `whsec_` in base 64, or the secret itself where it is not that."""
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            pass  # a client's own secret that only looks like one: its bytes are the key
    return secret.encode()
