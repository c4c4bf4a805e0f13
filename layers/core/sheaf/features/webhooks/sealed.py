"""What of a webhook nobody may read from the table: its secrets and the values of its headers, encrypted (store/kms.py).

Whoever registers webhooks can only seal; only the sender opens.
"""

import base64
import secrets
from collections.abc import Iterable, Mapping

from pydantic_core import from_json, to_json

from sheaf.base.bounds import WEBHOOK_SECRETS
from sheaf.base.clock import iso, now, now_ms
from sheaf.features.webhooks.signing import Signer
from sheaf.store import kms
from sheaf.store.keys import Scope
from sheaf.store.table import Item


def place(scope: Scope, webhook_id: str) -> dict[str, str]:
    """The encryption context of a webhook: what is sealed for one opens for no other."""
    return {"tenant": scope.tenant, "webhook": webhook_id}


def new_secret() -> str:
    """A secret as Standard Webhooks has them: 24 random bytes."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"


def key(secret: str, place: Mapping[str, str]) -> Item:
    """A secret for the webhook's row."""
    return {"c": kms.seal(secret, place), "at": iso(now_ms())}


def retired(keys: Iterable[Item], until: int) -> list[Item]:
    """The secrets that go on beside a new one until a second of the epoch; none where that is 0."""
    if not until:
        return []
    return [{**each, "until": min(until, each.get("until", until))} for each in good(keys)][: WEBHOOK_SECRETS - 1]


def good(keys: Iterable[Item]) -> list[Item]:
    """The secrets that sign now, the newest first."""
    return [each for each in keys if each.get("until", now() + 1) > now()]


def pair(place: Mapping[str, str]) -> Item:
    """A key pair for signatures that a receiver verifies without knowing a secret (ed25519, v1a)."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # only webhooks that want it pay for it

    private = Ed25519PrivateKey.generate()
    public = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    return {"pub": f"whpk_{public}", "prv": kms.seal(base64.b64encode(private.private_bytes_raw()).decode(), place)}


def headers(values: Mapping[str, str], place: Mapping[str, str]) -> str:
    """The webhook's own headers, sealed."""
    return kms.seal(to_json(values).decode(), place)


def opened_headers(item: Item, place: Mapping[str, str]) -> dict[str, str]:
    """And back."""
    return from_json(kms.unseal(item["hs"], place)) if "hs" in item else {}


def signer(item: Item, place: Mapping[str, str]) -> Signer:
    """What signs for a webhook now."""
    opened = [kms.unseal(each["c"], place) for each in good(item["keys"])]
    private = base64.b64decode(kms.unseal(item["prv"], place)) if "prv" in item else None
    return Signer(opened, private)
