"""What a request of a batch has answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from sheaf.base.errors import SheafError
from sheaf.edge.envelope import Profile, Raw, Reply, bare_failure, json_text
from sheaf.edge.request import Request
from sheaf.edge.shapes import plain


@dataclass(frozen=True, slots=True)
class Done:
    """`text` is the body as JSON, empty without one; `reads`: whether the request changed nothing."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    meta: Mapping[str, Any] | None = None
    reads: bool = False

    @property
    def is_good(self) -> bool:
        """Whether what depends on it may run."""
        return self.status < 400

    def known(self) -> dict[str, Any]:
        """As references see it."""
        headers = {name.lower(): text for name, text in self.headers.items()}
        return {"status": self.status, "headers": headers, "body": from_json(self.text) if self.text else None}

    def shown(self, call_id: str) -> str:
        """As the batch answers it."""
        headers = f',"headers":{json_text(dict(self.headers))}' if self.headers else ""
        meta = f',"meta":{json_text(self.meta)}' if self.meta else ""
        return f'{{"id":{json_text(call_id)},"status":{self.status}{headers},"body":{self.text or "null"}{meta}}}'


def told(request: Request, reply: Reply, *, reads: bool) -> Done:
    """What a route has replied: its data without an envelope."""
    text = reply.data.text if isinstance(reply.data, Raw) else json_text(reply.data)
    return Done(reply.status, {**reply.headers, **request.followed()}, text, reply.meta, reads)


def failed(error: SheafError, request: Request | None = None, profile: Profile | None = None, *,
           names: Mapping[str, str] | None = None) -> Done:  # fmt: skip
    """An error, in the shape of its route where older clients know one; `names` are those of the version's fields."""
    if request and profile and not plain(request):
        status, shape = profile.failure(error, request)
        return Done(status, error.headers, json_text(shape))
    named = names if names is not None else request.names if request else {}
    return Done(error.status, error.headers, json_text(bare_failure(error, named)))
