"""Jobs: `/v1/jobs` and the older paths under which some kinds of them are asked for."""

from collections.abc import Mapping

from sheaf.base.bounds import JOB_WAIT_SECONDS
from sheaf.base.errors import InvalidParameter
from sheaf.edge.accepted import accepted
from sheaf.edge.api import Api
from sheaf.edge.envelope import Reply, paged
from sheaf.edge.request import Request
from sheaf.entity import query
from sheaf.features.bulk import jobs
from sheaf.jobs import progress


def register(api: Api) -> None:
    """Add the routes."""
    api.get("/v1/jobs", permission="jobs:read", lists=True)(_list)
    api.get("/v1/jobs/<job_id>", permission="jobs:read")(_show)
    api.post("/v1/jobs/<job_id>/cancel", permission="jobs:write")(_cancel)
    api.post("/v1/jobs/<job_id>/retry", permission="jobs:write", cost=5)(_retry)
    api.post("/v1/jobs/<job_id>/revert", permission="jobs:write", cost=5)(_revert)


def status_routes(api: Api, path: str, kinds: tuple[str, ...]) -> None:
    """Add an older path: one job by `?id=` or at its end, a list without."""

    def status(request: Request) -> Reply:
        if "id" in request.query:
            rest = {name: text for name, text in request.query.items() if name != "id"}
            return Reply(progress.show(request.caller, request.query["id"], _wait(rest)))
        return _page(request, kinds)

    api.get(path, permission="jobs:read")(status)
    api.get(f"{path}/<job_id>", permission="jobs:read")(_show)


def _list(request: Request) -> Reply:
    return _page(request)


def _page(request: Request, kinds: tuple[str, ...] = ()) -> Reply:
    asked, limit, cursor = query.filters_and_window(request.query)
    found = progress.listing(request.caller, asked, limit, cursor or None, kinds=kinds)
    return paged(found.jobs, limit, found.next_cursor)


def _show(request: Request, job_id: str) -> Reply:
    return Reply(progress.show(request.caller, job_id, _wait(request.query)))


def _cancel(request: Request, job_id: str) -> Reply:
    return Reply(progress.cancel(request.caller, job_id), 202, headers={"Location": f"../{job_id}"})


def _retry(request: Request, job_id: str) -> Reply:
    return accepted(request, jobs.retry(request.caller, job_id, request.once()), path="../")


def _revert(request: Request, job_id: str) -> Reply:
    body = request.json() if request.body else {}
    return accepted(request, jobs.revert(request.caller, job_id, body, request.once()), path="../")


def _wait(asked: Mapping[str, str]) -> int:
    wrong = dict.fromkeys(sorted(asked.keys() - {"wait"}), "is not a parameter here; wait is")
    text = asked.get("wait", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= JOB_WAIT_SECONDS):
        wrong["wait"] = f"must be a whole number of seconds from 0 to {JOB_WAIT_SECONDS}"
    if wrong:
        raise InvalidParameter.naming(wrong)
    return int(text)
