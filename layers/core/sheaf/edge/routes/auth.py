"""`/v1/auth/…`: in, on and out again. None of the public ones tells whether an address is known."""

from sheaf.access import tickets
from sheaf.access.caller import Caller, worker
from sheaf.base.bounds import LETTER_PER_WINDOW, LOGIN_PER_WINDOW, REFRESH_PER_WINDOW, REGISTER_PER_WINDOW, TOKEN_SECONDS
from sheaf.edge import cookies
from sheaf.edge.api import Api
from sheaf.edge.ended import closing
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request
from sheaf.edge.shapes import AUTH, flat
from sheaf.entity.body import object_of

SENT = "If the address is known here, a mail is on its way"


def register(api: Api) -> None:
    """Add the routes."""
    api.public("POST", "/v1/auth/register", per_window=REGISTER_PER_WINDOW, profile=AUTH)(_register)
    api.public("POST", "/v1/auth/verify", per_window=LETTER_PER_WINDOW, profile=AUTH)(_verify)
    api.public("POST", "/v1/auth/resend", per_window=LETTER_PER_WINDOW, profile=AUTH)(_resend)
    api.public("POST", "/v1/auth/login", per_window=LOGIN_PER_WINDOW, profile=AUTH)(_login)
    api.public("POST", "/v1/auth/refresh", per_window=REFRESH_PER_WINDOW, profile=AUTH)(_refresh)
    api.public("POST", "/v1/auth/forgot", per_window=LETTER_PER_WINDOW, profile=AUTH)(_forgot)
    api.public("POST", "/v1/auth/reset", per_window=LETTER_PER_WINDOW, profile=AUTH)(_reset)
    api.post("/v1/auth/logout", permission="me:write", profile=AUTH)(closing(_logout))
    api.post("/v1/auth/password", permission="me:write", cost=5, profile=AUTH)(closing(_password))
    api.post("/v1/auth/tickets", permission="tickets:create")(_ticket)


def _register(request: Request) -> Reply:
    from sheaf.features.accounts import registration

    shown = registration.register(request.json(), request.once(_visitor(request)), request.id)
    return flat(request, {"user": shown}, registration.TOLD, 201)


def _verify(request: Request) -> Reply:
    from sheaf.features.accounts import registration

    return flat(request, registration.verify(request.json(), request.id), "The address is confirmed; log in")


def _resend(request: Request) -> Reply:
    from sheaf.features.accounts import letters, registration

    letters.ask(registration.read_address(request.json()), "resend", request.once(_visitor(request)))
    return flat(request, {}, SENT)


def _login(request: Request) -> Reply:
    from sheaf.access import tokens
    from sheaf.features.accounts import login

    email, password, remember = login.read(request.json())
    grant, tenant, user = login.login(email, password, request.device, request.id)
    cookie = {"Set-Cookie": cookies.remember(tokens.issue(tenant, user["id"], grant.session, "session+jwt"))} if remember else {}
    return flat(request, {**grant.shown(), "user": user}, "Login successful", headers=cookie)


def _refresh(request: Request) -> Reply:
    from sheaf.features.accounts import login

    if not request.body and (cookie := cookies.session_of(request)):
        token, again = login.renew(cookie, request.device)
        shown = {"token": token, "tokenType": "Bearer", "expiresIn": TOKEN_SECONDS}
        return flat(request, shown, "Session renewed", headers={"Set-Cookie": cookies.remember(again)})
    body = object_of(request.json(), "refreshToken")
    return flat(request, login.refresh(body.get("refreshToken"), request.device).shown(), "Session renewed")


def _forgot(request: Request) -> Reply:
    from sheaf.features.accounts import letters, registration

    letters.ask(registration.read_address(request.json()), "reset", request.once(_visitor(request)))
    return flat(request, {}, SENT)


def _reset(request: Request) -> Reply:
    from sheaf.features.accounts import password

    password.reset(request.json(), request.id)
    return flat(request, {}, "The password is set; log in")


def _logout(request: Request) -> Reply:
    from sheaf.features.accounts import login

    login.logout(request.caller)
    return flat(request, {}, "Logged out", headers={"Set-Cookie": cookies.forget()})


def _password(request: Request) -> Reply:
    from sheaf.features.accounts import password

    password.change(request.caller, request.json(), request.once())
    return flat(request, {}, "The password is changed; your other sessions have ended")


def _ticket(request: Request) -> Reply:
    return Reply(tickets.issue(request.caller, request.proven.principal), 201)


def _visitor(request: Request) -> Caller:
    return worker("@visitors", "accounts", request.id)
