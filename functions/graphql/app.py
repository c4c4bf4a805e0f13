"""GraphQL over the entities: operations, those that are registered, the schema, and a page to try them."""

from sheaf.edge.api import Api
from sheaf.edge.routes import graphql

api = Api()
graphql.register(api)
handler = api.handler
