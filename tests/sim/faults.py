"""Trouble at the AWS calls of code under test: a kill at the n-th one, or an error now and then."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from botocore.exceptions import EndpointConnectionError

from sheaf.store import aws
from sim.sources import Killed

SERVICES = ("dynamodb", "sqs", "s3", "apigatewaymanagementapi")
When = Literal["before-call", "after-call"]


@contextmanager
def hooked(when: When, hook: Callable[..., None]) -> Iterator[None]:
    """Within it `hook` runs before, or after, every AWS call."""
    for service in SERVICES:
        aws.client(service).meta.events.register(when, hook)
    try:
        yield
    finally:
        for service in SERVICES:
            aws.client(service).meta.events.unregister(when, hook)


class Counter:
    """How many calls there were, and which one kills."""

    def __init__(self, kill_at: int) -> None:
        self.calls = 0
        self._kill_at = kill_at
        self._lock = threading.Lock()

    def __call__(self, **_: Any) -> None:
        with self._lock:
            self.calls += 1
            reached = self.calls
        if reached == self._kill_at:
            raise Killed


@contextmanager
def kill_at(number: int, when: When) -> Iterator[Counter]:
    """Die before (nothing happened) or after (it happened, nobody heard) the call of this number; 0 never."""
    counter = Counter(number)
    with hooked(when, counter):
        yield counter


@contextmanager
def unreliable(rng: random.Random, rate: float) -> Iterator[None]:
    """Let calls fail at this rate: half of the time before they have an effect, half of the time after."""
    lock = threading.Lock()

    def fail(**_: Any) -> None:
        with lock:
            unlucky = rng.random() < rate / 2
        if unlucky:
            raise EndpointConnectionError(endpoint_url="https://fault.injected")

    with hooked("before-call", fail), hooked("after-call", fail):
        yield
