"""From a request to its answer: which document, whether it may run, what it costs, and every error with a code."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from graphql import DocumentNode, ExecutionResult, GraphQLError, GraphQLSchema, execute, parse, validate

from sheaf.access import guard
from sheaf.base.bounds import (
    GRAPHQL_ANSWER_BYTES,
    GRAPHQL_CHARACTERS,
    GRAPHQL_COST,
    GRAPHQL_COST_PER_REQUEST,
    GRAPHQL_TOKENS,
)
from sheaf.base.config import config
from sheaf.base.errors import (
    InvalidQuery,
    OperationNotRegistered,
    PersistedQueryNotFound,
    QueryTooComplex,
    SheafError,
    TooLarge,
    ValidationFailed,
    unforeseen,
)
from sheaf.base.log import log
from sheaf.describe import graphql as describe
from sheaf.edge.envelope import Raw, Reply, bare_failure, json_text
from sheaf.edge.graphql.loading import Overfull, Work
from sheaf.edge.graphql.resolvers import Running
from sheaf.edge.request import Request
from sheaf.entity import registry
from sheaf.entity.body import object_of
from sheaf.entity.names import camel
from sheaf.features.graphql import operations, price
from sheaf.features.graphql.price import Form
from sheaf.records.rows import escaped_size

_RESPONSE = "application/graphql-response+json"
_HASH = "extensions.persistedQuery.sha256Hash"
_ERRORS = 10  # that a document that does not fit the schema is told


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that may run, as far as its text tells."""

    document: DocumentNode
    form: Form


def answer(request: Request) -> Reply:
    """Run the operation; raises what keeps it from being run. Errors of single fields stand in the answer."""
    body = object_of(request.json(), "query", "variables", "operationName", "extensions", error="The GraphQL request is wrong")
    variables = {} if body.get("variables") is None else body["variables"]
    if not isinstance(variables, dict):
        raise ValidationFailed.naming({"variables": "must be an object"})
    prepared = prepare(_text_of(request, body))
    name = prepared.form.operation.name.value if prepared.form.operation.name else None
    if body.get("operationName") not in (None, "", name):
        raise ValidationFailed.naming({"operationName": "is not the name of the operation in the document"})
    cost = price.cost(prepared.form, schema(), variables)
    if cost > GRAPHQL_COST:
        raise QueryTooComplex(f"The document may read {cost:,} rows and lists; {GRAPHQL_COST:,} is the most: ask for fewer rows",
                              extra={"cost": {"requested": cost, "limit": GRAPHQL_COST}})  # fmt: skip
    requests = -(-cost // GRAPHQL_COST_PER_REQUEST)
    if requests > 1:
        request.left = guard.charge(request.proven, requests - 1).headers()
    key = request.once() if prepared.form.is_mutation else None
    if key:
        key.claim("")
    work = Work(request)
    result = _executed(prepared, variables, work)
    if key:
        key.complete("done")
    told = {"cost": {"requested": cost, "actual": work.read, "limit": GRAPHQL_COST, "requests": requests}}
    return _reply(request, result, work, told)


def prepare(text: str) -> Prepared:
    """Parse, look at and validate a document, or remember having done so; raises InvalidQuery, QueryTooComplex."""
    if len(text) > GRAPHQL_CHARACTERS:
        raise QueryTooComplex(f"The document has {len(text):,} characters; {GRAPHQL_CHARACTERS:,} is the most")
    return _prepared(text)


@lru_cache(maxsize=200)
def _prepared(text: str) -> Prepared:
    try:
        document = parse(text, max_tokens=GRAPHQL_TOKENS)
        form = price.form(document)
    except GraphQLError as error:
        if "tokens" in error.message:
            raise QueryTooComplex(f"The document has more than {GRAPHQL_TOKENS:,} tokens") from None
        raise _invalid([error]) from None
    except RecursionError:
        raise QueryTooComplex("The document is nested too deep") from None
    if form.introspects and not config().graphql_introspection:
        raise InvalidQuery("Introspection is switched off here")
    if found := validate(schema(), document, max_errors=_ERRORS, hide_suggestions=not config().graphql_introspection):
        raise _invalid(found)
    return Prepared(document, form)


@cache
def schema() -> GraphQLSchema:
    """The schema of all entities, made with the first request."""
    found = [registry.find(path) for path in registry.paths()]
    return describe.schema([*found, registry.files()], Running())


def _invalid(found: list[GraphQLError]) -> InvalidQuery:
    """A document that cannot be parsed or does not fit the schema, with where and why."""
    kept = ("message", "locations")
    told = [{name: value for name, value in each.formatted.items() if name in kept} for each in found]
    return InvalidQuery(found[0].message, extra={"problems": told})


def _text_of(request: Request, body: Mapping[str, Any]) -> str:
    """The document: as it was sent, or by the hash that `extensions.persistedQuery` names."""
    text, named = body.get("query"), (body.get("extensions") or {})
    wanted = named.get("persistedQuery") if isinstance(named, dict) else None
    digest = wanted.get("sha256Hash") if isinstance(wanted, dict) else None
    if text is not None and not isinstance(text, str):
        raise ValidationFailed.naming({"query": "must be a text"})
    if digest is not None and not operations.is_digest(digest):
        raise ValidationFailed.naming({_HASH: "must be a SHA-256 in lower-case hexadecimal digits"})
    if text is None and digest is None:
        raise ValidationFailed.naming({"query": "is required"})
    if text is not None and digest is not None and operations.digest_of(text) != digest:
        raise ValidationFailed.naming({_HASH: "is not the SHA-256 of the query"})
    if text is not None and not config().graphql_registered_only:
        return text
    found = operations.text_of(request.caller, digest or operations.digest_of(text or ""))
    if found is not None:
        return found
    if text is None:
        raise PersistedQueryNotFound("PersistedQueryNotFound")  # the words that clients look for
    raise OperationNotRegistered("Only registered operations are run here; an admin registers this one at /v1/graphql/operations")


def _executed(prepared: Prepared, variables: Mapping[str, Any], work: Work) -> ExecutionResult:
    async def run() -> ExecutionResult:
        found: Any = execute(schema(), prepared.document, context_value=work, variable_values=dict(variables))
        return found if isinstance(found, ExecutionResult) else await found

    done = {"completed": work.done}
    try:
        return asyncio.run(run())  # a loop of its own, which ends with all that graphql-core has given up
    except Overfull:
        raise TooLarge(
            f"The answer has more than {GRAPHQL_ANSWER_BYTES:,} bytes: ask for fewer rows or fields", extra=done
        ) from None
    except asyncio.CancelledError as error:
        raise unforeseen(extra=done) from error
    finally:
        work.end()


def _reply(request: Request, result: ExecutionResult, work: Work, told: Mapping[str, Any]) -> Reply:
    errors = [_formatted(request, error, work) for error in result.errors or ()]
    # Without a path: the variables did not fit, so nothing was run.
    refused = result.data is None and all(error.path is None for error in result.errors or ())
    shown = {**({} if refused else {"data": result.data}), **({"errors": errors} if errors else {}), "extensions": told}
    text = json_text(shown)
    if (size := escaped_size(text)) > GRAPHQL_ANSWER_BYTES:
        raise TooLarge(f"The answer has {size:,} bytes; {GRAPHQL_ANSWER_BYTES:,} is the most: ask for fewer rows or fields",
                       extra={"completed": work.done})  # fmt: skip
    kind = {"Content-Type": _RESPONSE} if _RESPONSE in request.headers.get("accept", "") else {}
    return Reply(Raw(text), 400 if refused else 200, headers=kind, bare=True)


def _formatted(request: Request, error: GraphQLError, work: Work) -> dict[str, Any]:
    cause: Any = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    if cause is None:
        cause = InvalidQuery(error.message)
    elif not isinstance(cause, SheafError):
        log.error("a field of an operation failed", extra={"requestId": request.id}, exc_info=cause)
        cause = unforeseen()
    done = {"completed": list(work.done)} if work.done else {}
    return {**error.formatted, "message": cause.message, "extensions": {**extensions_of(cause), **done}}


def extensions_of(error: SheafError) -> dict[str, Any]:
    """What an error says beside its message: `{"code", "status", "errors"?}`."""
    told = bare_failure(error, {name: camel(name) for name in (path.partition(".")[0] for path in error.fields)})
    del told["error"]
    return {**told, "status": error.status}
