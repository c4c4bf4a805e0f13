"""The queue of the changes that were set aside, carried into a simulated one: there a message comes twice, late and out of order."""

import json
import random

import world
from sheaf.base.bounds import EVENT_TRIES
from sim.sources import Handler, Queue

_ROUNDS = 1_000  # then what still waits is left, for the assertions to find


def drained(sheaf: world.World, handler: Handler, rng: random.Random) -> Queue:
    """The simulated queue, after everything set aside, and everything set aside again meanwhile, was handled or is dead."""
    aside = Queue(handler, rng, receives=EVENT_TRIES)
    for _ in range(_ROUNDS):
        while records := sheaf.messages("ChangesAsideQueue"):
            for record in records:
                sheaf.done("ChangesAsideQueue", record)
                aside.send(json.loads(record["body"]))
        if not aside.waits:
            break
        aside.drain()
    return aside
