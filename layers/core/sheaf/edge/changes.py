"""A batch of changes followed: events, their webhooks and sockets, words to search by, mails, jobs that begin or have ended.

What belongs to every change is written for the whole batch first (records/ahead.py). Then each change is followed on its own,
in its order; every step may run again without harm, and one that fails sets its whole change aside.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from sheaf.base.bounds import EVENT_PATIENCE_SECONDS
from sheaf.base.clock import now
from sheaf.base.config import config
from sheaf.base.log import log
from sheaf.edge import consume
from sheaf.entity import registry
from sheaf.features import cache, images, mails
from sheaf.features.accounts import invitations, letters
from sheaf.features.audit import asks
from sheaf.features.realtime import orders
from sheaf.features.uploads import arrivals
from sheaf.features.webhooks import fan_out, warnings
from sheaf.features.webhooks.fan_out import News
from sheaf.jobs import follow as jobs
from sheaf.records import ahead, events, journal, searching
from sheaf.records.events import Event
from sheaf.records.journal import TooEarly
from sheaf.store import keys, queues, table
from sheaf.store.table import Item

Record = Mapping[str, Any]
_PAUSE, _LONGEST_PAUSE = 5, 900  # seconds after which a change looks again for the one before it


@dataclass(slots=True)
class Batch:
    """What the changes of one batch share."""

    news: News = field(default_factory=News)  # for webhooks, told at the end of the batch
    written: set[str] = field(default_factory=set)  # the events whose rows are there already
    patient: bool = True  # whether an event waits for the one before it of the same row
    cleared: dict[tuple[str, str], Event] = field(default_factory=dict)  # lists that the read cache may know
    told: dict[str, Event] = field(default_factory=dict)  # one event of each tenant, for its sockets
    kept: dict[str, Event] = field(default_factory=dict)  # the same, notes included, for its audit log

    def follow_all(self, batch: consume.Event) -> consume.Failures:
        """The changes of a stream, or of the queue of those that were set aside."""
        if not consume.is_stream(batch):
            in_order = sorted(batch["Records"], key=_version)  # an event waits for the one before it
            return consume.messages({"Records": in_order}, self._follow_one, config().changes_aside_queue_url)
        try:
            found = [events.from_images(*_images(record)) for record in batch["Records"] if _is_of_rows(record)]
            self.written = ahead.write(event for event in found if event)
        except Exception:
            log.warning("changes are written one by one", exc_info=True)
        return consume.changes(batch, self._follow, _set_aside, self._finish)

    def _follow_one(self, record: Record, tries: int) -> None:
        since = record.get("since", now())
        waits = now() - since
        self.patient = waits < EVENT_PATIENCE_SECONDS
        try:
            self._follow(record)
        except TooEarly:
            # It has not failed, so it uses up no try: of many changes of one row each waits for all those before it.
            _set_aside({**record, "since": since}, min(_LONGEST_PAUSE, max(_PAUSE, waits // 10)))
        self._finish()

    def _finish(self) -> None:
        for event in self.cleared.values():
            cache.clear(event, f"/{event.path}?")
        self.cleared.clear()
        self.news.tell()
        orders.tell(self.told.values())
        self.told.clear()
        asks.ask(self.kept.values())
        self.kept.clear()

    def _follow(self, record: Record) -> None:
        new, old = _images(record)
        if new is None:
            return
        if _is_of_rows(record):
            if event := events.from_images(new, old):
                self._follow_row(event)
        elif keys.is_job(new["pk"]):
            if ended := jobs.follow(new, old):
                self._tell(ended)
        elif keys.is_note(new["pk"]):
            self._keep(events.of_note(new))
        elif keys.is_published(new["pk"]):
            self._tell(events.of_published(new))
        elif keys.is_webhook(new["pk"]):
            for told in fan_out.of_webhook(new, old):
                self._tell(told)
                queues.send(config().mails_queue_url, [warnings.message(told)])
        elif keys.is_letter(new["pk"], new["sk"]) and old is None:
            queues.send(config().mails_queue_url, [letters.message(new)])
        elif keys.is_invitation(new["pk"]) and old is None:
            queues.send(config().mails_queue_url, [invitations.message(new)])

    def _follow_row(self, event: Event) -> None:
        entity = registry.known(event.path)
        if entity and event.id not in self.written:
            searching.keep(entity, event)
        self._tell(event)
        if entity:
            mails.ask(entity, event)
            if entity.model.cached:
                self.cleared[event.tenant, event.path] = event
        if event.path == registry.FILES:
            jobs.follow_file(event)
            arrivals.follow(event)
            if images.wants(event):
                queues.send(config().images_queue_url, [images.message(event)])

    def _tell(self, event: Event) -> None:
        self._keep(event)
        self.news.add(event)
        self.told[event.tenant] = event

    def _keep(self, event: Event) -> None:
        if event.id not in self.written:
            journal.store(event, patient=self.patient)
        self.kept[event.tenant] = event


def _is_of_rows(record: Record) -> bool:
    return config().records_table in record["eventSourceARN"]


def _images(record: Record) -> tuple[Item | None, Item | None]:
    images = record["dynamodb"]
    new, old = (table.decode(images[name]) if images.get(name) else None for name in ("NewImage", "OldImage"))
    return new, old


def _version(message: Record) -> int:
    """The version that a change which was set aside has made, as far as it can be read."""
    try:
        return int(from_json(message["body"])["dynamodb"]["NewImage"]["v"]["N"])
    except (ValueError, KeyError, TypeError):
        return 0


def _set_aside(record: Record, delay: int = 0) -> None:
    queues.send(config().changes_aside_queue_url, [record], delay=delay)
