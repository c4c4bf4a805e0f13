"""Endpoints after which somebody may not do any more what their open sockets are for."""

from sheaf.base.errors import Unavailable
from sheaf.base.log import log
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request
from sheaf.edge.router import Endpoint
from sheaf.store.queues import SendFailed


def closing(endpoint: Endpoint) -> Endpoint:
    """The endpoint; when it has done its work, the sockets of the tenant are looked at.

    That only saves time: what is not told here, the sweep of every half minute finds.
    """

    def answer(request: Request, **parameters: str) -> Reply:
        reply = endpoint(request, **parameters)
        from sheaf.features.realtime import orders

        try:
            orders.check(request.caller, request.id)
        except (Unavailable, SendFailed):
            log.warning("sockets are looked at later", exc_info=True)
        return reply

    return answer
