"""A change of a row and the event it is: made from the stream's images, stored once, told to whoever asks.

The event's id is derived from (row, version), so a stream record that comes twice is still one event.
"""

from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.base import ids
from sheaf.base.clock import iso
from sheaf.base.config import config
from sheaf.entity.hooks import Verb
from sheaf.store import keys, table
from sheaf.store.keys import Key, Scope
from sheaf.store.table import Item


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

    def body(self) -> bytes:
        """The event as it is sent."""
        head = {
            "id": self.id,
            "type": self.type,
            "createdAt": iso(self.at_ms),
            "tenant": self.tenant,
            "sequence": self.sequence,
            "previousEventId": self.previous,
        }
        return to_json(head)[:-1] + b',"data":' + self.data.encode() + b"}"


def from_images(new: Item | None, old: Item | None) -> Event | None:
    """The event of a stream record of Records; None for one that is no change of a version.

    A deletion is told by the row's arrival in the trash, which knows who did it, and not by its disappearance.
    """
    if new is None or (old is not None and old["v"] == new["v"]):
        return None
    if keys.is_trash(new["pk"]):
        verb = "deleted"
    elif keys.is_live_row(new["pk"]):
        verb = "created" if new["v"] == 1 else "updated" if old else "restored"
    else:
        return None
    return Event(
        tenant=keys.tenant_of(new["pk"]),
        path=keys.path_of(new["pk"]),
        id=_event_id(new["sk"], new["v"], new["u"]),
        type=f"{new['t']}.{verb}",
        row=new["sk"],
        sequence=new["v"],
        previous=_event_id(new["sk"], new["v"] - 1, new["pu"]) if new.get("pu") else None,
        at_ms=new["u"],
        actor=new["a"],
        request_id=new["q"],
        data=new["d"],
        before=old["d"] if old else new["d"] if verb == "deleted" else None,
    )


def of_job(scope: Scope, job: Item, at_ms: int, data: str) -> Event:
    """The event that a job has ended: `job.succeeded`, `job.failed`, `job.cancelled`; `data` is the job as JSON."""
    return Event(tenant=scope.tenant, path="jobs", id=_event_id(job["sk"], 1, at_ms), type=f"job.{job['st']}", row=job["sk"],
                 sequence=1, previous=None, at_ms=at_ms, actor=job["a"], request_id=job["q"], data=data, before=None)  # fmt: skip


def store(event: Event) -> None:
    """Write the change row; the second time nothing happens."""
    table.put_new(config().events_table, *row_of(event))


def row_of(event: Event) -> tuple[Key, Item]:
    """The change row: the same event has the same one, whoever makes it."""
    item = {
        "id": event.id,
        "pa": event.path,
        "ty": event.type,
        "p": event.previous,
        "u": event.at_ms,
        "a": event.actor,
        "q": event.request_id,
        "d": event.data,
        "b": event.before,
    }
    return keys.change(event, event.row, event.sequence), item


def load(scope: Scope, row: str, sequence: int) -> Event | None:
    """The stored event of one version of one row."""
    item = table.get(config().events_table, keys.change(scope, row, sequence))
    return from_item(scope, row, item) if item else None


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
    )


def _event_id(row: str, version: int, at_ms: int) -> str:
    return ids.derived("evt", at_ms, f"{row}:{version}")
