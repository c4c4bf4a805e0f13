"""One operation at work: who asks, what was read, and rows by id read together."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from sheaf.base import ids
from sheaf.base.bounds import GRAPHQL_SCANS
from sheaf.base.config import config
from sheaf.base.errors import IndexRequired
from sheaf.edge.api import permit
from sheaf.edge.request import Request
from sheaf.entity.registry import EntityType
from sheaf.records.once import Once, once
from sheaf.records.rows import from_item
from sheaf.store import keys, table
from sheaf.store.keys import Key

Document = dict[str, Any]
T = TypeVar("T")

_THREADS = 10
_ENOUGH = f"{GRAPHQL_SCANS} lists of this operation have done without one already"


@dataclass(slots=True)
class Work:
    """What the resolvers of one operation share. `read` counts rows and lists, `done` names the mutations that are through."""

    request: Request
    loop: asyncio.AbstractEventLoop
    read: int = 0
    scans: int = GRAPHQL_SCANS  # that are left
    done: list[str] = field(default_factory=list)
    _permitted: set[str] = field(default_factory=set)
    _rows: dict[Key, "asyncio.Future[Document | None]"] = field(default_factory=dict)
    _asked: list[Key] = field(default_factory=list)

    def demand(self, permission: str) -> None:
        """Raise PermissionDenied for a caller without it."""
        if permission not in self._permitted:
            permit(self.request, permission, {})
            self._permitted.add(permission)

    def row(self, entity: EntityType, row_id: str) -> "asyncio.Future[Document | None]":
        """The document of a row, None where there is none; all that are asked for in a turn are read with one call."""
        key = keys.record(self.request.caller, entity.path, row_id)
        if (found := self._rows.get(key)) is not None:
            return found
        future: asyncio.Future[Document | None] = self.loop.create_future()
        self._rows[key] = future
        if not ids.is_id(row_id, entity.prefix):
            future.set_result(None)
            return future
        if not self._asked:
            self.loop.call_soon(self._load)
        self._asked.append(key)
        return future

    def forget(self) -> None:
        """Read anew from here on: something has changed."""
        self._rows.clear()

    async def served(self, work: Callable[..., T]) -> T:
        """What `work` returns, called with `strict` first: only GRAPHQL_SCANS of one operation may do without an index."""
        try:
            return await self.aside(lambda: work(strict=_ENOUGH))
        except IndexRequired:
            if not self.scans:
                raise
            self.scans -= 1
            return await self.aside(work)

    async def aside(self, work: Callable[[], T]) -> T:
        """What `work` returns, beside other work that waits for the tables."""
        return await self.loop.run_in_executor(_threads(), work)

    def key_of(self, path: str) -> Once | None:
        """The key of one mutation of the operation, where the request has an Idempotency-Key."""
        whole = self.request.once()
        return whole and once(self.request.caller, "POST", "/v1/graphql", f"{whole.key.sk} {path}", whole.fingerprint)

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
def loop() -> asyncio.AbstractEventLoop:
    """The loop of this process: a function works on one request at a time."""
    return asyncio.new_event_loop()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS)
