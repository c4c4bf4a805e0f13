"""Whose turn it is: a tenant has JOBS_RUNNING jobs at work, the others wait in the order in which they were accepted.

One row a tenant holds three sets of job ids: `act` those that are unfinished, `wait` those that wait, `run` those at work.
"""

from sheaf.base.bounds import JOBS_PER_TENANT, JOBS_RUNNING
from sheaf.base.config import config
from sheaf.store import keys, table
from sheaf.store.keys import Scope
from sheaf.store.table import ConditionFailed, Write

_FREE = "(attribute_not_exists(#run) OR size(#run) < :most)"


def joining(scope: Scope, job_id: str) -> Write:
    """The write that goes along with the acceptance of a job; its condition fails where the tenant has too many."""
    return Write(config().control_table, "update", keys.jobs(scope), expression="ADD #act :job",
                 condition="attribute_not_exists(#act) OR size(#act) < :most",
                 values={"job": {job_id}, "most": JOBS_PER_TENANT})  # fmt: skip


def join(scope: Scope, job_id: str) -> list[str]:
    """Let an accepted job wait; the jobs that are at work from now on, or were already."""
    table.update(config().control_table, keys.jobs(scope), "ADD #wait :job", values={"job": {job_id}})
    return _promoted(scope)


def leave(scope: Scope, job_id: str) -> list[str]:
    """Take out a job that has ended; the jobs that are at work from now on, or were already."""
    table.update(config().control_table, keys.jobs(scope), "DELETE #act :job, #wait :job, #run :job", values={"job": {job_id}})
    return _promoted(scope)


def _promoted(scope: Scope) -> list[str]:
    # Whoever adds to `wait` or takes from `run` looks at both afterwards, so no job is overlooked by two at once.
    for _ in range(10 * JOBS_RUNNING):
        row = table.get(config().control_table, keys.jobs(scope)) or {}
        running, waiting = row.get("run", set()), row.get("wait", set())
        if not waiting or (len(running) >= JOBS_RUNNING and not waiting & running):
            break
        oldest = min(waiting & running or waiting)  # ids sort by the time they were made
        try:
            table.update(config().control_table, keys.jobs(scope), "ADD #run :job DELETE #wait :job",
                         condition=f"contains(#wait, :id) AND (contains(#run, :id) OR {_FREE})",
                         values={"job": {oldest}, "id": oldest, "most": JOBS_RUNNING})  # fmt: skip
        except ConditionFailed:
            continue  # another worker has moved the sets: look again
    return sorted(running)
