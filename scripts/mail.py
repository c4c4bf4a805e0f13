"""The mails that the local AWS was given: `mail.py` prints the newest one, `mail.py ann@example.com` the newest to an address.

The local AWS sends nothing; its SES keeps what it is given. The stack is that of `.local/stack.json`.
"""

import argparse
import json
import re
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HOME = Path(__file__).resolve().parent.parent / ".local" / "stack.json"


def mails(endpoint_url: str, to: str = "") -> list[Mapping[str, Any]]:
    """Every mail (to an address), the oldest first."""
    with urllib.request.urlopen(f"{endpoint_url}/_ministack/ses/messages", timeout=10) as answer:
        found = json.load(answer)
    accounts = found.get("messages", found) if isinstance(found, dict) else {"": found}
    every = [each for several in (accounts.values() if isinstance(accounts, dict) else [accounts]) for each in several]
    return [each for each in every if to in json.dumps(each)]


def text_of(mail: Mapping[str, Any]) -> str:
    """What a mail says."""
    return max(_texts(mail), key=len)


def token_of(mail: Mapping[str, Any]) -> str:
    """The token that a mail of Sheaf carries."""
    found = re.findall(r"[a-z]{3}_[0-9a-z]{26}\.[0-9a-z]+\.[0-9A-Za-z_-]{43}", text_of(mail))
    return str(found[-1])


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for child in children for text in _texts(child)]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("to", nargs="?", default="")
    parser.add_argument("--stack", type=Path, default=HOME)
    asked = parser.parse_args()
    if not asked.stack.exists():
        sys.exit("no stack is running; make run or make up starts one")
    found = mails(json.loads(asked.stack.read_text())["endpoint_url"], asked.to)
    if not found:
        sys.exit(f"no mail{f' to {asked.to}' if asked.to else ''} yet")
    print(text_of(found[-1]))


if __name__ == "__main__":
    main()
