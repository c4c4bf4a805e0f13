"""People of the deployed stack: made by an admin, given a password by mail, logged in; and clients that wait for their turn."""

import time
from collections.abc import Mapping
from typing import Any

from client import Answer, Client, until
from mail import mails, token_of

PASSWORD = "correct horse battery"


def unique(name: str) -> str:
    return f"{name}.{time.time_ns()}@example.com"


def patient(call: Any, seconds: float = 90) -> Answer:
    """The answer once the window of our one address, or of a key, has room."""
    found: Answer = until(lambda: (answer := call()).status != 429 and answer, seconds=seconds, pause=2)
    return found


class Patient(Client):
    """A client that tries again where its window is used up, for ten minutes."""

    def call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """As that of Client; it never answers 429."""
        ask = super().call
        return patient(lambda: ask(method, path, body, headers), 600)


def login(anybody: Client, email: str, password: str = PASSWORD) -> Any:
    answer = patient(lambda: anybody.post("/v1/auth/login", {"email": email, "password": password}))
    assert answer.status == 200, answer.body
    return answer.json


def mailed(stack: dict[str, Any], email: str, count: int = 1) -> str:
    found = until(lambda: len(mails(stack["endpoint_url"], email)) >= count and mails(stack["endpoint_url"], email), seconds=60)
    return token_of(found[-1])


def made(stack: dict[str, Any], admin: Client, anybody: Client, role: str = "user") -> tuple[str, str]:
    """A user of the admin's tenant with a password: the id and the address."""
    email = unique(role)
    user = admin.post("/v1/admin/users", {"name": "Ann", "email": email, "role": role}).data["id"]
    token = mailed(stack, email)
    assert patient(lambda: anybody.post("/v1/auth/reset", {"token": token, "password": PASSWORD})).status == 200
    return user, email
