"""A function with an incomplete environment does not start."""

import pytest

import world
from sheaf.base.config import ConfigError, load

GOOD = {name: value for name, value in world.ENVIRONMENT.items() if name.startswith("SHEAF_")}


def test_the_whole_environment_is_read() -> None:
    found = load(GOOD)
    assert found.stage == "local" and found.webhook_loopback is True and found.webhook_retry_seconds == (0, 0, 0)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_missing_variable_is_named(name: str) -> None:
    for broken in ({**GOOD, name: ""}, {key: value for key, value in GOOD.items() if key != name}):
        with pytest.raises(ConfigError, match=name):
            load(broken)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SHEAF_WEBHOOK_LOOPBACK", "yes"),
        ("SHEAF_WEBHOOK_RETRY_SECONDS", "1,x"),
        ("SHEAF_WEBHOOK_RETRY_SECONDS", "86401"),
        ("SHEAF_WEBHOOK_PORTS", "0"),
    ],
)
def test_a_bad_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        load({**GOOD, name: value})
