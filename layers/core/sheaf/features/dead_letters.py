"""Messages that nobody could work on: how many there are, and the way back to their queues once the reason is gone."""

from typing import Any

from sheaf.access import operators
from sheaf.access.caller import Caller
from sheaf.base.bounds import REDRIVEN
from sheaf.base.errors import NotFound
from sheaf.records import notes
from sheaf.store import queues, table


def listing(caller: Caller) -> list[dict[str, Any]]:
    """Every queue with what waits in it and what is dead, for operators; raises PermissionDenied."""
    operators.require(caller, "queues:read")
    found = []
    for name, url in queues.every().items():
        found.append({"name": name, **queues.counts(url)})
    return found


def redrive(caller: Caller, name: str) -> dict[str, Any]:
    """An operator sends dead messages back to their queue, at most REDRIVEN at once; raises NotFound, PermissionDenied.

    Each is taken from the dead ones only after it is in its queue, so one may come twice, which every consumer bears.
    """
    operators.require(caller, "queues:redrive")
    url = queues.every().get(name)
    dead_url = queues.depth(url).dead_url if url else None
    if url is None or dead_url is None:
        raise NotFound(f"There is no queue {name[:80]!r} with dead messages; {', '.join(queues.QUEUES)} are the queues")
    table.commit([notes.note(caller, "queue.redriven", name)])
    moved = 0
    while moved < REDRIVEN and (found := queues.move(dead_url, url)):
        moved += found
    return {"name": name, "moved": moved, "dead": queues.depth(dead_url).waiting}
