"""Small verbs over SQS: JSON messages, no message lost unnoticed."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from sheaf.base.config import config
from sheaf.store.aws import client

Message = Mapping[str, Any]


QUEUES = ("jobs", "deliveries", "slow_deliveries", "mails", "images", "changes_aside", "sockets", "seals")


class SendFailed(Exception):
    """SQS refused some messages of a batch."""


def every() -> Mapping[str, str]:
    """The URLs of the installation's queues, by their names."""
    return {name: getattr(config(), f"{name}_queue_url") for name in QUEUES}


class Depth(NamedTuple):
    """About how many messages a queue has, and where those go that nobody could work on."""

    waiting: int
    in_flight: int
    delayed: int
    dead_url: str | None


def depth(queue_url: str) -> Depth:
    """How much a queue has to do; SQS counts with a delay of up to a minute."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
    found = client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=[*names, "RedrivePolicy"])["Attributes"]
    policy = from_json(found.get("RedrivePolicy", "{}"))
    dead = policy.get("deadLetterTargetArn", "").rpartition(":")[2]
    waiting, in_flight, delayed = (int(found.get(name, 0)) for name in names)
    return Depth(waiting, in_flight, delayed, f"{queue_url.rpartition('/')[0]}/{dead}" if dead else None)


def counts(queue_url: str) -> dict[str, int]:
    """The same by name, as operators are told it, with how many are dead."""
    found = depth(queue_url)
    dead = depth(found.dead_url).waiting if found.dead_url else 0
    return {"depth": found.waiting, "inFlight": found.in_flight, "delayed": found.delayed, "dead": dead}


def move(source_url: str, target_url: str) -> int:
    """Move up to ten messages from one queue to another; how many. Their groups and what they are known by stay."""
    names = ["MessageGroupId", "MessageDeduplicationId"]
    answer = client("sqs").receive_message(QueueUrl=source_url, MaxNumberOfMessages=10, AttributeNames=["All"], WaitTimeSeconds=1)
    found = answer.get("Messages", [])
    for message in found:
        kept = {name: message["Attributes"][name] for name in names if name in message.get("Attributes", {})}
        if "MessageDeduplicationId" in kept:  # it was sent there once before, perhaps less than five minutes ago
            kept["MessageDeduplicationId"] = secrets.token_hex(16)
        client("sqs").send_message(QueueUrl=target_url, MessageBody=message["Body"], **kept)
        client("sqs").delete_message(QueueUrl=source_url, ReceiptHandle=message["ReceiptHandle"])
    return len(found)


def again_in(queue_url: str, receipt: str, seconds: int) -> None:
    """Let a message that failed come again after so many seconds, and not only when its visibility timeout is over."""
    client("sqs").change_message_visibility(QueueUrl=queue_url, ReceiptHandle=receipt, VisibilityTimeout=seconds)


def send_in_order(queue_url: str, messages: Sequence[Message], group: str, *, twin: str = "") -> None:
    """Send all messages to a FIFO queue, where those of one group are worked on one after the other; raises SendFailed.

    `twin`: what the queue knows a message by, of which it takes the first of its group within five minutes.
    """
    named = [{"MessageGroupId": group, "MessageDeduplicationId": twin or secrets.token_hex(16)} for _ in messages]
    _send(queue_url, messages, named)


def send(queue_url: str, messages: Sequence[Message], *, delay: int = 0, group: str = "") -> None:
    """Send all messages (ten a call), visible after `delay` seconds (0–900); raises SendFailed unless all are taken.

    `group`: whose they are, where one's messages must not make another's wait (fair queues).
    """
    whose = {"MessageGroupId": group} if group else {}
    _send(queue_url, messages, [{"DelaySeconds": delay, **whose}] * len(messages))


def _text(message: Message) -> str:
    # SQS takes the characters of XML only; JSON escapes all others but these two.
    return to_json(message).decode().replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


def _send(queue_url: str, messages: Sequence[Message], options: Sequence[Mapping[str, Any]]) -> None:
    for start in range(0, len(messages), 10):
        entries = [
            {"Id": str(number), "MessageBody": _text(message), **option}
            for number, (message, option) in enumerate(zip(messages[start : start + 10], options[start:], strict=False))
        ]
        answer = client("sqs").send_message_batch(QueueUrl=queue_url, Entries=entries)
        if failed := answer.get("Failed"):
            raise SendFailed(f"{len(failed)} of {len(entries)} messages were refused: {failed[0].get('Code')}")
