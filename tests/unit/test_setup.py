"""What is missing on a machine gets one clear sentence."""

import collections
import shutil
import subprocess
import sys

import pytest

import setup
import stack


def sentence(call: object) -> str:
    with pytest.raises(SystemExit) as ended:
        call()  # type: ignore[operator]
    return str(ended.value)


@pytest.mark.parametrize("tool", ["git", "make"])
def test_a_missing_tool(monkeypatch: pytest.MonkeyPatch, tool: str) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == tool else "/usr/bin/x")
    assert f"{tool} is missing" in sentence(setup.check_machine)


def test_an_old_python(monkeypatch: pytest.MonkeyPatch) -> None:
    version = collections.namedtuple("version", "major minor micro releaselevel serial")(3, 10, 1, "final", 0)
    monkeypatch.setattr(sys, "version_info", version)
    assert "Python 3.11 or newer is needed" in sentence(setup.check_machine)


def test_a_python_without_venv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert "python3-venv" in sentence(setup.check_machine)


def test_a_port_in_use() -> None:
    import http.server

    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        busy = stack.Stack("nothing", server.server_port)
        with pytest.raises(stack.StackError, match=f"port {server.server_port} is in use"):
            stack.start(busy)


def test_a_tool_that_fails_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(stack.StackError, match="-c failed"):
        stack.call({}, sys.executable, "-c", "print('its own words'); raise SystemExit(3)")
    assert "its own words" in capsys.readouterr().err
    assert (
        subprocess.run(
            [sys.executable, "scripts/stack.py", "down", "--name", "nothing"], capture_output=True, check=False
        ).returncode
        == 0
    )
