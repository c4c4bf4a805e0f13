"""Small verbs over DynamoDB. Items are plain dicts of str, int, bool, set[str] and list[str].

Expressions name attributes as `#name` and values as `:name`; the names are declared from the text itself.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from botocore.exceptions import ClientError

from sheaf.base.errors import Unavailable
from sheaf.store.aws import client
from sheaf.store.keys import Key

Item = dict[str, Any]

_NAME = re.compile(r"#(\w+)")
_BUSY = frozenset({"ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded",
                   "TransactionConflictException", "TransactionInProgressException", "InternalServerError"})  # fmt: skip


class ConditionFailed(Exception):
    """The condition of a write did not hold; `old` is the item as it stands, None where there is none."""

    def __init__(self, old: Item | None) -> None:
        super().__init__("the condition of a write did not hold")
        self.old = old


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


def get_many(table: str, found: Sequence[Key]) -> dict[Key, Item]:
    """Those of the items that exist (consistent reads, 100 a call)."""
    items: dict[Key, Item] = {}
    for start in range(0, len(found), 100):
        wanted = [encode({"pk": key.pk, "sk": key.sk}) for key in found[start : start + 100]]
        for _ in range(20):
            if not wanted:
                break
            answer = call("batch_get_item", RequestItems={table: {"Keys": wanted, "ConsistentRead": True}})
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
    return decode(call("update_item", ReturnValues="ALL_NEW", **write.request())["Attributes"])


def commit(writes: Sequence[Write]) -> None:
    """All of the writes or none (at most 100); a single one costs half of a transaction. Raises ConditionFailed."""
    if len(writes) == 1:
        call(f"{writes[0].kind}_item", **writes[0].request())
        return
    call("transact_write_items", TransactItems=[{write.kind.capitalize(): write.request()} for write in writes])


def query(
    table: str,
    pk: str,
    *,
    index: str = "",
    after: str = "",
    newest_first: bool = False,
    page: int = 100,
) -> Iterator[Item]:
    """The items of a partition by sort key, from `after` (exclusive) on; reads `page` items a call, as they are used."""
    key_name = index or "pk"
    condition = f"#{key_name} = :pk" + (f" AND #sk {'<' if newest_first else '>'} :after" if after else "")
    request: dict[str, Any] = {
        "TableName": table,
        "KeyConditionExpression": condition,
        "ScanIndexForward": not newest_first,
        "Limit": page,
        "ConsistentRead": not index,
        **({"IndexName": index} if index else {}),
        **_bindings(condition, {"pk": pk, **({"after": after} if after else {})}),
    }
    while True:
        answer = call("query", **request)
        yield from map(decode, answer["Items"])
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def call(operation: str, **request: Any) -> dict[str, Any]:
    """One call of the low-level client, its two expected failures in our words."""
    try:
        answer: dict[str, Any] = getattr(client("dynamodb"), operation)(**request)
    except ClientError as error:
        raise _translated(error) from error
    return answer


def encode(item: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Plain values as DynamoDB's typed ones; None is left out."""
    return {name: _encoded(value) for name, value in item.items() if value is not None}


def decode(item: Mapping[str, Mapping[str, Any]]) -> Item:
    """DynamoDB's typed values as plain ones."""
    return {name: _decoded(value) for name, value in item.items()}


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
    return raw


def _translated(error: ClientError) -> Exception:
    code = error.response["Error"]["Code"]
    if code == "ConditionalCheckFailedException":
        old = error.response.get("Item")
        return ConditionFailed(decode(old) if old else None)
    if code == "TransactionCanceledException":
        for reason in error.response.get("CancellationReasons", []):
            if reason.get("Code") == "ConditionalCheckFailed":
                return ConditionFailed(decode(reason["Item"]) if reason.get("Item") else None)
        return Unavailable("Another write of the same row is under way; try again")
    return Unavailable("The database is busy; try again") if code in _BUSY else error
