"""Open sockets: whose they are, how many there may be, and their end."""

import random
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from sheaf.access.guard import Named, Proof
from sheaf.base.bounds import SOCKET_SECONDS, SOCKETS, SOCKETS_PER_CALLER, SUBSCRIPTIONS
from sheaf.base.clock import now
from sheaf.base.config import config
from sheaf.base.errors import TooManySockets, Unavailable
from sheaf.base.log import log
from sheaf.features.realtime import orders
from sheaf.store import keys, table
from sheaf.store import sockets as wires
from sheaf.store.keys import SOCKET_SHARDS, Scope
from sheaf.store.table import ConditionFailed, Contended, Item, Write

_TRIES = 12  # many sockets of one tenant may open at once
_SLACK_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Socket:
    """An open socket. `tenant` makes it a scope."""

    tenant: str
    connection: str
    who: Named
    since: int
    is_lost: bool = False  # something could not be sent to it, nor could it be closed

    @property
    def is_over(self) -> bool:
        """Whether API Gateway has closed it for its age."""
        return self.since + SOCKET_SECONDS + _SLACK_SECONDS < now()


def remember(proof: Proof, connection: str, address: str) -> None:
    """Take down a socket that has opened; raises TooManySockets where the tenant or the caller has too many."""
    caller = proof.caller
    item: Item = {"tn": caller.tenant, "p": proof.principal, "s": caller.session, "ip": address, "at": now(),
                  "ttl": now() + SOCKET_SECONDS + 86_400}  # fmt: skip
    writes = [Write(config().limits_table, "put", keys.socket(connection), item=item, condition="attribute_not_exists(#pk)"),
              _counted(caller, "", 1, SOCKETS), _counted(caller, proof.principal, 1, SOCKETS_PER_CALLER)]  # fmt: skip
    try:
        _commit(writes)
    except ConditionFailed as failure:
        if failure.position == 0:
            return  # the client library has sent the write twice
        whose = (f"This tenant has {SOCKETS:,}", f"You have {SOCKETS_PER_CALLER}")[failure.position - 1]
        raise TooManySockets(f"{whose} open sockets, which is the most", headers={"Retry-After": "60"}) from None


def find(connection: str) -> Socket | None:
    """An open socket."""
    item = table.get(config().limits_table, keys.socket(connection))
    return _of(item) if item else None


def name_subscription(socket: Socket, name: str) -> None:
    """Count a subscription; raises TooManySockets, or Unavailable for a socket that is not open any more."""
    room = "attribute_not_exists(#subs) OR size(#subs) < :most OR contains(#subs, :name)"
    values = {"names": {name}, "name": name, "most": SUBSCRIPTIONS}
    try:
        table.update(config().limits_table, keys.socket(socket.connection), "ADD #subs :names",
                     condition=f"attribute_exists(#pk) AND ({room})", values=values)  # fmt: skip
    except ConditionFailed as failure:
        if failure.old is None:
            raise Unavailable("The socket is closed") from None
        raise TooManySockets(f"A socket has at most {SUBSCRIPTIONS} subscriptions") from None


def drop_subscription(socket: Socket, name: str) -> None:
    """Count a subscription no more."""
    try:
        table.update(config().limits_table, keys.socket(socket.connection), "DELETE #subs :names",
                     condition="attribute_exists(#pk)", values={"names": {name}})  # fmt: skip
    except ConditionFailed:
        return  # it is closed


def forget(socket: Socket, request_id: str) -> None:
    """Take down that a socket is closed, and let its subscriptions end; the second time nothing happens."""
    gone = Write(config().limits_table, "delete", keys.socket(socket.connection), condition="attribute_exists(#pk)")
    with suppress(ConditionFailed):
        _commit([gone, _counted(socket, "", -1), _counted(socket, socket.who.principal, -1)])
    # Behind the deletion: a subscription that is made meanwhile finds no socket, or is found by this order.
    orders.send(socket, {"do": "left", "connection": socket.connection}, request_id)


def close(socket: Socket, request_id: str) -> None:
    """Close a socket and forget it. Raises Unavailable."""
    wires.close(socket.connection)
    forget(socket, request_id)


def lose(connection: str, request_id: str) -> None:
    """Close a socket that cannot be sent to, or whose caller may not go on.

    Where that fails it stays known as lost: its next message is refused, and the sweep tries again.
    """
    socket = find(connection)
    if socket is None:
        return
    try:
        close(socket, request_id)
    except Unavailable:
        with suppress(ConditionFailed):
            table.update(config().limits_table, keys.socket(connection), "SET #lost = :yes", condition="attribute_exists(#pk)",
                         values={"yes": True})  # fmt: skip


def every() -> Iterator[Socket]:
    """The open sockets of all tenants, for whoever looks after them."""
    for shard in range(SOCKET_SHARDS):
        yield from map(_of, table.query(config().limits_table, keys.sockets(shard), page=1_000))


def _of(item: Item) -> Socket:
    who = Named(item["tn"], item["p"], item.get("s"), item["ip"])
    return Socket(item["tn"], item["sk"], who, item["at"], item.get("lost", False))


def _counted(scope: Scope, principal: str, step: int, most: int = 0) -> Write:
    condition = "attribute_not_exists(#n) OR #n < :most" if step > 0 else ""
    values = {"step": step, **({"most": most} if step > 0 else {})}
    key = keys.open_sockets(scope, principal)
    return Write(config().limits_table, "update", key, expression="ADD #n :step", condition=condition, values=values)


def _commit(writes: list[Write]) -> None:
    for attempt in range(1, _TRIES + 1):
        try:
            table.commit(writes)
        except Contended:
            if attempt == _TRIES:
                raise
            log.debug("sockets of one tenant open at once")
            time.sleep(random.uniform(0.01, 0.03) * attempt)  # noqa: S311  # spreads writers, keeps no secret
        else:
            return
