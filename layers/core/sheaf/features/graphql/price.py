"""What a GraphQL document asks for, before anything is run: its form, and its cost in rows and lists.

The form is looked at without the schema, and first: graphql-core's own rules take time that grows with the square of a hostile
document's fields.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from sheaf.base.bounds import (
    GRAPHQL_ALIASES,
    GRAPHQL_DEPTH,
    GRAPHQL_FIELDS,
    GRAPHQL_INTROSPECTION_DEPTH,
    GRAPHQL_PAIRS,
    PAGE_DEFAULT,
    PAGE_LIMIT,
)
from sheaf.base.errors import InvalidQuery, QueryTooComplex

_LIST = 10  # a query, and its count where that is asked for
_MUTATION = 10
_INTROSPECTION = 10
_WINDOW = ("first", "last", "limit")


@dataclass(slots=True)
class Form:
    """A document with one operation, and what it selects."""

    operation: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]
    introspects: bool = False
    fields: int = 0
    aliases: int = 0
    spread: list[str] = field(default_factory=list)  # the fragments around the field that is looked at
    seen: Counter[str] = field(default_factory=Counter)  # how often a field stands at its place in the answer
    pairs: int = 0  # of fields at one place, which the rules of GraphQL compare with each other

    @property
    def is_mutation(self) -> bool:
        """Whether it changes anything."""
        return self.operation.operation == OperationType.MUTATION


def form(document: DocumentNode) -> Form:
    """The form of a document; raises InvalidQuery, QueryTooComplex."""
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    if len(operations) + len(fragments) < len(document.definitions):
        raise InvalidQuery("A document holds one operation and fragments, each with a name of its own, and nothing else")
    if len(operations) != 1:
        raise InvalidQuery(f"The document has {len(operations)} operations; one is run in a request, so send one")
    if operations[0].operation == OperationType.SUBSCRIPTION:
        raise InvalidQuery("There are no subscriptions here")
    found = Form(operations[0], fragments)
    _look(found, found.operation.selection_set, 1, "", inside=False)
    return found


def _look(found: Form, selected: SelectionSetNode, depth: int, above: str, *, inside: bool) -> None:
    for each in selected.selections:
        found.fields += 1
        if found.fields > GRAPHQL_FIELDS:
            raise QueryTooComplex(f"The document selects more than {GRAPHQL_FIELDS} fields, those of a fragment at each spread")
        if isinstance(each, InlineFragmentNode):
            _look(found, each.selection_set, depth, above, inside=inside)
        elif isinstance(each, FragmentSpreadNode):
            _spread(found, each.name.value, depth, above, inside=inside)
        elif isinstance(each, FieldNode):
            _look_at(found, each, depth, above, inside=inside)


def _spread(found: Form, name: str, depth: int, above: str, *, inside: bool) -> None:
    fragment = found.fragments.get(name)
    if fragment is None:
        raise InvalidQuery(f"There is no fragment {name[:80]!r}")
    if name in found.spread:
        raise InvalidQuery(f"The fragment {name[:80]!r} is spread within itself")
    found.spread.append(name)
    _look(found, fragment.selection_set, depth, above, inside=inside)
    found.spread.pop()


def _look_at(found: Form, node: FieldNode, depth: int, above: str, *, inside: bool) -> None:
    found.aliases += node.alias is not None
    if found.aliases > GRAPHQL_ALIASES:
        raise QueryTooComplex(f"The document has more than {GRAPHQL_ALIASES} aliases")
    place = f"{above}.{node.alias.value if node.alias else node.name.value}"
    found.pairs += found.seen[place]
    found.seen[place] += 1
    if found.pairs > GRAPHQL_PAIRS:
        raise QueryTooComplex(
            f"The document has more than {GRAPHQL_PAIRS:,} pairs of fields at one place of the answer; {place[1:81]!r} is one"
        )
    inside = inside or node.name.value in ("__schema", "__type")
    found.introspects = found.introspects or inside
    most = GRAPHQL_INTROSPECTION_DEPTH if inside else GRAPHQL_DEPTH
    if depth > most:
        raise QueryTooComplex(f"The document is deeper than {most} fields at {node.name.value[:80]!r}")
    if node.selection_set:
        _look(found, node.selection_set, depth + 1, place, inside=inside)


def cost(found: Form, schema: GraphQLSchema, variables: Mapping[str, Any]) -> int:
    """The rows that a valid document reads at most, 10 for each list, each count of one and each mutation; at least 1."""
    given = {
        each.variable.name.value: each.default_value.value
        for each in found.operation.variable_definitions or ()
        if isinstance(each.default_value, IntValueNode)
    }
    root = schema.mutation_type if found.is_mutation else schema.query_type
    assert root is not None
    return max(1, _Pricing(found, schema, {**given, **variables}).of(root, found.operation.selection_set))


@dataclass(frozen=True, slots=True)
class _Pricing:
    form: Form
    schema: GraphQLSchema
    variables: Mapping[str, Any]

    def of(self, parent: GraphQLObjectType, selected: SelectionSetNode | None) -> int:
        return sum(self._field(parent, node) for node in self._fields(selected)) if selected else 0

    def _field(self, parent: GraphQLObjectType, node: FieldNode) -> int:
        name = node.name.value
        if name.startswith("__"):
            return _INTROSPECTION if name != "__typename" else 0
        declared = parent.fields[name].type
        kind: GraphQLNamedType = get_named_type(declared)
        mutation = _MUTATION * (parent is self.schema.mutation_type)
        if not isinstance(kind, GraphQLObjectType):
            return mutation
        if kind.extensions.get("sheaf") == "connection":
            return self._list(kind, node)
        inner = self.of(kind, node.selection_set)
        if parent.extensions.get("sheaf"):
            return inner  # edges, node, nodes, pageInfo: the rows are counted with their connection
        if is_list_type(get_nullable_type(declared)):
            return int(parent.fields[name].extensions["sheaf"]) * (1 + inner)
        return 1 + inner + mutation

    def _list(self, connection: GraphQLObjectType, node: FieldNode) -> int:
        fields = list(self._fields(node.selection_set)) if node.selection_set else []
        counts = sum(each.name.value == "totalCount" for each in fields)
        row = 1 + sum(self._field(connection, each) for each in fields)
        return _LIST * (1 + counts) + self._window(node) * row

    def _window(self, node: FieldNode) -> int:
        sizes = [self._number(each.value) for each in node.arguments or () if each.name.value in _WINDOW]
        return max(sizes, default=PAGE_DEFAULT)

    def _number(self, value: Any) -> int:
        if isinstance(value, VariableNode):
            found = self.variables.get(value.name.value)
        else:
            found = value.value if isinstance(value, IntValueNode) else None
        if found is None:
            return PAGE_DEFAULT
        try:
            return max(1, int(float(str(found)[:30])))  # 40.0 is a number of rows, too
        except (ValueError, OverflowError):
            return PAGE_LIMIT

    def _fields(self, selected: SelectionSetNode) -> Iterator[FieldNode]:
        for each in selected.selections:
            if isinstance(each, FieldNode):
                yield each
            elif isinstance(each, InlineFragmentNode):
                yield from self._fields(each.selection_set)
            elif isinstance(each, FragmentSpreadNode):
                yield from self._fields(self.form.fragments[each.name.value].selection_set)
