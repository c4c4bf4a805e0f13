"""Many rows at once: bulk and import, now or as a job, and exports as a job."""

from sheaf.edge.api import Api
from sheaf.edge.routes import bulk, exports

api = Api()
bulk.register(api)
exports.register(api)
handler = api.handler
