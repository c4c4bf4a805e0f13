"""Webhooks: `/v1/webhooks`, `/v1/event-types` and `/v1/events`."""

from sheaf.edge.api import Api
from sheaf.edge.routes import webhooks

api = Api()
webhooks.register(api)
handler = api.handler
