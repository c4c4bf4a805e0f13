"""Keys of the table Events: changes, the event log, words, deliveries."""

from hashlib import sha256

from sheaf.store.keys.scope import Key, Scope


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
