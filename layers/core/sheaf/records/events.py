"""A change of a row and the event it is: made from the stream's images, stored once (journal.py), told to whoever asks.

The event's id is derived from (row, version), so a stream record that comes twice is still one event.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.base import ids
from sheaf.base.clock import iso, now
from sheaf.base.config import config
from sheaf.entity import registry
from sheaf.entity.hooks import Change, Verb
from sheaf.entity.registry import EntityType
from sheaf.records import commitments
from sheaf.store import keys, table
from sheaf.store.keys import Key, Scope
from sheaf.store.table import Item, Span

NOTES = "audit"  # the path of what is for the audit log alone
PARTS = 8  # events that one change may be: its own and those that its entity adds


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one row. `tenant` makes it a scope; `data` and `before` are JSON documents."""

    tenant: str
    path: str  # tasks
    id: str
    type: str  # task.created
    row: str
    sequence: int  # the row's version
    previous: str | None  # the id of the event before it on the same row
    at_ms: int
    actor: str
    request_id: str
    data: str
    before: str | None
    also: tuple[str, ...] = ()  # the types of further events that the same change is: video.uploaded
    hidden: tuple[str, ...] = ()  # fields of `data` that nobody is shown
    part: int = 0  # 0 for the change's own event, then those of `also` in their order
    address: str | None = None  # from which the request came
    personal: tuple[str, ...] = ()  # fields of `data` and `before` that are about a person
    quiet: bool = False  # webhooks are not told of it
    target: str | None = None  # what a note (notes.py) is about, where `row` is the note itself

    @property
    def place(self) -> int:
        """A number that orders the events of one row."""
        return self.sequence * PARTS + self.part

    @property
    def all(self) -> "list[Event]":
        """The change's own event and the further ones."""
        more = (
            replace(self, id=ids.derived("evt", self.at_ms, f"{self.row}:{self.sequence}:{name}"), type=name, part=part)
            for part, name in enumerate(self.also, 1)
        )
        return [self, *more]

    def at(self, place: int) -> "Event | None":
        """The one of `all` at a place."""
        return next((each for each in self.all if each.place == place), None)

    @property
    def verb(self) -> Verb:
        """The second half of the type."""
        return self.type.partition(".")[2]  # type: ignore[return-value]  # `from_images` makes no other

    @property
    def document(self) -> dict[str, Any]:
        """The row after the change, parsed."""
        parsed: dict[str, Any] = from_json(self.data)
        return parsed

    @property
    def document_before(self) -> dict[str, Any] | None:
        """The row before the change, parsed."""
        return from_json(self.before) if self.before else None

    @property
    def shown(self) -> str:
        """The row after the change without its hidden fields, as JSON."""
        if not self.hidden:
            return self.data
        return to_json({name: value for name, value in self.document.items() if name not in self.hidden}).decode()

    def body(self, *, thin: bool = False) -> bytes:
        """The event as it is sent; `thin` leaves nothing of the row but its id."""
        return self.body_of(to_json({"id": self.row}).decode() if thin else self.shown)

    def body_of(self, data: str) -> bytes:
        """The event as it is sent, with this JSON in the place of its data."""
        head = {
            "id": self.id,
            "type": self.type,
            "createdAt": iso(self.at_ms),
            "tenant": self.tenant,
            "sequence": self.sequence,
            "previousEventId": self.previous,
        }
        return to_json(head)[:-1] + b',"data":' + data.encode() + b"}"


def from_images(new: Item | None, old: Item | None) -> Event | None:
    """The event of a stream record of Records; None for one that is no change of a version.

    A deletion is told by the row's arrival in the trash, which knows who did it, and not by its disappearance.
    """
    if new is None or (old is not None and old["v"] == new["v"]):
        return None
    verb: Verb
    if keys.is_trash(new["pk"]):
        verb = "deleted"
    elif keys.is_live_row(new["pk"]):
        verb = "created" if new["v"] == 1 else "updated" if old else "restored"
    else:
        return None
    path, before = keys.path_of(new["pk"]), old["d"] if old else new["d"] if verb == "deleted" else None
    entity = registry.known(path)
    return Event(
        tenant=keys.tenant_of(new["pk"]),
        path=path,
        id=_event_id(new["sk"], new["v"], new["u"]),
        type=f"{new['t']}.{verb}",
        row=new["sk"],
        sequence=new["v"],
        previous=_event_id(new["sk"], new["v"] - 1, new["pu"]) if new.get("pu") else None,
        at_ms=new["u"],
        actor=new["a"],
        request_id=new["q"],
        data=new["d"],
        before=before,
        also=_also(entity, new, verb, before) if entity else (),
        hidden=tuple(sorted(entity.hidden)) if entity else (),
        address=new.get("ip"),
        personal=tuple(sorted(entity.personal)) if entity else (),
        quiet="qt" in new,
    )


def of_job(scope: Scope, job: Item, at_ms: int, data: str) -> Event:
    """The event that a job has ended: `job.succeeded`, `job.failed`, `job.cancelled`; `data` is the job as JSON."""
    return Event(tenant=scope.tenant, path="jobs", id=_event_id(job["sk"], 1, at_ms), type=f"job.{job['st']}", row=job["sk"],
                 sequence=1, previous=None, at_ms=at_ms, actor=job["a"], request_id=job["q"], data=data, before=None,
                 address=job.get("ip"))  # fmt: skip


def of_webhook(webhook: Item, type_: str, data: str) -> Event:
    """An event about a webhook itself: `endpoint.failing`, `endpoint.disabled`."""
    return Event(tenant=keys.tenant_of(webhook["pk"]), path="webhooks", id=_event_id(webhook["sk"], webhook["v"], webhook["u"]),
                 type=type_, row=webhook["sk"], sequence=webhook["v"], previous=None, at_ms=webhook["u"], actor=webhook["a"],
                 request_id=webhook["q"], data=data, before=None)  # fmt: skip


def of_published(new: Item) -> Event:
    """The event that was published last under an ordering key."""
    return Event(tenant=keys.tenant_of(new["pk"]), path="events", id=_event_id(new["sk"], new["v"], new["u"]), type=new["t"],
                 row=new["sk"], sequence=new["v"], at_ms=new["u"], actor=new["a"], request_id=new["q"], data=new["d"],
                 previous=_event_id(new["sk"], new["v"] - 1, new["pu"]) if "pu" in new else None, before=None)  # fmt: skip


def of_note(note: Item) -> Event:
    """What a note tells: a change of something that is no row, or a refusal. It is for the audit log alone."""
    return Event(tenant=keys.tenant_of(note["pk"]), path=NOTES, id=_event_id(note["sk"], 1, note["u"]), type=note["ty"],
                 row=note["sk"], sequence=1, previous=None, at_ms=note["u"], actor=note["a"], request_id=note["q"],
                 data=note["d"], before=note.get("b"), address=note.get("ip"), personal=tuple(note.get("ps", ())),
                 target=note["tg"])  # fmt: skip


def store_aside(event: Event, days: int) -> None:
    """Write the change row of something that has not happened: known by its row alone, in no list, and not for ever."""
    key, item = row_of(event)
    table.put_new(config().events_table, key, {**item, "day": None, "ttl": now() + days * 86_400})


def row_of(event: Event) -> tuple[Key, Item]:
    """The change row: the same event has the same one, whoever makes it."""
    item = {
        **_committed(event),
        "id": event.id,
        "pa": event.path,
        "ty": event.type,
        "p": event.previous,
        "u": event.at_ms,
        "a": event.actor,
        "q": event.request_id,
        "d": event.data,
        "b": event.before,
        "al": list(event.also) or None,
        "hd": list(event.hidden) or None,
        "tg": event.target,
        "qt": 1 if event.quiet else None,
        "day": keys.day(event, iso(event.at_ms)[:10]),
    }
    return keys.change(event, event.row, event.sequence), item


def load(scope: Scope, row: str, sequence: int) -> Event | None:
    """The stored event of one version of one row."""
    item = table.get(config().events_table, keys.change(scope, row, sequence))
    return from_item(scope, row, item) if item else None


def load_many(scope: Scope, versions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Event]:
    """The stored events of versions of rows, by (row, version)."""
    found = {keys.change(scope, row, sequence): (row, sequence) for row, sequence in versions}
    items = table.get_many(config().events_table, list(found))
    return {found[key]: from_item(scope, found[key][0], item) for key, item in items.items()}


def since(scope: Scope, row: str, sequence: int, page: int = 20) -> Iterator[Event]:
    """The stored events of a row after one version of it, in order."""
    span = Span(keys.change(scope, row, 0).pk, low=keys.change(scope, row, sequence + 1).sk)
    return (from_item(scope, row, item) for item in table.query(config().events_table, span, page=page))


def back(scope: Scope, row: str, page: int = 20) -> Iterator[Event]:
    """The stored events of a row, the newest first."""
    found = table.query(config().events_table, keys.change(scope, row, 0).pk, newest_first=True, page=page)
    return (from_item(scope, row, item) for item in found)


def from_item(scope: Scope, row: str, item: Item) -> Event:
    """The event that a change row holds."""
    return Event(
        tenant=scope.tenant,
        path=item["pa"],
        id=item["id"],
        type=item["ty"],
        row=row,
        sequence=int(item["sk"]),
        previous=item.get("p"),
        at_ms=item["u"],
        actor=item["a"],
        request_id=item["q"],
        data=item["d"],
        before=item.get("b"),
        also=tuple(item.get("al", ())),
        hidden=tuple(item.get("hd", ())),
        address=item.get("ip"),
        target=item.get("tg"),
        quiet="qt" in item,
    )


def _committed(event: Event) -> Item:
    """What a change row says of its personal values: ip the address, sl the salts, cm the commitments."""
    document = event.document if event.personal else {}
    values = commitments.places(event.personal, document, event.document_before if event.personal else None, event.address)
    if not values:
        return {}
    salts, made = commitments.made(values)
    return {"ip": event.address, "sl": to_json(salts).decode(), "cm": to_json(made).decode()}


def _also(entity: EntityType, new: Item, verb: Verb, before: str | None) -> tuple[str, ...]:
    if not entity.model.events:
        return ()
    change = Change(verb, new["a"], iso(new["u"]), from_json(before) if before else None)
    wanted = set(entity.model.also(change, from_json(new["d"])))
    return tuple(f"{entity.word}.{name}" for name in entity.model.events if name in wanted)


def _event_id(row: str, version: int, at_ms: int) -> str:
    return ids.derived("evt", at_ms, f"{row}:{version}")
