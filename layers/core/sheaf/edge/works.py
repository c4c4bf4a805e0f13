"""The work of each kind of job, imported when the first job of its kind comes: no start pays for all of them."""

from functools import cache

from sheaf.jobs.runner import Work


@cache
def work_of(kind: str) -> Work:
    """The work of a kind; raises KeyError for one that there is not."""
    match kind:
        case "bulk" | "import" | "revert":
            from sheaf.features.bulk.work import RowsWork

            return RowsWork()
        case "export":
            from sheaf.features.export.work import ExportWork

            return ExportWork()
        case "analytics":
            from sheaf.features.export.analytics import AnalyticsWork

            return AnalyticsWork()
        case "package":
            from sheaf.features.export.package import PackageWork

            return PackageWork()
        case "audience":
            from sheaf.features.audience.uploads import AudienceWork

            return AudienceWork()
        case "audit":
            from sheaf.features.audit.exporting import AuditWork

            return AuditWork()
        case "erase":
            from sheaf.features.accounts import people
            from sheaf.features.privacy.erasing import EraseWork

            return EraseWork(people.forget)
        case "backup":
            from sheaf.features.backups.taking import BackupWork

            return BackupWork()
        case "plan":
            from sheaf.features.backups.planning import PlanWork

            return PlanWork()
        case "restore":
            from sheaf.features.backups.restoring import RestoreWork

            return RestoreWork()
        case "reset":
            from sheaf.features.accounts.tenants import ResetWork

            return ResetWork()
        case "users":
            from sheaf.features.accounts.members import UsersWork

            return UsersWork()
        case "replay":
            from sheaf.features.webhooks.replay import ReplayWork

            return ReplayWork()
    raise KeyError(kind)
