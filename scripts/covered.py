"""What the tests have reached, of lines and of branches, by folder; exit status 1 under the goal of lines (`make coverage`)."""

import json
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

GOAL = 95.0  # percent of the lines


def main() -> int:
    """Tell it as a table."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "coverage.json"
        command = [sys.executable, "-m", "coverage", "json", "--quiet", "-o", str(told)]
        subprocess.run(command, check=True)
        files = json.loads(told.read_text())["files"]
    folders: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for path, found in files.items():
        parts = Path(path).parts
        name = "/".join(parts[:4]) if parts[:3] == ("layers", "core", "sheaf") and len(parts) > 4 else "/".join(parts[:3])
        name = "functions" if parts[0] == "functions" else name
        for counted in (folders[name], folders["all"]):
            counted.update({key: value for key, value in found["summary"].items() if isinstance(value, int)})
    print(f"{'':36}{'lines':>8}{'':>8}{'branches':>10}")
    for name, counted in sorted(folders.items(), key=lambda each: (each[0] == "all", each[0])):
        lines = _share(counted["covered_lines"], counted["num_statements"])
        branches = _share(counted["covered_branches"], counted["num_branches"])
        print(f"{name:36}{counted['num_statements']:>8}{lines:>7.1f} %{branches:>9.1f} %")
    return 0 if _share(folders["all"]["covered_lines"], folders["all"]["num_statements"]) >= GOAL else 1


def _share(covered: int, every: int) -> float:
    return 100.0 * covered / every if every else 100.0


if __name__ == "__main__":
    sys.exit(main())
