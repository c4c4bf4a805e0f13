"""The users of a tenant as its admins see and steer them, one by one or many as a job."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.access import limits, persons, roles, tenants, tries
from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import USER_ACTIONS
from sheaf.base.clock import iso
from sheaf.base.config import config
from sheaf.base.errors import Conflict, SheafError, TooLarge, ValidationFailed
from sheaf.entity import query, registry
from sheaf.entity.body import object_of
from sheaf.entity.filters import Group, Test
from sheaf.entity.hooks import Change
from sheaf.entity.names import ROLES
from sheaf.features.accounts import api_keys, invitations, letters, people
from sheaf.formats import ndjson
from sheaf.jobs import machine
from sheaf.jobs.machine import Status
from sheaf.jobs.runner import Result, Task
from sheaf.jobs.shapes import Chunks
from sheaf.records import notes, read
from sheaf.records.once import Once
from sheaf.records.page import Page, page
from sheaf.records.rows import Stamp
from sheaf.store import blobs, keys, table
from sheaf.store.table import Item, Write

ACTIONS = ("ban", "unban", "suspend", "unsuspend", "verify", "change_role")
_CHUNK_USERS = 25  # of one chunk: each takes two calls and a transaction
_RESULTS = "results.ndjson"


def listing(caller: Caller, asked: Mapping[str, str]) -> tuple[Page, query.Query, list[dict[str, Any]]]:
    """A page of users with their last logins; `search` finds parts of names and addresses. Raises InvalidParameter."""
    users = registry.find("users")
    given = dict(asked)
    text = given.pop("search", "").strip()
    wanted = query.parse(users, {"page": "1", **given} if "cursor" not in given else given)
    parts = tuple(Test(name, "icontains", text, users.kinds[name]) for name in ("name", "email"))
    # The text is part of what a cursor is bound to, as every parameter is.
    found = page(caller, replace(wanted, identity=f"{wanted.identity}\0{text}"), (Group("or", parts),) if text else ())
    return found, wanted, _with_logins(caller, [row.document for row in found.rows])


def show(caller: Caller, user_id: str) -> dict[str, Any]:
    """One user with the last login; raises NotFound."""
    return _with_logins(caller, [people.profile(caller, user_id)])[0]


def add(caller: Caller, body: object, once: Once | None = None) -> dict[str, Any]:
    """Add `{"name", "email", "role"?}`: pending until a password is set by a mail. Raises ValidationFailed, Conflict."""
    fields = object_of(body, "name", "email", "role")
    checked = registry.find("users").created({**fields, "status": "pending"}, Change("created", caller.principal, "", None))
    given = {name: checked[name] for name in ("name", "email", "role", "status")}
    roles.require_grant(caller, given["role"])
    invitations.revoke_all(caller, given["email"])  # one way in is enough
    user_id = ids.new("usr")
    # Whether the address has an account elsewhere is found out by the letter alone.
    return people.create(caller, user_id, given, None, along=[_welcoming(caller, user_id, given["email"])], once=once).document


def change(caller: Caller, user_id: str, body: object) -> dict[str, Any]:
    """Change a user's `{"role"?, "status"?, "name"?}`; raises ValidationFailed, NotFound, Conflict."""
    fields = object_of(body, "role", "status", "name")
    if not fields:
        raise ValidationFailed.naming({"": "must hold role, status or name"})
    wrong = {name: "must not be null" for name, value in fields.items() if value is None}
    if fields.get("status") == "pending":
        wrong["status"] = "must be active, suspended or banned"
    if wrong:
        raise ValidationFailed.naming(wrong)
    _require_another(persons.person_of(caller), user_id, fields)
    roles.require_grant(caller, str(fields.get("role", "user")))

    def decide(person: Mapping[str, Any]) -> Mapping[str, Any]:
        if fields.get("status") == "active" and person["status"] != "active":
            if not people.account_of(user_id, person["email"]):
                raise Conflict("This user has not set a password yet; a mail with a link lets them")
            roles.require_grant(caller, person["role"])
        return fields

    row = people.change(caller, user_id, decide)
    return _with_logins(caller, [row.document])[0]


def remove(caller: Caller, user_id: str, once: Once | None = None) -> None:
    """Take a user out of the tenant; raises NotFound, Conflict."""
    if once and once.found():
        return
    _require_another(persons.person_of(caller), user_id, {"status": "removed"})
    invitations.revoke_all(caller, people.profile(caller, user_id)["email"])
    people.remove(caller, user_id, once)


def welcome(caller: Caller, user_id: str) -> None:
    """Send the mail again that lets a user set a first password; raises NotFound, Conflict where there is one already."""
    person = people.profile(caller, user_id)
    if people.account_of(user_id, person["email"]):
        raise Conflict("This user has a password already; forgot sends a mail")
    table.commit([_welcoming(caller, user_id, person["email"]), notes.note(caller, "user.welcomed", user_id)])


def unlock(caller: Caller, user_id: str) -> None:
    """Forget a user's wrong passwords; raises NotFound."""
    email = people.profile(caller, user_id)["email"]
    if people.account_of(user_id, email):
        table.commit([notes.note(caller, "user.unlocked", user_id)])
        tries.clear_login(keys.mailbox(email))


def refill(caller: Caller, principal: str) -> dict[str, Any]:
    """Give a user or an API key of the tenant the window of this minute back; raises NotFound."""
    is_key = principal.startswith("key_")
    name = api_keys.find(caller, principal)["p"] if is_key else people.profile(caller, principal)["id"]
    table.commit([notes.note(caller, "rate_limit.reset", principal)])
    limits.refill(keys.principal(caller, name))
    return {"principal": principal, "reset": True}


def accept(caller: Caller, body: object, once: Once | None) -> Item:
    """Put `{"action", "userIds", "role"?}` down as a job; raises ValidationFailed, TooLarge."""
    if once and (first := once.found()):
        return machine.find(caller, first["job"])
    fields = object_of(body, "action", "userIds", "role")
    wrong: dict[str, str] = {}
    action, wanted, role = fields.get("action"), fields.get("userIds"), fields.get("role")
    if action not in ACTIONS:
        wrong["action"] = f"must be one of {', '.join(ACTIONS)}"
    if action == "change_role" and role not in ROLES:
        wrong["role"] = f"must be one of {', '.join(ROLES)}"
    elif action != "change_role" and role is not None:
        wrong["role"] = "is for change_role"
    if not isinstance(wanted, list) or not wanted or not all(isinstance(each, str) and each for each in wanted):
        wrong["userIds"] = "must be a list of user ids"
    elif len(set(wanted)) < len(wanted):
        wrong["userIds"] = "names a user twice"
    # Whom these actions let in again may be an admin.
    roles.require_grant(caller, "admin" if action in ("unban", "unsuspend") else role if isinstance(role, str) else "user")
    if wrong or not isinstance(wanted, list):
        raise ValidationFailed.naming(wrong)
    if len(wanted) > USER_ACTIONS:
        raise TooLarge(f"{len(wanted):,} users; {USER_ACTIONS:,} is the most")
    chunks = -(-len(wanted) // _CHUNK_USERS)
    plan = {
        "action": action,
        "role": role,
        "person": persons.person_of(caller),
        "ids": to_json([each[:80] for each in wanted]).decode(),
        "file": _RESULTS,
    }
    return machine.accept(caller, "users", job_id=machine.new_id(), entity="users", chunks=chunks, total=len(wanted), plan=plan,
                          once=once)  # fmt: skip


class UsersWork(Chunks):
    """The chunks of a job over users: the outcome of each stands in one line of results.ndjson."""

    def run(self, task: Task) -> Result:
        """Apply the action to the users of one chunk; to do it again changes nothing and says the same."""
        wanted: list[str] = from_json(task.job["ids"])
        start = task.number * _CHUNK_USERS
        lines = [_applied(task, index, user_id) for index, user_id in enumerate(wanted[start : start + _CHUNK_USERS], start)]
        blobs.put(config().jobs_bucket, _part_key(task.caller, task.job["sk"], task.number), ndjson.dump(lines),
                  "application/x-ndjson")  # fmt: skip
        return {name: sum(1 for line in lines if line["outcome"] == name) for name in ("updated", "skipped", "failed")}

    def finalise(self, caller: Caller, job: Item, done: Sequence[Item], status: Status) -> Result:
        """Join the outcomes of all chunks."""
        good = [int(chunk["sk"]) for chunk in done if "lost" not in chunk]
        parts = [blobs.get(config().jobs_bucket, _part_key(caller, job["sk"], number)) for number in good]
        whole = b"".join(parts)
        blobs.put(config().jobs_bucket, keys.job_object(caller, job["sk"], _RESULTS), whole, "application/x-ndjson")
        return {"rows": whole.count(b"\n"), "bytes": len(whole), "sha256": sha256(whole).hexdigest()}


def wanted_change(action: str, role: str | None, before: Mapping[str, Any], has_account: Callable[[], bool]) -> dict[str, Any]:
    """What an action makes of a person; nothing where that is so already. Raises Conflict where it cannot be.

    Who has not set a password yet goes back to pending: nobody could log in as them.
    """
    status = before["status"]
    match action:
        case "ban":
            after: dict[str, Any] = {"status": "banned"}
        case "suspend":
            if status == "banned":
                raise Conflict("A banned user cannot be suspended; unban first")
            after = {"status": "suspended"}
        case "unban":
            after = {"status": "active" if has_account() else "pending"} if status == "banned" else {}
        case "unsuspend":
            after = {"status": "active" if has_account() else "pending"} if status == "suspended" else {}
        case "verify":
            after = {"emailVerified": True}
        case _:
            after = {"role": role}
    return {name: value for name, value in after.items() if before.get(name) != value}


def _applied(task: Task, index: int, user_id: str) -> dict[str, Any]:
    caller, job = task.caller, task.job
    try:
        item = read.item(caller, registry.find("users"), user_id)
        mine = (item.get("j"), item.get("n")) == (job["sk"], index)
        if not mine:
            decided: list[Mapping[str, Any]] = []
            people.change(caller, user_id, partial(_decide, task, user_id, decided), stamp=Stamp(job["sk"], index))
            if not decided[-1]:
                return {"index": index, "id": user_id, "outcome": "skipped"}
    except SheafError as error:
        if error.status >= 500:
            raise  # the table's trouble is not the user's: the whole chunk comes again
        return {"index": index, "id": user_id, "outcome": "failed", "error": error.message, "code": error.code}
    return {"index": index, "id": user_id, "outcome": "updated"}


def _decide(task: Task, user_id: str, decided: list[Mapping[str, Any]], person: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is to be changed of the person as it stands; noted, for it may be asked again when another writer came between."""
    change = wanted_change(
        task.job["action"], task.job.get("role"), person, lambda: people.account_of(user_id, person["email"]) is not None
    )
    _require_another(task.job["person"], user_id, change)
    decided.append(change)
    return change


def _welcoming(caller: Caller, user_id: str, email: str) -> Write:
    """The write that asks for the mail which lets a user set a first password."""
    tenant = tenants.find(caller)
    return letters.asking(email, "welcome", tenant=tenant["name"] if tenant else "", tn=caller.tenant, us=user_id)


def _require_another(person: str, user_id: str, change: Mapping[str, Any]) -> None:
    """Nobody shuts themselves out by a slip, or lets themselves in again by a key of theirs."""
    if user_id == person and ("role" in change or "status" in change):
        raise Conflict("You cannot change your own role or status; another admin can")


def _with_logins(caller: Caller, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = table.get_many(config().limits_table, [keys.principal(caller, each["id"]) for each in documents])
    logins = {key.sk: row.get("last") for key, row in found.items()}
    return [{**each, "lastLogin": iso(last * 1000) if (last := logins.get(each["id"])) else None} for each in documents]


def _part_key(caller: Caller, job_id: str, number: int) -> str:
    return keys.job_object(caller, job_id, f"results-{number:06d}.ndjson")
