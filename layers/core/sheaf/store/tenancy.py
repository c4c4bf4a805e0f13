"""The second wall between tenants, where the template asks for it (TenantIsolation: iam).

A proven request then reads and writes with credentials that hold its tenant's name as a tag, and IAM lets those touch only
keys that begin with it (dynamodb:LeadingKeys). One client serves all: its credentials ask at each signature who is acting.
Who imports this has a role for it (store/aws.py).
"""

import random
import time
from collections import OrderedDict
from typing import Any

from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from sheaf.base.config import config
from sheaf.base.errors import Unavailable
from sheaf.store.keys import Scope

_TENANTS = 200  # whose credentials are kept
_SECONDS = 3_600  # they last; AWS allows a role that was reached through another no more
_FRESH_SECONDS = (2_400, 3_000)  # after this long new ones are fetched, not all at the same moment

# A function works on one request at a time, on as many threads as it likes: so this is no context of a thread.
_acting: str | None = None
_kept: "OrderedDict[str, tuple[float, ReadOnlyCredentials]]" = OrderedDict()


def act_for(scope: Scope | None) -> None:
    """From now on the tables are touched for this proven tenant; None: by the function itself."""
    global _acting
    _acting = scope.tenant if scope else None


def walled(session: Session) -> Session:
    """The session, its credentials those of whoever is acting."""
    acting = _TenantCredentials(session, session.get_credentials())
    session.register_component("credential_provider", _Provider(acting))
    session._credentials = None  # a session keeps what it has given out; now ours is asked
    return session


def forget() -> None:
    """Give up all credentials."""
    act_for(None)
    _kept.clear()


class _Provider:
    """What a session asks for credentials."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def load_credentials(self) -> Credentials:
        """The credentials."""
        return self._credentials


class _TenantCredentials(Credentials):  # type: ignore[misc]  # botocore comes without types
    """Credentials that are another's at each signature."""

    def __init__(self, session: Session, base: Any) -> None:
        super().__init__(base.access_key, base.secret_key, base.token)
        self._session, self._base = session, base
        self._sts: Any = None

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Those of the acting tenant, or the function's own; raises Unavailable where they cannot be had."""
        return self._base.get_frozen_credentials() if _acting is None else self._of(_acting)

    def _of(self, tenant: str) -> ReadOnlyCredentials:
        until, found = _kept.get(tenant, (0.0, None))
        if found is not None and time.monotonic() < until:
            _kept.move_to_end(tenant)
            return found
        made = self._assume(tenant)
        _kept[tenant] = (time.monotonic() + random.uniform(*_FRESH_SECONDS), made)  # noqa: S311  # spreads, keeps no secret
        if len(_kept) > _TENANTS:
            _kept.popitem(last=False)
        return made

    def _assume(self, tenant: str) -> ReadOnlyCredentials:
        if self._sts is None:
            frozen = self._base.get_frozen_credentials()
            self._sts = self._session.create_client("sts", aws_access_key_id=frozen.access_key,
                                                    aws_secret_access_key=frozen.secret_key,
                                                    aws_session_token=frozen.token)  # fmt: skip
        try:
            answer = self._sts.assume_role(RoleArn=config().tenant_role_arn, RoleSessionName=tenant, DurationSeconds=_SECONDS,
                                           Tags=[{"Key": "tenant", "Value": tenant}])  # fmt: skip
        except (BotoCoreError, ClientError) as error:
            # Never the function's own rights instead.
            raise Unavailable("The tenant's credentials cannot be had; try again", headers={"Retry-After": "1"}) from error
        got = answer["Credentials"]
        return ReadOnlyCredentials(got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])
