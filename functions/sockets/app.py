"""WebSockets: sockets that open and close, and what their clients say."""

from sheaf.edge import socket
from sheaf.edge.start import start

start()
handler = socket.handler
