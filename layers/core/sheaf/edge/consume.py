"""The back doors: SQS messages, stream records and S3 events, each record on its own and none lost.

A record that fails never takes its neighbours along: an SQS message goes back to its queue alone, a stream record
is set aside in a queue (with everything it holds) so that its shard goes on, and is tried again from there.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote_plus

from pydantic_core import from_json

from sheaf.base.log import log
from sheaf.store import queues

_PAUSES = (10, 30, 90, 300)  # seconds before a message is tried again

_LONGEST_IN_ORDER = 15  # the longest of them of a FIFO queue, where others of its group wait behind it; the first is 1

Event = Mapping[str, Any]
Failures = dict[str, list[dict[str, str]]]


def messages(event: Event, work: Callable[[Mapping[str, Any], int], None], queue_url: str = "") -> Failures:
    """Run `work(message, receive count)` for each SQS record; those that raise come again (partial batch response).

    With their queue's URL they come again after a pause that grows, and not only when their visibility timeout is over.
    """
    failures = []
    for record in event["Records"]:
        tries = int(record.get("attributes", {}).get("ApproximateReceiveCount", "1"))
        request_id = None
        try:
            message = from_json(record["body"])
            request_id = _request_of(message)
            work(message, tries)
        except Exception as error:
            told = {"messageId": record["messageId"], "tries": tries, "kind": type(error).__name__, "requestId": request_id}
            log.warning("message failed", exc_info=True, extra=told)
            failures.append({"itemIdentifier": record["messageId"]})
            if queue_url and (receipt := record.get("receiptHandle")):
                try:
                    queues.again_in(queue_url, receipt, _PAUSES[min(tries, len(_PAUSES)) - 1])
                except Exception:
                    log.exception("the message comes again when its visibility timeout is over", extra=told)
    log.info("messages", extra={"received": len(event["Records"]), "failed": len(failures)})
    return {"batchItemFailures": failures}


def in_order(event: Event, work: Callable[[Mapping[str, Any]], None], queue_url: str) -> Failures:
    """Run `work(message)` for each record of a FIFO queue; after one that fails, its group waits and comes again with it.

    On AWS it gets one record at a time: what waits behind another would use up its own tries.
    """
    failures: list[dict[str, str]] = []
    stopped: set[str] = set()
    for record in event["Records"]:
        attributes = record["attributes"]
        tries = int(attributes.get("ApproximateReceiveCount", "1"))
        if attributes["MessageGroupId"] not in stopped:
            try:
                work(from_json(record["body"]))
                continue
            except Exception as error:
                told = {"messageId": record["messageId"], "tries": tries, "kind": type(error).__name__}
                log.warning("message failed", exc_info=True, extra=told)
                stopped.add(attributes["MessageGroupId"])
        failures.append({"itemIdentifier": record["messageId"]})
        if receipt := record.get("receiptHandle"):
            again = partial(queues.again_in, queue_url, receipt, min(_LONGEST_IN_ORDER, 2 ** (tries - 1)))
            survives(again, {"messageId": record["messageId"]})
    log.info("messages", extra={"received": len(event["Records"]), "failed": len(failures)})
    return {"batchItemFailures": failures}


def changes(event: Event, work: Callable[[Mapping[str, Any]], None], set_aside: Callable[[Mapping[str, Any]], None],
            finish: Callable[[], None]) -> Failures:  # fmt: skip
    """Run `work(record)` for each record of a stream; one that raises is given to `set_aside` and the shard goes on.

    Only if that fails too does the batch stop there, and AWS sends it again from that record on. `finish` runs at the end of
    the batch, which comes again as a whole where it raises.
    """
    stopped_at = next((record for record in event["Records"] if not _followed(record, work, set_aside)), None)
    try:
        finish()  # also for those before the one where it stopped
    except Exception:
        log.exception("a batch of changes comes again")
        return _again_from(event["Records"][0])
    log.info("changes", extra={"received": len(event["Records"])})
    return {"batchItemFailures": []} if stopped_at is None else _again_from(stopped_at)


def _followed(
    record: Mapping[str, Any], work: Callable[[Mapping[str, Any]], None], set_aside: Callable[[Mapping[str, Any]], None]
) -> bool:
    """Whether a record was followed, or set aside at least."""
    try:
        work(record)
    except Exception:
        told = {"eventId": record.get("eventID"), "requestId": _request_of(record)}
        log.warning("change set aside", exc_info=True, extra=told)
        try:
            set_aside(record)
        except Exception:
            log.exception("change could not be set aside", extra=told)
            return False
    return True


def survives(step: Callable[[], None], what: Mapping[str, str]) -> bool:
    """Run one of several independent steps; whether it went well. What went wrong is logged with `what` it was about."""
    try:
        step()
    except Exception:
        log.warning("a step failed", exc_info=True, extra=dict(what))
        return False
    return True


def _again_from(record: Mapping[str, Any]) -> Failures:
    return {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}


def objects(event: Event) -> Iterator[str]:
    """The keys of the objects that an S3 event names."""
    for record in event["Records"]:
        yield unquote_plus(record["s3"]["object"]["key"])


def is_stream(event: Event) -> bool:
    """Whether the event comes from a DynamoDB stream (and not from a queue)."""
    return bool(event["Records"]) and event["Records"][0].get("eventSource") == "aws:dynamodb"


def _request_of(message: Any) -> str | None:
    """The id of the request that a message or a stream record comes from, where it says so."""
    if not isinstance(message, dict):
        return None
    image = message.get("dynamodb", {}).get("NewImage", {})
    found = message.get("requestId") or image.get("q", {}).get("S")
    return found if isinstance(found, str) else None
