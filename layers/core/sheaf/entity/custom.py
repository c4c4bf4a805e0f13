"""`CustomEvent`, the class of an event that an adopter publishes, and which of them there are."""

import re
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

import custom_events
from sheaf.base.bounds import STRING_CHARACTERS
from sheaf.base.errors import ValidationFailed
from sheaf.entity import registry
from sheaf.entity.model import messages_of
from sheaf.entity.registry import DeclarationError

_TYPE = re.compile(r"[a-z][a-z_]{0,62}\.[a-z][a-z_]{0,31}")
_TAKEN = ("job", "endpoint")  # words of events that are told by the installation itself


class CustomEvent(BaseModel):
    """The base of every published event: `class PaymentCompleted(CustomEvent, type="payment.completed")` declares its `data`.

    Its docstring is what the catalogue says of it; the fields are checked when it is published.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_max_length=STRING_CHARACTERS)

    type: ClassVar[str]

    def __init_subclass__(cls, *, type: str, **options: Any) -> None:  # as CloudEvents and the answers call it
        super().__init_subclass__(**options)
        cls.type = type


@cache
def known() -> dict[str, type[CustomEvent]]:
    """Every published event by its type; raises DeclarationError."""
    found: dict[str, type[CustomEvent]] = {}
    words = {registry.find(path).word for path in registry.paths()} | {registry.files().word, *_TAKEN}
    for module in sorted(each.name for each in iter_modules(custom_events.__path__)):
        for value in vars(import_module(f"custom_events.{module}")).values():
            if not (isinstance(value, type) and issubclass(value, CustomEvent) and value is not CustomEvent):
                continue
            if not _TYPE.fullmatch(value.type) or value.type.partition(".")[0] in words:
                raise DeclarationError(f"{value.__name__} has the type {value.type!r}, which is malformed or told by others")
            if found.setdefault(value.type, value) is not value:
                raise DeclarationError(f"{value.__name__} has the type of {found[value.type].__name__}")
    return found


def checked(type_: str, data: object) -> dict[str, Any]:
    """The data of an event of this type, as plain JSON values; raises ValidationFailed with one message per field."""
    model = known().get(type_)
    if model is None:
        message = f"is not published here; {', '.join(sorted(known())) or 'nothing'} can be"
        raise ValidationFailed.naming({"type": message})
    if not isinstance(data, dict):
        raise ValidationFailed.naming({"data": "must be an object"})
    try:
        return model.model_validate(data).model_dump(mode="json")
    except ValidationError as error:
        raise ValidationFailed.naming({f"data.{path}": text for path, text in messages_of(model, error).items()}) from None
