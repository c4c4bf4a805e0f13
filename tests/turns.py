"""Turns on the machine: a test that holds a time (`@pytest.mark.alone`) runs while no other process of the run is in a test.

Two locks of files: every test holds `turn`, shared, one that runs alone holds it for itself; and each comes to it through `door`, which
whoever waits to be alone keeps shut, so that the others cannot go on for ever past it.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_SH, flock
from pathlib import Path


@contextmanager
def turn(*, alone: bool) -> Iterator[None]:
    """Until no one is alone; or until this one is."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is None:
        yield
        return
    with _file(run, "door").open("w") as door, _file(run, "turn").open("w") as place:  # closing frees them
        flock(door, LOCK_EX)
        flock(place, LOCK_EX if alone else LOCK_SH)
        if not alone:
            door.close()
        yield


def forget(run: str) -> None:
    """Remove the files of a run that has ended."""
    for name in ("door", "turn"):
        _file(run, name).unlink(missing_ok=True)


def _file(run: str, name: str) -> Path:
    return Path(tempfile.gettempdir()) / f"sheaf-{run}-{name}"
