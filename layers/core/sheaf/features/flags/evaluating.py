"""What a flag is for somebody: the rule engine of Powertools, fed with who asks and what they say of themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from aws_lambda_powertools.utilities.feature_flags import FeatureFlags
from aws_lambda_powertools.utilities.feature_flags.base import StoreProvider

from sheaf.access.caller import Caller
from sheaf.base.clock import now_ms
from sheaf.features.flags import stored
from sheaf.features.flags.declared import BUCKET, BUCKETS, NOW, Flag

Reason = Literal["STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED"]


@dataclass(frozen=True, slots=True)
class Asker:
    """For whom a flag is evaluated: what is proven of the caller, and what it says beside that."""

    caller: Caller
    tier: str
    said: Mapping[str, Any]

    @property
    def user(self) -> str:
        """Whom percentages and the key `user` are about: who is named by an API key, oneself for a user."""
        named = self.said.get("targetingKey")
        return str(named) if named and self.caller.kind == "key" else self.caller.principal

    def context(self, flag: Flag) -> dict[str, Any]:
        """What rules look at; nobody can say they were another tenant, or of another tier or role."""
        digest = sha256(f"{flag.key}\0{self.caller.tenant}\0{self.user}".encode()).digest()
        return {**self.said, "tenant": self.caller.tenant, "tier": self.tier, "role": self.caller.role, "user": self.user,
                BUCKET: int.from_bytes(digest[:8], "big") % BUCKETS, NOW: now_ms()}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A flag's variant and value for somebody, and why."""

    key: str
    variant: str
    value: Any
    reason: Reason
    rule: str | None = None

    def shown(self) -> dict[str, Any]:
        """As OFREP answers it."""
        return {"key": self.key, "reason": self.reason, "variant": self.variant, "value": self.value,
                "metadata": {"rule": self.rule} if self.rule else {}}  # fmt: skip


def evaluate(flag: Flag, asker: Asker) -> Evaluation:
    """What a flag is for somebody."""
    choice = stored.chosen(asker.caller).get(flag.key) if flag.self_service else None
    if choice is not None:
        variant = flag.self_service if choice and flag.self_service else flag.off
        return Evaluation(flag.key, variant, flag.variants[variant], "TARGETING_MATCH", "chosen by the tenant")
    if not flag.enabled:
        return Evaluation(flag.key, flag.off, flag.variants[flag.off], "DISABLED")
    engine = FeatureFlags(store=_One(flag))
    found: Any = engine.evaluate(name=flag.key, context=asker.context(flag), default={"variant": flag.default})
    variant, rule = found["variant"], found.get("rule")
    reason: Reason = "STATIC" if rule is None else "SPLIT" if found.get("split") else "TARGETING_MATCH"
    return Evaluation(flag.key, variant, flag.variants[variant], reason, rule)


def every(asker: Asker) -> list[Evaluation]:
    """All flags for somebody, by their keys."""
    return [evaluate(flag, asker) for _, flag in sorted(stored.every().items())]


def is_on(flag_key: str, asker: Asker) -> bool:
    """Whether a flag is there and says true, for code of the installation itself."""
    flag = stored.every().get(flag_key)
    return flag is not None and evaluate(flag, asker).value is True


class _One(StoreProvider):
    """One flag as Powertools' store."""

    def __init__(self, flag: Flag) -> None:
        self._flag = flag

    def get_configuration(self) -> dict[str, Any]:
        """The schema of the flag."""
        return self._flag.schema()

    @property
    def get_raw_configuration(self) -> dict[str, Any]:
        """The same."""
        return self._flag.schema()
