"""`Entity`, the class an adopter writes, and the ways between it and JSON."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from sheaf.base.bounds import BULK_ERRORS, STRING_CHARACTERS
from sheaf.base.errors import ValidationFailed
from sheaf.entity.hooks import Change, Mail
from sheaf.entity.names import SYSTEM_FIELDS, Action, Least

Fields = dict[str, Any]


class Entity(BaseModel):
    """The base of every entity.

    `class Task(Entity, prefix="tsk")` in `entities/tasks.py` gives the path `tasks`, ids `tsk_…` and events
    `task.created`, `task.updated`, `task.deleted`, `task.restored`. `writable=False` leaves only the reading routes.
    `owner="author"` names the read-only field that holds who made a row; only they, moderators and admins change it.
    `versioned=True` demands `If-Match` of every change. `access={"delete": "moderator"}` says the least role for an action
    (read, create, update, delete, bulk, export), a tuple of roles exactly those. `cached=30`: answers of its lists may be up to
    so many seconds old (docs/cache.md). `events=("uploaded",)` names further events
    of it, which `also` tells. `id`, `createdAt`, `updatedAt` and
    `version` are the server's and join every row.
    """

    # defer_build: a request that only reads never pays for the validator.
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_max_length=STRING_CHARACTERS, defer_build=True)

    prefix: ClassVar[str]
    writable: ClassVar[bool]
    owner: ClassVar[str | None]
    versioned: ClassVar[bool]
    access: ClassVar[Mapping[Action, Least]]
    events: ClassVar[tuple[str, ...]]
    cached: ClassVar[int]

    def __init_subclass__(
        cls,
        *,
        prefix: str,
        writable: bool = True,
        owner: str | None = None,
        versioned: bool = False,
        access: Mapping[Action, Least] | None = None,
        events: tuple[str, ...] = (),
        cached: int = 0,
        **options: Any,
    ) -> None:
        super().__init_subclass__(**options)
        cls.prefix = prefix
        cls.writable = writable
        cls.owner = owner
        cls.versioned = versioned
        cls.access = access or {}
        cls.events = events
        cls.cached = cached

    def before(self, change: Change) -> None:
        """Set computed fields, or refuse with ValidationFailed; runs before every write, on checked values.

        It must depend on nothing but the row and the change: it runs again when a write meets another writer.
        """

    @classmethod
    def after(cls, change: Change, row: Mapping[str, Any]) -> Iterable[Mail]:
        """What follows from a change that has happened; runs after the answer, once or (rarely) more often."""
        return ()

    @classmethod
    def also(cls, change: Change, row: Mapping[str, Any]) -> Iterable[str]:
        """Which of the class's `events` the change is, beside `created`, `updated`, `deleted` or `restored`.

        It must depend on nothing but the change and the row: it may run again.
        """
        return ()


def accepted(model: type[Entity], fields: Fields, change: Change) -> Fields:
    """Checked and computed fields as plain JSON values; raises ValidationFailed with one message per field."""
    try:
        made = model.model_validate(fields)
        if model.before is not Entity.before:
            made.before(change)
            # What a hook sets is held to the same rules as what a client sends.
            made = model.model_validate(made.model_dump())
    except ValidationError as error:
        raise ValidationFailed(_summary(wrong := messages_of(model, error)), fields=wrong) from None
    return made.model_dump(mode="json")


def merged(old: Any, patch: Any) -> Any:
    """RFC 7396: `patch` laid over `old`; null takes a member away."""
    if not isinstance(patch, dict):
        return patch
    result = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def messages_of(model: type[BaseModel], error: ValidationError) -> dict[str, str]:
    """What is wrong, by the path of the field, in words for whoever sent it."""
    messages: dict[str, str] = {}
    for detail in error.errors(include_url=False, include_input=False):
        if len(messages) == BULK_ERRORS:
            break
        path = ".".join(str(part) for part in detail["loc"])[:200]
        messages.setdefault(path, _message(model, path, detail["type"], detail["msg"]))
    return messages


def _message(model: type[BaseModel], path: str, kind: str, text: str) -> str:
    if kind == "missing":
        return "is required"
    if kind == "string_pattern_mismatch" and "@" in text:
        return "must be an e-mail address"
    if kind != "extra_forbidden":
        return text.removeprefix("Value error, ")
    return "is set by the server" if path in SYSTEM_FIELDS else f"is not a field of {model.__name__}"


def _summary(messages: Mapping[str, str]) -> str:
    path, text = next(iter(messages.items()))
    more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
    return f"{path}: {text}{more}" if path else f"{text}{more}"
