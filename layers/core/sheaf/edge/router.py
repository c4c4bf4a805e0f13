"""Which endpoint answers a method and a path. A rule is `/v1/<entity>/<row_id>`; a plain segment wins over `<…>`.

Our own lines instead of a framework's resolver: docs/decisions.md has the measurement.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from sheaf.base.errors import MethodNotAllowed, NotFound
from sheaf.edge.envelope import Profile, Reply
from sheaf.edge.request import Request

Door = Callable[[Request, Mapping[str, str]], None]
Endpoint = Callable[..., Reply]
Writes = Literal["", "row", "rows"]
Verb = Literal["", "show", "create", "replace", "patch", "delete", "restore", "revert"]  # what is done to one row

_ORDER = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint and the door before it, which proves the caller; it gets the path's parameters."""

    door: Door
    endpoint: Endpoint
    inner: Door  # the door for a request within another one, whose caller is proven and whose cost is paid
    permission: str = ""  # empty for a public route
    cost: int = 1  # what a request takes from the caller's window
    profile: Profile | None = None
    everyone: bool = False  # whether pages of any origin may call
    writes: Writes = ""  # "row": one row of the path's entity; "rows": many of them; both can be tried dry
    lists: bool = False  # whether the answer says at which place of the event log it was read
    verb: Verb = ""  # where the canonical answer is just that: a batch may then do it together with others


@dataclass(slots=True)
class Rule:
    """A path with its methods."""

    segments: tuple[str, ...]
    methods: dict[str, Route] = field(default_factory=dict)

    def matches(self, path: tuple[str, ...]) -> bool:
        """Whether the path, of as many segments, fits."""
        return all(mine == theirs or (mine.startswith("<") and theirs) for mine, theirs in zip(self.segments, path, strict=True))

    def parameters(self, path: str) -> dict[str, str]:
        """The values of the path's `<…>` segments."""
        named = zip(self.segments, _segments(path), strict=True)
        return {name[1:-1]: value for name, value in named if name.startswith("<")}

    def named(self, path: str) -> str:
        """The path with the names of its parameters, as in `/v1/tasks/{row_id}`: an entity goes by its own name."""
        entity = self.parameters(path).get("entity")
        if entity is not None:
            from sheaf.entity import registry  # only functions with routes of entities come here

            entity = entity if registry.known(entity) else None
        shown = (entity if each == "<entity>" and entity else f"{{{each[1:-1]}}}" if each.startswith("<") else each
                 for each in self.segments)  # fmt: skip
        return f"/{'/'.join(shown)}"

    def route(self, method: str, path: str) -> Route:
        """The route of a method; raises MethodNotAllowed with those that are possible."""
        found = self.methods.get("GET" if method == "HEAD" else method)
        if found is None or (found.writes and not self._is_writable(path)):
            allowed = self.allowed(path)
            raise MethodNotAllowed(f"{method} is not possible here; {allowed} are", headers={"Allow": allowed})
        return found

    @property
    def any_route(self) -> Route:
        """One of its routes: a profile and a policy for origins hold for all methods of a path."""
        return next(iter(self.methods.values()))

    def allowed(self, path: str) -> str:
        """The methods that are possible; an entity that is only read takes no writes."""
        writable = self._is_writable(path)
        taken = {method for method, route in self.methods.items() if writable or not route.writes}
        taken |= {"OPTIONS", *(["HEAD"] if "GET" in taken else [])}
        return ", ".join(method for method in _ORDER if method in taken)

    def _is_writable(self, path: str) -> bool:
        if not any(route.writes for route in self.methods.values()):
            return True
        from sheaf.entity import registry  # only functions with routes of entities come here

        entity = self.parameters(path).get("entity")
        return entity is None or registry.find(entity).model.writable


class Router:
    """The rules of one function, by their number of segments."""

    def __init__(self) -> None:
        self._rules: dict[int, list[Rule]] = {}

    def __iter__(self) -> Iterator[Rule]:
        """Every rule."""
        return (rule for rules in self._rules.values() for rule in rules)

    def add(self, method: str, rule: str, route: Route) -> None:
        """Register a route."""
        segments = _segments(rule)
        rules = self._rules.setdefault(len(segments), [])
        known = next((each for each in rules if each.segments == segments), None)
        if known is None:
            known = Rule(segments)
            rules.append(known)
            rules.sort(key=lambda each: [segment.startswith("<") for segment in each.segments])
        known.methods[method] = route

    def find(self, path: str) -> Rule:
        """The rule of a path; raises NotFound."""
        segments = _segments(path)
        for rule in self._rules.get(len(segments), []):
            if rule.matches(segments):
                return rule
        raise NotFound(f"There is nothing at {path[:200]}")


def _segments(path: str) -> tuple[str, ...]:
    return tuple(path.strip("/").split("/"))
