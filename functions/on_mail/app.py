"""The sender of mails: one a message. What letters and invitations say, and whom a warning goes to, is found out here."""

from collections.abc import Mapping
from typing import Any

from sheaf.access.caller import worker
from sheaf.edge import consume
from sheaf.edge.start import start
from sheaf.features import mails
from sheaf.features.accounts import invitations, letters
from sheaf.features.webhooks import warnings

start()


def handler(event: dict[str, Any], context: Any) -> consume.Failures:
    """A batch of the queue of mails."""
    return consume.messages(event, _send)


def _send(message: Mapping[str, Any], _: int) -> None:
    scope = worker(message["tenant"], "on_mail", message["id"])
    if "webhook" in message:
        for warning in warnings.mails(scope, message):
            mails.send(scope, warning)
        return
    mail: Mapping[str, Any] | None = message
    if "letter" in message:
        mail = letters.compose(message)
    elif "invitation" in message:
        mail = invitations.compose(scope, message["invitation"])
    if mail is not None:
        mails.send(scope, mail)
