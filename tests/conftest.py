"""Fixtures that several folders share."""

import gc
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

import rights
import template
import turns
import world

os.environ.update(world.ENVIRONMENT)
# An AWS of hundreds of thousands of objects lives in this process: looking for garbage took an eighth of the time.
gc.set_threshold(20_000, 20, 50)
sys.dont_write_bytecode = True  # functions/ is packed as it lies


# ---- one run over several processes ----


NEED_THE_STACK = ("tests/e2e/", "tests/browser/", "tests/shape/test_functions.py")
collect_ignore = [] if find_spec("playwright") else ["browser"]  # `make browser` has an environment of its own


class Scheduling(LoadScopeScheduling):
    """What needs the deployed stack is done by one process from the beginning; everything else by whoever is free."""

    def _split_scope(self, nodeid: str) -> str:
        return "stack" if nodeid.startswith(NEED_THE_STACK) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """How the tests are shared out."""
    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What leaves the stack with thousands of changes to follow comes last; and no test may start a second one."""
    items.sort(key=lambda item: item.nodeid.startswith("tests/e2e/test_large.py"))
    for item in items:
        if "stack" in getattr(item, "fixturenames", ()) and not item.nodeid.startswith(NEED_THE_STACK):
            raise pytest.UsageError(f"{item.nodeid} needs the stack; add it to NEED_THE_STACK")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """A test that holds a time has the machine for itself."""
    with turns.turn(alone=item.get_closest_marker("alone") is not None):
        return (yield)


def pytest_testnodedown(node: Any, error: object) -> None:
    """A process has ended."""
    rights.hear(getattr(node, "workeroutput", {}).get("rights", []))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The last check of a whole run: no function may more than it has done."""
    config = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput["rights"] = rights.told()
        return
    if sharing := config.pluginmanager.get_plugin("dsession"):
        turns.forget(sharing.nodemanager.testrunuid)
    if config.args == ["tests"] and not config.option.keyword and not session.shouldstop and (left := rights.unused()):
        text = "\n".join(f"{folder} may {action} on {place}, and no test saw it do so" for folder, action, place in sorted(left))
        place = ("tests/rights.py", None, "no_function_may_more_than_it_does")
        report = pytest.TestReport("tests/rights.py::no_function_may_more_than_it_does", place, {}, "failed", text, "call")
        config.pluginmanager.get_plugin("terminalreporter").stats.setdefault("failed", []).append(report)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


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
