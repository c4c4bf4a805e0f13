"""Keys of the table Limits: principals, windows, tickets, sockets."""

from hashlib import sha256

from sheaf.store.keys.scope import Key, Scope


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


METRICS_SHARDS = 4


def minute(shard: int, moment: str, route: str) -> Key:
    """What was counted of a route in a minute (2026-11-21T10:00) over all tenants, or its part of it."""
    return Key(f"@minutes#{shard}#{moment[:13]}", f"{moment}#{route}")


def hour(shard: int, moment: str, route: str) -> Key:
    """The same of an hour (2026-11-21T10)."""
    return Key(f"@hours#{shard}#{moment[:10]}", f"{moment}#{route}")


def minute_of(scope: Scope, moment: str, route: str) -> Key:
    """What was counted of a route in a minute for a tenant."""
    return Key(f"{scope.tenant}#minutes#{moment[:13]}", f"{moment}#{route}")


def hour_of(scope: Scope, moment: str, route: str) -> Key:
    """The same of an hour."""
    return Key(f"{scope.tenant}#hours#{moment[:10]}", f"{moment}#{route}")


def counted(sort_key: str) -> tuple[str, str]:
    """The moment and the route of a count."""
    moment, _, route = sort_key.partition("#")
    return moment, route


def cached(scope: Scope, digest: str) -> Key:
    """An answer that was kept to be given again."""
    return Key(f"{scope.tenant}#cache", digest)


def cleared(scope: Scope) -> Key:
    """Which of those answers are not to be given any more."""
    return Key(f"{scope.tenant}#cleared", "cleared")


def busy_queue(name: str) -> Key:
    """Since when a queue was not empty."""
    return Key("@queues", name)


def probe() -> Key:
    """What is asked for to see whether a table answers; it is never there."""
    return Key("@probe", "probe")


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
