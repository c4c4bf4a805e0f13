"""Accounts: `/v1/auth`, `/v1/me`, `/v1/sessions`, `/v1/api-keys`."""

from sheaf.edge.api import Api
from sheaf.edge.routes import auth, me

api = Api()
auth.register(api)
me.register(api)
handler = api.handler
