"""The signing secret of the stack, read once a process and only by requests that need it."""

import hmac
from dataclasses import dataclass
from functools import cache

from pydantic_core import from_json

from sheaf.base.config import config
from sheaf.store.aws import client


@dataclass(frozen=True, slots=True, repr=False)
class SigningSecret:
    """The stack's secret and the name (`kid`) of its present value."""

    kid: str
    key: str

    def derived(self, purpose: str) -> bytes:
        """A key for one purpose, so that a signature made for one is worth nothing for another."""
        return hmac.digest(self.key.encode(), purpose.encode(), "sha256")

    def fingerprint(self, text: bytes) -> str:
        """A digest that nobody without the secret can guess its way back from."""
        return hmac.digest(self.derived("fingerprint"), text, "sha256").hex()


def require() -> None:
    """Raise where the secret cannot be read now."""
    client("secretsmanager").get_secret_value(SecretId=config().signing_secret_arn)


@cache
def signing_secret() -> SigningSecret:
    """The secret that the template generated."""
    answer = client("secretsmanager").get_secret_value(SecretId=config().signing_secret_arn)
    value = from_json(answer["SecretString"])
    return SigningSecret(value["kid"], value["key"])
