"""Which endpoint answers a method and a path. A rule is `/v1/<entity>/<row_id>`; a plain segment wins over `<…>`.

Our own sixty lines instead of a framework's resolver: docs/decisions.md has the measurement.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sheaf.base.errors import MethodNotAllowed, NotFound
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request

Door = Callable[[Request], Mapping[str, str]]
Endpoint = Callable[..., Reply]

_ORDER = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint and the door before it, which proves the caller and returns headers of the answer."""

    door: Door
    endpoint: Endpoint


@dataclass(slots=True)
class _Rule:
    segments: tuple[str, ...]
    methods: dict[str, Route] = field(default_factory=dict)

    def matches(self, path: tuple[str, ...]) -> bool:
        return all(mine == theirs or (mine.startswith("<") and theirs) for mine, theirs in zip(self.segments, path, strict=True))

    def allowed(self) -> str:
        taken = {*self.methods, "OPTIONS", *(["HEAD"] if "GET" in self.methods else [])}
        return ", ".join(method for method in _ORDER if method in taken)


class Router:
    """The rules of one function, by their number of segments."""

    def __init__(self) -> None:
        self._rules: dict[int, list[_Rule]] = {}

    def add(self, method: str, rule: str, route: Route) -> None:
        """Register a route."""
        segments = _segments(rule)
        rules = self._rules.setdefault(len(segments), [])
        known = next((each for each in rules if each.segments == segments), None)
        if known is None:
            known = _Rule(segments)
            rules.append(known)
            rules.sort(key=lambda each: [segment.startswith("<") for segment in each.segments])
        known.methods[method] = route

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The route and the path's parameters; raises NotFound, or MethodNotAllowed with the methods that are possible."""
        segments = _segments(path)
        for rule in self._rules.get(len(segments), []):
            if not rule.matches(segments):
                continue
            route = rule.methods.get("GET" if method == "HEAD" else method)
            if route is None:
                allowed = rule.allowed()
                raise MethodNotAllowed(f"{method} is not possible here; {allowed} are", headers={"Allow": allowed})
            names = zip(rule.segments, segments, strict=True)
            return route, {name[1:-1]: value for name, value in names if name.startswith("<")}
        raise NotFound(f"There is nothing at {path[:200]}")


def _segments(path: str) -> tuple[str, ...]:
    return tuple(path.strip("/").split("/"))
