"""Files: `/v1/uploads` and what lies below, and the older `/v1/upload`, which takes them itself."""

from collections.abc import Mapping
from typing import Any

from sheaf.base.bounds import JOB_WAIT_SECONDS
from sheaf.base.errors import InvalidParameter
from sheaf.edge.api import Api, later
from sheaf.edge.envelope import NOTHING, Reply
from sheaf.edge.request import Request
from sheaf.edge.shapes import UPLOAD, plain
from sheaf.features.uploads import announce, parts, reading
from sheaf.records import receipts

_FILES = "/v1/uploads"
_ROWS = "sheaf.edge.routes.upload_rows"


def register(api: Api) -> None:
    """Add the routes."""
    api.post("/v1/upload", permission="uploads:write", cost=5, profile=UPLOAD)(_receive)
    api.post(_FILES, permission="uploads:write")(_create)
    api.get(_FILES, permission="uploads:read", lists=True)(later(_ROWS, "files"))
    api.public("GET", f"{_FILES}/jwks.json", everyone=True)(_keys)
    api.post(f"{_FILES}/sign", permission="uploads:write")(_sign_request)
    api.get(f"{_FILES}/<file_id>", permission="uploads:read")(_show)
    api.route("DELETE", f"{_FILES}/<file_id>", permission="uploads:write")(later(_ROWS, "delete_file"))
    api.get(f"{_FILES}/<file_id>/content", permission="uploads:read")(_content)
    api.get(f"{_FILES}/<file_id>/history", permission="uploads:read")(later(_ROWS, "history_of_file"))
    api.get(f"{_FILES}/<file_id>/parts", permission="uploads:read")(_parts)
    api.post(f"{_FILES}/<file_id>/parts", permission="uploads:write")(_sign_parts)
    api.post(f"{_FILES}/<file_id>/complete", permission="uploads:write")(_complete)


def _receive(request: Request) -> Reply:
    from sheaf.features.uploads import form  # a parser of MIME is for those who send a form

    kind, old = request.headers.get("content-type", ""), not plain(request)
    found, several = form.receive(request.caller, request.body, kind, request.once(), form.OLD_TYPES if old else None)
    shown = [_received(each) for each in found]
    if several:
        return Reply({"files": shown}, 200 if old else 201)
    headers = {"Location": f"uploads/{found[0]['id']}"}
    return Reply(shown[0], 200 if old else 201, headers=headers)


def _received(file: Mapping[str, Any]) -> dict[str, Any]:
    url = f"uploads/{file['id']}/content"  # relative to the request's own, and good for whoever may read files
    return {"url": url, "filename": file["filename"], "size": file["size"], "type": file["type"], "id": file["id"],
            "sha256": file["sha256"], "status": file["status"]}  # fmt: skip


def _create(request: Request) -> Reply:
    found = announce.create(request.caller, request.json(), request.once())
    if isinstance(found, list):
        return Reply({"files": found}, 201)
    return Reply(found, 201, headers={"Location": f"uploads/{found['id']}"})


def _show(request: Request, file_id: str) -> Reply:
    return Reply(reading.show(request.caller, file_id, _wait(request.query)))


def _content(request: Request, file_id: str) -> Reply:
    variant = request.query.get("variant", "")
    url = reading.link(request.caller, file_id, variant, _wait(request.query, "variant"))
    return Reply(NOTHING, 302, headers={"Location": url, "Referrer-Policy": "no-referrer"})


def _parts(request: Request, file_id: str) -> Reply:
    return Reply(parts.listing(request.caller, file_id))


def _sign_parts(request: Request, file_id: str) -> Reply:
    return Reply(parts.sign(request.caller, file_id, request.json()))


def _complete(request: Request, file_id: str) -> Reply:
    parts.complete(request.caller, file_id)
    return Reply(reading.show(request.caller, file_id, _wait(request.query)))


def _sign_request(request: Request) -> Reply:
    return Reply(parts.signed_request(request.caller, request.json()), bare=True)


def _keys(request: Request) -> Reply:
    return Reply(receipts.published(), bare=True, headers={"Cache-Control": "public, max-age=3600"})


def _wait(asked: Mapping[str, str], *more: str) -> int:
    wrong = dict.fromkeys(sorted(asked.keys() - {"wait", *more}), "is not a parameter here")
    text = asked.get("wait", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and int(text) <= JOB_WAIT_SECONDS):
        wrong["wait"] = f"must be a number of seconds from 0 to {JOB_WAIT_SECONDS}"
    if wrong:
        raise InvalidParameter.naming(wrong)
    return int(text)
