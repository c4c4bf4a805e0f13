"""The GraphQL schema of the entities: objects, connections, filters, orders and inputs; names are those of /v2, in camelCase.

`schema` makes it, with the resolvers of whoever runs it; `text` prints it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    print_schema,
)
from pydantic_core import PydanticUndefined

from sheaf.base.bounds import JSON_DEPTH, NUMBER_DIGITS, PAGE_LIMIT
from sheaf.entity.kinds import Kind, kind_of
from sheaf.entity.names import GROUP_WORDS, SYSTEM_FIELDS, camel
from sheaf.entity.registry import EntityType, Relation

Resolver = Callable[..., Any]
Types = Mapping[str, Any]


def _plain(value: Any, depth: int = 0) -> Any:
    """A value within the bounds that a request's body has; raises GraphQLError."""
    if depth > JSON_DEPTH:
        raise GraphQLError(f"A value is nested deeper than {JSON_DEPTH}")
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            _plain(each, depth + 1)
    elif isinstance(value, float) and not isfinite(value):
        raise GraphQLError("A number is out of range")
    elif isinstance(value, int) and abs(value) >= 10**NUMBER_DIGITS:
        raise GraphQLError(f"A number has more than {NUMBER_DIGITS} digits")
    return value


def _whole(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        raise GraphQLError("Long cannot represent what is no whole number")
    return _plain(value)


JSON = GraphQLScalarType("JSON", description="Any JSON value", parse_value=_plain)
CONDITION = GraphQLScalarType(
    "Condition",
    description='A value that the field must equal, or operators as REST has them: {startswith: "A"}, {in: ["a", "b"]}',
    parse_value=_plain,
)
LONG = GraphQLScalarType("Long", description="A whole number of up to 38 digits", parse_value=_whole)
DIRECTION = GraphQLEnumType("OrderDirection", {"ASC": "", "DESC": "-"})
PAGE_INFO = GraphQLObjectType("PageInfo", {
    "hasNextPage": GraphQLField(GraphQLNonNull(GraphQLBoolean)),
    "hasPreviousPage": GraphQLField(GraphQLNonNull(GraphQLBoolean)),
    "startCursor": GraphQLField(GraphQLString),
    "endCursor": GraphQLField(GraphQLString),
})  # fmt: skip
WINDOW = ("first", "after", "last", "before", "limit", "page")  # arguments of a connection that say which of its rows
CONNECTION, EDGE = {"sheaf": "connection"}, {"sheaf": "edge"}  # extensions of types that stand around rows
_WORDS = {"JSON", "Condition", "Long", "OrderDirection", "PageInfo", "Query", "Mutation", "Subscription"}
_SCALARS = {"string": GraphQLString, "integer": LONG, "number": GraphQLFloat, "boolean": GraphQLBoolean,
            "timestamp": GraphQLString, "object": JSON}  # fmt: skip


class Resolvers(Protocol):
    """What stands behind the fields; each returns the resolver of one."""

    def value(self, name: str, missing: Any) -> Resolver:
        """A field of a row by its declared name; `missing` stands for it in rows that are older than the field."""
        ...

    def related(self, relation: Relation, name: str) -> Resolver:
        """The row that a field points to, or the rows."""
        ...

    def one(self, entity: EntityType) -> Resolver:
        """A row by its id."""
        ...

    def many(self, entity: EntityType, pointer: str = "") -> Resolver:
        """A connection: of all rows, or of those whose field `pointer` points to the object."""
        ...

    def edge(self, part: str) -> Resolver:
        """A part of a connection or of an edge."""
        ...

    def write(self, entity: EntityType, verb: str) -> Resolver:
        """A mutation."""
        ...


@dataclass(frozen=True, slots=True)
class Names:
    """What an entity's row, list and type are called."""

    type: str
    one: str
    many: str


def names_of(entity: EntityType) -> Names:
    """The names of one entity; a list whose name is that of its row gets an ending."""
    one, many = camel(entity.word), camel(entity.path)
    return Names(entity.model.__name__, one, many if many != one else f"{many}List")


def text(entities: Iterable[EntityType]) -> str:
    """The schema in GraphQL's own language."""
    return print_schema(schema(entities, None)) + "\n"


def schema(entities: Iterable[EntityType], resolvers: Resolvers | None) -> GraphQLSchema:
    """The schema, run by `resolvers` where there are some; raises ValueError for an entity whose name is taken."""
    return _Builder(list(entities), resolvers).schema()


class _Builder:
    def __init__(self, entities: list[EntityType], resolvers: Resolvers | None) -> None:
        self._entities = entities
        self._resolvers = resolvers
        self._objects: dict[str, GraphQLObjectType] = {}
        self._connections: dict[str, GraphQLObjectType] = {}
        self._filters: dict[str, GraphQLInputObjectType] = {}
        self._orders: dict[str, GraphQLInputObjectType] = {}

    def schema(self) -> GraphQLSchema:
        for entity in self._entities:
            if entity.model.__name__ in _WORDS or entity.model.__name__ in {each.name for each in self._objects.values()}:
                raise ValueError(f"{entity.model.__name__} is the name of two GraphQL types; call the class otherwise")
            self._declare(entity)
        queries: dict[str, GraphQLField] = {}
        mutations: dict[str, GraphQLField] = {}
        for entity in self._entities:
            names = names_of(entity)
            queries[names.one] = GraphQLField(
                self._objects[entity.path], {"id": GraphQLArgument(GraphQLNonNull(GraphQLID))}, self._made("one", entity),
                description="By its id; null where there is none",
            )  # fmt: skip
            queries[names.many] = self._list(entity, "")
            if entity.model.writable:
                mutations |= self._mutations(entity)
        return GraphQLSchema(GraphQLObjectType("Query", queries), GraphQLObjectType("Mutation", mutations))

    def _made(self, what: str, *given: Any) -> Resolver | None:
        return getattr(self._resolvers, what)(*given) if self._resolvers else None

    def _declare(self, entity: EntityType) -> None:
        name, path = entity.model.__name__, entity.path
        about = (entity.model.__doc__ or "").strip().partition("\n")[0] or None
        self._objects[path] = GraphQLObjectType(name, lambda: self._fields(entity), description=about)
        self._filters[path] = GraphQLInputObjectType(
            f"{name}Filter", lambda: self._filter_fields(entity), description="As the `filter` of REST: all members must hold"
        )
        ordered = {camel(field): field for field, kind in entity.kinds.items() if kind.name not in ("list", "object")}
        self._orders[path] = GraphQLInputObjectType(f"{name}Order", {
            "field": GraphQLInputField(GraphQLNonNull(GraphQLEnumType(f"{name}OrderField", ordered))),
            "direction": GraphQLInputField(DIRECTION, default_value=""),
        })  # fmt: skip
        edge = GraphQLObjectType(f"{name}Edge", lambda: {
            "node": GraphQLField(GraphQLNonNull(self._objects[path]), resolve=self._made("edge", "node")),
            "cursor": GraphQLField(GraphQLNonNull(GraphQLString), resolve=self._made("edge", "cursor")),
        }, extensions=EDGE)  # fmt: skip
        self._connections[path] = GraphQLObjectType(f"{name}Connection", lambda: {
            "edges": GraphQLField(_full_list(edge), resolve=self._made("edge", "edges")),
            "nodes": GraphQLField(_full_list(self._objects[path]), resolve=self._made("edge", "nodes")),
            "pageInfo": GraphQLField(GraphQLNonNull(PAGE_INFO), resolve=self._made("edge", "pageInfo")),
            "totalCount": GraphQLField(GraphQLNonNull(LONG), resolve=self._made("edge", "totalCount"),
                                       description="All matching rows; takes a count of its own"),
        }, extensions=CONNECTION)  # fmt: skip

    def _fields(self, entity: EntityType) -> dict[str, GraphQLField]:
        fields = {"id": self._value("id", GraphQLNonNull(GraphQLID), None)}
        for name, info in entity.model.model_fields.items():
            if name in entity.hidden:
                continue
            kind, relation = entity.kinds[name], entity.relations.get(name)
            missing = info.get_default(call_default_factory=True, validated_data={})
            missing = None if missing is PydanticUndefined else missing
            if relation is None or relation.path not in self._objects:
                fields[camel(name)] = self._value(name, self._output(kind), missing)
                continue
            target = self._objects[relation.path]
            fields[camel(name)] = GraphQLField(
                _full_list(target) if relation.many else target,
                resolve=self._made("related", relation, name),
                extensions={"sheaf": _most(info)},
            )
            pointer = f"{camel(name).removesuffix('s')}Ids" if relation.many else f"{camel(name)}Id"
            ids = GraphQLList(GraphQLNonNull(GraphQLID)) if relation.many else GraphQLID
            fields.setdefault(pointer, self._value(name, ids, missing))
        for name in SYSTEM_FIELDS[1:]:
            fields[name] = self._value(name, GraphQLNonNull(GraphQLInt if name == "version" else GraphQLString), None)
        for other in self._entities:
            for name, relation in other.relations.items():
                if relation.path == entity.path and not relation.many and name in other.indexes:
                    fields.setdefault(camel(f"{other.path}_via_{name}"), self._list(other, name))
        return fields

    def _value(self, name: str, kind: Any, missing: Any) -> GraphQLField:
        return GraphQLField(kind, resolve=self._made("value", name, missing))

    def _list(self, entity: EntityType, pointer: str) -> GraphQLField:
        arguments = {
            "filter": GraphQLArgument(self._filters[entity.path]),
            "orderBy": GraphQLArgument(GraphQLList(GraphQLNonNull(self._orders[entity.path]))),
            "search": GraphQLArgument(GraphQLString),
            **{name: GraphQLArgument(GraphQLString if name in ("after", "before") else GraphQLInt) for name in WINDOW},
        }
        if not entity.searched:
            del arguments["search"]
        kind = GraphQLNonNull(self._connections[entity.path])
        told = "1 to 100 rows: the `first` (or `limit`) of all or `after` a cursor, the `last` or those `before` one, or a `page`"
        return GraphQLField(kind, arguments, self._made("many", entity, pointer), description=told)

    def _filter_fields(self, entity: EntityType) -> dict[str, GraphQLInputField]:
        mine = self._filters[entity.path]
        groups = {word: GraphQLInputField(mine if word == "not" else GraphQLList(GraphQLNonNull(mine))) for word in GROUP_WORDS}
        return {**{camel(name): GraphQLInputField(CONDITION, out_name=name) for name in entity.kinds}, **groups}

    def _mutations(self, entity: EntityType) -> dict[str, GraphQLField]:
        name, result = entity.model.__name__, GraphQLNonNull(self._objects[entity.path])
        row = {"id": GraphQLArgument(GraphQLNonNull(GraphQLID))}
        version = {"version": GraphQLArgument(GraphQLInt, description="Only where the row is at this version, as If-Match")}
        born = [field for field in entity.model.model_fields if field not in entity.given]
        changed = [field for field in born if field not in entity.fixed]

        def given(kind: str, fields: list[str], *, all_at_once: bool) -> dict[str, GraphQLArgument]:
            made = {camel(field): self._input(entity, field, all_at_once) for field in fields}
            made = made or {"nothing": GraphQLInputField(GraphQLBoolean)}
            return {"input": GraphQLArgument(GraphQLNonNull(GraphQLInputObjectType(f"{kind}{name}Input", made)))}

        return {
            f"create{name}": GraphQLField(result, given("Create", born, all_at_once=True), self._made("write", entity, "create")),
            f"update{name}": GraphQLField(result, {**row, **given("Update", changed, all_at_once=False), **version},
                                          self._made("write", entity, "patch")),
            f"delete{name}": GraphQLField(GraphQLNonNull(GraphQLBoolean), {**row, **version},
                                          self._made("write", entity, "delete"), description="It can be restored for 30 days"),
            f"restore{name}": GraphQLField(result, {**row, **version}, self._made("write", entity, "restore")),
            f"revert{name}": GraphQLField(result, {**row, "to": GraphQLArgument(GraphQLNonNull(GraphQLInt)), **version},
                                          self._made("write", entity, "revert"), description="The row as it was at version `to`"),
        }  # fmt: skip

    def _input(self, entity: EntityType, name: str, all_at_once: bool) -> GraphQLInputField:
        info = entity.model.model_fields[name]
        kind = GraphQLID if name in entity.relations and not entity.relations[name].many else _input_type(_kind(entity, name))
        return GraphQLInputField(GraphQLNonNull(kind) if all_at_once and info.is_required() else kind, out_name=name,
                                 description=info.description)  # fmt: skip

    def _output(self, kind: Kind) -> Any:
        made = GraphQLList(_bare(kind.item)) if kind.name == "list" and kind.item else _bare(kind)
        return made if kind.nullable else GraphQLNonNull(made)


def _most(info: Any) -> int:
    """How many values a list may have, as far as its field says."""
    bounds = [each.max_length for each in info.metadata if getattr(each, "max_length", None)]
    return int(min(bounds, default=PAGE_LIMIT))


def _kind(entity: EntityType, name: str) -> Kind:
    """What a field holds, a hidden one too."""
    return entity.kinds.get(name) or kind_of(entity.model.model_fields[name].annotation)


def _input_type(kind: Kind) -> Any:
    return GraphQLList(_bare(kind.item)) if kind.name == "list" and kind.item else _bare(kind)


def _bare(kind: Kind) -> GraphQLNamedType:
    # A list within a list and what an enum's values have in common are left to the entity's own rules.
    if kind.name == "enum":
        return GraphQLString if all(isinstance(each, str) for each in kind.values) else JSON
    return _SCALARS.get(kind.name, JSON)


def _full_list(kind: GraphQLNamedType) -> Any:
    return GraphQLNonNull(GraphQLList(GraphQLNonNull(kind)))
