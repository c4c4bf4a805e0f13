"""What anybody may call: the greeting, the contact form, and the inbound hooks of whoever has their address."""

from sheaf.base.clock import iso, now_ms
from sheaf.edge.api import Api
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request
from sheaf.edge.routes import inbound
from sheaf.edge.shapes import CONTACT, HELLO
from sheaf.features import contact

api = Api()


@api.public("GET", "/v1/hello", profile=HELLO, everyone=True)
def hello(request: Request) -> Reply:
    agent = {"userAgent": request.headers["user-agent"]} if "user-agent" in request.headers else {}
    return Reply({"message": "Hello from Sheaf!", "timestamp": iso(now_ms()), **agent}, bare=True)


@api.public("POST", "/v1/contact", per_window=contact.PER_WINDOW, profile=CONTACT)
def send_message(request: Request) -> Reply:
    site = contact.site(request.id)
    row = contact.take(site, request.json(), request.source_ip, request.once(site))
    if request.version > 1 or request.prefer.canonical:
        return Reply({"id": row.id}, 201, message="Contact form submitted successfully")
    return Reply({"success": True, "message": "Contact form submitted successfully", "id": row.id}, 201, bare=True)


inbound.register(api)
handler = api.handler
