"""What every function does while it starts, when Lambda gives it a full processor."""

import gc

from sheaf.base.config import Config, config
from sheaf.store.aws import client


def start() -> Config:
    """Read the configuration (a function whose template forgot a variable fails here) and make the DynamoDB client."""
    client("dynamodb")
    settings = config()
    gc.freeze()  # what start-up made stays for good: collections never look at it again
    gc.enable()
    return settings
