"""Every key of every table and bucket is built here, and each begins with the tenant of a scope object.

A scope is the caller of a request or the worker of a message: nothing takes a tenant id as text, so a key of
another tenant cannot be written by mistake. The few look-ups that have no tenant yet live under `@`.
"""

from hashlib import sha256
from typing import NamedTuple, Protocol


class Scope(Protocol):
    """Whatever carries a proven tenant."""

    @property
    def tenant(self) -> str:
        """The tenant's id."""
        ...


class Key(NamedTuple):
    """A primary key."""

    pk: str
    sk: str


# Records


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


# Control


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


# Events


def change(scope: Scope, row_id: str, version: int) -> Key:
    """The change that made `version` of a row."""
    return Key(f"{scope.tenant}#change#{row_id}", f"{version:012d}")


TRACKS = 4


def track_of(row_id: str) -> int:
    """The track of the event log that holds the events of a row."""
    return sha256(row_id.encode()).digest()[0] % TRACKS


def tracks(scope: Scope) -> str:
    """The partition that says how far each track of the tenant's event log has come."""
    return f"{scope.tenant}#tracks"


def track(scope: Scope, number: int) -> Key:
    """How far one track has come."""
    return Key(tracks(scope), str(number))


def tracked(scope: Scope, number: int) -> str:
    """The partition of the index of Events that holds the changes of a track, by their numbers."""
    return f"{scope.tenant}#track#{number}"


def on_track(number: int) -> str:
    """The place of a change in that index."""
    return f"{number:015d}"


def word(scope: Scope, path: str, text: str, row_id: str) -> Key:
    """That a row holds a word; words with the same first letter share a partition, sorted."""
    return Key(f"{scope.tenant}#word#{path}#{text[:1]}", f"{text}\0{row_id}")


def worded(sort_key: str) -> str:
    """The row id in the sort key of a word."""
    return sort_key.partition("\0")[2]


def mail(scope: Scope, mail_id: str) -> Key:
    """That a mail has been sent."""
    return Key(f"{scope.tenant}#mail", mail_id)


def day(scope: Scope, day: str) -> str:
    """The partition of the index of Events that holds a day's changes (2026-11-21), by their ids and so by time."""
    return f"{scope.tenant}#{day}"


def delivery(scope: Scope, webhook_id: str, event_id: str) -> Key:
    """What has become of one event on its way to one webhook."""
    return Key(f"{scope.tenant}#delivery#{webhook_id}", event_id)


def troubled(scope: Scope, webhook_id: str, event_id: str) -> Key:
    """That a delivery has failed and was not made since; there are few of them, so they are found at once."""
    return Key(f"{scope.tenant}#troubled#{webhook_id}", event_id)


def lane(scope: Scope, webhook_id: str, row_id: str) -> Key:
    """How far the events of one row have come on their way to one webhook, and who sends them."""
    return Key(f"{scope.tenant}#lane#{webhook_id}", row_id)


def again(scope: Scope, webhook_id: str, row_id: str, place: int) -> Key:
    """That an event of a row is to be sent once more; see `Event.place`."""
    return Key(f"{scope.tenant}#again#{webhook_id}#{row_id}", f"{place:015d}")


def health(scope: Scope, webhook_id: str) -> Key:
    """Since when a webhook does nothing but fail."""
    return Key(f"{scope.tenant}#health", webhook_id)


def pace(scope: Scope, webhook_id: str) -> Key:
    """From when on the next delivery to a webhook with a rate limit may be made."""
    return Key(f"{scope.tenant}#pace", webhook_id)


def failing() -> str:
    """The partition that lists the failing webhooks of all tenants, for whoever looks after them."""
    return "@failing"


def failing_webhook(scope: Scope, webhook_id: str) -> Key:
    """A webhook in that list."""
    return Key(failing(), f"{scope.tenant}#{webhook_id}")


DUE_SHARDS = 8


def due(shard: int) -> str:
    """One of the partitions that list what is to be tried again, of all tenants, by time."""
    return f"@due#{shard}"


def due_lane(scope: Scope, webhook_id: str, row_id: str, at_ms: int) -> Key:
    """A lane in that list."""
    shard = sha256(f"{webhook_id}#{row_id}".encode()).digest()[0] % DUE_SHARDS
    return Key(due(shard), f"{at_ms:013d}#{scope.tenant}#{webhook_id}#{row_id}")


# Limits


def principal(scope: Scope, principal_id: str) -> Key:
    """A user's or an API key's status, role, sessions and rate-limit window."""
    return Key(f"{scope.tenant}#principal", principal_id)


def session(scope: Scope, user_id: str, session_id: str) -> Key:
    """Where a session of a user was begun, and where its refresh tokens stand."""
    return Key(f"{scope.tenant}#session#{user_id}", session_id)


def ticket(scope: Scope, digest: str) -> Key:
    """A one-time ticket."""
    return Key(f"{scope.tenant}#ticket#{digest}", "ticket")


def quota(scope: Scope) -> Key:
    """The rate-limit window of a whole tenant."""
    return Key(f"{scope.tenant}#quota", "quota")


def caller_route(scope: Scope, principal_id: str, route: str) -> Key:
    """The rate-limit window of one principal on one route."""
    return Key(f"{scope.tenant}#route#{principal_id}", route)


def tries(mailbox: str) -> Key:
    """How often an account was tried with a password lately, whether there is one or not."""
    return Key(f"@tries#{mailbox}", "tries")


def letters_sent(mailbox: str, sender: str) -> Key:
    """How many letters a mailbox was sent lately, by a tenant or at the request of whoever."""
    return Key(f"@letters#{mailbox}", sender)


def hold(slot: int) -> Key:
    """One of the requests of the installation that may be held at once."""
    return Key(f"@hold#{slot}", "hold")


SOCKET_SHARDS = 8


def sockets(shard: int) -> str:
    """One of the partitions that list the open sockets of all tenants."""
    return f"@sockets#{shard}"


def socket(connection: str) -> Key:
    """An open socket: whose it is."""
    return Key(sockets(sha256(connection.encode()).digest()[0] % SOCKET_SHARDS), connection)


def open_sockets(scope: Scope, principal_id: str = "") -> Key:
    """How many sockets a tenant has open, or one principal."""
    return Key(f"{scope.tenant}#sockets", principal_id or "all")


def push(scope: Scope) -> Key:
    """How far the events of a tenant have been sent to its sockets; it is there while there are subscriptions."""
    return Key(f"{scope.tenant}#push", "push")


def subscriptions(scope: Scope) -> str:
    """The partition of the subscriptions of a tenant's sockets."""
    return f"{scope.tenant}#subscriptions"


def subscription(scope: Scope, connection: str, name: str) -> Key:
    """What one socket has asked for under one name."""
    return Key(subscriptions(scope), f"{connection}#{name}")


def storage(scope: Scope) -> Key:
    """What the files of a tenant take, and how many of them nobody has judged yet."""
    return Key(f"{scope.tenant}#storage", "storage")


def held_file(scope: Scope, file_id: str) -> Key:
    """That a file is ready, and how many fields of rows hold it."""
    return Key(f"{scope.tenant}#held", file_id)


ARRIVAL_SHARDS = 4


def arrivals(shard: int) -> str:
    """One of the partitions that list the files, of all tenants, that are to be looked after, by time."""
    return f"@arrivals#{shard}"


def arrival(scope: Scope, file_id: str, at_ms: int) -> Key:
    """A file in that list."""
    shard = sha256(file_id.encode()).digest()[0] % ARRIVAL_SHARDS
    return Key(arrivals(shard), f"{at_ms:013d}#{scope.tenant}#{file_id}")


def idempotency(scope: Scope, principal_id: str, method: str, route: str, key: str) -> Key:
    """What became of a request with an Idempotency-Key; the route and the key come from outside, so a digest stands for them."""
    return Key(
        f"{scope.tenant}#idempotency#{sha256(chr(0).join((principal_id, method, route, key)).encode()).hexdigest()}", "key"
    )


def hook(scope: Scope, hook_id: str) -> Key:
    """The rate-limit window of an inbound hook."""
    return Key(f"{scope.tenant}#hook", hook_id)


def address(route: str, source_ip: str) -> Key:
    """The rate-limit window of a source address on a public route."""
    return Key(f"@address#{source_ip}", route)


# Buckets


def upload_object(scope: Scope, file_id: str) -> str:
    """The object of an upload."""
    return f"{scope.tenant}/uploads/{file_id}"


VARIANTS = ("thumb.webp", "thumb.jpg", "preview.webp", "preview.jpg")  # the smaller pictures of a picture


def variant_object(scope: Scope, file_id: str, name: str) -> str:
    """A smaller picture of a picture."""
    return f"{scope.tenant}/variants/{file_id}/{name}"


def audience_object(scope: Scope, row_id: str) -> str:
    """The records of a batch upload, or of a segment of one."""
    return f"{scope.tenant}/audience/{row_id}"


def is_upload_object(object_key: str) -> bool:
    """Whether an object of the bucket of uploads is a file that somebody has sent there."""
    return "/uploads/" in object_key


def job_object(scope: Scope, job_id: str, name: str) -> str:
    """A file of a job: its input, its result, its errors."""
    return f"{scope.tenant}/jobs/{job_id}/{name}"


# And back: what a record of a stream or a bucket says of itself


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
