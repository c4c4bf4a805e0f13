"""The read cache: answers again without asking the tables, fresh when something changes, one tenant's alone; 304s cost nothing."""

from typing import Any

import pytest

from sheaf import Entity, field
from sheaf.access import limits
from sheaf.edge import metering
from sheaf.entity import registry
from sheaf.entity.registry import DeclarationError, entity_type
from sheaf.features import cache
from sim.faults import kill_at
from world import Answer, Tenant, World, later


class Article(Entity, prefix="art", cached=60):
    """An entity whose lists are cached."""

    title: str = field(min_length=1, index=True)


@pytest.fixture(autouse=True)
def articles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._known, "articles", entity_type(Article, "articles"))


def listed(sheaf: World, tenant: Tenant, query: str = "", key: str = "", **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = sheaf.http("GET", f"/v1/articles{query}", key=key or tenant.key, headers=sent)
    assert answer.status in (200, 304), answer.text
    return answer


def titles(answer: Answer) -> list[str]:
    return [each["title"] for each in answer.data]


def add(sheaf: World, tenant: Tenant, title: str) -> None:
    assert sheaf.http("POST", "/v1/articles", {"title": title}, key=tenant.key).status == 201


def test_the_second_answer_is_the_first_one(sheaf: World, acme: Tenant) -> None:
    add(sheaf, acme, "One")
    sheaf.settle()
    with later(5):
        first, second = listed(sheaf, acme, "?limit=5&sort=title"), listed(sheaf, acme, "?sort=title&limit=5")
        assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("MISS", "HIT")
        assert first.data == second.data and first.json["meta"] == second.json["meta"]
        assert second.headers["Cache-Control"].startswith("private, max-age=") and int(second.headers["Age"]) < 5
        cache.forget()  # another process
        third = listed(sheaf, acme, "?limit=5&sort=title")
        assert third.headers["X-Cache"] == "HIT" and third.data == first.data
        assert listed(sheaf, acme, "?aggregate=count").headers["X-Cache"] == "MISS"
        assert listed(sheaf, acme, "?aggregate=count").data == listed(sheaf, acme, "?aggregate=count").data
    with later(90):
        assert listed(sheaf, acme, "?limit=5&sort=title").headers["X-Cache"] == "MISS", "it is over"


def test_a_hit_asks_the_tables_for_nothing_but_the_caller(sheaf: World, acme: Tenant) -> None:
    for number in range(3):
        add(sheaf, acme, f"T{number}")
    sheaf.settle()
    with later(5):
        listed(sheaf, acme)
        limits._blocks[acme.id] = limits._blocks[acme.id]._replace(left=100)
        with kill_at(0, "before-call") as counter:
            assert listed(sheaf, acme).headers["X-Cache"] == "HIT"
        assert counter.calls <= 3, "the principal, and once a second what was cleared and where the log ends"


def test_a_change_is_seen_at_once_after_its_event_was_followed(sheaf: World, acme: Tenant, globex: Tenant) -> None:
    add(sheaf, acme, "One")
    sheaf.settle()
    with later(5):
        assert titles(listed(sheaf, acme)) == ["One"]
        listed(sheaf, globex)
        add(sheaf, acme, "Two")
        sheaf.settle()
    with later(7):
        answer = listed(sheaf, acme)
        assert (answer.headers["X-Cache"], titles(answer)) == ("MISS", ["Two", "One"])
        assert listed(sheaf, globex).headers["X-Cache"] == "HIT", "the change was none of theirs"


def test_tenants_roles_versions_and_callers_have_answers_of_their_own(sheaf: World, acme: Tenant, globex: Tenant) -> None:
    add(sheaf, acme, "One")
    sheaf.settle()
    with later(5):
        assert titles(listed(sheaf, acme)) == ["One"] and titles(listed(sheaf, globex)) == []
        assert listed(sheaf, acme, key=sheaf.key(acme, "user")).headers["X-Cache"] == "MISS"
        v2 = sheaf.http("GET", "/v2/articles", key=acme.key)
        assert v2.headers["X-Cache"] == "MISS"
        assert titles(listed(sheaf, acme, "?title[ne]=a%26title=Two")) == ["One"]
        other = listed(sheaf, acme, "?title[ne]=a&title=Two")
        assert (other.headers["X-Cache"], titles(other)) == ("MISS", []), "another question"


def test_an_answer_is_cleared_by_its_key_however_that_is_spelled(sheaf: World, acme: Tenant) -> None:
    add(sheaf, acme, "a b")
    sheaf.settle()
    with later(5):
        for asked, cleared in (
            ("?title=a%20b&limit=5", "/articles?limit=5&title=a+b"),
            ("?title=a%20b", "/v1/articles?title=a%20b"),
        ):
            assert titles(listed(sheaf, acme, asked)) == ["a b"] and listed(sheaf, acme, asked).headers["X-Cache"] == "HIT"
            assert sheaf.http("POST", "/v1/cache/clear", {"key": cleared}, key=acme.key).status == 200
            assert listed(sheaf, acme, asked).headers["X-Cache"] == "MISS", cleared


def test_no_cache_where_the_client_wants_none(sheaf: World, acme: Tenant) -> None:
    listed(sheaf, acme)
    assert "X-Cache" not in listed(sheaf, acme, Cache_Control="no-cache").headers
    assert "X-Cache" not in listed(sheaf, acme, Prefer="handling=strict").headers
    tasks = sheaf.http("GET", "/v1/tasks", key=acme.key)
    assert "X-Cache" not in tasks.headers and "Age" not in tasks.headers


def test_304s_cost_nothing(sheaf: World, acme: Tenant) -> None:
    with sheaf.still():
        first = listed(sheaf, acme)
        left = int(first.headers["X-RateLimit-Remaining"])
        for number in range(1, 4):
            again = listed(sheaf, acme, If_None_Match=first.headers["ETag"])
            assert again.status == 304 and again.text == "" and again.headers["ETag"] == first.headers["ETag"]
            assert int(again.headers["X-RateLimit-Remaining"]) == left - 1, f"the {number}. one has cost no more than the first"
        task = sheaf.http("POST", "/v1/tasks", {"title": "x"}, key=acme.key)
        assert int(task.headers["X-RateLimit-Remaining"]) == left - 1, "the credit of the last one"
        row = sheaf.http("GET", f"/v1/tasks/{task.data['id']}", key=acme.key, headers={"If-None-Match": task.headers["ETag"]})
        assert row.status == 304
        known = sheaf.http("GET", "/v1/tasks", key=acme.key)
        assert int(known.headers["X-RateLimit-Remaining"]) == left - 2


def test_a_credit_ends_with_its_window_and_a_dead_session_is_no_better_for_it(sheaf: World, acme: Tenant) -> None:
    first = listed(sheaf, acme)
    assert listed(sheaf, acme, If_None_Match=first.headers["ETag"]).status == 304
    with later(120):
        left = int(listed(sheaf, acme).headers["X-RateLimit-Remaining"])
        assert left == 9_999


def test_clear_by_key_by_prefix_and_all(sheaf: World, acme: Tenant, globex: Tenant) -> None:  # contract: 118
    def clear(body: dict[str, Any], tenant: Tenant = acme) -> Any:
        return sheaf.http("POST", "/v1/cache/clear", body, key=tenant.key)

    def state() -> list[str]:
        return [
            listed(sheaf, tenant, query).headers["X-Cache"]
            for tenant, query in ((acme, "?limit=5"), (acme, "?limit=50"), (globex, "?limit=5"))
        ]

    with later(5):
        state()
        assert state() == ["HIT", "HIT", "HIT"]
        assert clear({"key": "/articles?limit=5"}).data == {"cleared": "/articles?limit=5"}
    with later(7):
        assert state() == ["MISS", "HIT", "HIT"]
        assert clear({"prefix": "/v1/articles"}).status == 200
    with later(9):
        assert state() == ["MISS", "MISS", "HIT"]
        clear({"all": True})
    with later(11):
        assert state() == ["MISS", "MISS", "HIT"] and state() == ["HIT", "HIT", "HIT"]
        for body in ({}, {"all": False}, {"key": 1}, {"prefix": ""}, {"all": True, "key": "/x"}, {"what": 1}):
            assert clear(body).status == 422, body
        assert sheaf.http("POST", "/v1/cache/clear", {"all": True}, key=sheaf.key(acme, "user")).status == 403
        sheaf.settle()
    with later(60):
        assert len(sheaf.http("GET", "/v1/audit/logs?action=cache.cleared", key=acme.key).data) == 3


def test_many_clearings_become_one_of_everything(sheaf: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "CACHE_CLEARS", 3)
    listed(sheaf, acme)
    with later(5):
        for number in range(5):
            cache.clear(acme.setup, f"/other{number}")
    with later(8):
        assert listed(sheaf, acme).headers["X-Cache"] == "MISS"


def test_stats_count_hits_and_misses(sheaf: World, acme: Tenant, globex: Tenant) -> None:  # contract: 119
    for _ in range(4):
        listed(sheaf, acme)
    listed(sheaf, globex)
    sheaf.http("GET", "/v1/tasks", key=acme.key)
    metering.flush()
    found = sheaf.http("GET", "/v1/cache/stats", key=acme.key).data
    assert (found["hits"], found["misses"], found["hitRate"], found["entries"]) == (3, 1, 0.75, 1)
    assert found["routes"] == [{"route": "GET /v1/articles", "hits": 3, "misses": 1, "hitRate": 0.75}]
    assert sheaf.http("GET", "/v1/cache/stats?scope=all", key=acme.key).json["errors"].keys() == {"scope"}


def test_the_memory_of_a_process_is_bounded_and_large_answers_are_not_kept(
    sheaf: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "CACHE_MEMORY_BYTES", 300)
    for number in range(20):
        listed(sheaf, acme, f"?title=a{number}")
    add(sheaf, acme, "x" * 100)
    with later(5):
        for number in range(20):
            listed(sheaf, acme, f"?limit={number + 1}")
    assert cache._size <= 300
    monkeypatch.setattr(cache, "CACHE_ENTRY_BYTES", 10)
    with later(8):
        assert [listed(sheaf, acme, "?limit=33").headers["X-Cache"] for _ in range(2)] == ["MISS", "MISS"]


def test_a_cursor_of_an_answer_is_of_the_time_when_it_was_read(sheaf: World, acme: Tenant) -> None:
    """Whoever lists and goes on from X-Event-Cursor misses nothing, also with an answer that is a moment old."""
    with later(5):
        first = listed(sheaf, acme)
    with later(6):
        sheaf.http("POST", "/v1/tasks", {"title": "x"}, key=acme.key)
        sheaf.settle()
    with later(8):
        again = listed(sheaf, acme)
        assert again.headers["X-Cache"] == "HIT" and again.headers["X-Event-Cursor"] == first.headers["X-Event-Cursor"]
        after = sheaf.http("GET", f"/v1/events?after={again.headers['X-Event-Cursor']}", key=acme.key).data
        assert [each["type"] for each in after] == ["task.created"]


def test_nobody_caches_for_longer_than_allowed() -> None:
    class Slow(Entity, prefix="slo", cached=4_000):
        title: str = field()

    with pytest.raises(DeclarationError, match="cached=4000"):
        entity_type(Slow, "slows")
