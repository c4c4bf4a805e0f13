"""Webhooks: `/v1/webhooks` and `/v1/event-types`."""

from sheaf.edge.api import Api
from sheaf.edge.routes import webhooks

api = Api()
webhooks.register(api)
handler = api.handler
