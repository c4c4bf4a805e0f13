"""Signatures against the reference package of Standard Webhooks."""

import hmac
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from sheaf.features.webhooks.signing import Signer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


# contract: 10
def test_known_vector_of_the_specification() -> None:
    body = b'{"test": 2432232314}'
    made = Signer([SECRET]).headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert made["x-webhook-signature"] == hmac.new(SECRET.encode(), body, sha256).hexdigest()


@pytest.mark.parametrize("body", [b"{}", '{"name":"Jürgen"}'.encode(), b"x" * 20_000])
def test_the_reference_package_makes_and_takes_the_same(body: bytes) -> None:
    moment = datetime.now(UTC).replace(microsecond=0)
    made = Signer([SECRET]).headers("evt_1", int(moment.timestamp()), body)
    reference = Webhook(SECRET)
    assert made["webhook-signature"] == reference.sign("evt_1", moment, body.decode())
    if body.startswith(b"{"):
        reference.verify(body, made)
        with pytest.raises(WebhookVerificationError):
            reference.verify(body + b" ", made)


def test_a_clients_own_secret_signs_with_its_bytes() -> None:
    made = Signer(["whsec_not base 64 at all!"]).headers("evt_1", 1, b"{}")
    expected = hmac.digest(b"whsec_not base 64 at all!", b"evt_1.1.{}", sha256)
    import base64

    assert made["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"
