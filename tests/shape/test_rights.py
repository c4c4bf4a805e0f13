"""Least privilege: one role a function, no wildcards, and nothing that is not granted (grants that nothing uses: rights.py)."""

import json
import os
import subprocess
from typing import Any

import pytest

import rights
import template
import world


def test_a_call_that_the_template_does_not_grant_fails(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = rights.granted("records")
    monkeypatch.setattr(rights, "granted", lambda _: everything - {("dynamodb:PutItem", "RecordsTable")})
    answer = sheaf.http("POST", "/v1/tasks", {"title": "x"}, key=acme.key)
    assert answer.status == 500
    assert sheaf.http("GET", "/v1/tasks", key=acme.key).data == []


# ---- what SAM makes of the template ----


@pytest.fixture(scope="module")
def transformed() -> dict[str, Any]:
    command = [template.ROOT / ".tools/sam/bin/python", "tests/shape/transform.py", "template.yaml"]
    environment = {**os.environ, "AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run(command, cwd=template.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def of_type(transformed: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {name: each["Properties"] for name, each in transformed["Resources"].items() if each["Type"] == kind}


# contract: 141
def test_every_function_has_a_role_of_its_own(transformed: dict[str, Any]) -> None:
    functions = of_type(transformed, "AWS::Lambda::Function")
    roles = of_type(transformed, "AWS::IAM::Role")
    held = [properties["Role"]["Fn::GetAtt"][0] for properties in functions.values()]
    assert len(functions) == len(rights.folders()) and len(set(held)) == len(held) and set(held) <= set(roles)
    for name, properties in roles.items():
        managed = properties.get("ManagedPolicyArns", [])
        assert all("AWSLambdaBasicExecutionRole" in str(arn) for arn in managed), (name, managed)
        trusted = [statement["Principal"] for statement in properties["AssumeRolePolicyDocument"]["Statement"]]
        assert all(set(principal) <= {"Service"} for principal in trusted) or name == "TenantRole", (name, trusted)


def test_no_role_has_a_wildcard(transformed: dict[str, Any]) -> None:
    for name, properties in of_type(transformed, "AWS::IAM::Role").items():
        for policy in properties.get("Policies", []):
            for each in policy["PolicyDocument"]["Statement"]:
                for statement in each["Fn::If"][1:] if "Fn::If" in each else [each]:
                    if "Action" not in statement:
                        continue  # AWS::NoValue
                    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                    assert not [action for action in actions if action.endswith(":*") or action == "*"], (name, actions)
                    assert "dynamodb:Scan" not in actions and not [action for action in actions if "PartiQL" in action], name
                    assert statement["Resource"] != "*", (name, actions)


def test_no_function_answers_to_anybody_else(transformed: dict[str, Any]) -> None:
    for name, properties in of_type(transformed, "AWS::Lambda::Permission").items():
        assert "SourceArn" in properties or "SourceAccount" in properties, name
