"""Names that an entity's class, its rows and its schema share."""

import re

MARKS = "x-sheaf"  # in the JSON schema of a field: what `field()` says beside pydantic's rules
SYSTEM_FIELDS = ("id", "createdAt", "updatedAt", "version")  # the server's, on every row
GROUP_WORDS = ("and", "or", "not")  # of the filter grammar, so no field's name

_SNAKE = re.compile(r"_([a-z0-9])")


def camel(name: str) -> str:
    """`first_name` as `firstName`: how the second version of the API calls a field."""
    return _SNAKE.sub(lambda match: match[1].upper(), name)
