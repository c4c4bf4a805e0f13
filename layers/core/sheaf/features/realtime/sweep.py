"""Sockets that should be closed: of sessions that have ended, of people who were banned, and those that closed in silence."""

from collections import defaultdict
from collections.abc import Callable, Mapping

from sheaf.access import guard
from sheaf.features.realtime import orders, sockets
from sheaf.features.realtime.sockets import Socket

Survives = Callable[[Callable[[], None], Mapping[str, str]], bool]


def sweep(request_id: str, survives: Survives) -> dict[str, int]:
    """Look at every open socket and close those whose caller would not be let in any more; how many of each."""
    tenants: dict[str, list[Socket]] = defaultdict(list)
    for socket in sockets.every():
        tenants[socket.tenant].append(socket)
    closed = 0
    for several in tenants.values():
        living = guard.living(several[0], {each.who for each in several}, request_id)
        # What an order has failed to do is done now, at the latest; and nothing happens where nothing is left to do.
        survives(lambda scope=several[0]: orders.ask(scope, orders.NEWS, request_id), {"tenant": several[0].tenant})  # type: ignore[misc]
        for each in several:
            if each.is_over or each.is_lost or each.who not in living:
                closed += survives(lambda each=each: sockets.close(each, request_id), {"socket": each.connection})  # type: ignore[misc]
    return {"open": sum(map(len, tenants.values())) - closed, "closed": closed}
