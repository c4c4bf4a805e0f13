"""The two shapes of a job's work: chunks whose number is known, or one step after another until one finds the end."""

from collections.abc import Mapping, Sequence

from sheaf.base.bounds import CHUNK_WINDOW
from sheaf.jobs.runner import Result, Task
from sheaf.store.table import Item


class Chunks:
    """A known number of chunks, CHUNK_WINDOW of them in flight."""

    def following(self, task: Task, done: Item) -> range:
        """The chunk one window further on."""
        following = task.number + CHUNK_WINDOW
        return range(following, min(following + 1, task.job["chunks"]))

    def is_last(self, job: Item, done: Item) -> bool:
        """One of the last window: every other chunk has a follower, which was asked for after it had finished."""
        return int(done["sk"]) >= int(job["chunks"]) - CHUNK_WINDOW

    def is_complete(self, job: Item, done: Sequence[Item]) -> bool:
        """Every chunk has its result."""
        return len(done) == int(job["chunks"])

    def reckon(self, task: Task) -> Result:
        """Nothing is known."""
        return {}


class Prepared:
    """A first chunk that finds out how many others there are, its `count`; then those, CHUNK_WINDOW of them in flight."""

    def following(self, task: Task, done: Item) -> range:
        """The first window after the first chunk, then the chunk one window further on."""
        if task.number == 0:
            return range(1, min(CHUNK_WINDOW, done["count"]) + 1)
        following = task.number + CHUNK_WINDOW
        return range(following, min(following, done["count"]) + 1)

    def is_last(self, job: Item, done: Item) -> bool:
        """One of the last window."""
        return int(done["sk"]) > int(done["count"]) - CHUNK_WINDOW

    def is_complete(self, job: Item, done: Sequence[Item]) -> bool:
        """Every chunk has its result."""
        return len(done) == int(done[0]["count"]) + 1


class Steps:
    """Steps whose results say whether there is `more`."""

    def following(self, task: Task, done: Item) -> range:
        """The next step, unless this one reached the end."""
        return range(task.number + 1, task.number + 1 + done["more"])

    def is_last(self, job: Item, done: Item) -> bool:
        """The one that reached the end."""
        return not done["more"]

    def is_complete(self, job: Item, done: Sequence[Item]) -> bool:
        """The last step has its result."""
        return not done[-1]["more"]

    def reckon(self, task: Task) -> Mapping[str, int | str]:
        """Nothing: a step that was not done has left nothing behind."""
        return {"more": 1}
