"""Keys of the table Audit: the chain over the audit log. Its rows are put once; no function may change or remove one."""

from sheaf.store.keys.scope import Key, Scope


def segment(scope: Scope, number: int) -> Key:
    """A sealed part of a tenant's audit log."""
    return Key(f"{scope.tenant}#segments", f"{number:012d}")
