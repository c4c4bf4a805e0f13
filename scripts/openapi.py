"""Write what the API says of itself, from the routes and the entities: OpenAPI, the GraphQL schema, the catalogue of events.

`openapi.py --check` writes nothing and says whether they are up to date.
"""

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "layers/core"))
HOME = ROOT / "layers/core/sheaf/describe"


def apis() -> Iterator[object]:
    """The `api` of every function of the front."""
    for path in sorted((ROOT / "functions").glob("*/app.py")):
        if path.parent.name.startswith("on_"):
            continue
        spec = importlib.util.spec_from_file_location(f"described_{path.parent.name}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if hasattr(module, "api"):  # sockets have none
            yield module.api


def pretend() -> None:
    """Let the functions start without a stack: a description asks nothing of it."""
    from sheaf.base.config import Config

    for each in fields(Config):
        value = "false" if "bool" in str(each.type) else "12" if "int" in str(each.type) else "never"
        os.environ.setdefault(f"SHEAF_{each.name.upper()}", value)
    os.environ["SHEAF_TENANT_ROLE_ARN"] = "none"
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")


def documents() -> dict[Path, str]:
    """The text of each document by its file."""
    from sheaf.describe import graphql
    from sheaf.describe.event_types import catalogue
    from sheaf.describe.openapi import RouteFacts, document
    from sheaf.entity import registry
    from sheaf.entity.names import camel

    pretend()
    routes = [
        RouteFacts(method, "/" + "/".join(rule.segments), route.permission, route.cost, route.lists)
        for api in apis()
        for rule in api.rules()  # type: ignore[attr-defined]
        for method, route in rule.methods.items()
    ]
    entities = [registry.find(path) for path in registry.paths()]
    made = {1: document(routes, entities, 1, str), 2: document(routes, entities, 2, camel)}
    types = ",\n".join(json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in catalogue())
    return {
        **{HOME / f"openapi.v{number}.json": laid_out(each) for number, each in made.items()},
        HOME / "event-types.json": f"[\n{types}\n]\n",
        HOME / "schema.graphql": graphql.text([*entities, registry.files()]),
    }


def laid_out(document: Mapping[str, Any]) -> str:
    """JSON with a line for each path and each component: small enough to serve, and a change shows where it is."""

    def text(value: Any, where: str, depth: int) -> str:
        if depth == 0 or not isinstance(value, dict):
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        deeper = depth - 1 if where in ("", "components") else 0
        return "{\n" + ",\n".join(f"{json.dumps(name)}:{text(each, name, deeper)}" for name, each in value.items()) + "\n}"

    return text(document, "", 3) + "\n"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    for path, text in documents().items():
        if asked.check and path.read_text() != text:
            sys.exit(f"{path.relative_to(ROOT)} is not what the routes and entities say; make openapi writes it anew")
        if not asked.check:
            path.write_text(text)
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
