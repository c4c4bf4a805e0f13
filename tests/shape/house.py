"""The rules of the house, as functions over a tree of files, so that a test can break each one on purpose."""

import ast
from collections.abc import Iterator
from pathlib import Path

RANKS = [["base"], ["entity"], ["formats", "describe"], ["store"], ["access"], ["records"], ["jobs"], ["features"], ["edge"]]
LONGEST_APP = 60
LONGEST_FILE = 500
LONGEST_FUNCTION = 50
AWS_PACKAGES = ("boto3", "botocore")
NETWORK_PACKAGES = ("urllib3", "requests", "httpx", "http", "socket")
NETWORK_DOORS = ("store/outbound.py", "store/scanner.py")  # to whom tenants name, and to the installation\'s own scanner


def complaints(root: Path) -> list[str]:
    """Everything under `root` (a checkout) that breaks a rule."""
    found: list[str] = []
    core = root / "layers/core/sheaf"
    for path in sorted(core.rglob("*.py")):
        part = path.relative_to(core).parts
        found += _module(path, part)
    for path in sorted((root / "functions").glob("*/app.py")):
        if (lines := len(path.read_text().splitlines())) > LONGEST_APP:
            found.append(f"{path.parent.name}/app.py has {lines} lines; {LONGEST_APP} is the most")
        for line, name in _imports(path):
            if name.split(".")[0] in (*AWS_PACKAGES, *NETWORK_PACKAGES):
                found.append(f"{path.parent.name}/app.py:{line} imports {name}")
            if name.startswith("functions"):
                found.append(f"{path.parent.name}/app.py:{line} calls another function")
    for path in sorted((root / "layers/core/endpoints").glob("*.py")):
        for line, name in _imports(path):
            if name.split(".")[0] in (*AWS_PACKAGES, *NETWORK_PACKAGES) or name.startswith("sheaf.store"):
                found.append(f"endpoints/{path.name}:{line} imports {name}; only sheaf/store touches AWS")
    for path in sorted((root / "layers/core/entities").glob("*.py")):
        for line, name in _imports(path):
            if name.split(".")[0] not in ("sheaf", "typing", "datetime", "enum", "collections", "re"):
                found.append(f"entities/{path.name}:{line} imports {name}; an entity imports only sheaf")
    return found


def _module(path: Path, part: tuple[str, ...]) -> Iterator[str]:
    where = "/".join(part)
    text = path.read_text()
    if (lines := len(text.splitlines())) > LONGEST_FILE:
        yield f"{where} has {lines} lines; {LONGEST_FILE} is the most"
    mine = _rank(part[0])
    for line, name in _imports(path):
        yield from _import(where, part, mine, line, name)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv") and where != "base/config.py":
            yield f"{where}:{node.lineno} reads the environment; only base/config.py may"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LONGEST_FUNCTION:
                yield f"{where}:{node.lineno} {node.name} has {length} lines; {LONGEST_FUNCTION} is the most"
        if isinstance(node, ast.ExceptHandler) and part[0] != "edge" and _is_broad(node):
            yield f"{where}:{node.lineno} catches everything; only edge may"
        if isinstance(node, ast.JoinedStr) and not where.startswith("store/keys/") and _is_key(node):
            yield f"{where}:{node.lineno} builds a key; only store/keys may"


def _import(where: str, part: tuple[str, ...], mine: int | None, line: int, name: str) -> Iterator[str]:
    top = name.split(".", maxsplit=1)[0]
    if top in AWS_PACKAGES and part[0] != "store":
        yield f"{where}:{line} imports {name}; only store may"
    if top in NETWORK_PACKAGES and where not in NETWORK_DOORS:
        yield f"{where}:{line} imports {name}; only store/outbound.py may"
    if top != "sheaf" or mine is None:
        return
    target = name.split(".")
    theirs = _rank(target[1]) if len(target) > 1 else None
    if theirs is None:
        return
    if theirs > mine or (theirs == mine and target[1] != part[0]):
        yield f"{where}:{line} imports {name}, which is not below it"
    if part[0] == "features" == target[1] and len(part) > 1 and len(target) > 2 and part[1].removesuffix(".py") != target[2]:
        yield f"{where}:{line} imports its sibling {name}"


def _rank(name: str) -> int | None:
    return next((number for number, names in enumerate(RANKS) if name in names), None)


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.startswith("sheaf"):
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, node.module


def _is_broad(node: ast.ExceptHandler) -> bool:
    broad = node.type is None or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException"))
    raises = any(isinstance(each, ast.Raise) and each.exc is None for each in node.body)
    return broad and not raises


def _is_key(node: ast.JoinedStr) -> bool:
    """A formatted text with a `#` between two parts, or one that begins with a tenant: what keys look like."""
    texts = [part.value for part in node.values if isinstance(part, ast.Constant)]
    values = [part for part in node.values if isinstance(part, ast.FormattedValue)]
    named = any("tenant" in ast.unparse(value.value) for value in values)
    return named and any(str(text).startswith(("#", "/")) for text in texts)
