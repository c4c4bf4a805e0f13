"""Writes of a function about itself, with its own role, whichever tenant it is working for."""

from functools import cache
from typing import Any

from sheaf.base.config import config
from sheaf.store import aws
from sheaf.store.table import Write


@cache
def _client() -> Any:
    if config().tenant_role_arn == "none":
        return aws.client("dynamodb")
    return aws.unwalled("dynamodb")


def write(update: Write) -> None:
    """Run one update."""
    _client().update_item(**update.request())
