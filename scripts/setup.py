"""Set up what the commands of the Makefile need, on a machine with only Python, git and make.

`.venv` holds the product and its checks, `.tools/sam` and `.tools/emulator` the two tools whose pins conflict;
`make browser` asks for `.tools/browser`, too.
Each is made from a requirements file with hashes and is left alone while that file stays the same.
"""

import hashlib
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
ENVIRONMENTS = {
    ".venv": "requirements/dev.txt",
    ".tools/sam": "requirements/sam.txt",
    ".tools/emulator": "requirements/emulator.txt",
}
RARE = {".tools/browser": "requirements/browser.txt"}  # only where it is named


def stop(sentence: str) -> None:
    """End with one clear sentence."""
    sys.exit(f"sheaf: {sentence}")


def check_machine() -> None:
    """End with one sentence where something is missing."""
    if sys.version_info < OLDEST:
        stop(f"Python {'.'.join(map(str, OLDEST))} or newer is needed, this is {platform.python_version()}; "
             "say PYTHON=/path/to/python3 to make.")  # fmt: skip
    for tool in ("git", "make"):
        if shutil.which(tool) is None:
            stop(f"{tool} is missing; install it with the system's package manager.")
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        stop("this Python has no venv module; on Debian: apt-get install python3-venv.")


def run(*command: str | Path) -> None:
    """Run a command; end with its own output and one sentence if it fails."""
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        stop(f"setting up failed in: {' '.join(str(part) for part in command[:4])} …")


def wanted(requirements: str) -> str:
    """What an environment is made of, as a digest."""
    text = (ROOT / requirements).read_bytes() + (ROOT / "requirements/uv.txt").read_bytes()
    return hashlib.sha256(text + f"{sys.executable} {platform.python_version()}".encode()).hexdigest()


def make(folder: str, requirements: str) -> None:
    """Make one environment, unless it is there as it should be."""
    home, stamp = ROOT / folder, ROOT / folder / ".made-of"
    if stamp.exists() and stamp.read_text() == wanted(requirements):
        return
    started = time.monotonic()
    print(f"setting up {folder} from {requirements} …", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    run(sys.executable, "-m", "venv", home)
    run(home / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--require-hashes", "-r", "requirements/uv.txt")  # fmt: skip
    run(home / "bin/uv", "pip", "install", "--quiet", "--require-hashes", "--python", home / "bin/python", "-r", requirements)
    stamp.write_text(wanted(requirements))
    print(f"  done in {time.monotonic() - started:.0f} s", flush=True)


def main() -> None:
    """Make the environments that are named, or all."""
    check_machine()
    for folder in sys.argv[1:] or ENVIRONMENTS:
        make(folder, {**ENVIRONMENTS, **RARE}[folder])


if __name__ == "__main__":
    main()
