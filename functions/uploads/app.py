"""Files: `/v1/uploads`, `/v1/upload`; batches of audience records: `/v1/audience`."""

from sheaf.edge.api import Api
from sheaf.edge.routes import audience, uploads

api = Api()
uploads.register(api)
audience.register(api)
handler = api.handler
