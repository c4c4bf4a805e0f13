"""What a socket asks for: events of everything, of an entity or of one row, or what is published on a channel."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.access import roles
from sheaf.access.caller import Caller
from sheaf.access.guard import Named, Present
from sheaf.base.errors import InvalidParameter, ValidationFailed
from sheaf.entity import filters, registry
from sheaf.entity.body import object_of
from sheaf.features.realtime import cursors, sight, wanted
from sheaf.features.realtime.wanted import Wanted
from sheaf.records.events import Event
from sheaf.store import keys
from sheaf.store.keys import Key, Scope
from sheaf.store.table import Item

EVERYTHING = "*"
CHANNEL = "channel:"
NAME = re.compile(r"[A-Za-z0-9_.:*/-]{1,128}")
NAME_RULE = "must be 1 to 128 letters, digits and any of _ . : * / -"
_CHANNEL = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_FIELDS = ("action", "id", "entity", "row", "types", "filter", "fields", "channel", "presence", "names", "after")


@dataclass(frozen=True, slots=True)
class Subscription:
    """What one socket has asked for under one name. `member`: what others call who has asked."""

    connection: str
    name: str
    topic: str  # *, tasks, tasks/tsk_…, channel:room
    who: Named
    member: str
    wanted: Wanted
    terms: Mapping[str, Any]  # as they were asked for
    presence: bool = False
    colons: bool = False  # contact:created and not contact.created
    waits: str = ""  # until it has caught up: the mark of the order that goes on with it

    def item(self, scope: Scope) -> tuple[Key, Item]:
        """As it is kept."""
        item = {"p": self.who.principal, "s": self.who.session, "ip": self.who.address, "m": self.member,
                "terms": to_json(self.terms).decode(), "waits": self.waits or None}  # fmt: skip
        return keys.subscription(scope, self.connection, self.name), item


def read(who: Present, body: Mapping[str, Any], *, needs_after: bool = False) -> tuple[str, dict[str, Any]]:
    """The name and the terms of a subscription; raises ValidationFailed naming each wrong field, or PermissionDenied.

    `{"id"?, "entity"?, "row"?, "types"?: [], "filter"?: {}, "fields"?: [], "presence"?: bool, "names"?: "colon",
    "after"?: cursor}`, or `{"id"?, "channel", "presence"?}`.
    """
    asked = {name: value for name, value in object_of(body, *_FIELDS).items() if value is not None and name != "action"}
    wrong: dict[str, str] = {}
    for kind, what, names in ((str, "a text", ("entity", "row", "channel", "after")), (bool, "true or false", ("presence",)),
                              (dict, "an object", ("filter",))):  # fmt: skip
        wrong |= {name: f"must be {what}" for name in names if name in asked and not isinstance(asked[name], kind)}
    for name in ("types", "fields"):
        if name in asked and not (isinstance(asked[name], list) and all(isinstance(each, str) for each in asked[name])):
            wrong[name] = "must be a list of texts"
    if asked.get("names", "dot") not in ("dot", "colon"):
        wrong["names"] = "must be dot or colon"
    if needs_after and "after" not in asked:
        wrong["after"] = "is required: the cursor from which to go on"
    if wrong:
        raise ValidationFailed.naming(wrong)
    name = asked.pop("id", None) or topic_of(asked)
    _check(who, asked)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValidationFailed.naming({"id": NAME_RULE})
    return name, asked


def of(scope: Scope, connection: str, name: str, item: Mapping[str, Any]) -> Subscription:
    """A subscription that is kept; raises InvalidParameter where the installation does not know a field of it any more."""
    terms = from_json(item["terms"])
    who = Named(scope.tenant, item["p"], item.get("s"), item["ip"])
    return Subscription(connection, name, topic_of(terms), who, item["m"], wanted_of(terms), terms,
                        presence=terms.get("presence", False), colons=terms.get("names") == "colon",
                        waits=item.get("waits") or "")  # fmt: skip


def topic_of(terms: Mapping[str, Any]) -> str:
    """What those who ask for the same have in common."""
    if "channel" in terms:
        return f"{CHANNEL}{terms['channel']}"
    if "row" in terms:
        return f"{terms.get('entity', '')}/{terms['row']}"
    return str(terms.get("entity") or EVERYTHING)


def wanted_of(terms: Mapping[str, Any]) -> Wanted:
    """Which events the terms name, their filter's macros read now; raises InvalidParameter."""
    entity = registry.known(terms["entity"]) if "entity" in terms else None
    return Wanted(
        types=wanted.types_of(terms.get("types", [])),
        paths=frozenset([terms["entity"]] if "entity" in terms else []),
        row=wanted.row_of(entity, terms["row"]) if "row" in terms else "",
        condition=wanted.condition_of(entity, terms["filter"]) if "filter" in terms else filters.EVERYTHING,
        fields=wanted.fields_of(entity, terms["fields"]) if "fields" in terms else (),
    )


def require_channel(caller: Caller, name: object, permission: str) -> str:
    """The name of a channel; raises ValidationFailed, or PermissionDenied where the caller may not."""
    if not isinstance(name, str) or not _CHANNEL.fullmatch(name):
        raise ValidationFailed.naming({"channel": "must be 1 to 64 letters, digits and any of _ . -"})
    roles.require(caller, permission, roles.FIXED[permission])
    return name


def may_get(who: Present, subscription: Subscription) -> bool:
    """Whether the caller may still have anything of it."""
    if subscription.topic.startswith(CHANNEL):
        return who.may("channels:read", roles.FIXED["channels:read"])
    if subscription.topic == EVERYTHING:
        return who.may("events:read", roles.FIXED["events:read"])
    return sight.may_see(who, subscription.terms["entity"])


def _check(who: Present, terms: Mapping[str, Any]) -> None:
    caller = who.caller
    if "channel" in terms:
        if others := sorted(terms.keys() - {"channel", "presence"}):
            raise ValidationFailed.naming(dict.fromkeys(others, "is for events; a channel has none"))
        require_channel(caller, terms["channel"], "channels:read")
        return
    try:
        if "entity" in terms:
            wanted.path_of(who, terms["entity"])
        else:
            roles.require(caller, "events:read", roles.FIXED["events:read"])
        if terms.get("presence") and "entity" not in terms:
            raise InvalidParameter.naming({"presence": "needs an entity, a row or a channel"})
        wanted_of(terms)
        if "after" in terms:
            cursors.position_of(caller, terms["after"])
    except InvalidParameter as error:
        raise ValidationFailed(error.message, fields=error.fields) from None


def sees(who: Present, subscription: Subscription, event: Event) -> bool:
    """Whether an event goes to a subscription whose caller is this one."""
    return subscription.wanted.fits(event) and may_get(who, subscription) and sight.sees(who, event)
