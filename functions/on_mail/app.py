"""The sender of mails: one a message."""

from collections.abc import Mapping
from typing import Any

from sheaf.access.caller import worker
from sheaf.edge import consume
from sheaf.edge.start import start
from sheaf.features import mails

start()


def handler(event: dict[str, Any], context: Any) -> consume.Failures:
    """A batch of the queue of mails."""
    return consume.messages(event, _send)


def _send(message: Mapping[str, Any], _: int) -> None:
    mails.send(worker(message["tenant"], "on_mail", message["id"]), message)
