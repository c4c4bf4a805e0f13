"""Event sources with the rules that AWS documents, which the local emulator does not keep.

`Stream` is a DynamoDB stream behind a Lambda event source mapping: at least once, in order per key, partial batch
responses (the lowest failed sequence number is the checkpoint), bisection on an error, a retry limit, lost checkpoints.
`Queue` is an SQS queue behind one: at least once, in any order, partial batch responses, a dead-letter queue.
Both draw their faults from a seeded generator, so that a failure can be played again.
Sources: "Using AWS Lambda with Amazon DynamoDB" and "… with Amazon SQS" in the Lambda developer guide.
"""

import json
import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Record = Mapping[str, Any]
Handler = Callable[[dict[str, Any]], Any]


@dataclass
class Stream:
    """Delivers records to `handler`; `dead` holds what the mapping gave up."""

    handler: Handler
    rng: random.Random
    lanes: int = 4
    batch: int = 10
    retries: int = 10
    lost_checkpoints: float = 0.05
    invocations: int = 0
    dead: list[Record] = field(default_factory=list)

    def deliver(self, records: Sequence[Record]) -> None:
        """All records, lane by lane in a random interleaving; within a lane in order."""
        lanes: list[list[Record]] = [[] for _ in range(self.lanes)]
        for record in records:
            key = json.dumps(record["dynamodb"]["Keys"], sort_keys=True)
            lanes[zlib.crc32(key.encode()) % self.lanes].append(record)
        waiting = [lane for lane in lanes if lane]
        while waiting:
            lane = self.rng.choice(waiting)
            self._work(lane[: self.batch], self.retries)
            if self.rng.random() >= self.lost_checkpoints:  # else the whole batch comes once more
                del lane[: self.batch]
            waiting = [each for each in waiting if each]

    def _work(self, batch: Sequence[Record], retries: int) -> None:
        while batch:
            self.invocations += 1
            try:
                answer = self.handler({"Records": list(batch)})
            except Exception:
                if len(batch) > 1:  # bisection does not use up the retries
                    middle = len(batch) // 2
                    self._work(batch[:middle], retries)
                    self._work(batch[middle:], retries)
                    return
                failed = 0
            else:
                failed = self._checkpoint(batch, answer)
            if failed == len(batch):
                return
            batch = batch[failed:]
            if failed:
                retries = self.retries  # the checkpoint moved: what is left is a new batch
                continue
            if retries == 0:
                self.dead.extend(batch)
                return
            retries -= 1

    def _checkpoint(self, batch: Sequence[Record], answer: Any) -> int:
        failures = (answer or {}).get("batchItemFailures", [])
        if not failures:
            return len(batch)
        numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
        named = [failure.get("itemIdentifier") for failure in failures]
        # An unknown or empty name fails the whole batch.
        return min((numbers.index(name) if name in numbers else 0) for name in named)


@dataclass
class Queue:
    """Delivers messages to `handler` until none is left; `dead` is its dead-letter queue."""

    handler: Handler
    rng: random.Random
    batch: int = 1
    receives: int = 5
    duplicates: float = 0.1
    between: Callable[[], None] = lambda: None
    dead: list[dict[str, Any]] = field(default_factory=list)
    _waiting: list[tuple[str, int, dict[str, Any]]] = field(default_factory=list)
    _made: int = 0

    def send(self, message: Mapping[str, Any]) -> None:
        """Take a message; sometimes it is stored twice."""
        for _ in range(2 if self.rng.random() < self.duplicates else 1):
            self._made += 1
            self._waiting.append((f"m{self._made}", 1, dict(message)))

    @property
    def waits(self) -> bool:
        """Whether messages are left."""
        return bool(self._waiting)

    def drain(self, most: int = 10_000) -> None:
        """Hand on messages in any order until the queue is empty."""
        for _ in range(most):
            if not self._waiting:
                return
            self.rng.shuffle(self._waiting)
            batch, self._waiting = self._waiting[: self.batch], self._waiting[self.batch :]
            failed = self._call(batch)
            for name, tries, message in batch:
                if name not in failed:
                    continue
                if tries >= self.receives:
                    self.dead.append(message)
                else:
                    self._waiting.append((name, tries + 1, message))
            self.between()
        raise AssertionError("the queue does not run empty")

    def _call(self, batch: Sequence[tuple[str, int, dict[str, Any]]]) -> set[str]:
        records = [
            {
                "messageId": name,
                "body": json.dumps(message),
                "attributes": {"ApproximateReceiveCount": str(tries)},
                "eventSource": "aws:sqs",
            }
            for name, tries, message in batch
        ]
        try:
            answer = self.handler({"Records": records})
        except Killed:
            return {name for name, _, _ in batch}
        except Exception:
            return {name for name, _, _ in batch}
        return {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}


class Killed(BaseException):
    """The process is gone: nothing after this line runs, no handler of ours may catch it."""
