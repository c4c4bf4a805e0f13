"""The operators: admins of the tenant that owns the installation."""

from sheaf.access import roles
from sheaf.access.caller import Caller
from sheaf.base.config import config
from sheaf.base.errors import PermissionDenied
from sheaf.store import keys, table


def includes(caller: Caller, permission: str) -> bool:
    """Whether the caller is one of them, and its scopes cover the permission."""
    if caller.role != "admin" or not roles.covers(caller.scopes, permission):
        return False
    site = table.get(config().control_table, keys.site())
    return site is not None and site["tn"] == caller.tenant


def require(caller: Caller, permission: str) -> None:
    """Raise PermissionDenied for anybody else."""
    if not includes(caller, permission):
        raise PermissionDenied("Only operators of this installation may do this")
