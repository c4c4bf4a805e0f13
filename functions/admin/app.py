"""Administration: `/v1/admin/users`, `/v1/batch/users/action`, `/v1/tenants`, `/v1/rate-limits`."""

from sheaf.edge.api import Api
from sheaf.edge.routes import members, tenants

api = Api()
members.register(api)
tenants.register(api)
handler = api.handler
