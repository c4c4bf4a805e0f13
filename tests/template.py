"""template.yaml as data, for the tests that hold it and for the world that follows it."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent


class _Loader(yaml.SafeLoader):
    pass


def _tag(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _tag)


@cache
def template() -> dict[str, Any]:
    return yaml.load((ROOT / "template.yaml").read_text(), _Loader)


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """The properties of every resource of one type."""
    return {name: each.get("Properties", {}) for name, each in template()["Resources"].items() if each["Type"] == kind}


def functions() -> dict[str, dict[str, Any]]:
    return resources("AWS::Serverless::Function")


def statements(properties: dict[str, Any], isolation: str = "app") -> list[dict[str, Any]]:
    """What a function's policies say, as TenantIsolation has it."""
    found = []
    for policy in properties.get("Policies", []):
        for statement in policy["Statement"] if isinstance(policy, dict) else []:
            if "Fn::If" in statement:
                condition, then, other = statement["Fn::If"]
                assert condition == "IamIsolation"
                statement = then if isolation == "iam" else other  # noqa: PLW2901  # resolved
            if "Sid" in statement:
                found.append(statement)
    return found


def routes() -> dict[str, str]:
    """Each path of the API with the folder of the function behind it."""
    found = {}
    for path, item in resources("AWS::Serverless::Api")["Api"]["DefinitionBody"]["paths"].items():
        uri = item["get"]["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
        logical = uri.split("${")[-1].split(".Arn")[0]
        found[path] = Path(functions()[logical]["CodeUri"]).name
    return found


def route_of(path: str) -> tuple[str, str, dict[str, str]]:
    """The template path, the function folder and the path parameters that API Gateway would find: static, then {x}, then {x+}."""
    segments = path.strip("/").split("/")
    best: tuple[list[int], str, dict[str, str]] | None = None
    for rule in routes():
        parts = rule.strip("/").split("/")
        rank, parameters, fits = [], {}, len(parts) <= len(segments)
        for number, part in enumerate(parts):
            if not fits:
                break
            if part.endswith("+}"):
                parameters[part[1:-2]] = "/".join(segments[number:])
                rank.append(2)
                break
            if part.startswith("{"):
                parameters[part[1:-1]] = segments[number]
                rank.append(1)
            elif part == segments[number]:
                rank.append(0)
            else:
                fits = False
        else:
            fits = fits and len(parts) == len(segments)
        if fits and (best is None or rank < best[0]):
            best = (rank, rule, parameters)
    assert best is not None, path
    return best[1], routes()[best[1]], best[2]
