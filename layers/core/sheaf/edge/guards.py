"""The figures that guards of feature flags look at: where metrics and flags, which know nothing of each other, meet."""

from collections import Counter
from collections.abc import Mapping

from sheaf.access.caller import worker
from sheaf.base.config import config
from sheaf.features.flags import guarding
from sheaf.features.metrics import counts, rollups
from sheaf.store import keys, table


class _Figures:
    """The counts over all tenants."""

    def counted(self, routes: tuple[str, ...], first: int, last: int) -> Counter[str]:
        """As guarding.Figures."""
        found = rollups.read(None, first, last, hourly=False)
        return counts.total(counted for slot, counted in found if slot.route in routes)

    def error_rate(self, counted: Mapping[str, int]) -> float:
        """As guarding.Figures."""
        return counts.error_rate(counted)

    def percentile(self, counted: Mapping[str, int], percent: int) -> float:
        """As guarding.Figures."""
        return counts.percentile(counted, percent)


def look_after_flags(name: str, request_id: str) -> list[str]:
    """Switch off the flags whose guards are breached; their keys."""
    site = table.get(config().control_table, keys.site())
    return guarding.look_after(worker(site["tn"], name, request_id), _Figures()) if site else []
