"""How a write is asked for. Apart from the writing itself, so that a function which never writes a row does not load it."""

from dataclasses import dataclass

from sheaf.records.once import Once
from sheaf.store.table import Write


@dataclass(frozen=True, slots=True)
class Options:
    """How a write is asked for.

    `versions`: those that If-Match allows, None for any. `merge`: a stale version is fine where the changed fields do not
    overlap. `dry`: find out, write nothing. `once`: the request's Idempotency-Key. `along`: writes elsewhere that the row's
    write stands or falls with; one whose condition does not hold raises commit.AlongFailed. `changed`: where the row says
    all of it already nothing is written and write.Unchanged raised.
    """

    versions: frozenset[int] | None = None
    merge: bool = False
    dry: bool = False
    once: Once | None = None
    along: tuple[Write, ...] = ()
    changed: bool = False


PLAIN = Options()
