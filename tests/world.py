"""A whole Sheaf in one process: tables, queues and buckets as the template declares them (on moto), every function
behind its real event, and a plumber that carries stream records and messages from one to the next.

What moto cannot show (atomicity under threads, policies, the gateway itself) the e2e tests show on the deployed stack.
"""

import base64
import importlib.util
import io
import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote, urlsplit
from zipfile import ZipFile

from botocore.client import BaseClient
from moto import mock_aws
from moto.apigatewaymanagementapi.models import Connection, apigatewaymanagementapi_backends
from moto.core.exceptions import JsonRESTError
from moto.dynamodb.models import dynamodb_backends
from moto.ses.models import ses_backends

import rights
import template
import transactions
from sheaf.access import limits, passwords, tenants
from sheaf.access.caller import Caller
from sheaf.access.limits import Tier
from sheaf.base import clock
from sheaf.base.config import config
from sheaf.base.ids import new
from sheaf.edge import changes, consume, metering
from sheaf.entity.names import Role
from sheaf.features import cache as answers
from sheaf.features.accounts import api_keys, people
from sheaf.features.accounts.api_keys import Terms
from sheaf.features.audit import asks
from sheaf.features.flags import stored as flags
from sheaf.features.realtime import cursors, waiting
from sheaf.records import journal
from sheaf.store import aws, keys, kms, own, secrets, table

QUEUES = (
    "JobsQueue",
    "DeliveriesQueue",
    "SlowDeliveriesQueue",
    "MailsQueue",
    "ImagesQueue",
    "ChangesAsideQueue",
    "DeliveriesDeadQueue",
    "SocketsQueue.fifo",
    "SealsQueue.fifo",
)
TABLES = ("RecordsTable", "ControlTable", "EventsTable", "LimitsTable", "AuditTable")
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "SHEAF_STAGE": "local",
    **{f"SHEAF_{name[:-5].upper()}_TABLE": name for name in TABLES},
    "SHEAF_JOBS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/JobsQueue",
    "SHEAF_DELIVERIES_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/DeliveriesQueue",
    "SHEAF_SLOW_DELIVERIES_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/SlowDeliveriesQueue",
    "SHEAF_CHANGES_ASIDE_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/ChangesAsideQueue",
    "SHEAF_MAILS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/MailsQueue",
    "SHEAF_UPLOADS_BUCKET": "uploads",
    "SHEAF_JOBS_BUCKET": "jobs",
    "SHEAF_AUDIT_BUCKET": "audit",
    "SHEAF_BACKUPS_BUCKET": "backups",
    "SHEAF_SIGNING_SECRET_ARN": "signing",
    "SHEAF_SECRETS_KEY_ARN": "alias/secrets",
    "SHEAF_WEBHOOK_LOOPBACK": "true",
    "SHEAF_WEBHOOK_RETRY_SECONDS": "0,0,0",
    "SHEAF_WEBHOOK_PORTS": "443",
    "SHEAF_DOCS_URL": "docs/errors.md",
    "SHEAF_MAIL_FROM": "no-reply@example.com",
    "SHEAF_MAIL_OPERATOR": "operator@example.com",
    "SHEAF_APP_URL": "https://app.example.com",
    "SHEAF_REGISTRATION": "open",
    "SHEAF_PASSWORD_LEAST": "12",
    "SHEAF_TENANT_ROLE_ARN": "none",
    "SHEAF_OEMBED_YOUTUBE": "http://127.0.0.1:1/youtube",
    "SHEAF_OEMBED_VIMEO": "http://127.0.0.1:1/vimeo",
    "SHEAF_RECEIPTS_KEY_ARN": "alias/receipts",
    "SHEAF_SCANNER": "none",
    "SHEAF_IMAGES_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/ImagesQueue",
    "SHEAF_STREAM_HOLD_SECONDS": "0",
    "SHEAF_STREAM_HOLDS": "40",
    "SHEAF_SOCKETS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/SocketsQueue.fifo",
    "SHEAF_SOCKETS_ENDPOINT": "https://sockets.execute-api.us-east-1.amazonaws.com/live",
    "SHEAF_SEALS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/SealsQueue.fifo",
    "SHEAF_MAX_BATCH_SIZE": "50000",
    "SHEAF_GRAPHQL_INTROSPECTION": "true",
    "SHEAF_GRAPHQL_REGISTERED_ONLY": "false",
    "SHEAF_CORS_ORIGINS": "https://app.example.com,https://admin.example.com",
    "SHEAF_V1_DEPRECATED": "2027-01-01",
    "SHEAF_V1_SUNSET": "2028-01-01",
    "POWERTOOLS_LOG_LEVEL": "CRITICAL",
}
consume._PAUSES = (0,)  # what failed comes back without waiting
consume._LONGEST_IN_ORDER = 0
metering.METRICS_SECONDS = 1e9  # tests write down what was counted when they want to
changes._PAUSE = changes._LONGEST_PAUSE = 0
waiting._LONGEST = 0.05  # and nobody waits for what does not come
CONTEXT = SimpleNamespace(aws_request_id="00000000-0000-0000-0000-000000000000", function_name="test")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def data(self) -> Any:
        return self.json["data"]


@dataclass(frozen=True)
class Tenant:
    id: str
    key: str
    setup: Caller


class Open(dict[str, Any]):
    """The open sockets of the emulated management API: a closed one is gone, as on AWS."""

    def __missing__(self, connection: str) -> Any:
        raise JsonRESTError("GoneException", connection, code=410)


class Socket:
    """The client's side of a WebSocket."""

    def __init__(self, key: str, ticket: str, headers: Mapping[str, str]) -> None:
        self.id = new("con")
        self._read = 0
        credential = {"Authorization": f"Bearer {key}"} if key else {}
        self.status = self._tell("CONNECT", headers={**credential, **headers},
                                 queryStringParameters={"ticket": ticket} if ticket else None)  # fmt: skip
        if self.status == 200:
            sockets()[self.id] = Connection()

    def say(self, message: Any) -> int:
        return self._tell("MESSAGE", body=message if isinstance(message, str) else json.dumps(message))

    def heard(self) -> list[Any]:
        """The messages since the last look."""
        text = sockets()[self.id].data[self._read :].decode()
        self._read += len(text.encode())
        found, at = [], 0
        while at < len(text):
            message, at = json.JSONDecoder().raw_decode(text, at)
            found.append(message)
        return found

    @property
    def is_open(self) -> bool:
        return self.id in sockets()

    def vanish(self) -> None:
        """Be gone without a word."""
        sockets().pop(self.id, None)

    def close(self) -> None:
        self.vanish()
        self._tell("DISCONNECT")

    def _tell(self, kind: str, **more: Any) -> int:
        sent = event("sockets.subscribe")
        sent["requestContext"] |= {"connectionId": self.id, "eventType": kind, "requestId": new("req")}
        with rights.of("sockets"):
            return int(function("sockets").handler({**sent, **more}, CONTEXT)["statusCode"])


def sockets() -> dict[str, Any]:
    return apigatewaymanagementapi_backends["123456789012"]["us-east-1"].connections


_modules: dict[str, ModuleType] = {}


def function(folder: str) -> ModuleType:
    """The app.py of a function, imported once under a name of its own."""
    if folder not in _modules:
        spec = importlib.util.spec_from_file_location(f"function_{folder}", template.ROOT / "functions" / folder / "app.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        _modules[folder] = module
    return _modules[folder]


def event(name: str) -> dict[str, Any]:
    """One of events/*.json."""
    found: dict[str, Any] = json.loads((template.ROOT / "events" / f"{name}.json").read_text())
    return found


class World:
    """The parts and the ways between them."""

    def __init__(self) -> None:
        self._read: dict[str, int] = {}
        self._visitors = 0
        aws._session().register("provide-client-params.*", rights.check)
        for name in TABLES:
            self._make_table(name)
        sqs, s3 = aws.client("sqs"), aws.client("s3")
        for queue in QUEUES:
            # Visible again at once, so that a failed message comes back without waiting.
            fifo = {"FifoQueue": "true"} if queue.endswith(".fifo") else {}
            sqs.create_queue(QueueName=queue, Attributes={"VisibilityTimeout": "0", **fifo})
        for bucket in ("uploads", "jobs", "audit", "backups"):
            s3.create_bucket(Bucket=bucket)
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        key = aws.client("kms").create_key()["KeyMetadata"]["KeyId"]
        aws.client("kms").create_alias(AliasName="alias/secrets", TargetKeyId=key)
        key = aws.client("kms").create_key(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")["KeyMetadata"]["KeyId"]
        aws.client("kms").create_alias(AliasName="alias/receipts", TargetKeyId=key)
        aws.client("sesv2").create_email_identity(EmailIdentity="no-reply@example.com")
        apigatewaymanagementapi_backends["123456789012"]["us-east-1"].connections = Open()
        aws.client("secretsmanager").create_secret(Name="signing", SecretString=json.dumps({"kid": "1", "key": "k" * 64}))

    def tenant(self, name: str = "Acme", tier: Tier = "enterprise", role: Role = "admin") -> Tenant:
        setup = tenants.create(name, tier)
        return Tenant(setup.tenant, _key(setup, role), setup)

    def socket(self, key: str = "", *, ticket: str = "", headers: Mapping[str, str] | None = None) -> "Socket":
        """A WebSocket that somebody opens; its `status` is not 200 where it was refused."""
        return Socket(key, ticket, headers or {})

    def open_site(self, tenant: Tenant) -> None:
        """Let a tenant own the public forms."""
        table.put(config().control_table, keys.site(), {"tn": tenant.id})

    def mails(self) -> list[Any]:
        """What SES has been given."""
        return list(ses_backends["123456789012"]["us-east-1"].sent_messages)

    def key(self, tenant: Tenant, role: Role, *scopes: str) -> str:
        return _key(tenant.setup, role, *scopes)

    def user(self, tenant: Tenant, email: str, role: Role = "user", password: str = "correct horse battery") -> str:
        fields = {"name": "Ann", "email": email, "role": role, "emailVerified": True}
        return people.create(tenant.setup, new("usr"), fields, _hashed(password)).id

    def token(self, email: str, password: str = "correct horse battery", **more: Any) -> str:
        answer = self.http("POST", "/v1/auth/login", {"email": email, "password": password}, **more)
        assert answer.status == 200, answer.text
        return str(answer.data["token"])

    def token_of(self, tenant: Tenant, email: str, role: Role = "user") -> str:
        """A logged-in user of the tenant, made at once."""
        self.user(tenant, email, role)
        self._visitors += 1
        return self.token(email, source_ip=f"203.0.113.{self._visitors % 250}")

    def mail_token(self, to: str = "") -> str:
        """The token in the newest mail (to an address)."""
        self.settle()
        texts = [mail.body for mail in self.mails() if any(to in each for each in mail.destinations["ToAddresses"])]
        return str(re.findall(r"token=(\S+)", texts[-1])[-1])

    def http(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        source_ip: str = "192.0.2.10",
        base64_body: bool = False,
    ) -> Answer:
        """One request through the route that the template has for it, in the shape of events/records.create.json."""
        path, _, query = path.partition("?")
        resource, folder, parameters = template.route_of(path)
        sent = event("records.create")
        values: dict[str, list[str]] = {}
        for pair in filter(None, query.split("&")):
            values.setdefault(unquote(pair.split("=")[0]), []).append(unquote(pair.partition("=")[2]))
        raw = body if isinstance(body, str | bytes) or body is None else json.dumps(body)
        if isinstance(raw, bytes):
            base64_body = True  # as the gateway hands on binary media types
        sent_headers = {
            "Content-Type": "application/json",
            **({"Authorization": f"Bearer {key}"} if key else {}),
            **(headers or {}),
        }
        sent |= {
            "resource": resource,
            "path": path,
            "httpMethod": method,
            "headers": sent_headers,
            "multiValueHeaders": {name: [value] for name, value in sent_headers.items()},
            "pathParameters": parameters or None,
            "queryStringParameters": {name: many[-1] for name, many in values.items()} or None,
            "multiValueQueryStringParameters": values or None,
            "body": base64.b64encode(raw if isinstance(raw, bytes) else raw.encode()).decode() if raw and base64_body else raw,
            "isBase64Encoded": base64_body,
        }
        sent["requestContext"] |= {"identity": {"sourceIp": source_ip}, "requestId": new("req")}
        with rights.of(folder):
            answer = function(folder).handler(sent, CONTEXT)
        merged = {**{k: v[0] for k, v in answer.get("multiValueHeaders", {}).items()}, **answer.get("headers", {})}
        return Answer(answer["statusCode"], merged, answer.get("body") or "")

    @contextmanager
    def still(self) -> Iterator[None]:
        """Within it the rate-limit window does not turn."""
        with clock.using(turn()):
            yield

    def download(self, url: str) -> str:
        """The text behind a presigned link of the bucket of jobs."""
        return self.content(url).decode()

    def archive(self, url: str) -> ZipFile:
        """The archive behind one."""
        return ZipFile(io.BytesIO(self.content(url)))

    def content(self, url: str) -> bytes:
        """The bytes behind one."""
        path = unquote(urlsplit(url).path).lstrip("/")
        found = aws.client("s3").get_object(Bucket="jobs", Key=path.removeprefix("jobs/"))
        return bytes(found["Body"].read())

    # ---- the plumber ----

    def changes(self) -> list[dict[str, Any]]:
        """The stream records since the last look, Records before Control."""
        found = []
        for name in TABLES[:2]:
            # moto keeps the records but does not serve the streams API at this endpoint: they are read from its shard.
            table = dynamodb_backends["123456789012"]["us-east-1"].get_table(name)
            for record in table.stream_shard.items[self._read.get(name, 0) :]:
                self._read[name] = self._read.get(name, 0) + 1
                shown = json.loads(json.dumps(record.to_json(), default=str))
                found.append({**shown, "eventSourceARN": f"{table.table_arn}/stream/now"})
        return found

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """What is visible in a queue, as Lambda would hand it on; it stays there until `done`."""
        answer = aws.client("sqs").receive_message(QueueUrl=self.url(queue), MaxNumberOfMessages=10, AttributeNames=["All"])
        return [
            {"messageId": m["MessageId"], "receiptHandle": m["ReceiptHandle"], "body": m["Body"], "attributes": m["Attributes"],
             "eventSource": "aws:sqs"}
            for m in answer.get("Messages", [])
        ]  # fmt: skip

    def done(self, queue: str, record: Mapping[str, Any]) -> None:
        aws.client("sqs").delete_message(QueueUrl=self.url(queue), ReceiptHandle=record["receiptHandle"])

    def url(self, queue: str) -> str:
        return f"https://sqs.us-east-1.amazonaws.com/123456789012/{queue}"

    def settle(self, rounds: int = 200) -> None:
        """Carry everything to its end, as the event source mappings would."""
        consumers = {
            "JobsQueue": "on_job",
            "DeliveriesQueue": "on_delivery",
            "SlowDeliveriesQueue": "on_delivery",
            "MailsQueue": "on_mail",
            "ImagesQueue": "on_image",
            "ChangesAsideQueue": "on_change",
            "SocketsQueue.fifo": "on_push",
            "SealsQueue.fifo": "on_seal",
        }
        for _ in range(rounds):
            moved = False
            if records := self.changes():
                moved = True
                with rights.of("on_change"):
                    assert function("on_change").handler({"Records": records}, CONTEXT) == {"batchItemFailures": []}
            for queue, folder in consumers.items():
                for record in self.messages(queue):
                    moved = True
                    with rights.of(folder):
                        answer = function(folder).handler({"Records": [record]}, CONTEXT)
                    if not answer["batchItemFailures"]:
                        self.done(queue, record)
            if not moved:
                return
        raise AssertionError("the world does not come to rest")

    def seal(self, tenant: Tenant) -> None:
        """Everything carried to its end, and the tenant's audit log sealed."""
        self.settle()
        sent = event("on_seal.message")
        sent["Records"][0]["body"] = json.dumps({"tenant": tenant.id, "requestId": "req_1"})
        with rights.of("on_seal"):
            assert function("on_seal").handler(sent, CONTEXT) == {"batchItemFailures": []}

    def arrive(self, tenant: Tenant, file_id: str, content: bytes) -> None:
        """Put a file where its upload form would, and tell on_upload."""
        key = f"{tenant.id}/uploads/{file_id}"
        aws.client("s3").put_object(Bucket="uploads", Key=key, Body=content)
        self.tell_upload(tenant, file_id)

    def tell_upload(self, tenant: Tenant, file_id: str) -> None:
        sent = event("on_upload.arrived")
        sent["Records"][0]["s3"]["object"]["key"] = f"{tenant.id}/uploads/{file_id}"
        with rights.of("on_upload"):
            function("on_upload").handler(sent, CONTEXT)

    def sweep_uploads(self) -> None:
        """What on_upload does every few minutes."""
        with rights.of("on_upload"):
            function("on_upload").handler(event("on_upload.scheduled"), CONTEXT)

    def _make_table(self, name: str) -> None:
        declared = template.resources("AWS::DynamoDB::Table")[name]
        stream = declared.get("StreamSpecification")
        aws.client("dynamodb").create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=declared["KeySchema"],
            AttributeDefinitions=declared["AttributeDefinitions"],
            **({"GlobalSecondaryIndexes": declared["GlobalSecondaryIndexes"]} if "GlobalSecondaryIndexes" in declared else {}),
            **({"StreamSpecification": {"StreamEnabled": True, **stream}} if stream else {}),
        )


def turn() -> Callable[[], float]:
    """A clock that stands at the begin of a rate-limit window soon."""
    moment = (clock.now() // 60 + 2) * 60.0
    return lambda: moment


@contextmanager
def later(seconds: float) -> Iterator[None]:
    """The same place, so many seconds from now."""
    moment = clock.now() + seconds
    with clock.using(lambda: moment):
        yield


@cache
def _hashed(password: str) -> str:
    return passwords.hashed(password)


def _key(setup: Caller, role: Role, *scopes: str) -> str:
    secret = api_keys.create(setup, Terms("test", role, frozenset(scopes) or None))[1]
    assert secret is not None
    return secret


@contextmanager
def a_world() -> Iterator[World]:
    """A fresh world; whatever the process kept of an earlier one is forgotten."""
    os.environ.update(ENVIRONMENT)
    os.environ.pop("AWS_ENDPOINT_URL", None)
    for forget in (
        aws.client.cache_clear,
        aws._session.cache_clear,
        secrets.signing_secret.cache_clear,
        config.cache_clear,
        tenants.forget,
        kms.forget,
        limits.forget_blocks,
        journal.forget,
        cursors.forget,
        asks.forget,
        metering.forget,
        own._client.cache_clear,
        flags.forget,
        answers.forget,
    ):
        forget()
    with mock_aws(), transactions.light(), patch.object(BaseClient, "_make_api_call", _one_at_a_time):
        yield World()


def _one_at_a_time(self: BaseClient, *args: Any, _call: Any = BaseClient._make_api_call) -> Any:
    """moto looks at a condition and writes in two steps; DynamoDB does it in one, also for the threads of a function."""
    with _lock:
        return _call(self, *args)


_lock = threading.RLock()
