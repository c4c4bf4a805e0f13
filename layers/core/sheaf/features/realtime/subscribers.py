"""The subscriptions of a tenant's sockets, as the pump knows them: it alone changes them, so a process may remember them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from sheaf.access import guard
from sheaf.access.guard import Named, Present
from sheaf.base.config import config
from sheaf.base.errors import InvalidParameter
from sheaf.base.log import log
from sheaf.features.realtime import subscriptions
from sheaf.features.realtime.subscriptions import Subscription
from sheaf.store import keys, table

Key = tuple[str, str]  # a connection, and a name

_TENANTS = 50  # whose subscriptions a process remembers
_remembered: dict[str, tuple[str, dict[Key, Subscription]]] = {}


@dataclass(slots=True)
class Subscribers:
    """Who has asked for what. `state` names the state of things: it changes with each of them and never comes again."""

    tenant: str
    request_id: str
    state: str = ""
    _found: dict[Key, Subscription] | None = field(default=None)

    def all(self) -> dict[Key, Subscription]:
        """Every subscription, those that still catch up included."""
        if self._found is None:
            known = _remembered.get(self.tenant)
            self._found = known[1] if known and known[0] == self.state else self._read()
            self._remember(self._found)
        return self._found

    def active(self, topic: str = "", *, present: bool = False) -> list[Subscription]:
        """Those that are sent things: all, those of one topic, of these those that take part in presence."""
        return [each for each in self.all().values()
                if not each.waits and topic in ("", each.topic) and (each.presence or not present)]  # fmt: skip

    def to_events(self) -> list[Subscription]:
        """The active subscriptions to events, the macros of their filters read now."""
        found = [each for each in self.active() if not each.topic.startswith(subscriptions.CHANNEL)]
        return [replace(each, wanted=subscriptions.wanted_of(each.terms)) if each.wanted.is_timely else each for each in found]

    def living(self, found: Iterable[Subscription]) -> dict[Named, Present]:
        """Those of their callers who would be let in now."""
        return guard.living(self, {each.who for each in found}, self.request_id)

    def members(self, topic: str) -> list[Subscription]:
        """Who is there: those that take part, may, and whose sockets are open."""
        found = self.active(topic, present=True)
        living = self.living(found)
        open_ = table.get_many(config().limits_table, list({keys.socket(each.connection) for each in found}), names=("pk", "sk"))
        return [each for each in found if keys.socket(each.connection) in open_
                and each.who in living and subscriptions.may_get(living[each.who], each)]  # fmt: skip

    def add(self, made: Subscription) -> None:
        """Keep a subscription, in the place of one of the same name."""
        self._change()
        table.put(config().limits_table, *made.item(self))
        self.all()[made.connection, made.name] = made

    def remove(self, found: Sequence[Subscription]) -> None:
        """Keep them no more."""
        self._change()
        for each in found:
            self.all().pop((each.connection, each.name), None)
        table.take_all(config().limits_table, [keys.subscription(self, each.connection, each.name) for each in found])

    def forget(self) -> None:
        """Remember nothing of what was half done."""
        _remembered.pop(self.tenant, None)

    def _change(self) -> None:
        """Enter another state before anything changes: whoever remembers the former one reads again, also if we die now."""
        found = self.all()
        push = table.update(config().limits_table, keys.push(self), "ADD #n :one", values={"one": 1})
        self.state = state_of(push)
        self._remember(found)

    def _remember(self, found: dict[Key, Subscription]) -> None:
        if len(_remembered) >= _TENANTS:
            _remembered.clear()
        _remembered[self.tenant] = (self.state, found)

    def _read(self) -> dict[Key, Subscription]:
        found = {}
        for item in table.query(config().limits_table, keys.subscriptions(self), page=1_000):
            connection, name = keys.subscribed(item["sk"])
            try:
                found[connection, name] = subscriptions.of(self, connection, name, item)
            except InvalidParameter as error:
                log.warning("a subscription is not understood any more", extra={"why": error.message})
        return found


def state_of(push: table.Item) -> str:
    """The state that a tenant's row names: how often its subscriptions have changed, since when there were some."""
    return f"{push['g']}:{push['n']}"
