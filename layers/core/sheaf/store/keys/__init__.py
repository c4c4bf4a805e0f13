"""Every key of every table and bucket is built in this package, and each begins with the tenant of a scope object.

A scope is the caller of a request or the worker of a message: nothing takes a tenant id as text, so a key of
another tenant cannot be written by mistake. The few look-ups that have no tenant yet live under `@`.
"""

from sheaf.store.keys.audit import *  # noqa: F403  # one module a table, one name for all
from sheaf.store.keys.back import *  # noqa: F403  # one module a table, one name for all
from sheaf.store.keys.buckets import *  # noqa: F403  # one module a table, one name for all
from sheaf.store.keys.control import *  # noqa: F403  # one module a table, one name for all
from sheaf.store.keys.events import *  # noqa: F403  # one module a table, one name for all
from sheaf.store.keys.limits import *  # noqa: F403  # one module a table, one name for all
from sheaf.store.keys.records import *  # noqa: F403  # one module a table, one name for all
from sheaf.store.keys.scope import *  # noqa: F403  # one module a table, one name for all
