"""Runs one chunk of a job, whoever sends the message and however often."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sheaf.access.caller import Caller
from sheaf.base.bounds import CHUNK_WINDOW
from sheaf.base.clock import iso, now_ms
from sheaf.jobs import chunks, machine
from sheaf.store.table import Item

Result = Mapping[str, int | str]


@dataclass(frozen=True, slots=True)
class Task:
    """One chunk to work on. `again`: an earlier owner began it and may have written some of it."""

    caller: Caller
    job: Item
    number: int
    again: bool


class Work(Protocol):
    """What a kind of job has to know."""

    def run(self, task: Task) -> Result:
        """Do the chunk; running it again after a death in the middle gives the same result."""
        ...

    def following(self, task: Task, done: Item) -> range:
        """The chunks to ask for once this one is done."""
        ...

    def is_complete(self, job: Item, done: Sequence[Item]) -> bool:
        """Whether these finished chunks are all of them."""
        ...

    def finalise(self, caller: Caller, job: Item, done: Sequence[Item]) -> Result:
        """Make the job's files; what joins the job's row."""
        ...


def start(caller: Caller, job: Item) -> None:
    """Ask for the first window of chunks of a job that was just accepted; asking twice does no harm."""
    machine.call_for(caller, job["sk"], range(min(CHUNK_WINDOW, job["chunks"])))


def run(caller: Caller, job: Item, number: int, work: Work) -> None:
    """Work on one chunk, then pass the window on, then end the job if nothing is left.

    `job` is its row as it was just read. Raises chunks.Busy.
    """
    job_id: str = job["sk"]
    if job["st"] in ("succeeded", "failed"):
        return
    machine.move(caller, job_id, ("queued",), "running", begun=iso(now_ms()))
    leased = chunks.lease(caller, job_id, number)
    task = Task(caller, job, number, again=leased is not None and leased["tries"] > 1)
    if leased is not None:
        try:
            result = work.run(task)
        except Exception:
            chunks.release(caller, job_id, number)
            raise
        chunks.finish(caller, job_id, number, result)
    # A chunk that was done already still does what follows: its first owner may have died just before.
    done = [chunk for chunk in machine.results(caller, job_id) if "done" in chunk]
    mine = next(chunk for chunk in done if int(chunk["sk"]) == number)
    if following := work.following(task, mine):
        machine.call_for(caller, job_id, following)
    if work.is_complete(job, done):
        machine.move(caller, job_id, ("running",), "finalising")
        made = work.finalise(caller, job, done)
        machine.move(caller, job_id, ("running", "finalising"), "succeeded", ended=iso(now_ms()), **made)


def give_up(caller: Caller, job_id: str, reason: str) -> None:
    """End a job whose chunk has failed for good; its message stays in the dead-letter queue."""
    machine.move(caller, job_id, ("queued", "running", "finalising"), "failed", ended=iso(now_ms()), error=reason)
