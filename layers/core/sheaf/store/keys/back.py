"""What a key says of itself: that of a record of a stream, or of an object in a bucket."""


def tenant_of(text: str) -> str:
    """The tenant of a partition key or an object key that this module built."""
    return text.replace("/", "#").split("#", 1)[0]


def is_live_row(pk: str) -> bool:
    """Whether a partition of Records holds live rows."""
    return pk.endswith("#0")


def is_trash(pk: str) -> bool:
    """Whether a partition of Records holds deleted rows."""
    return pk.endswith("#trash")


def is_letter(pk: str, sk: str) -> bool:
    """Whether a key of Control is that of a letter."""
    return pk.startswith("@email#") and sk.startswith(("ltr_", "opn_"))


def mailbox_of(pk: str) -> str:
    """The mailbox of a partition of letters."""
    return pk.removeprefix("@email#")


def is_invitation(pk: str) -> bool:
    """Whether a partition of Control holds invitations."""
    return pk.endswith("#invitation")


def is_webhook(pk: str) -> bool:
    """Whether a partition of Control holds webhooks."""
    return pk.endswith("#webhook")


def is_published(pk: str) -> bool:
    """Whether a partition of Control holds published events."""
    return pk.endswith("#published")


def is_note(pk: str) -> bool:
    """Whether a partition of Control holds what the audit log is to be told."""
    return pk.endswith("#noted")


def is_job(pk: str) -> bool:
    """Whether a partition of Control holds jobs."""
    return pk.endswith("#job")


def due_of(sort_key: str) -> tuple[str, str, str]:
    """The tenant, the webhook and the row of an entry of the list of what is due."""
    _, tenant, webhook_id, row_id = sort_key.split("#", 3)
    return tenant, webhook_id, row_id


def arrived(sort_key: str) -> tuple[str, str]:
    """The tenant and the file of an entry of the list of arrivals."""
    _, tenant, file_id = sort_key.split("#", 2)
    return tenant, file_id


def subscribed(sort_key: str) -> tuple[str, str]:
    """The connection and the name of a subscription."""
    connection, _, name = sort_key.partition("#")
    return connection, name


def job_of(sort_key: str) -> str:
    """The id of a job in the list of the unfinished ones, or of a webhook in that of the failing ones."""
    return sort_key.partition("#")[2]


def changed_row(pk: str) -> str:
    """The row id of a partition of changes."""
    return pk.rpartition("#")[2]


def path_of(pk: str) -> str:
    """The entity path of a partition of Records."""
    return pk.split("#")[1]


def name_of(object_key: str) -> str:
    """The last part of an object key: the file id of an upload."""
    return object_key.rsplit("/", 1)[-1]
