"""Runs one chunk of a job, whoever sends the message and however often; ends the job when nothing is left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic_core import to_json

from sheaf.access.caller import Caller
from sheaf.base.bounds import CHUNK_WINDOW
from sheaf.base.clock import iso, now_ms
from sheaf.base.errors import NotFound
from sheaf.jobs import chunks, machine, slots
from sheaf.store.table import Item

Result = Mapping[str, int | str]


class JobFailed(Exception):
    """The job cannot succeed, whoever tries again; the message is for its owner, `result` is what the chunk has found."""

    def __init__(self, message: str, result: Result | None = None) -> None:
        super().__init__(message)
        self.result = dict(result or {})


@dataclass(frozen=True, slots=True)
class Task:
    """One chunk to work on. `again`: an earlier owner began it and may have written some of it.

    `last`: nobody will try after this, so what goes wrong with one row is that row's result.
    """

    caller: Caller
    job: Item
    number: int
    again: bool
    last: bool = False


class Work(Protocol):
    """What a kind of job has to know."""

    def run(self, task: Task) -> Result:
        """Do the chunk; running it again after a death in the middle gives the same result. Raises JobFailed."""
        ...

    def reckon(self, task: Task) -> Result:
        """What the dead owners of a chunk have done, where nobody is going to do the rest."""
        ...

    def following(self, task: Task, done: Item) -> range:
        """The chunks to ask for once this one is done."""
        ...

    def is_last(self, job: Item, done: Item) -> bool:
        """Whether this finished chunk can have been the last one to finish."""
        ...

    def is_complete(self, job: Item, done: Sequence[Item]) -> bool:
        """Whether these finished chunks are all of them."""
        ...

    def finalise(self, caller: Caller, job: Item, done: Sequence[Item], status: machine.Status) -> Result:
        """Make the job's files for the status it ends in; what joins the job's row."""
        ...


def join(caller: Caller, job: Item) -> None:
    """Let a job that was just accepted begin when its turn comes; doing it twice does no harm."""
    _begin(caller, slots.join(caller, job["sk"]))


def leave(caller: Caller, job_id: str) -> None:
    """Let the next job of the tenant begin in the place of one that has ended."""
    _begin(caller, slots.leave(caller, job_id))


def run(caller: Caller, job: Item, number: int, work: Work, *, last: bool = False) -> None:
    """Work on one chunk, then pass the window on, then end the job if nothing is left.

    `job` is its row as it was just read. Raises chunks.Busy, and whatever kept the chunk from being done.
    """
    if job["st"] in machine.ENDED:
        return
    if number == machine.SETTLE or _is_stopping(job):
        if number != machine.SETTLE and (leased := chunks.lease(caller, job["sk"], number, begun=True)):
            _work(caller, job, work, leased, last=last)  # what was begun is done to its end, so that its result is known
        settle(caller, job["sk"], work)
        return
    machine.move(caller, job["sk"], ("queued",), "running", begun=iso(now_ms()))
    leased = chunks.lease(caller, job["sk"], number)
    if leased is not None:
        if leased["tries"] == 1 and _is_stopping(machine.find(caller, job["sk"])):
            # Stopped between our look at the job and our lease: whoever settles it has not seen this chunk.
            chunks.forget(caller, job["sk"], number)
            settle(caller, job["sk"], work)
            return
        if not _work(caller, job, work, leased, last=last):
            settle(caller, job["sk"], work)
            return
    # A chunk that was done already still does what follows: its first owner may have died just before.
    _follow(caller, job, number, work, again=leased is None)


def give_up(caller: Caller, job: Item, number: int, work: Work, reason: str) -> None:
    """Stop a job whose chunk nobody will try again; its message lies in the dead-letter queue."""
    machine.move(caller, job["sk"], ("queued", "running", "finalising"), "finalising", error=reason, to="failed")
    if number != machine.SETTLE and (leased := chunks.lease(caller, job["sk"], number, begun=True)):
        chunks.finish(caller, job["sk"], number, {"lost": 1, **work.reckon(_task(caller, job, leased, last=True))})
    settle(caller, job["sk"], work)


def stop(caller: Caller, job_id: str, reason: str) -> None:
    """Let a job fail that has not begun and cannot; whoever works on jobs makes its files and ends it."""
    if machine.move(caller, job_id, ("queued",), "finalising", error=reason, to="failed"):
        machine.call_for(caller, job_id, range(machine.SETTLE, machine.SETTLE + 1))


def abandon(caller: Caller, job_id: str, reason: str) -> None:
    """End a job at once, without its files: nothing that makes them works."""
    machine.move(caller, job_id, ("queued", "running", "finalising"), "failed", ended=iso(now_ms()), error=reason)
    machine.move(caller, job_id, ("cancelling",), "cancelled", ended=iso(now_ms()), error=reason)


def settle(caller: Caller, job_id: str, work: Work) -> None:
    """End a job that is to be stopped, unless a chunk is still being worked on: its owner settles the job then."""
    job = machine.find(caller, job_id)
    if not _is_stopping(job) or job["st"] in machine.ENDED:
        return
    found = list(machine.results(caller, job_id))
    if any("done" not in each for each in found):
        return
    status: machine.Status = "cancelled" if job["st"] == "cancelling" else "failed"
    made = work.finalise(caller, job, found, status)
    machine.move(caller, job_id, (job["st"],), status, ended=iso(now_ms()), n=_sum(job, found, made), **made)


def _is_stopping(job: Item) -> bool:
    return job["st"] in ("cancelling", *machine.ENDED) or "to" in job


def _work(caller: Caller, job: Item, work: Work, leased: Item, *, last: bool) -> bool:
    """Do a leased chunk; False where it has found that the whole job cannot succeed."""
    number = int(leased["sk"])
    try:
        result = work.run(_task(caller, job, leased, last=last))
    except JobFailed as failure:
        machine.move(caller, job["sk"], ("queued", "running"), "finalising", error=str(failure), to="failed")
        chunks.finish(caller, job["sk"], number, {"lost": 1, **failure.result})
        return False
    except Exception:
        chunks.release(caller, job["sk"], number)
        raise
    chunks.finish(caller, job["sk"], number, result)
    return True


def _follow(caller: Caller, job: Item, number: int, work: Work, *, again: bool) -> None:
    mine = machine.chunk(caller, job["sk"], number)
    if mine is None or "done" not in mine:
        return  # undone: the job is being stopped
    now = machine.find(caller, job["sk"])
    if _is_stopping(now):
        settle(caller, job["sk"], work)
        return
    task = Task(caller, job, number, again=False)
    for following in work.following(task, mine):
        # One that has begun has a message of its own: a message that comes twice must not double all those after it.
        if not again or machine.chunk(caller, job["sk"], following) is None:
            machine.call_for(caller, job["sk"], range(following, following + 1))
    if not work.is_last(job, mine):
        return
    done = [each for each in machine.results(caller, job["sk"]) if "done" in each]
    if work.is_complete(job, done):
        machine.move(caller, job["sk"], ("running",), "finalising")
        if machine.find(caller, job["sk"])["st"] != "finalising":
            settle(caller, job["sk"], work)  # cancelled at the last moment
            return
        made = work.finalise(caller, job, done, "succeeded")
        machine.move(caller, job["sk"], ("finalising",), "succeeded", ended=iso(now_ms()), n=_sum(job, done, made), **made)


def _sum(job: Item, done: Sequence[Item], made: Result) -> str:
    """The counts as they stay; a job that only makes a file has as many rows as that."""
    counted = machine.counts(job, iter(done))
    return to_json({**counted, "total": counted["total"] or int(made.get("rows", 0))}).decode()


def _task(caller: Caller, job: Item, leased: Item, *, last: bool) -> Task:
    return Task(caller, job, int(leased["sk"]), again=leased["tries"] > 1, last=last)


def _begin(caller: Caller, running: Sequence[str]) -> None:
    """Ask for the first chunks of those jobs at work that have not begun; asking twice does no harm."""
    for job_id in running:
        try:
            job = machine.find(caller, job_id)
        except NotFound:
            job = {"st": "cancelled"}  # it was kept as long as jobs are kept
        if job["st"] in machine.ENDED:
            # It got in line after its end: a message that came late, or twice. It makes room again.
            _begin(caller, slots.leave(caller, job_id))
        elif job["st"] == "queued":
            machine.call_for(caller, job_id, range(min(CHUNK_WINDOW, job["chunks"])))
