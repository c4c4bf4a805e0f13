"""The list of files that are to be looked after at a time: who does it stands in sweep.py."""

from sheaf.base.bounds import UPLOAD_STUCK_SECONDS
from sheaf.base.config import config
from sheaf.records.events import Event
from sheaf.store import keys, table
from sheaf.store.keys import Scope


def follow(event: Event) -> None:
    """Note a file that is new or has arrived, to be looked at in a while, and a deleted one, whose content goes now.

    A deleted one is looked at once more: a smaller picture of it may have been on its way.
    """
    later = event.at_ms + UPLOAD_STUCK_SECONDS * 1000
    if event.verb == "created" or (event.verb == "updated" and event.document["status"] == "uploaded"):
        note(event, event.row, later)
    elif event.verb == "deleted":
        note(event, event.row, event.at_ms)
        note(event, event.row, later)


def note(scope: Scope, file_id: str, at_ms: int) -> None:
    """Have a file looked after at a time."""
    table.put(config().limits_table, keys.arrival(scope, file_id, at_ms), {})
