"""What an entity's own rules get to see, and what they may ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Verb = Literal["created", "updated", "deleted", "restored"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one row. `before` is the row as it was, None for a new one; `at` is RFC 3339 in UTC."""

    verb: Verb
    actor: str
    at: str
    before: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """An e-mail that `after` asks for; sent at least once, in nearly all cases exactly once.

    `to` None means the operator of the installation (MailOperator in the template).
    """

    subject: str
    text: str
    to: str | None = None
    reply_to: str | None = None
