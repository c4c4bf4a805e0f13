"""Keys of the table Records: entity rows, their marks and indexes."""

from hashlib import sha256

from sheaf.store.keys.scope import Key, Scope


def record(scope: Scope, path: str, row_id: str) -> Key:
    """A live entity row. The `0` is the shard: room for partitions that one entity outgrows."""
    return Key(f"{scope.tenant}#{path}#0", row_id)


def trash(scope: Scope, path: str, row_id: str) -> Key:
    """A deleted entity row."""
    return Key(f"{scope.tenant}#{path}#trash", row_id)


def unique(scope: Scope, path: str, field: str, value: str) -> Key:
    """The mark that a row holds this value of a unique field."""
    return Key(f"{scope.tenant}#{path}#unique#{sha256(f'{field}={value}'.encode()).hexdigest()}", "mark")


def ordered(scope: Scope, path: str, field: str) -> str:
    """The partition of an index that holds every row in the order of a field."""
    return f"{scope.tenant}#{path}#{field}"


def place(text: str, row_id: str) -> str:
    """The sort key of a row in that index; the two control characters end the text (entity/kinds.py escapes its NULs)."""
    return f"{text}\0\1{row_id}"


def placed(sort_key: str) -> str:
    """The row id in such a sort key."""
    return sort_key.rpartition("\1")[2]


def index(scope: Scope, path: str, field: str, value: str) -> str:
    """The partition of an index for one value of one field; a long value stands as its digest."""
    text = value if len(value) <= 400 else f"sha256:{sha256(value.encode()).hexdigest()}"
    return f"{scope.tenant}#{path}#{field}={text}"
