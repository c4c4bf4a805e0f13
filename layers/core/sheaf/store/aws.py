"""The AWS clients, made on first use. Only this package may import boto3 or botocore."""

from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config as ClientConfig

from sheaf.base.config import config
from sheaf.store.keys import Scope

_SETTINGS = ClientConfig(
    connect_timeout=3,
    read_timeout=20,
    retries={"mode": "standard", "total_max_attempts": 4},
    max_pool_connections=32,  # on_job writes rows from 16 threads
    s3={"addressing_style": "path"},
    signature_version=None,
)
_S3_SETTINGS = _SETTINGS.merge(ClientConfig(signature_version="s3v4"))


@cache
def _session() -> Any:
    # botocore itself, not boto3: the same client without 30 ms of resource and transfer code at a cold start.
    return botocore.session.get_session()


@cache
def client(service: str) -> Any:
    """The one client of `service` in this process. That of the tables acts for the tenant of the request (tenancy.py)."""
    if service == "dynamodb" and config().tenant_role_arn != "none":
        from sheaf.store import tenancy

        return tenancy.walled(botocore.session.get_session()).create_client(service, config=_SETTINGS)
    if service == "apigatewaymanagementapi":
        return _session().create_client(service, config=_SETTINGS, endpoint_url=config().sockets_endpoint)
    return _session().create_client(service, config=_S3_SETTINGS if service == "s3" else _SETTINGS)


def unwalled(service: str) -> Any:
    """A client that acts for the function itself, whatever `act_for` says."""
    return _session().create_client(service, config=_SETTINGS)


def act_for(scope: Scope | None) -> None:
    """Touch the tables for this proven tenant from now on, None: as the function itself. Nothing without TenantIsolation: iam."""
    if config().tenant_role_arn != "none":
        from sheaf.store import tenancy

        tenancy.act_for(scope)
