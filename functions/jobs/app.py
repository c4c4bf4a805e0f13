"""Jobs: `/v1/jobs`, to list, wait for, cancel, retry and revert."""

from sheaf.edge.api import Api
from sheaf.edge.routes import jobs

api = Api()
jobs.register(api)
handler = api.handler
