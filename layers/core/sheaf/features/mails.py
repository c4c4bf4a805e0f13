"""Mails that follow from changes: asked for by an entity's `after`, sent from a queue, once in nearly all cases."""

from collections.abc import Mapping
from typing import Any

from sheaf.base import ids
from sheaf.base.clock import iso, now
from sheaf.base.config import config
from sheaf.entity.hooks import Change, Mail
from sheaf.entity.registry import EntityType
from sheaf.records.events import Event
from sheaf.store import keys, mail, queues, table
from sheaf.store.keys import Scope

_SENT_DAYS = 14  # as long as a message can come again


def ask(entity: EntityType, event: Event) -> None:
    """Put the mails that follow from a change into their queue. A second time they are the same mails."""
    change = Change(event.verb, event.actor, iso(event.at_ms), event.document_before)
    wanted = list(entity.model.after(change, event.document))
    messages = [_message(event, number, each) for number, each in enumerate(wanted)]
    queues.send(config().mails_queue_url, messages)


def send(scope: Scope, message: Mapping[str, Any]) -> bool:
    """Send a mail unless it was sent; a death between the two sends it again."""
    key = keys.mail(scope, message["id"])
    if table.get(config().events_table, key):
        return False
    subject = " ".join(message["subject"].split())  # a line break would end the header
    mail.send(config().mail_from, message["to"], subject, message["text"], message["replyTo"])
    table.put_new(config().events_table, key, {"ttl": now() + _SENT_DAYS * 86_400})
    return True


def _message(event: Event, number: int, asked: Mail) -> dict[str, Any]:
    return {
        "tenant": event.tenant,
        "id": ids.derived("mail", event.at_ms, f"{event.id}:{number}"),
        "to": asked.to or config().mail_operator,
        "subject": asked.subject,
        "text": asked.text,
        "replyTo": asked.reply_to,
    }
