"""Fixtures of the tests of webhooks."""

import pytest

import hooks
import world
from sheaf.base.config import config


@pytest.fixture
def paced(sheaf: world.World, monkeypatch: pytest.MonkeyPatch) -> world.World:
    """With pauses between attempts, and delays of messages by the clock of the test."""
    monkeypatch.setenv("SHEAF_WEBHOOK_RETRY_SECONDS", hooks.SCHEDULE)
    config.cache_clear()
    hooks.hold_delays(sheaf, monkeypatch)
    return sheaf
