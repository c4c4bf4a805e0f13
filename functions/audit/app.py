"""The audit log: `/v1/audit`."""

from sheaf.edge.api import Api
from sheaf.edge.routes import audit

api = Api()
audit.register(api)
handler = api.handler
