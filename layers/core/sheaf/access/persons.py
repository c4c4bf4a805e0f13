"""The person behind a caller, and the keys that a person has."""

from sheaf.access.caller import Caller
from sheaf.base.config import config
from sheaf.base.errors import InvalidToken
from sheaf.store import keys, table
from sheaf.store.keys import Scope


def person_of(caller: Caller) -> str:
    """The user behind a caller: oneself, or whoever made the key (or the key that made it)."""
    if caller.kind != "key":
        return caller.principal
    row = table.get(config().control_table, keys.api_key(caller, caller.principal))
    if row is None:
        raise InvalidToken
    return str(row["own"])


def keys_of(scope: Scope, user_id: str) -> list[str]:
    """The ids of the API keys that a user has made."""
    found = table.query(config().control_table, keys.api_key(scope, "").pk)
    return [item["sk"] for item in found if item["own"] == user_id]
