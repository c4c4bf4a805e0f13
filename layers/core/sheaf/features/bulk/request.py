"""The forms in which many rows are asked for. All of them end in one BulkRequest."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic_core import to_json

from sheaf.access import roles
from sheaf.access.caller import Caller
from sheaf.base.bounds import BULK_INLINE_ITEMS, BULK_ITEMS, DOCUMENT_BYTES
from sheaf.base.errors import TooLarge, ValidationFailed
from sheaf.entity.names import SYSTEM_FIELDS, Action
from sheaf.entity.registry import EntityType

Verb = Literal["create", "update", "upsert", "delete"]
VERBS: tuple[Verb, ...] = ("create", "update", "upsert", "delete")
ACTIONS: dict[Verb, tuple[Action, ...]] = {  # that the role must allow, beside `bulk`
    "create": ("create",),
    "update": ("update",),
    "upsert": ("create", "update"),
    "delete": ("delete",),
}
_OF_METHOD: dict[str, Verb] = {"PATCH": "update", "DELETE": "delete"}
_FORMS = ("items", "updates", "ids")
_FLAGS = ("skipInvalid", "returnFailures", "atomic", "dryRun")


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """What is to become of the items, and how to treat the invalid ones.

    Items of `create` and `upsert` are rows, those of the other verbs objects with an `id` (and a `version` that it must have).
    `key`: the unique field by which `upsert` finds its rows; `create` with a key leaves rows alone that are there already.
    """

    verb: Verb
    items: list[Any]
    key: str = ""
    skip_invalid: bool = True
    return_failures: bool = True
    atomic: bool = False
    dry: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)  # laid over every item

    def fields(self, item: Any) -> Any:
        """An item with what is laid over it."""
        return {**item, **self.data} if self.data and isinstance(item, dict) else item

    @property
    def is_inline(self) -> bool:
        """Whether the request is answered at once."""
        return self.atomic or len(self.items) <= BULK_INLINE_ITEMS


def parse(entity: EntityType, body: object, method: str = "POST", *, dry: bool = False,
          named: Callable[[str], str] = str) -> BulkRequest:  # fmt: skip
    """Read one of the forms; raises ValidationFailed, TooLarge.

    A bare array, `{"items": […]}`, `{"updates": [{"id", …}]}`, `{"ids": […], "data": {…}}` or `{"ids": […]}`, each object with
    `operation` and `options` where need be. A bare array and the forms of updates and deletions report item by item; `items`
    refuses the whole request for an invalid one unless `skipInvalid` is true. `named` turns a field's name of the request's
    version into the declared one.
    """
    if isinstance(body, list):
        return _bounded(BulkRequest(_verb_of(method, None, "create"), body, dry=dry))
    if not isinstance(body, dict):
        raise ValidationFailed(
            "The body must be an array of items or an object with items", fields={"": "must be an array or an object"}
        )
    form = next((name for name in _FORMS if name in body), "items")
    known = (form, "options", "operation", *(("data",) if form == "ids" else ()))
    wrong = {name[:200]: "is not known here" for name in body if name not in known}
    verb = _verb(body, form, method, wrong)
    options = _options(body.get("options", {}), wrong)
    found = body.get(form)
    if not isinstance(found, list):
        wrong[form] = "is required" if found is None else "must be an array"
    data = body.get("data", {})
    if not isinstance(data, dict) or (form == "ids" and verb == "update" and not data):
        wrong["data"], data = "must be an object of fields", {}
    elif own := [name for name in ("id", "version") if name in data]:
        wrong[f"data.{own[0]}"] = "stands in ids"
    elif len(to_json(data)) > DOCUMENT_BYTES:
        wrong["data"] = f"is larger than a row may be ({DOCUMENT_BYTES:,} bytes)"
    key = named(str(options.get("key", "")))
    _check_key(entity, verb, key, wrong)
    whole = form == "items" and verb in ("create", "upsert")
    if options.get("skipInvalid") is False and not whole:
        wrong["options.skipInvalid"] = "cannot be false here; atomic writes all or nothing"
    if wrong or not isinstance(found, list):
        raise ValidationFailed("The bulk request is malformed", fields=wrong)
    items = [each if isinstance(each, dict) else {"id": each} for each in found] if form == "ids" else found
    return _bounded(BulkRequest(
        verb, items, key, options.get("skipInvalid", not whole), options.get("returnFailures", not whole),
        options.get("atomic", False), dry or options.get("dryRun", False), data,
    ), form)  # fmt: skip


def server_set(entity: EntityType) -> frozenset[str]:
    """What a row that was exported carries and no new row can be given."""
    return frozenset((*SYSTEM_FIELDS, *entity.given))


def without(item: Any, names: frozenset[str]) -> Any:
    """An item without some of its members."""
    return {name: value for name, value in item.items() if name not in names} if isinstance(item, dict) else item


def require(caller: Caller, entity: EntityType, verb: Verb) -> None:
    """Raise PermissionDenied unless the caller's role may do to one row what is asked for many."""
    for action in ACTIONS[verb]:
        # A key's scope is `…:bulk`, which covers every verb; the role is held to each.
        permission = f"{entity.path}:{action}"
        if not roles.allows(caller.role, roles.least_of(permission, entity.model.access)):
            roles.require(caller, permission, roles.least_of(permission, entity.model.access))


def _verb(body: dict[str, Any], form: str, method: str, wrong: dict[str, str]) -> Verb:
    asked = body.get("operation")
    if asked is not None and asked not in VERBS:
        wrong["operation"] = f"must be one of {', '.join(VERBS)}"
        asked = None
    if form == "items":
        return _verb_of(method, asked, "create")
    if form == "updates" or "data" in body:
        if asked not in (None, "update") or method == "DELETE":
            wrong["operation"] = "must be update for this form"
        return "update"
    if method != "DELETE" and asked != "delete":
        wrong["operation"] = "is required: delete; or send data to change these rows"
    return "delete"


def _verb_of(method: str, asked: Verb | None, otherwise: Verb) -> Verb:
    return _OF_METHOD.get(method) or asked or otherwise


def _options(options: object, wrong: dict[str, str]) -> dict[str, Any]:
    if not isinstance(options, dict):
        wrong["options"] = "must be an object"
        return {}
    wrong |= {f"options.{name[:200]}": "is not known here" for name in options if name not in (*_FLAGS, "key")}
    for name, value in options.items():
        if name in _FLAGS and not isinstance(value, bool):
            wrong[f"options.{name}"] = "must be true or false"
        if name == "key" and not isinstance(value, str):
            wrong["options.key"] = "must be the name of a field"
    return options


def _check_key(entity: EntityType, verb: Verb, key: str, wrong: dict[str, str], where: str = "options.key") -> None:
    if verb == "upsert" and not key:
        wrong[where] = f"is required to upsert: a unique field of {entity.path}"
    elif key and verb not in ("create", "upsert"):
        wrong[where] = "is for create and upsert; rows are changed and deleted by their id"
    if key and key not in entity.uniques:
        unique = ", ".join(entity.uniques) or "it has none"
        wrong[where] = f"{key[:80]!r} is no unique field of {entity.path} ({unique})"


def check_key(entity: EntityType, verb: Verb, key: str) -> dict[str, str]:
    """What is wrong with the key of an import."""
    wrong: dict[str, str] = {}
    _check_key(entity, verb, key, wrong, "key")
    return wrong


def _bounded(request: BulkRequest, form: str = "items") -> BulkRequest:
    if not request.items:
        raise ValidationFailed("There are no items", fields={form: "must not be empty"})
    if len(request.items) > BULK_ITEMS:
        raise TooLarge(f"{len(request.items):,} items; {BULK_ITEMS:,} is the most")
    return request
