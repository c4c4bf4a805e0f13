"""What an answer says of its version: which it is, since when it is deprecated, when it ends."""

from collections.abc import Mapping
from datetime import UTC, datetime

from sheaf.base.config import config


def headers(version: int) -> Mapping[str, str]:
    """`X-API-Version`, and for a v1 whose end is set `X-API-Deprecation`, `Deprecation` (RFC 9745) and `Sunset` (RFC 8594)."""
    found = {"X-API-Version": f"v{version}"}
    settings = config()
    if version > 1:
        return found
    if settings.v1_deprecated != "never":
        found["X-API-Deprecation"] = f"v1 will be deprecated on {settings.v1_deprecated}"
        found["Deprecation"] = f"@{int(_day(settings.v1_deprecated).timestamp())}"
    if settings.v1_sunset != "never":
        from email.utils import format_datetime  # 5 ms, for those whose v1 ends

        found["Sunset"] = format_datetime(_day(settings.v1_sunset), usegmt=True)
    return found


def _day(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
