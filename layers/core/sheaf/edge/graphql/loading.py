"""One operation at work: who asks, what was read, how much is answered, and rows by id read together."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from pydantic_core import to_json

from sheaf.base import ids
from sheaf.base.bounds import GRAPHQL_ANSWER_BYTES
from sheaf.base.config import config
from sheaf.edge.api import permit
from sheaf.edge.request import Request
from sheaf.entity.registry import EntityType
from sheaf.records.plan import Budget
from sheaf.records.rows import from_item
from sheaf.store import keys, table
from sheaf.store.keys import Key

Document = dict[str, Any]
T = TypeVar("T")

_THREADS = 10


class Overfull(BaseException):
    """The answer is over its bound. No error of a field: it ends the operation, before more of it is built."""


@dataclass(slots=True)
class Work:
    """What the resolvers of one operation share.

    `read` counts rows, lists and mutations, `room` the bytes that may still be answered, `budget` the rows that may still be
    looked at; `done` names the mutations that are through.
    """

    request: Request
    read: int = 0
    room: int = GRAPHQL_ANSWER_BYTES
    budget: Budget = field(default_factory=Budget)
    done: list[str] = field(default_factory=list)
    _permitted: set[str] = field(default_factory=set)
    _rows: dict[Key, "asyncio.Future[Document | None]"] = field(default_factory=dict)
    _asked: list[Key] = field(default_factory=list)
    _aside: list["Future[Any]"] = field(default_factory=list)

    def demand(self, permission: str) -> None:
        """Raise PermissionDenied for a caller without it."""
        if permission not in self._permitted:
            permit(self.request, permission, {})
            self._permitted.add(permission)

    def told(self, value: Any) -> Any:
        """The value, which goes into the answer; raises Overfull."""
        self.room -= len(value) if isinstance(value, str) else len(to_json(value)) if isinstance(value, dict | list) else 8
        if self.room < 0:
            raise Overfull
        return value

    async def row(self, entity: EntityType, row_id: str) -> Document | None:
        """The document of a row, None where there is none; all that are asked for in a turn are read with one call."""
        if not ids.is_id(row_id, entity.prefix):
            return None
        key = keys.record(self.request.caller, entity.path, row_id)
        if (found := self._rows.get(key)) is None:
            loop = asyncio.get_running_loop()
            found = self._rows[key] = loop.create_future()
            if not self._asked:
                loop.call_soon(self._load)
            self._asked.append(key)
        return await asyncio.shield(found)  # who is given up must not take the row from the others

    def forget(self) -> None:
        """Read anew from here on: something has changed."""
        self._rows = {key: self._rows[key] for key in self._asked}

    async def aside(self, work: Callable[[], T]) -> T:
        """What `work` returns, beside other work that waits for the tables."""
        future = _threads().submit(work)
        self._aside.append(future)
        return await asyncio.wrap_future(future)

    def end(self) -> None:
        """Nothing of this operation goes on behind its answer."""
        for future in self._aside:
            future.cancel()
        wait(self._aside)

    def _load(self) -> None:
        wanted, self._asked = self._asked, []
        futures = [self._rows[key] for key in wanted]
        try:
            found = table.get_many(config().records_table, wanted)
        except Exception as error:
            for future in futures:
                future.set_exception(error)
            return
        self.read += len(wanted)
        for key, future in zip(wanted, futures, strict=True):
            future.set_result(from_item(found[key]).document if key in found else None)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS)
