"""The person behind a caller."""

from sheaf.access.caller import Caller
from sheaf.base.config import config
from sheaf.base.errors import InvalidToken
from sheaf.store import keys, table


def person_of(caller: Caller) -> str:
    """The user behind a caller: oneself, or whoever made the key (or the key that made it)."""
    if caller.kind != "key":
        return caller.principal
    row = table.get(config().control_table, keys.api_key(caller, caller.principal))
    if row is None:
        raise InvalidToken
    return str(row["own"])
