"""`Entity`, the class an adopter writes, and the two ways between it and JSON."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from sheaf.base.bounds import BULK_ERRORS, STRING_CHARACTERS
from sheaf.base.errors import ValidationFailed
from sheaf.entity.names import SYSTEM_FIELDS


class Entity(BaseModel):
    """The base of every entity.

    `class Task(Entity, prefix="tsk")` in `entities/tasks.py` gives the path `tasks`, ids `tsk_…` and events
    `task.created`, `task.updated`, `task.deleted`. `writable=False` leaves only the reading routes.
    `id`, `createdAt`, `updatedAt` and `version` are the server's and join every row.
    """

    # defer_build: a request that only reads never pays for the validator.
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_max_length=STRING_CHARACTERS, defer_build=True)

    prefix: ClassVar[str]
    writable: ClassVar[bool]

    def __init_subclass__(cls, *, prefix: str, writable: bool = True, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.prefix = prefix
        cls.writable = writable


def checked(model: type[Entity], body: object) -> dict[str, Any]:
    """The fields of a valid `body` as plain JSON values; raises ValidationFailed with one message per field."""
    if not isinstance(body, dict):
        raise ValidationFailed("The body must be a JSON object", fields={"": "must be an object"})
    try:
        return model.model_validate(body).model_dump(mode="json")
    except ValidationError as error:
        raise ValidationFailed(_summary(wrong := _messages(model, error)), fields=wrong) from None


def _messages(model: type[Entity], error: ValidationError) -> dict[str, str]:
    messages: dict[str, str] = {}
    for detail in error.errors(include_url=False, include_input=False):
        if len(messages) == BULK_ERRORS:
            break
        path = ".".join(str(part) for part in detail["loc"])[:200]
        messages.setdefault(path, _message(model, path, detail["type"], detail["msg"]))
    return messages


def _message(model: type[Entity], path: str, kind: str, text: str) -> str:
    if kind == "missing":
        return "is required"
    if kind != "extra_forbidden":
        return text
    return "is set by the server" if path in SYSTEM_FIELDS else f"is not a field of {model.__name__}"


def _summary(messages: Mapping[str, str]) -> str:
    path, text = next(iter(messages.items()))
    more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
    return f"{path}: {text}{more}"
