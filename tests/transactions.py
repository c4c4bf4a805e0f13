"""Transactions on moto in time that does not grow with the tables.

For each action of a transaction moto copies the action's whole table, to go back to it where one fails, and keeps a reference to
each copied row until the world ends. Only the rows that the transaction names are copied here.
"""

import copy
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.dynamodb.models import DynamoDBBackend, Table
from moto.dynamodb.models.dynamo_type import DynamoType


@contextmanager
def light() -> Iterator[None]:
    """Transactions keep what they need to be undone, and no more."""
    with patch.object(DynamoDBBackend, "transact_write_items", _transact):
        yield


def _transact(self: DynamoDBBackend, actions: list[dict[str, Any]], _do: Any = DynamoDBBackend.transact_write_items) -> None:
    before: dict[str, Table] = {}
    for action in actions:
        for said in action.values():
            if table := self.tables.get(said["TableName"]):
                kept = before.get(table.name) or before.setdefault(table.name, _shell(table))
                _keep(table, kept, said.get("Key") or said["Item"])
    with patch.object(Table, "__deepcopy__", lambda table, memo: before[table.name], create=True):
        _do(self, actions)


def _shell(table: Table) -> Table:
    """A table that holds the same rows, and goes on to hold them when the other one has others."""
    kept = copy.copy(table)
    kept.items = defaultdict(dict, {part: dict(rows) for part, rows in table.items.items()})
    if table.stream_shard:
        kept.stream_shard = copy.copy(table.stream_shard)
        kept.stream_shard.table, kept.stream_shard.items = kept, list(table.stream_shard.items)
    return kept


def _keep(table: Table, kept: Table, key: Mapping[str, Any]) -> None:
    """Copy the row of a key, which an update changes where it lies."""
    if not {table.hash_key_attr, table.range_key_attr} <= key.keys():
        return  # moto refuses it
    part, place = DynamoType(key[table.hash_key_attr]), DynamoType(key[table.range_key_attr])
    if part in kept.items and place in kept.items[part]:
        kept.items[part][place] = copy.deepcopy(kept.items[part][place])
