"""Mails to the admins of a tenant: that a webhook does nothing but fail, and that it was disabled for it."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from pydantic_core import from_json

from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.config import config
from sheaf.entity import filters, registry
from sheaf.records.events import Event
from sheaf.store import keys, table
from sheaf.store.keys import Scope
from sheaf.store.table import Span

_ADMINS = 20  # who are written to


def message(event: Event) -> Mapping[str, Any]:
    """What asks the sender of mails to write to the admins about a webhook."""
    return {"tenant": event.tenant, "id": event.id, "webhook": event.type, "data": event.data, "requestId": event.request_id}


def mails(scope: Caller, asked: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The mails, one for each active admin. A second time they are the same mails."""
    about = from_json(asked["data"])
    subject, text = _text(asked["webhook"], about)
    for user_id, address in _admins(scope):
        mail_id = ids.derived("mail", ids.time_of(asked["id"]), f"{asked['id']}:{user_id}")
        yield {"id": mail_id, "to": address, "subject": subject, "text": text, "replyTo": None}


def _text(kind: str, about: Mapping[str, Any]) -> tuple[str, str]:
    what = f"The webhook {about['id']} to {about['url']}"
    if kind == "endpoint.disabled":
        return f"Webhook {about['id']} was disabled", (
            f"{what} was disabled: {about['reason']}.\n\n"
            "Enable it when its receiver works again, and replay what it has missed: nothing of it is lost for thirty days.\n"
        )
    return f"Webhook {about['id']} fails", (
        f"{what} does nothing but fail. It will be disabled at {about['disablesAt']} if that goes on.\n\n"
        "Its deliveries and what the receiver has answered are listed with the webhook.\n"
    )


def _admins(scope: Scope) -> Iterator[tuple[str, str]]:
    users = registry.find("users")
    value = filters.index_value(users.kinds["role"], "admin")
    span = Span(keys.index(scope, "users", "role", value), index=users.indexes["role"])
    found = islice(table.query(config().records_table, span), _ADMINS)
    rows = table.get_many(config().records_table, [keys.record(scope, "users", item["sk"]) for item in found])
    for key, row in rows.items():
        user = from_json(row["d"])
        if user["role"] == "admin" and user["status"] == "active":
            yield key.sk, user["email"]
