"""What must hold for every resource of the template, and each rule broken once on purpose."""

import copy
from typing import Any

import pytest

import template

STATEFUL = {"AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::S3::Bucket"}


def complaints(found: dict[str, Any]) -> list[str]:
    resources = found["Resources"]
    wrong: list[str] = []
    dead = {name for name in resources if name.endswith("DeadQueue")}
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::DynamoDB::Table":
                if not properties.get("SSESpecification", {}).get("SSEEnabled"):
                    wrong.append(f"{name} is not encrypted")
            case "AWS::SQS::Queue":
                if not properties.get("SqsManagedSseEnabled"):
                    wrong.append(f"{name} is not encrypted")
                if name not in dead and "RedrivePolicy" not in properties:
                    wrong.append(f"{name} has no dead-letter queue")
            case "AWS::S3::Bucket":
                if "BucketEncryption" not in properties:
                    wrong.append(f"{name} is not encrypted")
                if set(properties.get("PublicAccessBlockConfiguration", {}).values()) != {True}:
                    wrong.append(f"{name} may be public")
                if not any(
                    r["Type"] == "AWS::S3::BucketPolicy" and r["Properties"]["Bucket"] == {"Ref": name}
                    for r in resources.values()
                ):
                    wrong.append(f"{name} takes plain http")
            case "AWS::Logs::LogGroup":
                if "RetentionInDays" not in properties:
                    wrong.append(f"{name} keeps its lines for ever")
            case "AWS::Lambda::EventSourceMapping":
                wrong += _mapping(name, properties, resources)
            case "AWS::Serverless::Function":
                wrong += _function(name, properties, resources)
    return wrong


def _mapping(name: str, properties: dict[str, Any], resources: dict[str, Any]) -> list[str]:
    wrong = []
    if properties.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
        wrong.append(f"{name} fails whole batches")
    source = properties["EventSourceArn"]["Fn::GetAtt"]
    source = source if isinstance(source, str) else ".".join(source)
    if source.endswith("StreamArn"):
        for needed in ("BisectBatchOnFunctionError", "MaximumRetryAttempts", "MaximumRecordAgeInSeconds", "DestinationConfig"):
            if needed not in properties:
                wrong.append(f"{name} lacks {needed}")
    else:
        queue = resources[source.split(".")[0]]["Properties"]
        consumer = resources[properties["FunctionName"]["Ref"]]["Properties"]
        # A group of a FIFO queue waits for a function that has died until then: not longer than Lambda asks for.
        if queue["VisibilityTimeout"] < (1 if queue.get("FifoQueue") else 6) * consumer["Timeout"]:
            wrong.append(f"{name}: the queue's visibility is under six times its consumer's timeout")
    return wrong


def _function(name: str, properties: dict[str, Any], resources: dict[str, Any]) -> list[str]:
    wrong = []
    group = properties.get("LoggingConfig", {}).get("LogGroup", {}).get("Ref")
    if group not in resources:
        wrong.append(f"{name} has no log group of ours")
    if "Role" in properties or not properties.get("Policies"):
        wrong.append(f"{name} has no role of its own")
    if any(isinstance(policy, str) for policy in properties.get("Policies", [])):
        wrong.append(f"{name} uses a managed policy")
    for statement in [*template.statements(properties), *template.statements(properties, "iam")]:
        for action in statement["Action"]:
            if action.endswith(":*") or action == "*":
                wrong.append(f"{name} may do {action}")
        if statement["Resource"] == "*" or "*" in (statement["Resource"] if isinstance(statement["Resource"], list) else []):
            wrong.append(f"{name} may do {statement['Action']} to everything")
    if properties.get("Events") and "EventInvokeConfig" not in properties:
        wrong.append(f"{name} loses events that fail")
    return wrong


def test_every_resource_keeps_the_rules() -> None:
    assert complaints(template.template()) == []


BREAKS = [
    ("RecordsTable", lambda p: p.pop("SSESpecification"), "not encrypted"),
    ("JobsQueue", lambda p: p.pop("SqsManagedSseEnabled"), "not encrypted"),
    ("JobsQueue", lambda p: p.pop("RedrivePolicy"), "no dead-letter queue"),
    ("JobsQueue", lambda p: p.update(VisibilityTimeout=30), "six times"),
    ("JobsBucket", lambda p: p.pop("BucketEncryption"), "not encrypted"),
    ("JobsBucket", lambda p: p["PublicAccessBlockConfiguration"].update(BlockPublicAcls=False), "public"),
    ("JobsBucketPolicy", lambda p: p.update(Bucket="other"), "plain http"),
    ("RecordsLogs", lambda p: p.pop("RetentionInDays"), "for ever"),
    ("RecordsChanges", lambda p: p.pop("DestinationConfig"), "lacks DestinationConfig"),
    ("JobsMessages", lambda p: p.pop("FunctionResponseTypes"), "whole batches"),
    ("RecordsFunction", lambda p: p.pop("LoggingConfig"), "log group"),
    ("RecordsFunction", lambda p: p.pop("Policies"), "role of its own"),
    ("RecordsFunction", lambda p: p["Policies"].append("AdministratorAccess"), "managed policy"),
    ("RecordsFunction", lambda p: p["Policies"][0]["Statement"][0].update(Action=["dynamodb:*"]), "may do dynamodb:*"),
    ("RecordsFunction", lambda p: p["Policies"][0]["Statement"][0].update(Resource="*"), "to everything"),
    ("OnUploadFunction", lambda p: p.pop("EventInvokeConfig"), "loses events"),
]


@pytest.mark.parametrize(("name", "change", "complaint"), BREAKS, ids=[f"{case[0]}-{case[2]}" for case in BREAKS])
def test_every_rule_can_be_broken(name: str, change: Any, complaint: str) -> None:
    broken = copy.deepcopy(template.template())
    change(broken["Resources"][name]["Properties"])
    assert any(complaint in each for each in complaints(broken))


def test_every_route_takes_every_verb_and_every_api_function_may_be_called() -> None:
    for path, item in template.resources("AWS::Serverless::Api")["Api"]["DefinitionBody"]["paths"].items():
        assert set(item) == {"get", "head", "post", "put", "patch", "delete", "options"}, path
    called = {properties["FunctionName"]["Ref"] for properties in template.resources("AWS::Lambda::Permission").values()}
    sockets = template.resources("AWS::Serverless::WebSocketApi")["SocketsApi"]["Routes"]  # whose permissions SAM makes
    assert set(sockets) == {"$connect", "$disconnect", "$default"}
    called |= {route["FunctionArn"]["Fn::GetAtt"].partition(".")[0] for route in sockets.values()}
    behind = {name for name, properties in template.functions().items() if not properties["CodeUri"].startswith("functions/on_")}
    assert called == behind


def test_prod_refuses_loopback_webhooks() -> None:
    rule = template.template()["Rules"]["NoLoopbackInProd"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "Stage"}, "prod"]}
    assert rule["Assertions"][0]["Assert"] == {"Fn::Equals": [{"Ref": "WebhookLoopback"}, "false"]}


def test_the_stack_stays_far_below_the_limit_of_resources() -> None:
    assert len(template.template()["Resources"]) <= 250
