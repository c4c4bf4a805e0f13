"""The body of a batch: `{"requests": [{"id", "method", "path", "headers"?, "body"?, "dependsOn"?, "atomicityGroup"?}]}`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from sheaf.base.bounds import BATCH_REQUESTS
from sheaf.base.errors import TooLarge, ValidationFailed
from sheaf.entity.body import object_of
from sheaf.features.batch import references

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
HEADERS = ("if-match", "if-none-match", "idempotency-key", "prefer", "accept", "content-type")

_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_MEMBERS = ("id", "method", "path", "url", "headers", "body", "dependsOn", "atomicityGroup")


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a batch. References stand in `segments`, `query`, `headers` and `body` until it runs.

    `path` is as it was sent, `needs` the ids it depends on: those it names, and those it refers to.
    """

    index: int
    id: str
    method: str
    path: str
    segments: tuple[str, ...]
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: Any
    has_body: bool
    needs: tuple[str, ...]
    group: str

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.method != "GET"


def parse(body: object) -> list[Call]:
    """The requests, in the order they were sent; raises ValidationFailed naming all that is wrong, TooLarge for too many."""
    found = object_of(body, "requests", error="The batch is wrong").get("requests")
    if not isinstance(found, list) or not found:
        raise ValidationFailed.naming({"requests": "must be a list with at least one request"})
    if len(found) > BATCH_REQUESTS:
        raise TooLarge(f"{len(found):,} requests; {BATCH_REQUESTS} are the most of one batch")
    wrong: dict[str, str] = {}
    calls = []
    for index, each in enumerate(found):
        complaints = dict(_complaints(each))
        wrong |= {f"requests.{index}.{name}".rstrip("."): text for name, text in complaints.items()}
        if not complaints:
            calls.append(_call(index, each))
        if len(wrong) >= 100:
            break
    first: dict[str, int] = {}
    for call in calls:
        if (earlier := first.setdefault(call.id, call.index)) != call.index:
            wrong[f"requests.{call.index}.id"] = f"stands in request {earlier} already"
    if not wrong:
        calls = [_with_groups(call, calls) for call in calls]
        for call in calls:
            if strange := [each for each in call.needs if each not in first]:
                wrong[f"requests.{call.index}"] = f"depends on {strange[0]!r}, which is no request of this batch"
            if call.id in call.needs:
                wrong[f"requests.{call.index}"] = "depends on itself"
    if wrong:
        raise ValidationFailed("The batch is wrong, so nothing of it was run", fields=wrong)
    return calls


def _complaints(each: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(each, dict):
        yield "", "must be an object"
        return
    strange = (name for name in each if name not in _MEMBERS)
    yield from ((str(name)[:100], "is not known here") for name in islice(strange, 20))
    if not isinstance(each.get("id"), str) or not _ID.fullmatch(each["id"]):
        yield "id", "must be a text of 1 to 64 letters, digits, _ or -"
    if _method(each) not in METHODS:
        yield "method", f"must be one of {', '.join(METHODS)}"
    if "path" in each and "url" in each:
        yield "url", "is another word for path; only one can be given"
    else:
        name = "url" if "url" in each else "path"
        if complaint := _complaint_of_path(each.get(name)):
            yield name, complaint
    yield from _complaints_of_headers(each.get("headers", {}))
    if _method(each) in ("GET", "DELETE") and each.get("body") is not None:
        yield "body", f"a {_method(each)} has none"
    needs = each.get("dependsOn", [])
    if not isinstance(needs, list) or not all(isinstance(need, str) for need in needs):
        yield "dependsOn", "must be a list of ids"
    group = each.get("atomicityGroup", "-")
    if not isinstance(group, str) or not _ID.fullmatch(group):
        yield "atomicityGroup", "must be a text of 1 to 64 letters, digits, _ or -"
    try:
        list(references.named(each.get("body")))
    except ValueError as error:
        yield "body", str(error)


def _complaint_of_path(path: Any) -> str:
    if not isinstance(path, str) or not path.startswith("/") or path.startswith("//") or len(path) > 8_000:
        return "must be a path of this API, as /tasks?limit=5"
    try:
        if urlsplit(path).fragment:
            return "has a fragment, which no request has"
        segments, query = _parts(path)
        list(references.named([segments, query]))
    except ValueError as error:
        return str(error)
    names = [name for name, _ in query]
    if twice := [name for name in names if names.count(name) > 1]:
        return f"has the parameter {twice[0][:80]!r} more than once"
    return "has a segment with a slash in it" if any("/" in each for each in segments) else ""


def _parts(path: str) -> tuple[list[str], list[tuple[str, str]]]:
    """The segments and the parameters of a path, decoded."""
    parts = urlsplit(path)
    return [unquote(part) for part in parts.path.strip("/").split("/")], parse_qsl(parts.query, keep_blank_values=True)


def _complaints_of_headers(headers: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(headers, dict) or not all(isinstance(each, str) for each in headers.values()):
        yield "headers", "must be an object of texts"
        return
    for name, text in headers.items():
        if name.lower() not in HEADERS:
            yield f"headers.{name[:80]}", f"is not for one request of a batch; these are: {', '.join(HEADERS)}"
        try:
            list(references.named(text))
        except ValueError as error:
            yield f"headers.{name[:80]}", str(error)


def _method(each: Mapping[str, Any]) -> str:
    return str(each.get("method")).upper()  # OData writes them in lower case


def _with_groups(call: Call, calls: Sequence[Call]) -> Call:
    """The call, needing the requests of a group where it names the group, as OData has it."""
    known = {each.id for each in calls}
    needs = [
        other.id for need in call.needs for other in calls if need == other.id or (need not in known and need == other.group)
    ]
    strange = [need for need in call.needs if need not in known and need not in {each.group for each in calls}]
    return replace(call, needs=tuple(dict.fromkeys([*needs, *strange])))


def _call(index: int, each: Mapping[str, Any]) -> Call:
    path = each.get("path", each.get("url"))
    segments, query = _parts(path)
    headers = {name.lower(): text for name, text in each.get("headers", {}).items()}
    referred = [
        *references.named([segments, query]),
        *references.named(headers),
        *references.named(each.get("body")),
    ]
    needs = tuple(dict.fromkeys([*each.get("dependsOn", []), *referred]))
    body = each.get("body")
    return Call(index, each["id"], _method(each), path, tuple(segments), tuple(query), headers, body, body is not None, needs,
                each.get("atomicityGroup", ""))  # fmt: skip
