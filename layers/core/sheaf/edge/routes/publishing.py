"""Publishing events of one's own: `POST /v1/events`."""

from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request
from sheaf.features.webhooks import publishing


def publish(request: Request) -> Reply:
    """`{"type", "data", "key"?}`: an event that is declared in `custom_events`."""
    return Reply(publishing.publish(request.caller, request.json(), request.once()), 202)
