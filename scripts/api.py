"""Calls of the running stack with nothing but the standard library, for programs that run without `make setup`."""

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

STACK = Path(__file__).resolve().parent.parent / ".local/stack.json"


def running(path: Path) -> dict[str, Any]:
    """What `make run` or `make up` wrote down of the stack; exits where there is none."""
    if not path.exists():
        sys.exit("no stack is running; make run or make up starts one")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def call(stack: dict[str, Any], method: str, path: str, body: object = None) -> Any:
    """The `data` of an answer to the first tenant's key; exits where it is an error."""
    headers = {"Authorization": f"Bearer {stack['tenants'][0]['api_key']}", "Content-Type": "application/json"}
    sent = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(stack["base_url"] + path, method=method, data=sent, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=40) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        sys.exit(f"{method} {path}: {error.code} {error.read().decode()[:500]}")
