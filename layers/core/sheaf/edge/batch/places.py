"""From a request of a batch to the route that takes it, before and after its references are known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from pydantic_core import to_json

from sheaf.access.roles import ENTITY
from sheaf.base.bounds import BODY_BYTES
from sheaf.base.errors import NotFound, SheafError, TenantMismatch, ValidationFailed
from sheaf.edge.api import refuse_dry
from sheaf.edge.request import Request, located
from sheaf.edge.router import Route, Router, Rule, Verb
from sheaf.edge.shapes import plain
from sheaf.entity import registry
from sheaf.entity.names import camel
from sheaf.features.batch import references
from sheaf.features.batch.order import Touch, touch_of
from sheaf.features.batch.references import Answers, Resolver
from sheaf.features.batch.request import Call
from sheaf.records.once import Once
from sheaf.records.relations import pointers

_BEGIN = "/v1/"
_BESIDE_BYTES = 16_000  # that references may stand for in the path, the parameters and the headers


@dataclass(frozen=True, slots=True)
class Place:
    """A request with its route. `path` begins with /v1/ and still has its references; `version` is the API's."""

    call: Call
    rule: Rule
    route: Route
    version: int
    path: str

    @property
    def segments(self) -> list[str]:
        """The path below the version."""
        return self.path.removeprefix(_BEGIN).split("/")

    @property
    def permission(self) -> str:
        """What a caller needs, for the entity of the path."""
        return self.route.permission.replace(ENTITY, self.segments[0])

    def request(self, outer: Request, known: Answers, key: Once | None) -> Request:
        """The request as its route sees it, with what its references stand for; raises ValidationFailed."""
        call = self.call
        beside, inside = Resolver(known, _BESIDE_BYTES), Resolver(known, BODY_BYTES)
        segments = [beside.text(each) for each in self.segments]
        if any("/" in each or not each for each in segments):
            raise ValidationFailed("A reference in the path stands for nothing, or for a text with a slash in it")
        headers = {name: beside.text(text) for name, text in call.headers.items()}
        query = {name: beside.text(text) for name, text in call.query}
        body = to_json(inside.value(call.body)) if call.has_body else b""
        return self._made(outer, _BEGIN + "/".join(segments), headers, query=query, body=body, key=key)

    def admit(self, request: Request) -> dict[str, str]:
        """The parameters of the path; raises for a caller who may not, and for what cannot be tried dry."""
        parameters = self.rule.parameters(request.route_path)
        self.route.inner(request, parameters)
        refuse_dry(request, self.route)
        return parameters

    def refusal(self, outer: Request) -> SheafError | None:
        """Why the request would not be admitted, as far as that is known before it runs."""
        try:
            self.admit(self._made(outer, self.path, {}))
        except SheafError as error:
            return error
        return None

    @property
    def reads_one(self) -> bool:
        """Whether it reads one row by its id and does nothing else."""
        return self.route.verb == "show" and self.route.profile is None

    def verb(self, request: Request) -> Verb:
        """What it does to one row, where it does just that."""
        return self.route.verb if self.route.profile is None or plain(request) else ""

    def again(self, outer: Request, key: Once) -> Request:
        """The request as far as it is known without its references, to tell once more what it has done."""
        return self._made(outer, self.path, self.call.headers, key=key)

    def touches(self) -> list[Touch]:
        """What the request reads or writes; a write that points to other rows looks at them."""
        entity = registry.known(self.segments[0])
        mine = touch_of(self.call, self.segments, unique=bool(entity and entity.uniques))
        if entity is None or not mine.writes:
            return [mine]
        body = self.call.body if isinstance(self.call.body, dict) else {}
        found = [mine]
        for name, relation in entity.relations.items():
            if self.route.verb in ("revert", "restore"):
                found.append(Touch(relation.path, None, False))
            for each in pointers(body.get(name, body.get(camel(name)))):
                found.append(Touch(relation.path, each if references.is_free(each) else None, False))
        return found

    def _made(self, outer: Request, path: str, headers: Mapping[str, str], *, query: Mapping[str, str] | None = None,
              body: bytes = b"", key: Once | None = None) -> Request:  # fmt: skip
        sent = quote(path.replace(_BEGIN, f"/v{self.version}/", 1), safe="/~:@!$&'()*+,;=")
        return replace(outer, method=self.call.method, path=sent, route_path=path, version=self.version, query=query or {},
                       headers={"content-type": "application/json", **headers}, body=body, key=key, left={}, applied=[],
                       names={}, ticket=None, named_tenant=None)  # fmt: skip


def placed(outer: Request, router: Router) -> Callable[[Call], Place | SheafError]:
    """The way to a request's route, or to the reason why none takes it."""

    def find(call: Call) -> Place | SheafError:
        version, tenant, path = _located(outer, call.segments)
        if tenant is not None and tenant != outer.caller.tenant:
            return TenantMismatch("The request names another tenant than its credential")
        try:
            rule = router.find(path)
            if (entity := rule.parameters(path).get("entity")) is not None:
                registry.find(entity)
            return Place(call, rule, rule.route(call.method, path), version, path)
        except NotFound:
            return _elsewhere(path)
        except SheafError as error:
            return error

    return find


def _elsewhere(path: str) -> SheafError:
    told = f"A batch takes the paths of entities, as /tasks and /tasks/{{id}}; /{path.removeprefix(_BEGIN)[:80]} is none of them"
    return ValidationFailed(f"{told}, so call it by itself", fields={"path": "is no path of an entity"})


def _located(outer: Request, segments: Sequence[str]) -> tuple[int, str | None, str]:
    below = list(segments[1:] if segments[0] == "api" else segments)
    versions: Sequence[Any] = [] if below and below[0] in ("v1", "v2") else [f"v{outer.version}"]
    return located("/" + "/".join([*versions, *below]))
