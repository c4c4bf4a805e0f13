"""The word index behind `search=`: kept by on_change from each change, asked by lists.

An entry is only a hint: the row it names is read and checked. So a late, doubled or reordered change does no harm, as
long as no entry is missing: a word is taken away only by a change that is newer than the one that brought it.
"""

from typing import Literal

from sheaf.base.bounds import SEARCH_MATCHES
from sheaf.base.config import config
from sheaf.base.errors import IndexRequired
from sheaf.entity import words
from sheaf.entity.registry import EntityType
from sheaf.records.events import Event
from sheaf.store import keys, table
from sheaf.store.keys import Key, Scope
from sheaf.store.table import ConditionFailed, Item, Write

_THREADS = 8


def keep(entity: EntityType, event: Event) -> None:
    """Follow a change: bring the new words of its row, take the old ones away."""
    if not entity.searched:
        return
    gone = event.verb == "deleted"
    before = set(words.of_row(entity, event.document_before or {})) if event.verb != "restored" else set()
    after = set() if gone else set(words.of_row(entity, event.document))
    work: list[tuple[str, Literal["put", "delete"], str]]
    work = [(word, "delete", "attribute_not_exists(#v) OR #v <= :version") for word in before - after]
    work += [(word, "put", "attribute_not_exists(#v) OR #v < :version") for word in after - before]
    if not work:
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(_THREADS, len(work))) as threads:
        list(threads.map(lambda each: _write(event, *each), work))


def born(entity: EntityType, event: Event) -> dict[Key, Item]:
    """The entries of a new row, which may be written without a look at what is there.

    What they can overwrite is an entry that a later change has brought: a hint that says less than it did, and is a hint.
    """
    found = words.of_row(entity, event.document) if event.verb == "created" else ()
    return {keys.word(event, event.path, word, event.row): {"v": event.sequence} for word in found}


def ids_of(scope: Scope, entity: EntityType, terms: tuple[str, ...]) -> set[str]:
    """The rows that hold a word beginning with the longest of `terms`; raises IndexRequired for too many."""
    longest = max(terms, key=len)
    start = keys.word(scope, entity.path, longest, "")
    span = table.Span(start.pk, low=longest, high=f"{longest}\U0010ffff")
    found: set[str] = set()
    for number, item in enumerate(table.query(config().events_table, span, page=1_000, names=["sk"]), 1):
        if number > SEARCH_MATCHES:
            raise IndexRequired(f"More than {SEARCH_MATCHES:,} words begin with {longest!r}; search for a longer one",
                                fields={"search": "matches too many words"})  # fmt: skip
        found.add(keys.worded(item["sk"]))
    return found


def _write(event: Event, word: str, kind: Literal["put", "delete"], condition: str) -> None:
    key, values = keys.word(event, event.path, word, event.row), {"version": event.sequence}
    item = {"v": event.sequence} if kind == "put" else {}
    write = Write(config().events_table, kind, key, item=item, condition=condition, values=values)
    try:
        table.commit([write])
    except ConditionFailed:
        return  # a newer change has been here
