"""Paths without a version lead to version one."""

import re
from urllib.parse import quote, urlencode

from sheaf.base.errors import NotFound
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request

_VERSION = re.compile(r"v\d+")


def to_version_one(request: Request) -> Reply:
    """308 (method and body kept) from `/contacts/bulk` to `/v1/contacts/bulk`.

    The Location is relative: the API's own prefix differs between AWS, a custom domain and the local stack.
    """
    path = quote(request.route_path.lstrip("/"), safe="/")
    if not path or _VERSION.fullmatch(path.split("/")[0]):
        raise NotFound(f"There is nothing at {request.path[:200]}")
    query = f"?{urlencode(request.query)}" if request.query else ""
    location = f"{'../' * path.count('/')}v1/{path}{query}"
    return Reply({"location": location}, 308, headers={"Location": location})
