"""Keys of the table Control: tenants, accounts, endpoints, jobs."""

from hashlib import sha256

from sheaf.store.keys.scope import Key, Scope


def tenant(scope: Scope) -> Key:
    """The tenant itself."""
    return Key(f"{scope.tenant}#tenant", "tenant")


def mailbox(address: str) -> str:
    """The name of an e-mail address, in the whole installation: a digest, 64 characters."""
    return sha256(address.encode()).hexdigest()


def account(mailbox: str) -> Key:
    """The account of a mailbox. `~` sorts behind every letter, so the end of the partition holds it and the newest ones."""
    return Key(f"@email#{mailbox}", "~account")


def letter(mailbox: str, letter_id: str) -> Key:
    """A mail about accounts that somebody has asked for."""
    return Key(f"@email#{mailbox}", letter_id)


def site() -> Key:
    """The tenant that owns the installation: its public forms write there, its admins are the operators."""
    return Key("@site", "site")


def tenants() -> str:
    """The partition that lists every tenant, for the operators."""
    return "@tenants"


def listed_tenant(scope: Scope) -> Key:
    """A tenant in that list."""
    return Key(tenants(), scope.tenant)


def invitation(scope: Scope, invitation_id: str) -> Key:
    """An invitation to join the tenant."""
    return Key(f"{scope.tenant}#invitation", invitation_id)


def api_key(scope: Scope, key_id: str) -> Key:
    """What an API key is called and may do; its secret is known only as the name of its principal."""
    return Key(f"{scope.tenant}#apikey", key_id)


def webhook(scope: Scope, webhook_id: str) -> Key:
    """A webhook endpoint."""
    return Key(f"{scope.tenant}#webhook", webhook_id)


def graphql_operation(scope: Scope, digest: str) -> Key:
    """A registered GraphQL operation, by the SHA-256 of its text."""
    return Key(f"{scope.tenant}#graphql", digest)


def roster(scope: Scope, kind: str) -> Key:
    """Which things of a kind the tenant has (records/roster.py)."""
    return Key(f"{scope.tenant}#roster", kind)


def inbound(scope: Scope, hook_id: str) -> Key:
    """An inbound hook."""
    return Key(f"{scope.tenant}#inbound", hook_id)


def published(scope: Scope, row_id: str) -> Key:
    """The newest of the events that were published under one ordering key."""
    return Key(f"{scope.tenant}#published", row_id)


def flags() -> str:
    """The partition of the feature flags of the installation."""
    return "@flags"


def flag(key: str) -> Key:
    """A feature flag."""
    return Key(flags(), key)


def flag_of(scope: Scope, key: str) -> Key:
    """What a tenant has chosen for itself of a feature flag."""
    return Key(f"{scope.tenant}#flags", key)


def backup(scope: Scope, backup_id: str) -> Key:
    """A backup."""
    return Key(f"{scope.tenant}#backup", backup_id)


def backup_schedule(scope: Scope) -> Key:
    """When a tenant is backed up by itself."""
    return Key(f"{scope.tenant}#backups", "schedule")


def backups_due() -> str:
    """The partition that lists the tenants with a schedule, by the time of their next backup."""
    return "@backups"


def backup_due(scope: Scope, at: int) -> Key:
    """A tenant in that list."""
    return Key(backups_due(), f"{at:012d}#{scope.tenant}")


def restore(scope: Scope, restore_id: str) -> Key:
    """A restore: what it would do, who has confirmed it, what became of it."""
    return Key(f"{scope.tenant}#restore", restore_id)


def erased(scope: Scope, row_id: str) -> Key:
    """That the personal values of a row were erased, and are not to come back."""
    return Key(f"{scope.tenant}#erased", row_id)


def noted(scope: Scope, note_id: str) -> Key:
    """What the audit log is to be told, on its way there."""
    return Key(f"{scope.tenant}#noted", note_id)


def job(scope: Scope, job_id: str) -> Key:
    """A job."""
    return Key(f"{scope.tenant}#job", job_id)


def jobs(scope: Scope) -> Key:
    """Which of the tenant's jobs are unfinished, which of them run and which wait for their turn."""
    return Key(f"{scope.tenant}#jobs", "jobs")


def unfinished() -> str:
    """The partition that lists the unfinished jobs of all tenants, for whoever looks after them."""
    return "@jobs"


def unfinished_job(scope: Scope, job_id: str) -> Key:
    """A job in that list."""
    return Key(unfinished(), f"{scope.tenant}#{job_id}")


def chunk(scope: Scope, job_id: str, number: int) -> Key:
    """One chunk or step of a job."""
    return Key(f"{scope.tenant}#job#{job_id}", f"{number:06d}")
