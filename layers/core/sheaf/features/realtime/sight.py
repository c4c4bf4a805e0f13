"""Which events a caller may see: those of rows that the caller may read, as they would be read."""

from sheaf.access import roles
from sheaf.access.guard import Present
from sheaf.entity import registry
from sheaf.records.events import Event

_FIXED = {"jobs": "jobs:read", "webhooks": "webhooks:read", "events": "events:read", registry.FILES: "uploads:read"}


def may_see(who: Present, path: str) -> bool:
    """Whether the caller may see events of rows at a path."""
    if path in registry.PRIVATE:
        return False
    if path in _FIXED:
        return who.may(_FIXED[path], roles.FIXED[_FIXED[path]])
    entity = registry.known(path)
    return entity is not None and who.may(f"{path}:read", roles.least_of(f"{path}:read", entity.model.access))


def sees(who: Present, event: Event) -> bool:
    """Whether the caller may see an event: a job's is for the one who asked for it, and for admins."""
    if event.path == "jobs" and event.actor != who.caller.principal and who.caller.role != "admin":
        return False
    return may_see(who, event.path)
