"""The work of each kind of job, imported when the first job of its kind comes: no start pays for all of them."""

from functools import cache
from importlib import import_module

from sheaf.jobs.runner import Work

_WORKS = {  # module of `features` and class
    "bulk": ("bulk.work", "RowsWork"),
    "import": ("bulk.work", "RowsWork"),
    "revert": ("bulk.work", "RowsWork"),
    "export": ("export.work", "ExportWork"),
    "analytics": ("export.analytics", "AnalyticsWork"),
    "package": ("privacy.package", "PackageWork"),
    "erase": ("privacy.erasing", "EraseWork"),
    "audience": ("audience.uploads", "AudienceWork"),
    "audit": ("audit.exporting", "AuditWork"),
    "backup": ("backups.taking", "BackupWork"),
    "plan": ("backups.planning", "PlanWork"),
    "restore": ("backups.restoring", "RestoreWork"),
    "reset": ("accounts.tenants", "ResetWork"),
    "users": ("accounts.members", "UsersWork"),
    "replay": ("webhooks.replay", "ReplayWork"),
}


@cache
def work_of(kind: str) -> Work:
    """The work of a kind; raises KeyError for one that there is not."""
    module, name = _WORKS[kind]
    made = getattr(import_module(f"sheaf.features.{module}"), name)
    if kind == "erase":
        from sheaf.features.accounts import people

        return made(people.forget)  # type: ignore[no-any-return]  # accounts and privacy do not know each other
    return made()  # type: ignore[no-any-return]
