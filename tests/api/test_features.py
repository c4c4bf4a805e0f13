"""Feature flags: declared by operators, chosen by tenants, evaluated as OFREP asks, rolled back by their guards."""

from collections import Counter
from typing import Any

import pytest

import world
from sheaf.base import clock
from sheaf.features.flags import stored
from sheaf.features.metrics import counts, rollups
from sheaf.features.metrics.rollups import Place
from world import Answer, Tenant, World, event, function, later


@pytest.fixture
def site(sheaf: World, acme: Tenant) -> Tenant:
    sheaf.open_site(acme)
    return acme


def declare(sheaf: World, tenant: Tenant, key: str, body: dict[str, Any], **more: Any) -> Answer:
    return sheaf.http("PUT", f"/v1/features/{key}", body, key=tenant.key, **more)


def value(sheaf: World, key: str, name: str, context: dict[str, Any] | None = None) -> Any:
    stored.forget()
    answer = sheaf.http("POST", f"/v1/ofrep/v1/evaluate/flags/{name}", {"context": context or {}}, key=key)
    assert answer.status == 200, answer.text
    return answer.json["value"]


def test_declare_list_toggle_remove(sheaf: World, site: Tenant) -> None:  # contract: 129, 130
    made = declare(sheaf, site, "new-editor", {"description": "The new editor"})
    assert made.status == 201 and made.data["enabled"] is False and made.headers["ETag"] == '"1"', made.text
    assert value(sheaf, site.key, "new-editor") is False
    toggled = sheaf.http("POST", "/v1/features/toggle", {"feature": "new-editor", "enabled": True}, key=site.key)
    assert toggled.data == {"feature": "new-editor", "enabled": True, "scope": "installation"}
    assert value(sheaf, site.key, "new-editor") is True
    for path in ("/v1/features", "/v1/features/list"):
        [flag] = sheaf.http("GET", path, key=site.key).data
        assert (flag["key"], flag["enabled"], flag["value"], flag["version"]) == ("new-editor", True, True, 2)
    again = declare(sheaf, site, "new-editor", {"enabled": True, "description": "Newer"}, headers={"If-Match": '"2"'})
    assert again.status == 200 and again.data["version"] == 3
    assert declare(sheaf, site, "new-editor", {}, headers={"If-Match": '"2"'}).status == 412
    assert sheaf.http("DELETE", "/v1/features/new-editor", key=site.key).status == 200
    assert sheaf.http("GET", "/v1/features/new-editor", key=site.key).status == 404
    sheaf.settle()
    found = sheaf.http("GET", "/v1/audit/logs?action=feature.*", key=site.key).data
    assert [each["action"] for each in reversed(found)] == [
        "feature.declared",
        "feature.toggled",
        "feature.declared",
        "feature.removed",
    ]
    assert found[-2]["before"]["enabled"] is False and found[-2]["after"]["enabled"] is True


def test_who_may_what(sheaf: World, site: Tenant, globex: Tenant) -> None:
    declare(sheaf, site, "beta", {"enabled": True})
    assert declare(sheaf, globex, "beta", {}).status == 403, "an admin of a tenant is no operator"
    assert sheaf.http("DELETE", "/v1/features/beta", key=globex.key).status == 403
    assert sheaf.http("POST", "/v1/features/toggle", {"feature": "beta", "enabled": False}, key=globex.key).status == 403
    assert (
        sheaf.http("POST", "/v1/features/toggle", {"feature": "beta", "enabled": False}, key=sheaf.key(site, "user")).status
        == 403
    )
    user = sheaf.key(globex, "user")
    [seen] = sheaf.http("GET", "/v1/features", key=user).data
    assert seen["value"] is True and "rules" not in seen, "how it is decided is the operators' matter"


def test_a_tenant_chooses_for_itself_where_the_flag_lets_it(sheaf: World, site: Tenant, globex: Tenant) -> None:
    declare(sheaf, site, "beta", {"enabled": False, "selfService": "on"})
    chosen = sheaf.http("POST", "/v1/features/toggle", {"feature": "beta", "enabled": True}, key=globex.key)
    assert chosen.data == {"feature": "beta", "enabled": True, "scope": "tenant"}, chosen.text
    assert value(sheaf, globex.key, "beta") is True and value(sheaf, site.key, "beta") is False
    sheaf.http("POST", "/v1/features/toggle", {"feature": "beta", "enabled": True, "scope": "installation"}, key=site.key)
    sheaf.http("POST", "/v1/features/toggle", {"feature": "beta", "enabled": False}, key=globex.key)
    assert value(sheaf, globex.key, "beta") is False and value(sheaf, site.key, "beta") is True
    [seen] = sheaf.http("GET", "/v1/features", key=globex.key).data
    assert seen["chosen"] is False


TARGETS = [  # rule, who, whether it fits
    ({"when": [{"action": "KEY_IN_VALUE", "key": "tier", "value": ["enterprise"]}]}, {}, True),
    ({"when": [{"action": "KEY_IN_VALUE", "key": "tier", "value": ["free"]}]}, {}, False),
    (
        {"when": [{"action": "KEY_IN_VALUE", "key": "tier", "value": ["free"]}]},
        {"tier": "free"},
        False,
    ),  # nobody says what they are
    ({"when": [{"action": "EQUALS", "key": "role", "value": "admin"}]}, {"role": "user"}, True),
    ({"when": [{"action": "EQUALS", "key": "country", "value": "AT"}]}, {"country": "AT"}, True),
    ({"when": [{"action": "EQUALS", "key": "country", "value": "AT"}]}, {}, False),
    ({"when": [{"action": "ENDSWITH", "key": "user", "value": "@example.com"}]}, {"targetingKey": "ann@example.com"}, True),
    ({"percentage": 100}, {}, True),
    ({"percentage": 0}, {}, False),
    ({"from": "2020-01-01T00:00:00Z"}, {}, True),
    ({"from": "2090-01-01T00:00:00Z"}, {}, False),
    ({"to": "2020-01-01T00:00:00Z"}, {}, False),
    ({"when": [{"action": "KEY_GREATER_THAN_VALUE", "key": "seats", "value": 10}], "percentage": 100}, {"seats": 11}, True),
]


@pytest.mark.parametrize(("rule", "context", "fits"), TARGETS)
def test_targeting(sheaf: World, site: Tenant, rule: dict[str, Any], context: dict[str, Any], fits: bool) -> None:
    made = declare(sheaf, site, "beta", {"enabled": True, "default": "off", "rules": [{"variant": "on", **rule}]})
    assert made.status == 201, made.text
    assert value(sheaf, site.key, "beta", context) is fits


def test_a_tenant_is_targeted_by_its_id_and_cannot_pretend(sheaf: World, site: Tenant, globex: Tenant) -> None:
    rule = {"variant": "on", "when": [{"action": "EQUALS", "key": "tenant", "value": globex.id}]}
    declare(sheaf, site, "beta", {"enabled": True, "default": "off", "rules": [rule]})
    assert value(sheaf, globex.key, "beta") is True
    assert value(sheaf, site.key, "beta", {"tenant": globex.id}) is False


def test_a_percentage_is_about_right_and_the_same_user_stays_where_he_is(sheaf: World, site: Tenant) -> None:
    declare(sheaf, site, "beta", {"enabled": True, "default": "off", "rules": [{"variant": "on", "percentage": 30}]})
    first = [value(sheaf, site.key, "beta", {"targetingKey": f"user-{number}"}) for number in range(200)]
    assert 40 <= sum(first) <= 80
    declare(sheaf, site, "beta", {"enabled": True, "default": "off", "rules": [{"variant": "on", "percentage": 60}]})
    second = [value(sheaf, site.key, "beta", {"targetingKey": f"user-{number}"}) for number in range(200)]
    assert all(after or not before for before, after in zip(first, second, strict=True)), "nobody falls out of a growing part"


def test_variants_of_every_kind(sheaf: World, site: Tenant) -> None:
    for name, variants in {
        "color": {"red": "#f00", "blue": "#00f"},
        "limit": {"low": 1, "high": 2.5},
        "theme": {"a": {"x": [1]}, "b": {}},
    }.items():
        first, second = variants
        declare(sheaf, site, name, {"enabled": True, "variants": variants, "default": second, "off": first})
        assert value(sheaf, site.key, name) == variants[second]  # type: ignore[index]


def test_ofrep(sheaf: World, site: Tenant, globex: Tenant) -> None:
    """The contract of OpenFeature's Remote Evaluation Protocol, service/openapi.yaml of its version 0.1."""
    declare(
        sheaf, site, "beta", {"enabled": True, "default": "off", "rules": [{"name": "half", "variant": "on", "percentage": 100}]}
    )
    declare(sheaf, site, "alpha", {"enabled": False})
    stored.forget()
    one = sheaf.http("POST", "/v1/ofrep/v1/evaluate/flags/beta", {"context": {"targetingKey": "u"}}, key=globex.key)
    assert one.json == {"key": "beta", "reason": "SPLIT", "variant": "on", "value": True, "metadata": {"rule": "half"}}
    lost = sheaf.http("POST", "/v1/ofrep/v1/evaluate/flags/gamma", {"context": {}}, key=globex.key)
    assert lost.status == 404 and (lost.json["key"], lost.json["errorCode"]) == ("gamma", "FLAG_NOT_FOUND")
    for wrong, code in (
        ({"context": 3}, "INVALID_CONTEXT"),
        ("{", "PARSE_ERROR"),
        ({"context": {"targetingKey": 1}}, "INVALID_CONTEXT"),
    ):
        answer = sheaf.http("POST", "/v1/ofrep/v1/evaluate/flags/beta", wrong, key=globex.key)
        assert answer.status == 400 and answer.json["errorCode"] == code and answer.json["errorDetails"], answer.text
    whole = sheaf.http("POST", "/v1/ofrep/v1/evaluate/flags", {"context": {}}, key=globex.key)
    assert [each["key"] for each in whole.json["flags"]] == ["alpha", "beta"] and whole.json["flags"][0]["reason"] == "DISABLED"
    known = sheaf.http(
        "POST", "/v1/ofrep/v1/evaluate/flags", {"context": {}}, key=globex.key, headers={"If-None-Match": whole.headers["ETag"]}
    )
    assert known.status == 304 and known.text == "" and known.headers["ETag"] == whole.headers["ETag"]
    sheaf.http("POST", "/v1/features/toggle", {"feature": "alpha", "enabled": True}, key=site.key)
    changed = sheaf.http(
        "POST", "/v1/ofrep/v1/evaluate/flags", {"context": {}}, key=globex.key, headers={"If-None-Match": whole.headers["ETag"]}
    )
    assert changed.status == 200
    assert sheaf.http("POST", "/v1/ofrep/v1/evaluate/flags", {"context": {}}).status == 401
    told = sheaf.http("GET", "/v1/ofrep/v1/configuration", key=globex.key).json
    assert told["name"] == "sheaf" and told["capabilities"]["cacheInvalidation"]["polling"]["enabled"] is True


@pytest.mark.parametrize(("body", "fields"), [
    ({"variants": {}}, {"variants"}), ({"variants": {"on": 1, "off": "x"}}, {"variants"}), ({"default": "blue"}, {"default"}),
    ({"rules": [{"variant": "on"}]}, {"rules.0"}), ({"rules": [{"variant": "no", "percentage": 5}]}, {"rules.0.variant"}),
    ({"rules": [{"variant": "on", "percentage": 101}]}, {"rules.0.percentage"}), ({"rules": {}}, {"rules"}), ({"rules": [1]}, {"rules.0"}),
    ({"rules": [{"variant": "on", "when": [{"action": "LIKE", "key": "a", "value": 1}]}]}, {"rules.0.when.0.action"}),
    ({"rules": [{"variant": "on", "when": [{"action": "SCHEDULE_BETWEEN_DAYS_OF_WEEK", "key": "CURRENT_DAY_OF_WEEK", "value": 1}]}]}, {"rules.0.when.0.value"}),
    ({"rules": [{"variant": "on", "when": [{"key": "a"}]}]}, {"rules.0.when.0"}), ({"rules": [{"variant": "on", "from": "x"}]}, {"rules.0.from"}),
    ({"rules": [{"variant": "on", "percentage": 1, "name": "a"}] * 2}, {"rules"}), ({"rules": [{"variant": "on", "percentage": 1, "who": 1}]}, {"rules.0.who"}),
    ({"enabled": "yes"}, {"enabled"}), ({"description": 3}, {"description"}), ({"guard": {}}, {"guard", "guard.routes"}),
    ({"guard": {"routes": ["GET /v1/tasks"], "errorRate": 2}}, {"guard.errorRate"}), ({"selfService": "x"}, {"selfService"}),
    ({"guard": 3}, {"guard", "guard.routes"}), ({"guard": {"routes": ["x"], "p95Ms": 5, "who": 1}}, {"guard.who"}), ({"nothing": 1}, {"nothing"}),
    ({"description": "x" * 400, "rules": [{"variant": "on", "percentage": 1, "name": f"{n}" * 50, "when": [{"action": "EQUALS", "key": "k" * 90, "value": "v" * 900}]} for n in range(18)]}, {""}),
])  # fmt: skip
def test_wrong_flags_name_their_fields(sheaf: World, site: Tenant, body: dict[str, Any], fields: set[str]) -> None:
    answer = declare(sheaf, site, "beta", body)
    assert answer.status == 422 and set(answer.json["errors"]) == fields, answer.text


def test_wrong_toggles_and_keys(sheaf: World, site: Tenant) -> None:
    answer = sheaf.http("POST", "/v1/features/toggle", {"feature": 1, "enabled": "x", "scope": "y"}, key=site.key)
    assert answer.status == 422 and set(answer.json["errors"]) == {"feature", "enabled", "scope"}
    assert sheaf.http("POST", "/v1/features/toggle", {"feature": "none", "enabled": True}, key=site.key).status == 404
    assert declare(sheaf, site, "Upper", {}).json["errors"].keys() == {"key"}
    assert sheaf.http("DELETE", "/v1/features/none", key=site.key).status == 404


def test_there_are_so_many_flags_at_most(sheaf: World, site: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "FLAGS", 2)
    answers = [declare(sheaf, site, f"f{number}", {}).status for number in range(3)]
    assert answers == [201, 201, 409]


def test_two_writers_at_once_and_a_request_that_comes_twice(sheaf: World, site: Tenant) -> None:
    sent = {"Idempotency-Key": "flag-1"}
    first, second = (declare(sheaf, site, "beta", {"enabled": True}, headers=sent) for _ in range(2))
    assert (first.data["version"], second.data["version"]) == (1, 1) and second.headers["Idempotent-Replayed"] == "true"


def test_changes_are_seen_by_other_processes_in_seconds(sheaf: World, site: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(sheaf, site, "beta", {"enabled": True})
    flags = stored.every()
    assert stored.every() is flags, "within FLAG_SECONDS nothing is read"
    monkeypatch.setattr(stored, "FLAG_SECONDS", -1)
    assert stored.every() is not flags


# ---- guards ----


def tick(sheaf: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function("on_schedule"), "AGAIN_SECONDS", 0.0)
    function("on_schedule").handler(event("on_schedule.minute"), world.CONTEXT)


def traffic(route: str, number: int, status: int, ms: float) -> None:
    counted = counts.total(counts.of_request(status, ms, cold=False, cpu_ms=1, memory_mb=50) for _ in range(number))
    rollups.add({Place(clock.now() // 60, "", route): Counter(counted)})


@pytest.mark.parametrize(("guard", "status", "ms", "breached"), [
    ({"errorRate": 0.05}, 500, 10.0, "errorRate"), ({"p95Ms": 300}, 200, 900.0, "p95Ms"),
])  # fmt: skip
def test_a_guard_rolls_back_within_a_minute_of_a_breach(
    sheaf: World, site: Tenant, monkeypatch: pytest.MonkeyPatch, guard: dict[str, Any], status: int, ms: float, breached: str
) -> None:
    declare(sheaf, site, "beta", {"enabled": True, "guard": {"routes": ["GET /v1/tasks"], **guard}})
    traffic("GET /v1/tasks", 200, 200, 20.0)
    traffic("GET /v1/projects", 200, 500, 9_000.0)  # another route's trouble
    tick(sheaf, monkeypatch)
    assert value(sheaf, site.key, "beta") is True, "nothing is wrong with it"
    traffic("GET /v1/tasks", 60, status, ms)
    with later(59):
        tick(sheaf, monkeypatch)
        assert value(sheaf, site.key, "beta") is False
        sheaf.settle()
        [told] = sheaf.http("GET", "/v1/audit/logs?action=feature.rolled_back", key=site.key).data
    assert told["after"]["why"]["breached"] == breached and told["actorType"] == "system"


def test_a_guard_says_nothing_of_too_few_requests_or_of_the_time_before(
    sheaf: World, site: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = {"routes": ["GET /v1/tasks"], "errorRate": 0.05, "requests": 50}
    traffic("GET /v1/tasks", 500, 500, 10.0)  # before it was switched on
    with later(90):
        declare(sheaf, site, "beta", {"enabled": True, "guard": guard})
        traffic("GET /v1/tasks", 49, 500, 10.0)
        tick(sheaf, monkeypatch)
        assert value(sheaf, site.key, "beta") is True
