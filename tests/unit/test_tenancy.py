"""The second wall between tenants: the policy, by simulation, and the credentials that go with it."""

import itertools
from typing import Any

import botocore.session
import pytest

import simulate
import template
import world
from sheaf.base import ids
from sheaf.base.config import config
from sheaf.base.errors import Unavailable
from sheaf.store import aws, tenancy

ACTIONS = ("GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem")
PLACES = ("RecordsTable", "RecordsTable/index/ix1", "ControlTable", "EventsTable", "LimitsTable")
OTHERS = (
    "Scan",
    "PartiQLSelect",
    "PartiQLDelete",
    "DeleteTable",
    "DescribeTable",
    "ExportTableToPointInTime",
    "CreateBackup",
    "UpdateTable",
)
MINE, THEIRS = (ids.new("tnt") for _ in range(2))


def role() -> dict[str, Any]:
    return template.resources("AWS::IAM::Role")["TenantRole"]


def policy() -> list[dict[str, Any]]:
    """The policy, its resources as the names of tables."""

    def place(resource: dict[str, str]) -> str:
        if "Fn::GetAtt" in resource:
            return str(resource["Fn::GetAtt"]).partition(".")[0]
        return resource["Fn::Sub"].replace("${", "").replace(".Arn}", "")

    found = role()["Policies"][0]["PolicyDocument"]["Statement"]
    return [{**each, "Resource": [place(resource) for resource in _listed(each["Resource"])]} for each in found]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def context(tenant: str | None, keys: list[str] | None) -> simulate.Context:
    return {
        **({"aws:PrincipalTag/tenant": [tenant]} if tenant is not None else {}),
        **({"dynamodb:LeadingKeys": keys} if keys is not None else {}),
    }


def may(action: str, place: str, tenant: str | None, keys: list[str] | None, statements: Any = None) -> bool:
    return simulate.allows(statements or policy(), f"dynamodb:{action}", place, context(tenant, keys))


OWN = [f"{MINE}#tasks#0", f"{MINE}#tasks#trash", f"{MINE}#tasks#status=todo", f"{MINE}#job", f"{MINE}#", f"{MINE}#@x"]
FOREIGN = [f"{THEIRS}#tasks#0", "@email#abc", "@site", "@tenants", MINE, f"{MINE}x#tasks#0", f"{MINE[:-1]}#tasks#0", f"x{MINE}#tasks#0", "*", "#",
           "", f"@{MINE}#x", MINE.upper() + "#tasks#0", f"{THEIRS}#{MINE}#0"]  # fmt: skip


def test_own_keys_are_allowed_and_all_others_denied() -> None:
    cells = 0
    for action, place in itertools.product(ACTIONS, PLACES):
        for key in OWN:
            assert may(action, place, MINE, [key]), (action, place, key)
            assert not may(action, place, THEIRS, [key]), (action, place, key)
        for key in FOREIGN:
            assert not may(action, place, MINE, [key]), (action, place, key)
            assert not may(action, place, MINE, [OWN[0], key]), "one foreign key among own ones"
        assert may(action, place, MINE, OWN)
        cells += 2 * len(OWN) + 2 * len(FOREIGN) + 1
    assert cells >= 1_000


def test_of_the_chain_of_the_audit_log_only_ones_own_may_be_read_and_nothing_written() -> None:
    for action in (*ACTIONS, *OTHERS, "BatchWriteItem"):
        assert may(action, "AuditTable", MINE, [f"{MINE}#segments"]) == (action in ("GetItem", "Query")), action
        for key in FOREIGN:
            assert not may(action, "AuditTable", MINE, [key]), (action, key)
        assert not may(action, "AuditTable", MINE, None) and not may(action, "AuditTable", None, [f"{MINE}#segments"])


@pytest.mark.parametrize("action", [*ACTIONS, *OTHERS])
def test_what_names_no_key_or_no_tenant_is_denied(action: str) -> None:
    for place in PLACES:
        assert not may(action, place, MINE, None), "no key, as in a Scan"
        assert not may(action, place, None, [OWN[0]]), "credentials without a tenant"
        assert not may(action, place, "", [OWN[0]])
        assert not may(action, place, "*", [OWN[0]]), "a star in a tag is a star and no pattern"
        assert not may(action, "AnotherTable", MINE, [OWN[0]])
        if action in OTHERS:
            assert not may(action, place, MINE, [OWN[0]])


def test_without_null_a_scan_would_pass() -> None:
    """Why the policy has a second condition, and that the simulation knows the trap."""
    naive = [{**each, "Action": ["dynamodb:Scan"], "Condition": {"ForAllValues:StringLike": each["Condition"]["ForAllValues:StringLike"]}}
             for each in policy()]  # fmt: skip
    assert may("Scan", "RecordsTable", MINE, None, naive)
    safe = [{**each, "Action": ["dynamodb:Scan"]} for each in policy()]
    assert not may("Scan", "RecordsTable", MINE, None, safe)


# ---- the sender of webhooks, the one function that calls what tenants name ----


def senders() -> list[dict[str, Any]]:
    """The statements of the sender's role on AWS, its resources as names."""
    properties = template.functions()["OnDeliveryFunction"]
    found = []
    for statement in template.statements(properties):
        condition = statement.get("Condition", {})
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        for resource in resources:
            place = str(resource["Fn::GetAtt"]).partition(".")[0]
            found.append({**statement, "Resource": place, "Condition": condition.get("Fn::If", [None, condition])[1]})
    return found


def sender_may(action: str, place: str, *keys: str) -> bool:
    return simulate.allows(senders(), action, place, {"dynamodb:LeadingKeys": list(keys)} if keys else {})


NOTES = ("delivery#wh_1", "troubled#wh_1", "lane#wh_1", "again#wh_1#tsk_1", "health", "pace")


def test_the_sender_reads_webhooks_and_changes_and_keeps_its_notes() -> None:
    assert sender_may("dynamodb:GetItem", "ControlTable", f"{MINE}#webhook")
    for action in ("GetItem", "Query"):
        assert sender_may(f"dynamodb:{action}", "EventsTable", f"{MINE}#change#tsk_1")
    for action, note in itertools.product(("GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"), NOTES):
        assert sender_may(f"dynamodb:{action}", "EventsTable", f"{MINE}#{note}")
    assert sender_may("dynamodb:PutItem", "EventsTable", f"{MINE}#delivery#wh_1", "@due#3", "@failing")
    assert sender_may("kms:Decrypt", "SecretsKey")


def test_the_sender_may_nothing_else() -> None:
    reading, writing = ("GetItem", "Query", "BatchGetItem", "Scan"), ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")
    for action, table in itertools.product(
        (*reading, *writing), ("RecordsTable", "LimitsTable", "RecordsTable/index/ix1", "EventsTable/index/day")
    ):
        assert not sender_may(f"dynamodb:{action}", table, f"{MINE}#tasks#0"), (action, table)
    for action in (*reading, *writing):
        for key in (
            "@email#x",
            "@site",
            "@tenants",
            "@jobs",
            f"{MINE}#tenant",
            f"{MINE}#apikey",
            f"{MINE}#job",
            f"{MINE}#published",
            f"{MINE}#invitation",
        ):
            assert not sender_may(f"dynamodb:{action}", "ControlTable", key), (action, key)
        for key in (f"{MINE}#word#tasks#a", f"{MINE}#mail", "@x", "", f"{MINE}#change"):
            assert not sender_may(f"dynamodb:{action}", "EventsTable", key), (action, key)
        for table in ("ControlTable", "EventsTable"):
            assert not sender_may(f"dynamodb:{action}", table), "no key, as in a Scan"
    for action in writing:
        assert not sender_may(f"dynamodb:{action}", "EventsTable", f"{MINE}#change#tsk_1"), "what has happened is not rewritten"
        assert not sender_may(f"dynamodb:{action}", "ControlTable", f"{MINE}#webhook")
    for action, place in (("kms:Encrypt", "SecretsKey"), ("secretsmanager:GetSecretValue", "SigningSecret"), ("sqs:SendMessage", "JobsQueue"),
                          ("ses:SendEmail", "*"), ("s3:GetObject", "uploads/*"), ("sts:AssumeRole", "TenantRole")):  # fmt: skip
        assert not sender_may(action, place)


def test_only_the_functions_that_serve_tenants_become_one_and_only_with_a_tag() -> None:
    trust = role()["AssumeRolePolicyDocument"]["Statement"]
    arns = [each["Fn::Sub"] for each in trust[0]["Condition"]["ArnLike"]["aws:PrincipalArn"]]
    plain = [{**trust[0], "Condition": {**trust[0]["Condition"], "ArnLike": {"aws:PrincipalArn": arns}}}]

    def may_assume(function: str, **tags: str) -> bool:
        arn = f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role/${{AWS::StackName}}-{function}Role-X1"
        known = {"aws:PrincipalArn": [arn], **{f"aws:RequestTag/{name}": [value] for name, value in tags.items()}}
        plain_arns = [each.replace("${", "<").replace("}", ">") for each in arns]
        statements = [{**plain[0], "Condition": {**plain[0]["Condition"], "ArnLike": {"aws:PrincipalArn": plain_arns}}}]
        known["aws:PrincipalArn"] = [arn.replace("${", "<").replace("}", ">")]
        return simulate.allows(statements, "sts:AssumeRole", "role", known)

    walled = (
        "RecordsFunction",
        "BatchFunction",
        "GraphqlFunction",
        "BulkFunction",
        "JobsFunction",
        "RealtimeFunction",
        "UploadsFunction",
        "WebhooksFunction",
        "AuditFunction",
    )
    for name in walled:
        assert (
            may_assume(name, tenant=MINE)
            and not may_assume(name)
            and not may_assume(name, tenant="*")
            and not may_assume(name, other=MINE)
        )
        own = template.statements(template.functions()[name], "iam")
        assert [each["Sid"] for each in own if "sts:AssumeRole" in each["Action"]] == ["ActForTenants"]
        data = [each for each in own if any(table in str(each["Resource"]) for table in ("RecordsTable", "EventsTable"))]
        assert data == [], f"{name} has no rights of its own to tenants' data"
        control = [each for each in own if "ControlTable" in str(each["Resource"])]
        assert [each["Action"] for each in control] == [["dynamodb:GetItem"]], "but to read whose request it is"
    for name in set(template.functions()) - set(walled):
        assert not may_assume(name, tenant=MINE)
        own_variables = template.functions()[name].get("Environment", {}).get("Variables", {})
        assert "SHEAF_TENANT_ROLE_ARN" not in own_variables, "and so are not told the role"
    told = {name for name, each in template.functions().items() if "SHEAF_TENANT_ROLE_ARN" in str(each.get("Environment"))}
    assert told == set(walled)


# ---- the credentials ----


@pytest.fixture
def walled(sheaf: world.World, monkeypatch: pytest.MonkeyPatch) -> world.World:
    """The same world, its functions behind the second wall."""
    monkeypatch.setenv("SHEAF_TENANT_ROLE_ARN", "arn:aws:iam::123456789012:role/tenant")
    config.cache_clear()
    aws.client.cache_clear()
    tenancy.forget()
    return sheaf


def signers(calls: list[str]) -> Any:
    def note(request: Any, **_: Any) -> None:
        authorization = request.headers["Authorization"]
        text = authorization.decode() if isinstance(authorization, bytes) else authorization
        calls.append(text.partition("Credential=")[2].partition("/")[0])

    return note


def test_each_request_is_signed_as_its_tenant_and_the_proof_as_the_function(
    walled: world.World, acme: world.Tenant, globex: world.Tenant
) -> None:
    seen: list[str] = []
    aws.client("dynamodb").meta.events.register("before-send.dynamodb", signers(seen))
    task = walled.http("POST", "/v1/tasks", {"title": "x"}, key=acme.key).data["id"]
    own, mine = seen[0], seen[-1]
    assert mine != own, "who calls is proven by the function itself, what it asks for is done as its tenant"
    seen.clear()
    assert walled.http("GET", f"/v1/tasks/{task}", key=globex.key).status == 404
    assert seen[0] == own and seen[-1] not in (own, mine)
    seen.clear()
    assert walled.http("POST", "/v1/tasks/bulk", [{"title": "x"}] * 20, key=acme.key).status == 200
    assert set(seen[seen.index(mine) :]) == {mine}, "on every thread"
    assert walled.http("GET", "/v1/tasks").status == 401
    assert walled.http("GET", "/v1/tasks?limit=1", key=acme.key).status == 200
    assert len(tenancy._kept) == 2


def test_no_credentials_no_answer(walled: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Any, tenant: str) -> Any:
        raise Unavailable("no credentials")

    monkeypatch.setattr(tenancy._TenantCredentials, "_assume", refused)
    answer = walled.http("GET", "/v1/tasks", key=acme.key)
    assert (answer.status, answer.json["code"]) == (503, "unavailable")


def test_credentials_are_kept_for_a_while_and_not_for_ever(walled: world.World, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    credentials = tenancy._TenantCredentials(botocore.session.get_session(), botocore.session.get_session().get_credentials())
    monkeypatch.setattr(tenancy._TenantCredentials, "_assume", lambda self, tenant: made.append(tenant) or tenant)
    monkeypatch.setattr(tenancy, "_TENANTS", 3)
    for tenant in ("a", "b", "a", "c", "d", "a", "b"):
        assert credentials._of(tenant) == tenant
    assert made == ["a", "b", "c", "d", "b"]
    late = tenancy.time.monotonic() + 3_001
    monkeypatch.setattr(tenancy.time, "monotonic", lambda: late)
    credentials._of("a")
    assert made[-1] == "a"
