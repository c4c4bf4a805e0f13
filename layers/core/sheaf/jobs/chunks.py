"""One chunk of a job: leased by one worker at a time, its result written once."""

from collections.abc import Mapping

from sheaf.access.caller import Caller
from sheaf.base.bounds import CHUNK_LEASE_SECONDS, JOB_DAYS
from sheaf.base.clock import iso, now, now_ms
from sheaf.base.config import config
from sheaf.store import keys, table
from sheaf.store.table import ConditionFailed, Item

_FREE = "attribute_not_exists(#done) AND (attribute_not_exists(#until) OR #until < :now)"


class Busy(Exception):
    """Another worker holds the chunk; its message must come again later."""


def lease(caller: Caller, job_id: str, number: int, *, begun: bool = False) -> Item | None:
    """Take the chunk (`begun`: only one that somebody has begun); the row as it stands after. Raises Busy.

    None where there is nothing to take: it is done, or it was to be begun by nobody. `tries` in the row is 1 for the first
    owner: a later one must look at what the earlier ones wrote.
    """
    values = {"until": now() + CHUNK_LEASE_SECONDS, "now": now(), "one": 1, "ttl": now() + JOB_DAYS * 86_400}
    try:
        return table.update(
            config().control_table,
            keys.chunk(caller, job_id, number),
            "SET #until = :until, #ttl = :ttl ADD #tries :one",
            condition=f"attribute_exists(#tries) AND {_FREE}" if begun else _FREE,
            values=values,
        )
    except ConditionFailed as failure:
        if failure.old is None or "done" in failure.old:
            return None
        raise Busy(f"chunk {number} of {job_id} is being worked on") from None


def release(caller: Caller, job_id: str, number: int) -> None:
    """Give the chunk back after an error, so that the next try need not wait for the lease to end."""
    table.update(config().control_table, keys.chunk(caller, job_id, number), "REMOVE #until")


def forget(caller: Caller, job_id: str, number: int) -> None:
    """Undo a lease under which nothing was done, because the job was stopped meanwhile."""
    table.take(config().control_table, keys.chunk(caller, job_id, number))


def finish(caller: Caller, job_id: str, number: int, result: Mapping[str, int | str]) -> None:
    """Write the chunk's result, unless it has one."""
    sets = "".join(f", #{name} = :{name}" for name in result)
    try:
        table.update(
            config().control_table,
            keys.chunk(caller, job_id, number),
            f"SET #done = :one, #at = :at, #ttl = :ttl{sets} REMOVE #until",
            condition="attribute_not_exists(#done)",
            values={"one": 1, "at": iso(now_ms()), "ttl": now() + JOB_DAYS * 86_400, **result},
        )
    except ConditionFailed:
        return  # the same result, written by an earlier try
