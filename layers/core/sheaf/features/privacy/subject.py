"""Who a request about personal data is about: a user of the tenant, or somebody of whom only an address is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.access import persons
from sheaf.access.caller import Caller
from sheaf.base.errors import ValidationFailed
from sheaf.entity import registry
from sheaf.entity.registry import EntityType
from sheaf.records import read
from sheaf.records.rows import fields_of
from sheaf.store.keys import Scope
from sheaf.store.table import Item


@dataclass(frozen=True, slots=True)
class Subject:
    """A person. `user` is empty for one without an account."""

    user: str
    email: str

    def plan(self, scope: Scope) -> Item:
        """What a job keeps of it: the person, and who has acted for it: the user, and the keys that the user has made."""
        actors = [self.user, *persons.keys_of(scope, self.user)] if self.user else []
        return {"user": self.user or None, "email": self.email, "actors": actors}

    @classmethod
    def of(cls, job: Item) -> "Subject":
        """The person that a job is about."""
        return cls(job.get("user", ""), job["email"])

    def is_in(self, entity: EntityType, item: Item) -> bool:
        """Whether a row is about the person: the profile itself, or a row with the address in a personal field."""
        if item["sk"] == self.user:
            return True
        fields = fields_of(item)
        return any(fields.get(name) == self.email for name in entity.personal)


def named_in(fields: Mapping[str, Any], wrong: dict[str, str]) -> str:
    """Which of `userId` and `email` names a person; empty, and said in `wrong`, where it is not exactly one of them."""
    found = [name for name in ("userId", "email") if name in fields]
    if len(found) == 1 and isinstance(fields[found[0]], str) and fields[found[0]].strip():
        return found[0]
    wrong["userId"] = "or email is required, one of the two"
    return ""


def of_request(caller: Caller, fields: Mapping[str, Any], name: str) -> Subject:
    """The person of `userId` or `email`, whichever `name` says; raises NotFound for a user that there is not."""
    users = registry.find("users")
    if name == "userId":
        return Subject(fields[name], fields_of(read.item(caller, users, fields[name]))["email"])
    email = fields[name].strip().lower()
    if len(email) > 320 or "@" not in email:
        raise ValidationFailed.naming({"email": "must be an e-mail address"})
    return Subject(read.holder(caller, users, "email", email) or "", email)


class Actors:
    """Who has acted for a person: keys that are gone are found where the log says that they were made, oldest entries first."""

    def __init__(self, job: Item, before: Item | None) -> None:
        self.ids: set[str] = {*job["actors"], *from_json((before or {}).get("actors", "[]"))}

    def did(self, item: Item) -> bool:
        """Whether an entry of the log is something that the person has done."""
        mine = item["a"] in self.ids
        if mine and item["ty"] == "api_key.created" and item.get("tg"):
            self.ids.add(item["tg"])
        return mine

    def told(self) -> str:
        """For the next step."""
        return to_json(sorted(self.ids)).decode()
