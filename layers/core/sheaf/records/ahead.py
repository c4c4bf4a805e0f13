"""A batch of changes at once: their change rows, and the words of new rows, in a few calls instead of several a change.

It is a head start and no more: whoever follows the changes one by one does what was not done here.
"""

from collections.abc import Iterable

from sheaf.base.config import config
from sheaf.entity import registry
from sheaf.records import events, searching
from sheaf.records.events import Event
from sheaf.store import table
from sheaf.store.keys import Key
from sheaf.store.table import Item


def write(changes: Iterable[Event]) -> set[str]:
    """Write what belongs to the changes; the ids of those whose rows (and words, if they are new) are there."""
    items: dict[Key, Item] = {}
    done: set[str] = set()
    for event in changes:
        key, item = events.row_of(event)
        items[key] = item
        if entity := registry.known(event.path):
            items |= searching.born(entity, event)
        done.add(event.id)
    table.put_all(config().events_table, items)
    return done
