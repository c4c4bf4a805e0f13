"""Entity rows: `/v1/{entity}`, `/v1/{entity}/{id}` and what lies below; and the endpoints that adopters add."""

import endpoints
from sheaf.edge.api import Api
from sheaf.edge.routes import rows

api = Api()
rows.register(api)
endpoints.register(api)
handler = api.handler
