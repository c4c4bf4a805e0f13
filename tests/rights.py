"""The template's policies, asked before every AWS call of a function in this process: what a role may not, it cannot here.

What the functions have used is kept by every process of a run, and a whole run fails for a grant that nothing has used (conftest.py).
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import template

Right = tuple[str, str]  # an action, and what it is done to: RecordsTable, RecordsTable/index, jobs/*, JobsQueue
_TRANSACTED = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
_S3 = {
    "CreateBucket": "PutObject",  # how botocore makes a presigned form
    "HeadObject": "GetObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "ListParts": "ListMultipartUploadParts",
}
_S3_LISTS = {
    "HeadBucket": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
}
# What S3 asks of KMS for the caller of a bucket that is encrypted with a key of ours.
_KEYS = {"backups": "BackupsKey"}
_KMS = {"s3:GetObject": "kms:Decrypt", "s3:PutObject": "kms:GenerateDataKey"}
_IMPLIED = {"s3:ListBucket", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "dynamodb:GetRecords",
            "dynamodb:GetShardIterator", "dynamodb:DescribeStream", "dynamodb:ListStreams"}  # fmt: skip  # done by AWS for the function

# What only trouble or a rare way needs, with the reason; every other grant is used by some test of tests/api.
RARE = {
    ("on_change", "s3:PutObject", "jobs/*"): "used by Lambda itself, for batches of a stream that fail for good",
    (
        "uploads",
        "s3:GetObject",
        "uploads/*",
    ): "links name the version that was checked; the local stack was not tried without it",
    ("on_job", "dynamodb:DeleteItem", "ControlTable"): "undoes a lease that a cancel has overtaken",
    ("on_job", "s3:AbortMultipartUpload", "jobs/*"): "gives up the parts of a large file that was stopped",
    ("on_schedule", "dynamodb:DeleteItem", "ControlTable"): "strikes a job whose end the stream has not told",
}

used: dict[str, set[Right]] = {}  # by function, since the start of the process
_acting: list[str] = []


class AccessDenied(AssertionError):
    """The role of a function does not allow a call."""


@contextmanager
def of(folder: str) -> Iterator[None]:
    """Within it, calls are those of the function in this folder."""
    _acting.append(folder)
    try:
        yield
    finally:
        _acting.pop()


@contextmanager
def nobody() -> Iterator[None]:
    """Within it, calls are the test's own, although a function is at work around it."""
    acting, _acting[:] = _acting[:], []
    try:
        yield
    finally:
        _acting[:] = acting


def check(params: Mapping[str, Any], model: Any, **_: Any) -> None:
    """The hook of the AWS clients: raises AccessDenied."""
    if not _acting:
        return  # the test itself
    folder = _acting[-1]
    for right in asked(model.service_model.service_name, model.name, params):
        used.setdefault(folder, set()).add(right)
        if not any(fnmatchcase(right[0], action) and fnmatchcase(right[1], place) for action, place in granted(folder)):
            raise AccessDenied(f"{folder} may not {right[0]} on {right[1]}: template.yaml does not grant it")


def asked(service: str, operation: str, params: Mapping[str, Any]) -> list[Right]:
    """The rights that a call needs."""
    if service == "dynamodb":
        if operation == "TransactWriteItems":
            pairs = [(kind, action["TableName"]) for item in params["TransactItems"] for kind, action in item.items()]
            return [(f"dynamodb:{_TRANSACTED[kind]}", table) for kind, table in pairs]
        if operation in ("BatchGetItem", "BatchWriteItem"):
            return [(f"dynamodb:{operation}", table) for table in params["RequestItems"]]
        return [(f"dynamodb:{operation}", params["TableName"] + ("/index" if "IndexName" in params else ""))]
    if service == "s3":
        if operation in _S3_LISTS:
            return [(_S3_LISTS[operation], params["Bucket"])]
        if operation == "PutObjectTagging" and params.get("VersionId"):
            return [("s3:PutObjectVersionTagging", f"{params['Bucket']}/*")]
        action = f"s3:{_S3.get(operation, operation)}"
        found = [(action + ("Version" if params.get("VersionId") else ""), f"{params['Bucket']}/*")]
        if params["Bucket"] in _KEYS and action in _KMS:
            found.append((_KMS[action], _KEYS[params["Bucket"]]))
        return found
    if service == "sqs":
        action = "SendMessage" if operation == "SendMessageBatch" else operation
        return [(f"sqs:{action}", params["QueueUrl"].rpartition("/")[2].removesuffix(".fifo"))]
    if service == "apigatewaymanagementapi":
        return [("execute-api:ManageConnections", "SocketsApi")]
    if service == "secretsmanager":
        return [("secretsmanager:GetSecretValue", "SigningSecret")]
    if service == "kms":
        return [(f"kms:{operation}", "ReceiptsKey" if params["KeyId"].endswith("receipts") else "SecretsKey")]
    return [("ses:SendEmail" if service == "sesv2" else f"{service}:{operation}", "*")]


@cache
def granted(folder: str) -> frozenset[Right]:
    """What the template lets a function do."""
    properties = next(each for each in template.functions().values() if Path(each["CodeUri"]).name == folder)
    found = set()
    for statement in template.statements(properties):
        resources = statement["Resource"]
        for resource in resources if isinstance(resources, list) else [resources]:
            found |= {(action, _place(resource)) for action in statement["Action"]}
    return frozenset(found)


def told() -> list[list[str]]:
    """What this process has used, for the one that adds up."""
    return [[folder, *right] for folder, rights in used.items() for right in rights]


def hear(found: list[list[str]]) -> None:
    """What another process has used."""
    for folder, action, place in found:
        used.setdefault(folder, set()).add((action, place))


def unused() -> set[tuple[str, str, str]]:
    """What functions may do, have not done, and are not known to do rarely."""
    # A process keeps the signing secret, here for all functions, so only the first of them is seen to read it.
    return {(folder, *right) for folder in folders() for right in _unused(folder) if right[1] != "SigningSecret"} - RARE.keys()


def folders() -> list[str]:
    """The folders of all functions."""
    return sorted({Path(properties["CodeUri"]).name for properties in template.functions().values()})


def _unused(folder: str) -> set[Right]:
    done = used.get(folder, set())
    return {(action, place) for action, place in granted(folder) if action not in _IMPLIED
            and not any(fnmatchcase(one, action) and fnmatchcase(other, place) for one, other in done)}  # fmt: skip


def _place(resource: Any) -> str:
    if "Fn::If" in resource:
        return "*"
    if "Fn::GetAtt" in resource:
        found = resource["Fn::GetAtt"]
        return str(found if isinstance(found, str) else ".".join(found)).partition(".")[0]
    text = resource["Fn::Sub"]
    if match := re.fullmatch(r"\$\{(\w+)\.Arn\}/index/\*", text):
        return f"{match[1]}/index"
    if "execute-api" in text:
        return "SocketsApi"
    match = re.search(r"\$\{AWS::StackName\}-(\w+)-.*?(/\*)?$", text)
    assert match is not None, text
    return f"{match[1]}{match[2] or ''}"
