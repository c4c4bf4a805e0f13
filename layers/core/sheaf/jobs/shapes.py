"""The two shapes of a job's work: so many chunks, known from the start, or one step after another until one finds the end."""

from collections.abc import Sequence

from sheaf.base.bounds import CHUNK_WINDOW
from sheaf.jobs.runner import Task
from sheaf.store.table import Item


class Chunks:
    """A known number of chunks, CHUNK_WINDOW of them in flight."""

    def following(self, task: Task, done: Item) -> range:
        """The chunk one window further on."""
        following = task.number + CHUNK_WINDOW
        return range(following, min(following + 1, task.job["chunks"]))

    def is_complete(self, job: Item, done: Sequence[Item]) -> bool:
        """Every chunk has its result."""
        return len(done) == int(job["chunks"])


class Steps:
    """Steps whose results say whether there is `more`."""

    def following(self, task: Task, done: Item) -> range:
        """The next step, unless this one reached the end."""
        return range(task.number + 1, task.number + 1 + done["more"])

    def is_complete(self, job: Item, done: Sequence[Item]) -> bool:
        """The last step has its result."""
        return not done[-1]["more"]
