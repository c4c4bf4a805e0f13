"""Accounts: `/v1/auth/login`."""

from sheaf.access import accounts
from sheaf.base.bounds import LOGIN_PER_WINDOW
from sheaf.base.errors import ValidationFailed
from sheaf.edge.api import Api
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request

api = Api()


@api.public("POST", "/v1/auth/login", per_window=LOGIN_PER_WINDOW)
def login(request: Request) -> Reply:
    body = request.json()
    email, password = (body.get("email"), body.get("password")) if isinstance(body, dict) else (None, None)
    wrong = {name: "is required, a string" for name, value in (("email", email), ("password", password))
             if not isinstance(value, str) or not 0 < len(value) <= 254}  # fmt: skip
    if wrong:
        raise ValidationFailed("E-mail and password are required", fields=wrong)
    return Reply(accounts.login(str(email), str(password), request.id), message="Login successful")


handler = api.handler
