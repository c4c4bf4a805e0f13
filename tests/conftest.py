"""Fixtures that several folders share."""

import os
from collections.abc import Iterator

import pytest
import world

os.environ.update(world.ENVIRONMENT)


@pytest.fixture
def sheaf() -> Iterator[world.World]:
    """A fresh Sheaf in this process."""
    with world.a_world() as made:
        yield made


@pytest.fixture
def acme(sheaf: world.World) -> world.Tenant:
    return sheaf.tenant("Acme")


@pytest.fixture
def globex(sheaf: world.World) -> world.Tenant:
    return sheaf.tenant("Globex")
