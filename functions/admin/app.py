"""Administration: `/v1/admin/users`, `/v1/batch/users/action`, `/v1/tenants`, `/v1/rate-limits`, `/v1/backup`."""

from sheaf.edge.api import Api
from sheaf.edge.routes import backups, members, tenants

api = Api()
members.register(api)
tenants.register(api)
backups.register(api)
handler = api.handler
