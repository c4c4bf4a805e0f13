"""A request as a route sees it."""

import base64
import binascii
import builtins
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from sheaf.access.caller import Caller
from sheaf.access.guard import Present, Proof
from sheaf.access.sessions import Device
from sheaf.base.bounds import BODY_BYTES, IDEMPOTENCY_KEY_CHARACTERS
from sheaf.base.errors import BadRequest, InvalidParameter, SheafError, Unauthenticated
from sheaf.edge import body, prefer
from sheaf.edge.prefer import Preferences
from sheaf.records.once import Once, once
from sheaf.records.options import Options
from sheaf.store.secrets import signing_secret

_PATH = re.compile(r"(?:/api)?/v(?P<version>[12])(?:/(?P<tenant>tnt_[^/]*))?(?P<rest>/.*)?")
_ETAG = re.compile(r'(?P<weak>W/)?"(?P<version>[^"]*)"|(?P<bare>\d+)')


@dataclass(slots=True)
class Request:
    """One HTTP request. Header names are lower case; `query` has one value a name."""

    id: str
    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    source_ip: str
    version: int = 1  # of the API
    route_path: str = "/"  # what routes are matched by: always /v1/…, without the tenant's segment
    named_tenant: str | None = None  # the tenant that the path names; it must be the credential's
    ticket: str | None = None  # of a GET that can send no headers
    proof: Proof | None = None
    cache: str = ""  # hit or miss, of a request that the read cache may answer
    cost: int = 0  # what was taken from the caller's window
    route: str = "other"  # as it is counted: the method and the path with the names of its parameters
    left: dict[str, str] = field(default_factory=dict)  # what the answer says of the rate limit
    applied: list[str] = field(default_factory=list)  # the preferences that were followed
    names: Mapping[str, str] = field(default_factory=dict)  # how this version of the API calls fields of the entity
    broken: SheafError | None = None  # what could not be read, told once the answer's shape is known
    key: Once | None = None  # of the Idempotency-Key, once it is asked for; a request within a batch is given one

    @property
    def caller(self) -> Caller:
        """Who asks; a public route has nobody."""
        return self.proven.caller

    @property
    def proven(self) -> Proof:
        """The proof of the caller, with the tenant's row."""
        if self.proof is None:
            raise Unauthenticated("No authentication token provided")
        return self.proof

    @property
    def present(self) -> Present:
        """The proven caller, and where it is."""
        return Present(self.proven.caller, self.proven.principal, self.proven.tenant, self.source_ip)

    @property
    def device(self) -> Device:
        """Where the request comes from."""
        return Device(self.source_ip, self.headers.get("user-agent", ""))

    @property
    def last_event(self) -> str:
        """The `id` of the last event that the client of a stream has got, or nothing."""
        return self.headers.get("last-event-id", "")

    @property
    def prefer(self) -> Preferences:
        """What the client would like."""
        return prefer.parse(self.headers.get("prefer", ""))

    def json(self, limit: int = BODY_BYTES, unpacked: int = 0) -> Any:
        """The body as JSON (edge/body.py has the limits); raises TooLarge, UnsupportedMediaType or InvalidJson."""
        kind = self.headers.get("content-type", "application/json")
        return body.read(self.body, kind, self.headers.get("content-encoding", ""), limit, unpacked)

    @property
    def media_type(self) -> str:
        """The body's media type, `application/json` where none is said."""
        return body.media_type(self.headers.get("content-type", "application/json"))

    def bytes(self, limit: int, unpacked: int = 0) -> bytes:
        """The body as it is, unpacked where it comes as gzip; raises TooLarge, UnsupportedMediaType."""
        return body.whole(self.body, self.media_type, self.headers.get("content-encoding", ""), limit, unpacked)

    def once(self, caller: Caller | None = None, *, by_address: bool = True) -> Once | None:
        """The request's Idempotency-Key, where it has one; raises BadRequest for one that cannot be.

        A public route says for whom it writes, and whether that is another one from another address (`by_address`).
        """
        text = self.headers.get("idempotency-key")
        if text is None or self.key is not None:
            return self.key
        key = text.strip().removeprefix('"').removesuffix('"')
        if not 1 <= len(key) <= IDEMPOTENCY_KEY_CHARACTERS or not key.isascii() or not key.isprintable():
            message = f"must be 1 to {IDEMPOTENCY_KEY_CHARACTERS} printable ASCII characters"
            raise BadRequest(f"Idempotency-Key {message}", fields={"Idempotency-Key": message})
        said = "\0".join(
            (
                str(self.version),
                self.headers.get("if-match", ""),
                *(f"{name}={value}" for name, value in sorted(self.query.items())),
            )
        )
        whole = said.encode() + b"\0" + self._said_body()
        # A plain digest of a body with a password or a secret would be one kept badly.
        sealed = self.route_path.startswith(("/v1/auth/", "/v1/webhooks"))
        fingerprint = signing_secret().fingerprint(whole) if sealed else sha256(whole).hexdigest()
        # A visitor of a public route is known by nothing but the address.
        who = replace(caller, principal=f"{caller.principal}@{self.source_ip}") if caller and by_address else caller
        self.key = once(who or self.caller, self.method, self.route_path, key, fingerprint)
        return self.key

    def part_of_key(self, part: str) -> Once | None:
        """The key of a part of the request's work, where the request has one; it covers all that the request says."""
        whole = self.once()
        return whole and once(self.caller, self.method, self.route_path, f"{whole.key.sk} {part}", whole.fingerprint)

    def _said_body(self) -> "builtins.bytes":
        """The body without what a client draws anew for each attempt: the boundary of a form."""
        if self.media_type != "multipart/form-data":
            return self.body
        boundary = self.headers.get("content-type", "").partition("boundary=")[2].partition(";")[0].strip(' "').encode()
        return self.body.replace(b"--" + boundary, b"--boundary") if boundary else self.body

    def options(self) -> Options:
        """How the client asks for a write; the preferences that it follows are noted as applied."""
        wanted = self.prefer
        versions = self.if_match()
        self.applied += ["dry-run"] * wanted.dry_run + ["merge=disjoint"] * (wanted.merge and versions is not None)
        return Options(versions, wanted.merge, wanted.dry_run, None if wanted.dry_run else self.once())

    def if_match(self) -> frozenset[int] | None:
        """The versions that `If-Match` allows (RFC 9110, 13.1.1); None without one, or for `*`."""
        text = self.headers.get("if-match")
        if text is None or text.strip() == "*":
            return None
        return frozenset(_versions("If-Match", text, weak=False))

    def knows(self, version: int) -> bool:
        """Whether `If-None-Match` says that the client has this version."""
        text = self.headers.get("if-none-match")
        return text is not None and (text.strip() == "*" or version in _versions("If-None-Match", text, weak=True))

    def has(self, etag: str) -> bool:
        """Whether `If-None-Match` says that the client has an answer of this strong ETag, quotes included."""
        known = [each.strip().removeprefix("W/") for each in self.headers.get("if-none-match", "").split(",")]
        return etag in known or known == ["*"]

    def followed(self) -> dict[str, str]:
        """The headers that say what of the request was followed, and whether it was done before."""
        applied = {"Preference-Applied": ", ".join(dict.fromkeys(self.applied))} if self.applied else {}
        return {**applied, **({"Idempotent-Replayed": "true"} if self.replayed else {})}

    @property
    def replayed(self) -> bool:
        """Whether an earlier request under the same key has done this already."""
        return self.key is not None and self.key.replayed


def read(event: Mapping[str, Any], fallback_id: str) -> Request:
    """The request in an API Gateway proxy event (payload 1.0)."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items() if isinstance(value, str)}
    context = event.get("requestContext") or {}
    asked = headers.get("x-request-id", "")
    sane = 8 <= len(asked) <= 64 and asked.isascii() and asked.replace("-", "").replace("_", "").isalnum()
    path = str(event.get("path", "/"))
    version, tenant, route_path = located(path)
    query: Mapping[str, str] = {}
    body, broken = b"", None
    method = str(event.get("httpMethod", "GET")).upper()
    try:
        query, body = _query(event), _body(event)
    except SheafError as error:
        broken = error
    ticket = query.get("ticket") if method == "GET" else None
    if ticket is not None and ticket.startswith("tk_"):
        query = {name: value for name, value in query.items() if name != "ticket"}
    else:
        ticket = None
    return Request(
        id=asked if sane else str(context.get("requestId") or fallback_id),
        method=method,
        ticket=ticket,
        path=path,
        headers=headers,
        query=query,
        body=body,
        source_ip=str((context.get("identity") or {}).get("sourceIp") or "unknown"),
        version=version,
        route_path=route_path,
        named_tenant=tenant,
        broken=broken,
    )


def located(path: str) -> tuple[int, str | None, str]:
    """The API's version, the tenant that the path names, and the path that routes are matched by."""
    match = _PATH.fullmatch(path)
    if match is None:
        return 1, None, path.removeprefix("/api") if path.startswith("/api/") else path
    return int(match["version"]), match["tenant"], f"/v1{match['rest'] or ''}"


def _versions(name: str, text: str, *, weak: bool) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        match = _ETAG.fullmatch(part.strip())
        if match is None:
            message = 'must be "*" or versions in quotes, as ETag gives them'
            raise BadRequest(f"{name} {message}", fields={name: message})
        digits = match["version"] or match["bare"] or ""
        # A weak tag never matches If-Match, and one that we never gave out matches nothing (RFC 9110, 8.8.3.2).
        if digits.isascii() and digits.isdigit() and len(digits) < 16 and (weak or not match["weak"]):
            found.add(int(digits))
    return found


def _query(event: Mapping[str, Any]) -> dict[str, str]:
    many: Mapping[str, list[str]] = event.get("multiValueQueryStringParameters") or {}
    if repeated := {name: "is given more than once" for name, values in many.items() if len(values) > 1}:
        raise InvalidParameter(f"{next(iter(repeated))} is given more than once", fields=repeated)
    if many:
        return {name: values[0] for name, values in many.items()}
    return dict(event.get("queryStringParameters") or {})


def _body(event: Mapping[str, Any]) -> bytes:
    text = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(text).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("The body is marked as base 64 but is not") from None
