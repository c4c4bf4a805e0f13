"""Verify the webhooks that you receive. One file, nothing to install: copy it beside your handler. Python 3.9 or later.

    from sheaf_webhooks import Webhook, WebhookVerificationError

    webhook = Webhook("whsec_…")            # or several while you rotate: Webhook("whsec_new…", "whsec_old…")
    event = webhook.verify(body, headers)   # the raw bytes of the body, before anything has parsed them

`verify` returns the event, or raises WebhookVerificationError whatever is wrong with the request: answer 400 or 401 then, and
never process it. Everything else that it could raise is a mistake of its caller.

The signatures are those of Standard Webhooks 1.0 (standardwebhooks.com). A delivery may come more than once; `event["id"]` is
the same then. Deliveries of one record never overtake each other; `event["sequence"]` rises with each change of it.
"""

import base64
import binascii
import hmac
import json
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Callable, Iterable, Optional, Protocol, Union

__all__ = ["Webhook", "WebhookVerificationError", "verify_webhook_signature"]

TOLERANCE_SECONDS = 300
_LEAST_BYTES = 16
_MOST_SIGNATURES = 32  # of one request; more are nobody's rotation


class Headers(Protocol):
    """Headers as any framework has them: a dict, a Mapping, an `email.message.Message`."""

    def items(self) -> Iterable[Any]:
        """Pairs of name and value."""


class WebhookVerificationError(Exception):
    """The request is not a webhook of this sender, or is too old; the message is for your log and not for whoever sent it."""


class Webhook:
    """Verifies what one webhook sends.

    `secrets` are those of the webhook, the newest and, during a rotation, the former ones: `whsec_` and base 64, or the text
    that you have registered. `tolerance` bounds in seconds how old, and how far ahead of your clock, a request may be. Raises
    ValueError for no secret, and for one that is cut off or has white space around it.
    """

    def __init__(self, *secrets: str, tolerance: int = TOLERANCE_SECONDS, clock: Callable[[], float] = time.time) -> None:
        if not secrets or not all(isinstance(secret, str) and secret for secret in secrets):
            raise ValueError("at least one secret is needed, each a text that is not empty")
        if any(secret != secret.strip() for secret in secrets):
            raise ValueError(
                "a secret begins or ends with white space, as one does that was read from a file with its line's end"
            )
        self._keys = [_key(secret) for secret in secrets]
        if any(len(key) < _LEAST_BYTES for key in self._keys):
            raise ValueError(f"a secret has less than {_LEAST_BYTES} bytes; was it cut off?")
        self._tolerance = tolerance
        self._clock = clock

    def verify(self, body: Union[bytes, str], headers: Headers) -> Any:
        """The event in the body, parsed. `body` is the raw body; names of headers may have any case.

        Raises WebhookVerificationError.
        """
        raw = _raw(body)
        lower = _lower(headers)
        message_id, stamp, given = (_text(lower, name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature"))
        self._check_time(stamp)
        signed = message_id.encode("ascii") + b"." + stamp.encode("ascii") + b"." + raw
        expected = [hmac.new(key, signed, sha256).digest() for key in self._keys]
        # All of them are compared, whichever fits: the time it takes tells nothing.
        fitting = 0
        for signature in _signatures(given):
            for each in expected:
                fitting |= hmac.compare_digest(each, signature)
        if not fitting:
            raise WebhookVerificationError("no signature fits")
        return _parsed(raw)

    def _check_time(self, stamp: str) -> None:
        if not (stamp.isdigit() and len(stamp) <= 12):
            raise WebhookVerificationError("webhook-timestamp is not a number of seconds")
        if abs(self._clock() - int(stamp)) > self._tolerance:
            raise WebhookVerificationError("webhook-timestamp is too far from now")


def verify_webhook_signature(payload: Union[bytes, str], signature: Any, secret: str) -> bool:
    """Whether `x-webhook-signature`, the plain HMAC of the body in hex, fits. It has no time in it, so a request that somebody
    has recorded passes for ever: use it only where a receiver knows nothing else, and `Webhook.verify` everywhere else.
    """
    if not isinstance(signature, str) or not signature.isascii():
        return False
    try:
        raw = _raw(payload)
    except WebhookVerificationError:
        return False
    return hmac.compare_digest(hmac.new(secret.encode(), raw, sha256).hexdigest(), signature)


def _key(secret: str) -> bytes:
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret[len("whsec_") :], validate=True)
        except (binascii.Error, ValueError):
            pass  # a text of your own that only looks like one
    return secret.encode()


def _raw(body: Any) -> bytes:
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    if isinstance(body, str):
        try:
            return body.encode()
        except UnicodeEncodeError:
            raise WebhookVerificationError("the body is not text") from None
    raise WebhookVerificationError("the body must be the raw bytes of the request, before anything has parsed them")


def _lower(headers: Any) -> dict[str, Any]:
    try:
        return {str(name).lower(): value for name, value in headers.items()}
    except (AttributeError, TypeError, ValueError):
        raise WebhookVerificationError("there are no headers") from None


def _text(headers: Mapping[str, Any], name: str) -> str:
    value: Optional[Any] = headers.get(name)
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, (list, tuple)) and len(value) == 1:  # as some frameworks give them
        value = value[0]
    if not isinstance(value, str) or not value or not value.isascii():
        raise WebhookVerificationError(f"{name} is missing or malformed")
    return value


def _signatures(given: str) -> list[bytes]:
    found = []
    for each in given.split(" ", _MOST_SIGNATURES)[:_MOST_SIGNATURES]:
        version, _, text = each.partition(",")
        if version != "v1":
            continue
        try:
            found.append(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError):
            continue
    return found


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise WebhookVerificationError("the body is not JSON") from None
