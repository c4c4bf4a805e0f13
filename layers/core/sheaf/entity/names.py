"""Names that an entity's class, its rows and its schema share."""

import re
from collections.abc import Mapping
from typing import Literal

Role = Literal["user", "moderator", "admin"]
ROLES: tuple[Role, ...] = ("user", "moderator", "admin")  # each may do what the ones before it may
Least = Role | tuple[Role, ...]  # a role and those above it, or exactly these
Action = Literal["read", "create", "update", "delete", "bulk", "export"]
ACCESS: Mapping[Action, Least] = {  # of an entity that does not say otherwise
    "read": "user",
    "create": "user",
    "update": "user",
    "delete": "user",
    "bulk": "moderator",
    "export": "moderator",
}
MARKS = "x-sheaf"  # in the JSON schema of a field: what `field()` says beside pydantic's rules
VERBS = ("created", "updated", "deleted", "restored")  # what every row's events end in
OPERATIONAL: Mapping[str, str] = {  # events that the installation itself tells of
    "job.succeeded": "A job has done all its work",
    "job.failed": "A job could not do its work",
    "job.cancelled": "A job was cancelled",
    "endpoint.failing": "A webhook does nothing but fail and will be disabled",
    "endpoint.disabled": "A webhook was disabled, by somebody or because it did nothing but fail",
}
SYSTEM_FIELDS = ("id", "createdAt", "updatedAt", "version")  # the server's, on every row
GROUP_WORDS = ("and", "or", "not")  # of the filter grammar, so no field's name

_SNAKE = re.compile(r"_([a-z0-9])")


def camel(name: str) -> str:
    """`first_name` as `firstName`: how the second version of the API calls a field."""
    return _SNAKE.sub(lambda match: match[1].upper(), name)


LIVE = ("pending", "uploaded")  # states of a file that nobody has judged yet
