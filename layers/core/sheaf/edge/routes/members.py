"""`/v1/admin/users` and what admins do to many users at once."""

from typing import Any

from sheaf.base.bounds import ADMIN_USERS_PER_WINDOW
from sheaf.edge.api import Api
from sheaf.edge.ended import closing
from sheaf.edge.envelope import Reply, paged
from sheaf.edge.request import Request
from sheaf.edge.shapes import ADMIN, plain
from sheaf.entity.query import Query
from sheaf.features.accounts import members
from sheaf.jobs import progress
from sheaf.records.page import Page


def register(api: Api) -> None:
    """Add the routes."""
    api.get("/v1/admin/users", permission="members:read", profile=ADMIN, per_window=ADMIN_USERS_PER_WINDOW,
            lists=True)(_list)  # fmt: skip
    api.post("/v1/admin/users", permission="members:write", profile=ADMIN)(_add)
    api.get("/v1/admin/users/<user_id>", permission="members:read")(_show)
    api.route("PATCH", "/v1/admin/users/<user_id>", permission="members:write", remember=True)(closing(_change))
    api.route("DELETE", "/v1/admin/users/<user_id>", permission="members:write")(closing(_remove))
    api.post("/v1/admin/users/<user_id>/unlock", permission="members:write", remember=True)(_unlock)
    api.post("/v1/admin/users/<user_id>/welcome", permission="members:write", remember=True)(_welcome)
    api.post("/v1/admin/users/actions", permission="members:write", cost=5)(_act)
    api.post("/v1/batch/users/action", permission="members:write", cost=5)(_act)


def page_of(found: Page, asked: Query, users: list[dict[str, Any]]) -> Reply:
    """A page of users."""
    return paged(users, asked.limit, found.next_cursor, page=asked.page, total=found.total)


def _list(request: Request) -> Reply:
    found, asked, users = members.listing(request.caller, request.query)
    if plain(request):
        return page_of(found, asked, users)
    shown = [{"id": each["id"], "name": each["name"], "email": each["email"], "role": each["role"],
              "createdAt": each["createdAt"], "lastLogin": each["lastLogin"],
              # The older shape knows three words for it.
              "status": "suspended" if each["status"] == "banned" else each["status"]} for each in users]  # fmt: skip
    return Reply({"users": shown, "total": found.total, "page": asked.page}, bare=True)


def _add(request: Request) -> Reply:
    user = members.add(request.caller, request.json(), request.once())
    return Reply(user, 201, message="A mail lets the user set a password", headers={"Location": f"users/{user['id']}"})


def _show(request: Request, user_id: str) -> Reply:
    return Reply(members.show(request.caller, user_id))


def _change(request: Request, user_id: str) -> Reply:
    return Reply(members.change(request.caller, user_id, request.json()))


def _remove(request: Request, user_id: str) -> Reply:
    members.remove(request.caller, user_id, request.once())
    return Reply({"id": user_id, "removed": True})


def _welcome(request: Request, user_id: str) -> Reply:
    members.welcome(request.caller, user_id)
    return Reply({"id": user_id, "sent": True})


def _unlock(request: Request, user_id: str) -> Reply:
    members.unlock(request.caller, user_id)
    return Reply({"id": user_id, "unlocked": True})


def _act(request: Request) -> Reply:
    job = members.accept(request.caller, request.json(), request.once())
    up = "../" * (request.route_path.rstrip("/").count("/") - 2)
    return Reply(progress.view(request.caller, job), 202, headers={"Location": f"{up}jobs/{job['sk']}"})
