"""The built artefact: complete by itself, compiled beforehand, and started within its budget."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import pytest

import template
import world

BUDGET = 1.35  # of importing boto3 and making one DynamoDB client, both with .pyc
FOLDERS = {name: Path(properties["CodeUri"]).name for name, properties in template.functions().items()}


@pytest.fixture(scope="session")
def runtime() -> Path:
    """What Lambda's runtime brings along, compiled like our layers."""
    home, pins = template.ROOT / ".local/runtime", template.ROOT / "requirements/runtime.txt"
    if not (home / "done").exists() or (home / "done").read_text() != pins.read_text() + sys.version:
        uv = str(Path(sys.executable).parent / "uv")
        command = [
            uv,
            "pip",
            "install",
            "--quiet",
            "--require-hashes",
            "--python",
            sys.executable,
            "--target",
            str(home),
            "-r",
            str(pins),
        ]
        subprocess.run(command, check=True)
        subprocess.run(
            [sys.executable, "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash", str(home)], check=True
        )
        (home / "done").write_text(pins.read_text() + sys.version)
    return home


def cold(runtime: Path, *built: Path) -> Mapping[str, Any]:
    environment = {name: value for name, value in world.ENVIRONMENT.items() if not name.startswith("POWERTOOLS")}
    command = [sys.executable, "-I", "-S", str(template.ROOT / "tests/shape/cold.py"), str(runtime), *map(str, built)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def parts(built: Path, name: str) -> list[Path]:
    return [built / "DepsLayer/python", built / "CoreLayer/python", template.ROOT / "functions" / FOLDERS[name]]


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_a_function_needs_only_its_folder_its_layers_and_the_runtime(runtime: Path, built: Path, name: str) -> None:
    found = cold(runtime, *parts(built, name))
    assert found["from_elsewhere"] == []
    assert found["compiled"] == [], "every module but app.py comes with its .pyc"


def test_a_missing_package_is_seen(runtime: Path, built: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="No module named"):
        cold(runtime, tmp_path, *parts(built, "RecordsFunction")[1:])


def test_the_layers_hold_unchecked_hash_pyc(built: Path) -> None:
    for layer in ("DepsLayer", "CoreLayer"):
        sources = list((built / layer).rglob("*.py"))
        compiled = list((built / layer).rglob("*.pyc"))
        assert len(sources) > 20 and len(compiled) >= len(sources)
        assert all(path.read_bytes()[4:8] == b"\x01\0\0\0" for path in compiled), "flags 1: a hash that is not checked"


@pytest.mark.alone
def test_every_function_starts_within_its_budget(runtime: Path, built: Path) -> None:
    """Processor time, the yardstick and every function in turn; the least of each, since whatever else runs here only adds.

    A busy machine may have no quiet moment for one of them: then the middle of fifteen ratios counts, each of two measurements
    one after the other, which what runs beside has slowed down alike.
    """
    yardstick, least = 9.0, dict.fromkeys(FOLDERS, 9.0)
    pairs: dict[str, list[float]] = {name: [] for name in FOLDERS}

    def is_over(name: str) -> bool:
        few = len(pairs[name]) < 15
        return least[name] > BUDGET * yardstick and (few or median(pairs[name]) > BUDGET)

    for number in range(1, 40):
        asked = [name for name in FOLDERS if number <= 4 or is_over(name)]
        if not asked:
            break
        for name in asked:
            beside = cold(runtime)["cpu"]
            time = cold(runtime, *parts(built, name))["cpu"]
            yardstick, least[name] = min(yardstick, beside), min(least[name], time)
            pairs[name].append(time / beside)
    told = {name: min(time / yardstick, median(pairs[name])) for name, time in least.items()}
    print(f"\nboto3 and one client: {yardstick * 1000:.0f} ms;", ", ".join(f"{n} {r:.2f}" for n, r in sorted(told.items())))
    assert not [name for name in FOLDERS if is_over(name)], told
