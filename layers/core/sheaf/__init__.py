"""Sheaf: declare an entity once, get a sheaf of endpoints for it on AWS.

What an entity file needs is importable from here: ``from sheaf import Entity, field``.
The names load on first use, so that a function which never validates a row never pays for pydantic.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sheaf.base.errors import ValidationFailed
    from sheaf.entity.custom import CustomEvent
    from sheaf.entity.fields import Email, Timestamp, Trimmed, field
    from sheaf.entity.hooks import Change, Mail
    from sheaf.entity.model import Entity

__all__ = ["Change", "CustomEvent", "Email", "Entity", "Mail", "Timestamp", "Trimmed", "ValidationFailed", "field"]

_HOMES = {
    "Change": "sheaf.entity.hooks",
    "CustomEvent": "sheaf.entity.custom",
    "Email": "sheaf.entity.fields",
    "Entity": "sheaf.entity.model",
    "Mail": "sheaf.entity.hooks",
    "Timestamp": "sheaf.entity.fields",
    "Trimmed": "sheaf.entity.fields",
    "ValidationFailed": "sheaf.base.errors",
    "field": "sheaf.entity.fields",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sheaf' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
