"""Fixtures that several folders share."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import template
import world

os.environ.update(world.ENVIRONMENT)
sys.dont_write_bytecode = True  # functions/ is packed as it lies


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


@pytest.fixture(scope="session")
def stack() -> Iterator[dict[str, Any]]:
    """The deployed stack of the tests, on a port of its own; with BASE_URL's stack.json in SHEAF_STACK, that one instead."""
    if given := os.environ.get("SHEAF_STACK"):
        yield json.loads(Path(given).read_text())
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "scripts/stack.py", "{}", "--name", "test", "--port", str(port)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SHEAF_", "AWS_", "POWERTOOLS_"))}
    subprocess.run([part.format("down") for part in command], cwd=template.ROOT, env=environment, check=True, capture_output=True)
    up = subprocess.run(
        [part.format("up") for part in command], cwd=template.ROOT, env=environment, check=False, capture_output=True, text=True
    )
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        yield json.loads((template.ROOT / ".local/test/stack.json").read_text())
    finally:
        subprocess.run(
            [part.format("down") for part in command], cwd=template.ROOT, env=environment, check=True, capture_output=True
        )


@pytest.fixture(scope="session")
def built(stack: dict[str, Any]) -> Path:
    """The folder that `sam build` made for the stack of the tests."""
    return template.ROOT / ".local/test/build"
