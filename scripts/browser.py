"""Find Debian's Chromium, or install it, and run the tests of the pages in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str:
    """The browser's program; ends with one sentence where it is missing and cannot be installed."""
    if given := os.environ.get("CHROMIUM"):
        return given
    if found := next(filter(None, map(shutil.which, NAMES)), None):
        return found
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        sys.exit("sheaf: Chromium is missing; install it (on Debian: apt-get install chromium), or say CHROMIUM=/path/to/it.")
    print("installing chromium …", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stdout[-3_000:], done.stderr[-3_000:], sep="\n", file=sys.stderr)
            sys.exit(f"sheaf: {' '.join(command[:2])} failed; its output stands above.")
    return shutil.which("chromium") or sys.exit("sheaf: chromium was installed and is not there")


def main() -> None:
    """Run pytest with the environment of `make browser`, whose closing line is the last one."""
    environment = {**os.environ, "CHROMIUM": chromium()}
    command = [ROOT / ".tools/browser/bin/python", "-m", "pytest", "-p", "xdist", "tests/browser", *sys.argv[1:]]
    sys.exit(subprocess.run([str(part) for part in command], cwd=ROOT, env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
