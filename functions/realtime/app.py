"""Real time over HTTP: the event log `/v1/events` and the streams `/v1/stream` and `/v1/stream/{entity}`."""

from sheaf.edge.api import Api
from sheaf.edge.routes import realtime

api = Api()
realtime.register(api)
handler = api.handler
