"""Resolve every requirements/*.in and layers/*/requirements.in anew into files with hashes, for all platforms."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = (  # what the functions run with binds the tests
    "layers/deps/requirements.txt",
    "layers/images/requirements.txt",
    "requirements/runtime.txt",
)
ORDER = (
    "layers/deps/requirements",
    "layers/images/requirements",
    "requirements/runtime",
    "requirements/dev",
    "requirements/browser",
    "requirements/sam",
    "requirements/emulator",
)


def main() -> None:
    """Lock all, the functions' own packages first."""
    for name in ORDER:
        binding = {"requirements/dev": SHARED, "requirements/browser": ("requirements/dev.txt",)}.get(name, ())
        constraints = [part for file in binding for part in ("-c", file)]
        subprocess.run([".venv/bin/uv", "pip", "compile", "--quiet", "--upgrade", "--universal", "--python-version", "3.11",
                        "--generate-hashes", "--no-header", "--no-annotate", *constraints, f"{name}.in", "-o", f"{name}.txt"],
                       cwd=ROOT, check=True)  # fmt: skip
        print(f"locked {name}.txt")
    entry = re.search(r"^uv==[^\n]*\\\n(?:    --hash=\S+(?: \\)?\n)+", (ROOT / "requirements/dev.txt").read_text(), re.MULTILINE)
    assert entry is not None, "requirements/dev.txt does not pin uv"
    (ROOT / "requirements/uv.txt").write_text(entry[0])


if __name__ == "__main__":
    main()
