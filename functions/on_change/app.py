"""Changes of rows become events, words to search by and mails; accepted jobs begin: the consumer of two streams."""

from collections.abc import Mapping
from typing import Any

from sheaf.edge import consume
from sheaf.edge.start import start
from sheaf.entity import registry
from sheaf.features import mails
from sheaf.features.accounts import invitations, letters
from sheaf.features.webhooks import deliveries
from sheaf.jobs import follow as jobs
from sheaf.records import events, searching
from sheaf.records.events import Event
from sheaf.store import keys, queues, table

settings = start()
endpoints: dict[str, list[table.Item]] = {}


def handler(event: dict[str, Any], context: Any) -> consume.Failures:
    """A batch of a stream, or of the queue of changes that were set aside."""
    endpoints.clear()  # a batch sees a tenant's webhooks as they stand when its first change is told
    if consume.is_stream(event):
        return consume.changes(event, _change, _set_aside)
    return consume.messages(event, lambda record, _: _change(record))


def _change(record: Mapping[str, Any]) -> None:
    images = record["dynamodb"]
    new = table.decode(images["NewImage"]) if images.get("NewImage") else None
    old = table.decode(images["OldImage"]) if images.get("OldImage") else None
    if new is None:
        return
    if keys.is_job(new["pk"]):
        _tell(jobs.follow(new, old))
    elif keys.is_letter(new["pk"], new["sk"]) and old is None:
        queues.send(settings.mails_queue_url, [letters.message(new)])
    elif keys.is_invitation(new["pk"]) and old is None:
        queues.send(settings.mails_queue_url, [invitations.message(new)])
    elif settings.records_table in record["eventSourceARN"] and (event := events.from_images(new, old)):
        _follow(event)


def _follow(event: Event) -> None:
    """Each step may run again without harm; a step that fails sets the whole change aside."""
    _tell(event)
    if entity := registry.known(event.path):
        searching.keep(entity, event)
        mails.ask(entity, event)
    if event.path == "uploads":
        jobs.follow_file(event)


def _tell(event: Event | None) -> None:
    if event is not None:
        events.store(event)
        deliveries.fan_out(event, endpoints)


def _set_aside(record: Mapping[str, Any]) -> None:
    queues.send(settings.changes_aside_queue_url, [record])
