"""What stands behind the fields of the schema: the reads and writes that REST uses, with their permissions."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from graphql import GraphQLResolveInfo
from pydantic_core import to_json

from sheaf.base.errors import InvalidParameter, SheafError, ValidationFailed
from sheaf.describe.graphql import WINDOW, Resolver
from sheaf.edge.graphql.loading import Document, Work
from sheaf.entity import query, registry
from sheaf.entity.query import Query
from sheaf.entity.registry import EntityType, Relation
from sheaf.records import write
from sheaf.records.options import Options
from sheaf.records.page import Window, count, window

_ACTIONS = {"create": "create", "patch": "update", "revert": "update", "delete": "delete", "restore": "delete"}


@dataclass(frozen=True)
class Connection:
    """A part of a list."""

    work: Work
    asked: Query
    found: Window
    backwards: bool

    @cached_property
    def documents(self) -> list[Document]:
        """Its rows."""
        return [row.document for row in self.found.rows]

    def info(self) -> dict[str, Any]:
        """What stands before and behind it."""
        before = self.found.more if self.backwards else bool(self.asked.cursor) or (self.asked.page or 1) > 1
        behind = bool(self.asked.cursor) if self.backwards else self.found.more
        ends = [self.found.cursor(number) for number in (0, -1)] if self.found.found else [None, None]
        return {"hasNextPage": behind, "hasPreviousPage": before, "startCursor": ends[0], "endCursor": ends[1]}


class Running:
    """The resolvers, as describe/graphql.py wants them."""

    def value(self, name: str, missing: Any) -> Resolver:
        """As Resolvers."""
        return lambda row, info: info.context.told(row.get(name, missing))

    def related(self, relation: Relation, name: str) -> Resolver:
        """As Resolvers."""

        def resolve(row: Document, info: GraphQLResolveInfo[Work]) -> Any:
            wanted = row.get(name)
            if not wanted:
                return [] if relation.many else None
            work: Work = info.context
            work.demand(f"{relation.path}:read")
            target = registry.known(relation.path) or registry.find(relation.path)
            return _rows(work, target, wanted) if relation.many else work.row(target, str(wanted))

        return resolve

    def one(self, entity: EntityType) -> Resolver:
        """As Resolvers."""

        def resolve(_: Any, info: GraphQLResolveInfo[Work], id: str) -> Any:  # the argument's name in the schema
            info.context.demand(f"{entity.path}:read")
            return info.context.row(entity, id)

        return resolve

    def many(self, entity: EntityType, pointer: str = "") -> Resolver:
        """As Resolvers."""

        async def resolve(row: Document | None, info: GraphQLResolveInfo[Work], **given: Any) -> Connection:
            work: Work = info.context
            work.demand(f"{entity.path}:read")
            asked, backwards = _query(entity, given, {pointer: row["id"]} if row and pointer else {})
            found = await work.aside(partial(window, work.request.caller, asked, backwards=backwards, budget=work.budget))
            work.read += 10 + len(found.found)
            return Connection(work, asked, found, backwards)

        return resolve

    def edge(self, part: str) -> Resolver:
        """As Resolvers."""
        return _PARTS[part]

    def write(self, entity: EntityType, verb: str) -> Resolver:
        """As Resolvers."""

        def resolve(_: Any, info: GraphQLResolveInfo[Work], **given: Any) -> Any:
            work: Work = info.context
            work.demand(f"{entity.path}:{_ACTIONS[verb]}")
            place = str(info.path.key)
            version = given.get("version")
            options = Options(None if version is None else frozenset({version}), once=work.request.part_of_key(place))
            row = _written(work, entity, verb, given, options)
            work.read += 10
            work.done.append(place)
            work.forget()
            return True if verb == "delete" else row.document

        return resolve


def _written(work: Work, entity: EntityType, verb: str, given: Mapping[str, Any], options: Options) -> Any:
    caller = work.request.caller
    match verb:
        case "create":
            return write.create(caller, entity, given["input"], options)
        case "patch":
            return write.patch(caller, entity, given["id"], given["input"], options)
        case "delete":
            return write.delete(caller, entity, given["id"], options)
        case "restore":
            return write.restore(caller, entity, given["id"], options)
    if given["to"] < 1:
        raise ValidationFailed.naming({"to": "must be a whole number from 1 on"})
    return write.revert(caller, entity, given["id"], given["to"], options)


async def _rows(work: Work, target: EntityType, wanted: list[str]) -> list[Document]:
    """Those of the rows that exist."""
    found = await asyncio.gather(*(work.row(target, str(row_id)) for row_id in wanted))
    return [row for row in found if row is not None]


def _query(entity: EntityType, given: Mapping[str, Any], fixed: Mapping[str, str]) -> tuple[Query, bool]:
    """The list that the arguments ask for, and whether it is read from its end; raises InvalidParameter naming them."""
    sent = {name: str(given[name]) for name in WINDOW if given.get(name) is not None}
    size, place = (_only(sent, names) for names in (("first", "last", "limit"), ("after", "before", "page")))
    if place and (place == "before") != (size == "last"):
        raise InvalidParameter.naming({place: f"does not go with {size}" if size else "needs last"})
    asked = dict(fixed)
    if size:
        asked["limit"] = sent[size]
    if place:
        asked["page" if place == "page" else "cursor"] = sent[place]
    if given.get("filter") is not None:
        asked["filter"] = to_json(given["filter"]).decode()
    if orders := given.get("orderBy"):
        asked["sort"] = ",".join(f"{each['direction'] or ''}{each['field']}" for each in orders)
    if given.get("search") is not None:
        asked["search"] = given["search"]
    try:
        return query.parse(entity, asked), size == "last"
    except SheafError as error:
        named = {"limit": size or "first", "cursor": place, "sort": "orderBy"}
        error.fields = {named.get(name, name): text for name, text in error.fields.items()}
        error.message = "; ".join(f"{name}: {text}" for name, text in error.fields.items())[:2_000] or error.message
        raise


def _only(sent: Mapping[str, str], names: tuple[str, ...]) -> str:
    """Which of the arguments is given, empty for none; raises InvalidParameter for several."""
    found = [name for name in names if name in sent]
    if len(found) > 1:
        raise InvalidParameter.naming(dict.fromkeys(found, "cannot be given together"))
    return found[0] if found else ""


async def _total(connection: Connection, _: GraphQLResolveInfo[Work]) -> int:
    connection.work.read += 10
    work = connection.work
    return await work.aside(partial(count, work.request.caller, connection.asked, work.budget))


_PARTS: Mapping[str, Resolver] = {
    "edges": lambda connection, _: [(connection, number) for number in range(len(connection.found.found))],
    "nodes": lambda connection, _: connection.documents,
    "node": lambda edge, _: edge[0].documents[edge[1]],
    "cursor": lambda edge, _: edge[0].found.cursor(edge[1]),
    "pageInfo": lambda connection, _: connection.info(),
    "totalCount": _total,
}
