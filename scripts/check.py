"""Lint, types and template: what `make check` runs, with a line for each and the output of those that fail."""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHECKS = {
    "ruff check": [".venv/bin/ruff", "check", "."],
    "ruff format": [".venv/bin/ruff", "format", "--check", "."],
    "mypy --strict, layers": [
        ".venv/bin/mypy",
        "layers/core/sheaf",
        "layers/core/entities",
        "layers/core/endpoints",
        "layers/core/custom_events",
    ],
    "mypy --strict, scripts": [".venv/bin/mypy", *sorted(str(path) for path in Path("scripts").glob("*.py"))],
    "mypy --strict, webhook-*": [".venv/bin/mypy", "--scripts-are-modules", "scripts/webhook-listen", "scripts/webhook-trigger"],
    **{f"mypy --strict, {path.parent}": [".venv/bin/mypy", str(path)] for path in sorted(Path("functions").glob("*/app.py"))},
    "cfn-lint": [".venv/bin/cfn-lint", "template.yaml"],
    "sam validate --lint": [".tools/sam/bin/sam", "validate", "--lint", "--region", "us-east-1"],
}


def main() -> None:
    """Run all; exit 1 if one failed."""
    environment = {**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    failed = []
    for name, command in CHECKS.items():
        started = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        print(f"{'ok  ' if done.returncode == 0 else 'FAIL'} {name} ({time.monotonic() - started:.1f} s)", flush=True)
        if done.returncode:
            failed.append(name)
            print(done.stdout, done.stderr, sep="\n")
    if failed:
        sys.exit(f"sheaf: {len(failed)} of {len(CHECKS)} checks failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
