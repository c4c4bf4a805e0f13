"""The error tree. The status, the machine code and the title live on the class; docs/errors.md has a line for each.

Raise the narrowest class with a message for the person who called. Nothing internal goes into a message:
it is sent to the client as it stands.
"""

from collections.abc import Mapping
from typing import Self


class SheafError(Exception):
    """The root: an error that has an answer.

    `fields` maps the path of a wrong field (`items.3.email`) to what is wrong with it; `extra` joins the body.
    """

    status = 500
    code = "internal_error"
    title = "Internal error"

    def __init__(
        self,
        message: str,
        *,
        fields: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.fields = dict(fields or {})
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


def unforeseen(*, extra: Mapping[str, object] | None = None) -> SheafError:
    """What is told of an error that nobody has foreseen: nothing of it, but where it stands."""
    return SheafError("Something went wrong; the request id finds it in the logs", extra=extra)


class BadRequest(SheafError):
    """The request cannot be read."""

    status = 400
    code = "bad_request"
    title = "Bad request"


class InvalidJson(BadRequest):
    """The body is not JSON as RFC 8259 has it, or is nested too deep."""

    code = "invalid_json"
    title = "Invalid JSON"


class InvalidParameter(BadRequest):
    """A query parameter is unknown, out of range or of the wrong type."""

    code = "invalid_parameter"
    title = "Invalid query parameters"

    @classmethod
    def naming(cls, wrong: Mapping[str, str]) -> Self:
        """The error about these parameters, each with what is wrong."""
        return cls("; ".join(f"{name}: {text}" for name, text in wrong.items())[:2_000], fields=wrong)


class InvalidLink(BadRequest):
    """The token of a mail is damaged, expired or used; another mail brings another one."""

    code = "invalid_link"
    title = "Invalid link"

    def __init__(self, message: str = "The token is damaged, expired or used") -> None:
        super().__init__(message)


class IndexRequired(BadRequest):
    """No index serves the query, and reading every row is refused or over the scan budget."""

    code = "index_required"
    title = "Query needs an index"


class InvalidCursor(BadRequest):
    """The cursor is damaged, expired, or belongs to another list."""

    code = "invalid_cursor"
    title = "Invalid cursor"


class EventsGone(SheafError):
    """The events behind a cursor are not kept any more, or the log begins anew: what is there has to be read again."""

    status = 410
    code = "events_gone"
    title = "Gone"


class InvalidQuery(BadRequest):
    """A GraphQL document that cannot be read, or does not fit the schema."""

    code = "invalid_query"
    title = "Invalid GraphQL document"


class QueryTooComplex(BadRequest):
    """A GraphQL document over a bound: its size, its depth, its aliases, its cost."""

    code = "query_too_complex"
    title = "GraphQL document too complex"


class Unauthenticated(SheafError):
    """No credential, or one that is wrong, expired or revoked."""

    status = 401
    code = "unauthenticated"
    title = "Authentication required"

    def __init__(self, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        # RFC 9110, 11.6.1: a 401 names the scheme it wants.
        super().__init__(message, headers={"WWW-Authenticate": 'Bearer realm="sheaf"', **(headers or {})})


class InvalidToken(Unauthenticated):
    """The credential is malformed, unknown, expired or revoked."""

    code = "invalid_token"
    title = "Invalid token"

    def __init__(self, message: str = "Authentication token is invalid or expired") -> None:
        super().__init__(message, headers={"WWW-Authenticate": 'Bearer realm="sheaf", error="invalid_token"'})  # RFC 6750, 3.1


class PermissionDenied(SheafError):
    """The credential is good but lacks the permission."""

    status = 403
    code = "permission_denied"
    title = "Insufficient permissions"


class NotOwner(PermissionDenied):
    """Only the row's owner, a moderator or an admin may change it."""

    code = "not_owner"
    title = "Access denied"


class TenantMismatch(PermissionDenied):
    """The request names another tenant than its credential."""

    code = "tenant_mismatch"
    title = "Tenant mismatch"


class TenantDisabled(PermissionDenied):
    """The tenant is disabled."""

    code = "tenant_disabled"
    title = "Tenant disabled"


class AddressDenied(PermissionDenied):
    """The credential is good, but not from this network address."""

    code = "address_denied"
    title = "Address not allowed"


class OriginDenied(PermissionDenied):
    """A page of this origin may not act with the cookie of a session."""

    code = "origin_denied"
    title = "Origin not allowed"


class EmailNotVerified(PermissionDenied):
    """The password is right, but the address is not confirmed yet."""

    code = "email_not_verified"
    title = "E-mail not verified"


class AccountSuspended(PermissionDenied):
    """The password is right, but the account is suspended or banned."""

    code = "account_suspended"
    title = "Account suspended"


class OperationNotRegistered(PermissionDenied):
    """Only registered GraphQL operations are run here, and this is none of them."""

    code = "operation_not_registered"
    title = "Operation not registered"


class NotFound(SheafError):
    """There is no such thing for this caller."""

    status = 404
    code = "not_found"
    title = "Not found"


class PersistedQueryNotFound(NotFound):
    """No GraphQL operation is known by this hash; send it with its text."""

    code = "persisted_query_not_found"
    title = "Persisted query not found"


class MethodNotAllowed(SheafError):
    """The path exists, the method does not; `Allow` lists those that do."""

    status = 405
    code = "method_not_allowed"
    title = "Method not allowed"


class Conflict(SheafError):
    """The state of the resource does not allow this now."""

    status = 409
    code = "conflict"
    title = "Conflict"


class NotUnique(Conflict):
    """Another row has this value in a field that is unique; `errors` names the field."""

    code = "not_unique"
    title = "Duplicate entry"
    key: object = None  # of the mark that is taken, for whoever writes several rows at once


class InUse(Conflict):
    """Rows hold this file; it can be deleted once they have let it go."""

    code = "in_use"
    title = "In use"


class StorageFull(Conflict):
    """The tenant's files would take more than its tier allows; `quotaBytes` says how much that is."""

    code = "storage_full"
    title = "Storage full"


class LastAdmin(Conflict):
    """A tenant keeps at least one active admin."""

    code = "last_admin"
    title = "Last admin"


class InFlight(Conflict):
    """A request with the same Idempotency-Key is still being worked on."""

    code = "idempotency_in_flight"
    title = "Request in flight"


class PreconditionFailed(SheafError):
    """`If-Match` names another version than the current one."""

    status = 412
    code = "precondition_failed"
    title = "Precondition failed"


class TooLarge(SheafError):
    """The body, a document or a list is over its limit; the message names the limit."""

    status = 413
    code = "too_large"
    title = "Too large"


class UnsupportedMediaType(SheafError):
    """The body's content type is not one this route reads."""

    status = 415
    code = "unsupported_media_type"
    title = "Unsupported media type"


class ValidationFailed(SheafError):
    """The body is JSON but its values are wrong; `errors` has one message per field."""

    status = 422
    code = "validation_failed"
    title = "Validation failed"

    @classmethod
    def naming(cls, wrong: Mapping[str, str]) -> Self:
        """The error about these fields; the message tells the first one."""
        path, text = next(iter(wrong.items()))
        return cls(f"{path}: {text}" if path else text, fields=wrong)


class UnreadableFile(ValidationFailed):
    """A file is not what it is said to be, or would cost more to read than it may."""

    code = "unreadable_file"
    title = "Unreadable file"

    @classmethod
    def at(cls, line: int, text: str) -> "UnreadableFile":
        """The error about one line."""
        return cls(f"Line {line:,} {text}", fields={"file": f"line {line} {text}"})


class UpstreamFailed(SheafError):
    """A service of somebody else that this row needs gave no usable answer (RFC 4918, 11.4)."""

    status = 424
    code = "upstream_failed"
    title = "Failed dependency"


class FailedDependency(SheafError):
    """Another request of the batch, which this one depends on, was not carried out."""

    status = 424
    code = "failed_dependency"
    title = "Failed dependency"


class KeyReused(SheafError):
    """The Idempotency-Key was used before with another body."""

    status = 422
    code = "idempotency_key_reused"
    title = "Idempotency key reused"


class PreconditionRequired(SheafError):
    """This entity is only changed with `If-Match` (RFC 6585, 3)."""

    status = 428
    code = "precondition_required"
    title = "Precondition required"


class RateLimited(SheafError):
    """The caller has used up the window; `Retry-After` says when the next one starts."""

    status = 429
    code = "rate_limited"
    title = "Too Many Requests"


class DamagedBackup(SheafError):
    """A part of a backup, or its manifest, is not what was written."""

    status = 409
    code = "damaged_backup"
    title = "Damaged backup"


class TooManyJobs(SheafError):
    """The tenant has as many unfinished jobs as it may have."""

    status = 429
    code = "too_many_jobs"
    title = "Too many jobs"


class TooManySockets(SheafError):
    """The tenant or the caller has as many open sockets as they may have, or a socket as many subscriptions."""

    status = 429
    code = "too_many_sockets"
    title = "Too many sockets"


class TooManyUploads(SheafError):
    """The tenant has as many announced files that have not arrived as it may have."""

    status = 429
    code = "too_many_uploads"
    title = "Too many uploads"


class Unavailable(SheafError):
    """A part that this request needs does not answer; the same request may go through later."""

    status = 503
    code = "unavailable"
    title = "Service unavailable"
