"""A batch of changes at once: their events, and the words of new rows, in a few calls instead of several a change.

It is a head start and no more: whoever follows the changes one by one does what was not done here.
"""

from collections.abc import Iterable

from sheaf.base.config import config
from sheaf.base.errors import Unavailable
from sheaf.entity import registry
from sheaf.records import journal, searching
from sheaf.records.events import Event
from sheaf.store import table
from sheaf.store.keys import Key
from sheaf.store.table import Item


def write(changes: Iterable[Event]) -> set[str]:
    """Write what belongs to the changes; the ids of those whose events (and words, if they are new) are there."""
    found = list(changes)
    words: dict[Key, Item] = {}
    for event in found:
        if entity := registry.known(event.path):
            words |= searching.born(entity, event)
    table.put_all(config().events_table, words)
    # Words first: who lists rows at a place of the log finds what the events before it have changed.
    return journal.append(event for event in found if _has_words(event))


def _has_words(event: Event) -> bool:
    """Whether the words of a change are there, as far as it may say so of itself."""
    if event.verb == "created":
        return True
    if entity := registry.known(event.path):
        try:
            searching.keep(entity, event)
        except Unavailable:
            return False  # whoever follows the change tries again
    return True
