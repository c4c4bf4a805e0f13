"""From a change to the webhooks that want it: one hint an event and webhook, many of them in one message."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic_core import to_json

from sheaf.features.webhooks import catalogue, endpoints, health, hints
from sheaf.features.webhooks.hints import Hint
from sheaf.records import events
from sheaf.records.events import Event
from sheaf.store.keys import Scope
from sheaf.store.table import Item


@dataclass(slots=True)
class News:
    """What the changes of one batch mean to webhooks."""

    _endpoints: dict[str, list[Item]] = field(default_factory=dict)  # of each tenant, as they stood at its first change
    _found: dict[tuple[str, str], tuple[Scope, list[Hint]]] = field(default_factory=dict)

    def add(self, change: Event) -> None:
        """Look for the webhooks that want the events of a change."""
        if not catalogue.is_told(change):
            return
        if change.tenant not in self._endpoints:
            self._endpoints[change.tenant] = list(endpoints.of_tenant(change))
        for webhook in self._endpoints[change.tenant]:
            wanted = [hints.of_event(event) for event in change.all if catalogue.wants(webhook, event)]
            if wanted:
                self._found.setdefault((change.tenant, webhook["sk"]), (change, []))[1].extend(wanted)

    def tell(self) -> None:
        """Tell the sender; what was told is forgotten."""
        while self._found:
            (name, (scope, found)) = next(iter(self._found.items()))
            hints.send(scope, name[1], found)
            del self._found[name]


def of_webhook(new: Item, old: Item | None) -> Iterator[Event]:
    """The events that a change of a webhook itself is: that it was disabled, or that it fails and will be."""
    if old is not None and new["st"] == "disabled" != old["st"]:
        yield _about(new, "endpoint.disabled", None)
    elif old is not None and "warned" in new and (new["warned"], new["since"]) != (old.get("warned"), old.get("since")):
        yield _about(new, "endpoint.failing", health.disables_at(new["since"]))


def _about(webhook: Item, type_: str, disables_at: str | None) -> Event:
    about = {"id": webhook["sk"], "url": webhook["url"], "status": webhook["st"], "reason": webhook.get("why"),
             "failingPercent": webhook.get("warned"), "disablesAt": disables_at}  # fmt: skip
    return events.of_webhook(webhook, type_, to_json(about).decode())
