"""Small verbs over DynamoDB. Items are plain dicts of str, int, bool, set[str], and lists and dicts of them.

Expressions name attributes as `#name` and values as `:name`; the names are declared from the text itself.
"""

import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from sheaf.base.clock import now
from sheaf.base.errors import Unavailable
from sheaf.store.aws import client
from sheaf.store.keys import Key

Item = dict[str, Any]

_TRIES = 5  # of an update that meets a transaction
_NAME = re.compile(r"#(\w+)")
_VALUE = re.compile(r":(\w+)")
_BUSY = frozenset({"ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded",
                   "TransactionInProgressException", "InternalServerError"})  # fmt: skip


class ConditionFailed(Exception):
    """The condition of a write did not hold; `old` is the item as it stands, None where there is none.

    `position` is the write's place in its transaction.
    """

    def __init__(self, old: Item | None, position: int = 0) -> None:
        super().__init__("the condition of a write did not hold")
        self.old = old
        self.position = position


class Contended(Unavailable):
    """Another transaction of the same item is under way; it may work at once."""


@dataclass(frozen=True, slots=True)
class Write:
    """One conditional write: a put of `item`, a delete, or an update by `expression`."""

    table: str
    kind: Literal["put", "delete", "update"]
    key: Key
    item: Item = field(default_factory=dict)
    expression: str = ""
    condition: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def request(self) -> dict[str, Any]:
        """The parameters of PutItem, DeleteItem or UpdateItem, and of an action in a transaction."""
        request: dict[str, Any] = {"TableName": self.table}
        if self.kind == "put":
            request["Item"] = encode({"pk": self.key.pk, "sk": self.key.sk, **self.item})
        else:
            request["Key"] = encode({"pk": self.key.pk, "sk": self.key.sk})
        if self.expression:
            request["UpdateExpression"] = self.expression
        if self.condition:
            request["ConditionExpression"] = self.condition
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        return request | _bindings(f"{self.expression} {self.condition}", self.values)


def get(table: str, key: Key) -> Item | None:
    """The item as it stands (a consistent read), or None."""
    answer = call("get_item", TableName=table, Key=encode({"pk": key.pk, "sk": key.sk}), ConsistentRead=True)
    return decode(answer["Item"]) if "Item" in answer else None


def get_many(table: str, found: Sequence[Key], *, names: Sequence[str] = ()) -> dict[Key, Item]:
    """Those of the items that exist (consistent reads, 100 a call); `names` leaves only these attributes, the keys among them."""
    items: dict[Key, Item] = {}
    asked: dict[str, Any] = {"ConsistentRead": True, **(_projected(names) if names else {})}
    for start in range(0, len(found), 100):
        wanted = [encode({"pk": key.pk, "sk": key.sk}) for key in found[start : start + 100]]
        for _ in range(20):
            if not wanted:
                break
            answer = call("batch_get_item", RequestItems={table: {"Keys": wanted, **asked}})
            for raw in answer["Responses"].get(table, []):
                item = decode(raw)
                items[Key(item["pk"], item["sk"])] = item
            wanted = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
        if wanted:
            raise Unavailable("The database is busy; try again")
    return items


def put(table: str, key: Key, item: Item, *, condition: str = "", values: Mapping[str, Any] | None = None) -> None:
    """Write the whole item; raises ConditionFailed."""
    commit([Write(table, "put", key, item=item, condition=condition, values=values or {})])


def put_new(table: str, key: Key, item: Item) -> bool:
    """Write the item unless the key exists; False where it does."""
    try:
        put(table, key, item, condition="attribute_not_exists(#pk)")
    except ConditionFailed:
        return False
    return True


def update(table: str, key: Key, expression: str, *, condition: str = "", values: Mapping[str, Any] | None = None) -> Item:
    """Run an update expression and return the item after it; raises ConditionFailed."""
    write = Write(table, "update", key, expression=expression, condition=condition, values=values or {})
    for attempt in range(1, _TRIES + 1):
        try:
            return decode(call("update_item", ReturnValues="ALL_NEW", **write.request())["Attributes"])
        except Contended:
            # A transaction of the same item is under way: it says nothing about this update, which may pass a moment later.
            time.sleep(random.uniform(0.01, 0.03) * attempt)  # noqa: S311  # spreads writers, keeps no secret
    raise Contended("Another write of the same row is under way; try again", headers={"Retry-After": "1"})


def put_all(table: str, items: Mapping[Key, Item]) -> None:
    """Write items without a condition, 25 a call (BatchWriteItem); those of one call may be there before others."""
    puts = [{"PutRequest": {"Item": encode({"pk": key.pk, "sk": key.sk, **item})}} for key, item in items.items()]
    _write_all(table, puts)


def take_all(table: str, found: Sequence[Key]) -> None:
    """Delete items without a condition, 25 a call (BatchWriteItem)."""
    _write_all(table, [{"DeleteRequest": {"Key": encode({"pk": key.pk, "sk": key.sk})}} for key in found])


def _write_all(table: str, rest: list[dict[str, Any]]) -> None:
    for attempt in range(_TRIES + len(rest) // 25):
        if not rest:
            return
        answer = call("batch_write_item", RequestItems={table: rest[:25]})
        left = answer.get("UnprocessedItems", {}).get(table, [])
        rest = [*left, *rest[25:]]
        if left:
            time.sleep(random.uniform(0.02, 0.05) * (attempt + 1))  # noqa: S311  # spreads writers, keeps no secret
    if rest:
        raise Unavailable("The database is busy; try again")


def is_over(item: Item) -> bool:
    """Whether an item's time is over: DynamoDB removes it only a day or two later."""
    # One look at the clock: with two of them, an item without an end was over whenever a second ended in between.
    return "ttl" in item and bool(item["ttl"] < now())


def setting(values: Mapping[str, Any]) -> str:
    """The update expression that sets the attributes that have a value and removes the others."""
    given = ", ".join(f"#{name} = :{name}" for name, value in values.items() if value is not None)
    gone = ", ".join(f"#{name}" for name, value in values.items() if value is None)
    return " ".join([*([f"SET {given}"] if given else []), *([f"REMOVE {gone}"] if gone else [])])


def take(table: str, key: Key) -> Item | None:
    """Delete the item; what it was, for the one caller that has deleted it."""
    answer = call("delete_item", TableName=table, Key=encode({"pk": key.pk, "sk": key.sk}), ReturnValues="ALL_OLD")
    return decode(answer["Attributes"]) if answer.get("Attributes") else None


def commit(writes: Sequence[Write]) -> None:
    """All of the writes or none (at most 100); a single one costs half of a transaction. Raises ConditionFailed."""
    if len(writes) == 1:
        call(f"{writes[0].kind}_item", **writes[0].request())
        return
    call("transact_write_items", TransactItems=[{write.kind.capitalize(): write.request()} for write in writes])


def check(writes: Sequence[Write]) -> None:
    """Find out whether `commit` would go through now, and write nothing; raises ConditionFailed as it would."""
    numbered = [(number, write) for number, write in enumerate(writes) if write.condition]
    try:
        call("transact_write_items", TransactItems=[{"ConditionCheck": _condition_of(write)} for _, write in numbered])
    except ConditionFailed as failure:
        raise ConditionFailed(failure.old, numbered[failure.position][0]) from None


def _condition_of(write: Write) -> dict[str, Any]:
    return {
        "TableName": write.table,
        "Key": encode({"pk": write.key.pk, "sk": write.key.sk}),
        "ConditionExpression": write.condition,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        **_bindings(write.condition, {name: write.values[name] for name in _VALUE.findall(write.condition)}),
    }


@dataclass(frozen=True, slots=True)
class Span:
    """Part of a partition: sort keys from `low` to `high`, both included, an empty one open; nothing where `low` is above."""

    pk: str
    index: str = ""
    sort: str = "sk"
    low: str = ""
    high: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether no key can be in it, which DynamoDB refuses to be asked."""
        return bool(self.low and self.high and self.low > self.high)

    def request(self, table: str) -> dict[str, Any]:
        """The parameters of Query."""
        bounds = {(True, True): " AND #{0} BETWEEN :low AND :high", (True, False): " AND #{0} >= :low",
                  (False, True): " AND #{0} <= :high", (False, False): ""}[bool(self.low), bool(self.high)]  # fmt: skip
        condition = f"#{self.index or 'pk'} = :pk{bounds.format(self.sort)}"
        values = {"pk": self.pk, "low": self.low or None, "high": self.high or None}
        return {"TableName": table, "KeyConditionExpression": condition, "ConsistentRead": not self.index,
                **({"IndexName": self.index} if self.index else {}), **_bindings(condition, values)}  # fmt: skip


def query(table: str, span: Span | str, *, after: str = "", newest_first: bool = False, page: int = 100,
          names: Sequence[str] = ()) -> Iterator[Item]:  # fmt: skip
    """The items of a span (or of a whole partition) in order, from `after` (exclusive) on.

    Reads `page` items a call, as they are used; `names` leaves only these attributes.
    """
    found = span if isinstance(span, Span) else Span(span)
    if after:
        found = replace(found, high=after) if newest_first else replace(found, low=after)
    if found.is_empty:
        return
    request = found.request(table)
    if names:
        projected = _projected(names)
        projected["ExpressionAttributeNames"] |= request["ExpressionAttributeNames"]
        request |= projected
    request |= {"ScanIndexForward": not newest_first, "Limit": page + bool(after)}
    while True:
        answer = call("query", **request)
        for raw in answer["Items"]:
            item = decode(raw)
            if item[found.sort] != after:
                yield item
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def count(table: str, span: Span, reads: int) -> int | None:
    """How many items the span has; None where that takes more than `reads` reads of 1 MB each."""
    if span.is_empty:
        return 0
    request = {**span.request(table), "Select": "COUNT"}
    total: int = 0
    for _ in range(reads):
        answer = call("query", **request)
        total += answer["Count"]
        if "LastEvaluatedKey" not in answer:
            return total
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
    return None


def call(operation: str, **request: Any) -> dict[str, Any]:
    """One call of the low-level client, its two expected failures in our words."""
    try:
        answer: dict[str, Any] = getattr(client("dynamodb"), operation)(**request)
    except ClientError as error:
        raise _translated(error) from error
    except ParamValidationError:
        raise  # our own mistake
    except BotoCoreError as error:  # no connection, no answer in time
        raise Unavailable("The database does not answer; try again", headers={"Retry-After": "1"}) from error
    return answer


def encode(item: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Plain values as DynamoDB's typed ones; None is left out."""
    return {name: _encoded(value) for name, value in item.items() if value is not None}


def decode(item: Mapping[str, Mapping[str, Any]]) -> Item:
    """DynamoDB's typed values as plain ones."""
    return {name: _decoded(value) for name, value in item.items()}


def _projected(names: Sequence[str]) -> dict[str, Any]:
    named = {f"#{name}": name for name in names}
    return {"ProjectionExpression": ", ".join(named), "ExpressionAttributeNames": named}


def _bindings(text: str, values: Mapping[str, Any]) -> dict[str, Any]:
    names = {f"#{name}": name for name in _NAME.findall(text)}
    bound = {f":{name}": value for name, value in encode(values).items()}
    return {
        **({"ExpressionAttributeNames": names} if names else {}),
        **({"ExpressionAttributeValues": bound} if bound else {}),
    }


def _encoded(value: Any) -> dict[str, Any]:
    match value:
        case str():
            return {"S": value}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case set() | frozenset():
            return {"SS": sorted(value)}
        case list():
            return {"L": [_encoded(each) for each in value]}
        case dict():
            return {"M": encode(value)}
    raise TypeError(f"no DynamoDB type for {type(value).__name__}")


def _decoded(value: Mapping[str, Any]) -> Any:
    [(kind, raw)] = value.items()
    match kind:
        case "N":
            return int(raw)
        case "SS":
            return set(raw)
        case "L":
            return [_decoded(each) for each in raw]
        case "M":
            return decode(raw)
    return raw


def _translated(error: ClientError) -> Exception:
    code = error.response["Error"]["Code"]
    if code == "ConditionalCheckFailedException":
        old = error.response.get("Item")
        return ConditionFailed(decode(old) if old else None)
    if code == "TransactionCanceledException":
        for position, reason in enumerate(error.response.get("CancellationReasons", [])):
            if reason.get("Code") == "ConditionalCheckFailed":
                return ConditionFailed(decode(reason["Item"]) if reason.get("Item") else None, position)
        return Contended("Another write of the same row is under way; try again")
    if code == "TransactionConflictException":
        return Contended("Another write of the same row is under way; try again")
    return Unavailable("The database is busy; try again", headers={"Retry-After": "1"}) if code in _BUSY else error
