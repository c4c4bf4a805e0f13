"""Backups and restores: `/v1/backup/…`."""

from sheaf.edge.api import Api
from sheaf.edge.envelope import Reply, paged
from sheaf.edge.request import Request
from sheaf.entity import query
from sheaf.features.backups import restores, schedule, stored

_ONE = "/v1/backup/<backup_id>"


def register(api: Api) -> None:
    """Add the routes."""
    for path in ("/v1/backup", "/v1/backup/create"):
        api.post(path, permission="backups:write", cost=5)(_create)
    for path in ("/v1/backup", "/v1/backup/list"):
        api.get(path, permission="backups:read")(_list)
    api.post("/v1/backup/restore", permission="backups:restore", cost=5)(_restore)
    api.get("/v1/backup/restores", permission="backups:read")(_restores)
    api.get("/v1/backup/restores/<restore_id>", permission="backups:read")(_show_restore)
    api.post("/v1/backup/restores/<restore_id>/approve", permission="backups:restore")(_approve)
    api.post("/v1/backup/restores/<restore_id>/undo", permission="backups:restore", cost=5)(_undo)
    api.get("/v1/backup/schedule", permission="backups:read")(_show_schedule)
    api.route("PUT", "/v1/backup/schedule", permission="backups:write")(_put_schedule)
    api.route("DELETE", "/v1/backup/schedule", permission="backups:write")(_remove_schedule)
    api.get(_ONE, permission="backups:read")(_show)
    api.get(f"{_ONE}/download", permission="backups:read")(_download)
    api.route("DELETE", _ONE, permission="backups:write")(_remove)


def _create(request: Request) -> Reply:
    made = stored.create(request.caller, request.json() if request.body else {}, request.once())
    return Reply(made, 202, headers={"Location": _up(request, made["id"])})


def _list(request: Request) -> Reply:
    asked, limit, cursor = query.filters_and_window(request.query)
    found, following = stored.listing(request.caller, asked, limit, cursor)
    return paged(found, limit, following)


def _show(request: Request, backup_id: str) -> Reply:
    return Reply(stored.show(request.caller, backup_id))


def _download(request: Request, backup_id: str) -> Reply:
    return Reply(stored.download(request.caller, backup_id))


def _remove(request: Request, backup_id: str) -> Reply:
    stored.remove(request.caller, backup_id, request.once())
    return Reply({"id": backup_id, "removed": True})


def _restore(request: Request) -> Reply:
    made = restores.ask(request.caller, request.json(), request.once())
    return Reply(made, 202, headers={"Location": f"restores/{made['id']}"})


def _restores(request: Request) -> Reply:
    limit, cursor = query.window_of(request.query)
    found, following = restores.listing(request.caller, limit, cursor)
    return paged(found, limit, following)


def _show_restore(request: Request, restore_id: str) -> Reply:
    return Reply(restores.show(request.caller, restore_id))


def _approve(request: Request, restore_id: str) -> Reply:
    return Reply(restores.approve(request.caller, restore_id, request.json()), 202)


def _undo(request: Request, restore_id: str) -> Reply:
    return Reply(restores.undo(request.caller, restore_id), 202)


def _show_schedule(request: Request) -> Reply:
    return Reply(schedule.show(request.caller))


def _put_schedule(request: Request) -> Reply:
    return Reply(schedule.put(request.caller, request.json()))


def _remove_schedule(request: Request) -> Reply:
    schedule.remove(request.caller)
    return Reply({"removed": True})


def _up(request: Request, backup_id: str) -> str:
    return backup_id if request.route_path.endswith("/create") else f"backup/{backup_id}"
