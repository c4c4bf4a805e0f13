"""The configuration of a function, read once from its environment. Nothing else reads `os.environ`.

Every variable is `SHEAF_` + the field's name in capitals and has no default: a function whose template
forgot one fails at start and says which.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache


class ConfigError(RuntimeError):
    """A variable is missing or cannot be read; the message names it."""


@dataclass(frozen=True, slots=True)
class Config:
    """What the template tells a function about the stack it runs in."""

    stage: str  # local, dev, prod: part of every API key
    records_table: str
    control_table: str
    events_table: str
    limits_table: str
    audit_table: str
    jobs_queue_url: str
    deliveries_queue_url: str
    slow_deliveries_queue_url: str
    changes_aside_queue_url: str
    uploads_bucket: str
    jobs_bucket: str
    audit_bucket: str
    backups_bucket: str
    signing_secret_arn: str
    secrets_key_arn: str  # of the KMS key that the secrets of tenants are encrypted under
    webhook_loopback: bool  # true lets webhooks reach 127.0.0.1 over http; the template refuses it in prod
    webhook_retry_seconds: tuple[int, ...]  # the pause before the 2nd, 3rd, … attempt; 0–86,400 each
    webhook_ports: tuple[int, ...]  # ports that webhooks may use
    docs_url: str  # the page of the error codes, without the fragment
    mails_queue_url: str
    mail_from: str  # the sender of every mail; SES must know it
    mail_operator: str  # who reads what is written to the installation itself
    app_url: str  # the front end that the links of mails lead to; "none" where there is none yet
    tenant_role_arn: str  # the role that holds a request to its tenant's keys a second time; "none" without
    registration: str  # "open", "invitation" or "closed": who may register
    password_least: int  # characters of a password, at least
    oembed_youtube: str  # where YouTube tells of a video (https://oembed.com)
    oembed_vimeo: str  # where Vimeo does
    receipts_key_arn: str  # of the KMS key that signs what was found in files
    scanner: str  # host:port of a clamd that looks at every file; "none" without one
    images_queue_url: str
    stream_hold_seconds: int  # for how long a request of a stream is held where there is nothing to answer
    stream_holds: int  # requests that are held at once in the whole installation
    sockets_queue_url: str
    sockets_endpoint: str  # where messages to open sockets go; "none" in functions that send none
    seals_queue_url: str
    max_batch_size: int  # records of one audience upload, at most
    graphql_introspection: bool  # whether GraphQL tells its schema
    graphql_registered_only: bool  # whether it runs registered operations only
    cors_origins: tuple[str, ...]  # https://app.example.com,…; * lets any page in, without credentials; "none" lets in nobody
    v1_deprecated: str  # the day on which v1 is deprecated, 2027-01-31; "never" while it is not
    v1_sunset: str  # the day on which it ends


_RANGES = {"SHEAF_WEBHOOK_RETRY_SECONDS": (0, 86_400), "SHEAF_WEBHOOK_PORTS": (1, 65_535)}


def load(environ: Mapping[str, str]) -> Config:
    """Build the configuration from `environ`; raises ConfigError with the name of the first bad variable."""
    values: dict[str, object] = {}
    for item in fields(Config):
        name = f"SHEAF_{item.name.upper()}"
        raw = environ.get(name, "")
        if not raw:
            raise ConfigError(f"the environment variable {name} is missing")
        values[item.name] = _convert(name, raw, str(item.type))
    return Config(**values)  # type: ignore[arg-type]  # the loop above fills every field by its type


def _convert(name: str, raw: str, kind: str) -> object:
    if "bool" in kind:
        if raw not in ("true", "false"):
            raise ConfigError(f"the environment variable {name} must be true or false, not {raw!r}")
        return raw == "true"
    if kind == str(int):
        if not raw.isdigit():
            raise ConfigError(f"the environment variable {name} must be a whole number, not {raw!r}")
        return int(raw)
    if "tuple[str" in kind:
        parts = tuple(part.strip() for part in raw.split(",")) if raw != "none" else ()
        if "*" in parts and len(parts) > 1:
            raise ConfigError(f"the environment variable {name} names * and other origins; credentials go to named ones only")
        return parts
    if "tuple" in kind:
        try:
            numbers = tuple(int(part) for part in raw.split(","))
        except ValueError:
            raise ConfigError(f"the environment variable {name} must be whole numbers joined by commas") from None
        low, high = _RANGES[name]
        if not all(low <= number <= high for number in numbers):
            raise ConfigError(f"the environment variable {name} holds a number outside {low}-{high}")
        return numbers
    return raw


@cache
def config() -> Config:
    """The configuration of this process."""
    return load(os.environ)
