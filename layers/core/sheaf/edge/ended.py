"""Endpoints after which somebody may not do any more what their open sockets are for."""

from sheaf.base.log import log
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request
from sheaf.edge.router import Endpoint


def closing(endpoint: Endpoint) -> Endpoint:
    """The endpoint; when it has done its work, the sockets of the tenant are looked at.

    That only saves time: what is not told here, the sweep of every half minute finds.
    """

    def answer(request: Request, **parameters: str) -> Reply:
        reply = endpoint(request, **parameters)
        from sheaf.features.realtime import orders

        try:
            orders.ask(request.caller, orders.CHECK, request.id)
        except Exception:
            log.warning("sockets are looked at later", exc_info=True)
        return reply

    return answer
