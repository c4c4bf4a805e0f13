"""The contact form of the installation: a row of `contact_messages` in the site's tenant; its mail follows from the change."""

from sheaf.access.caller import Caller, worker
from sheaf.base.config import config
from sheaf.base.errors import Unavailable
from sheaf.entity import registry
from sheaf.entity.body import object_of
from sheaf.records import write
from sheaf.records.once import Once
from sheaf.records.options import Options
from sheaf.records.rows import Row
from sheaf.store import keys, table

PER_WINDOW = 5  # messages of one source address


def site(request_id: str) -> Caller:
    """The worker that writes for visitors; raises Unavailable where no tenant owns the site (scripts/tenant.py names one)."""
    found = table.get(config().control_table, keys.site())
    if found is None:
        raise Unavailable("The contact form is not open: no tenant owns this site")
    return worker(found["tn"], "site", request_id)


def take(visitor: Caller, body: object, source_ip: str, once: Once | None = None) -> Row:
    """Keep `{"name", "email", "subject", "message"}`; raises ValidationFailed."""
    fields = object_of(body, "name", "email", "subject", "message")
    entity = registry.find("contact_messages")
    return write.create(visitor, entity, {**fields, "source_ip": source_ip}, Options(once=once))
