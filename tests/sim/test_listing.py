"""Lists against brute force: whatever is asked, the pages together are exactly the rows that match, in order, and full.

First the in-memory table is compared with the real port, then ten thousand random rows are asked for through it.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pytest

import world
from sheaf import Entity, Timestamp, field
from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.clock import iso
from sheaf.base.config import config
from sheaf.base.errors import IndexRequired
from sheaf.entity import query
from sheaf.entity.registry import entity_type
from sheaf.records.aggregate import aggregate
from sheaf.records.page import page
from sheaf.records.rows import to_item
from sheaf.store import keys, table
from sheaf.store.table import Span
from sim.memory import Memory

START = 1_795_000_000_000
WORDS = ("alpha", "beta", "gamma", "delta", "Ünï", "a\0b", "z")


class Part(Entity, prefix="prt"):
    name: str = field(max_length=100, sort=True)
    color: Literal["red", "green", "blue"] = field("red", index=True)
    group: str | None = field(None, index=True, max_length=20)
    size: int | None = field(None, sort=True)
    weight: float = 0.0
    made: Timestamp | None = None
    note: str | None = None
    tags: list[str] = field(default_factory=list)


PARTS = entity_type(Part, "parts")
ACME = Caller("tnt_01h00000000000000000000001", "usr_1", "admin", "req_1")
OTHER = Caller("tnt_01h00000000000000000000002", "usr_2", "admin", "req_2")
Row = dict[str, Any]


def random_fields(rng: random.Random) -> Row:
    return {
        "name": f"{rng.choice(WORDS)} {rng.randrange(40)}",
        "color": rng.choice(["red", "green", "blue"]),
        "group": rng.choice([None, "a", "b", "c,d", "e"]),
        "size": rng.choice([None, rng.randrange(-50, 50), rng.randrange(10**12)]),
        "weight": rng.choice([0.0, -1.5, rng.random() * 100]),
        "made": rng.choice([None, iso(START + rng.randrange(10**9)), "2026-11-18T00:00:00Z"]),
        "note": rng.choice([None, "", "note", rng.choice(WORDS)]),
        "tags": rng.sample(WORDS, rng.randrange(3)),
    }


def fill(memory: Memory, rng: random.Random, count: int) -> list[Row]:
    rows = []
    for number in range(count):
        for caller in (ACME, OTHER) if number % 10 == 0 else (ACME,):
            at_ms = START + number * 997
            row_id = ids.derived("prt", at_ms, f"{caller.tenant}{number}")
            item = to_item(caller, PARTS, random_fields(rng), row_id=row_id, version=1, at_ms=at_ms)
            memory.put(keys.record(caller, "parts", row_id), item)
            if caller is ACME:
                from pydantic_core import from_json

                rows.append(from_json(item["d"]))
    return rows


@dataclass(frozen=True)
class Ask:
    """A list's parameters, and what they mean in plain Python."""

    parameters: dict[str, str]
    holds: Callable[[Row], bool]


def null_or(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is not None and test(value)


def moment(text: str) -> str:
    """A time of this test's rows with three digits behind the point, so that texts compare."""
    return text.removesuffix("Z") if "." in text else text.removesuffix("Z") + ".000"


def a_filter(rng: random.Random) -> Ask:
    color, group, edge = rng.choice(["red", "blue"]), rng.choice(["a", "b"]), rng.randrange(-60, 60)
    word, low = rng.choice(WORDS[:4]), rng.randrange(10**9)
    after, until = iso(START + low), iso(START + low + 10**8)
    return rng.choice([
        Ask({}, lambda _: True),
        Ask({"color": color}, lambda row: row["color"] == color),
        Ask({"color[in]": "red,green"}, lambda row: row["color"] in ("red", "green")),
        Ask({"group": group}, lambda row: row["group"] == group),
        Ask({"group": "c,d"}, lambda row: row["group"] == "c,d"),
        Ask({"group[in]": f"{group},e", "color[ne]": color}, lambda row: row["group"] in (group, "e") and row["color"] != color),
        Ask({"group[null]": "true"}, lambda row: row["group"] is None),
        Ask({"size[lt]": str(edge)}, lambda row: null_or(lambda value: value < edge)(row["size"])),
        Ask({"size[ge]": str(edge), "color": color}, lambda row: null_or(lambda value: value >= edge)(row["size"]) and row["color"] == color),
        Ask({"size[between]": f"{edge},{edge + 30}"}, lambda row: null_or(lambda value: edge <= value <= edge + 30)(row["size"])),
        Ask({"size[gt]": str(edge), "size[le]": str(edge + 9)}, lambda row: null_or(lambda value: edge < value <= edge + 9)(row["size"])),
        Ask({"name[startswith]": word}, lambda row: row["name"].startswith(word)),
        Ask({"name[icontains]": word.upper()}, lambda row: word in row["name"].lower()),
        Ask({"name[gt]": word, "name[lt]": "gamma 3"}, lambda row: word < row["name"] < "gamma 3"),
        Ask({"weight[le]": "0"}, lambda row: row["weight"] <= 0),
        Ask({"note[empty]": "true"}, lambda row: not row["note"]),
        Ask({"tags[contains]": word}, lambda row: word in row["tags"]),
        Ask({"made[ge]": after}, lambda row: null_or(lambda value: moment(value) >= moment(after))(row["made"])),
        Ask({"createdAt[ge]": after, "createdAt[lt]": until}, lambda row: after <= row["createdAt"] < until),
        Ask({"createdAt[gt]": after}, lambda row: row["createdAt"] > after),
        Ask({"filter": f'{{"or": [{{"color": "{color}"}}, {{"not": {{"group": "{group}"}}}}]}}'},
            lambda row: row["color"] == color or row["group"] != group),
        Ask({"filter": f'{{"color": "{color}", "or": [{{"size": {{"lt": {edge}}}}}, {{"size": null}}]}}'},
            lambda row: row["color"] == color and (row["size"] is None or row["size"] < edge)),
    ])  # fmt: skip


def a_sort(rng: random.Random) -> tuple[str, Callable[[list[Row]], list[Row]]]:
    def by(*names: str) -> Callable[[list[Row]], list[Row]]:
        def ordered(rows: list[Row]) -> list[Row]:
            found = sorted(rows, key=lambda row: row["id"], reverse=names[0].startswith("-"))
            for name in reversed(names):
                plain = name.removeprefix("-")
                found.sort(key=lambda row: (row[plain] is not None, row[plain] or type(row[plain])()) if row[plain] is not None else (False,),
                           reverse=name.startswith("-"))  # fmt: skip
            return found

        return ordered

    text = rng.choice(["", "", "id", "-id", "createdAt", "-createdAt", "name", "-name", "size", "-size", "-size,id", "color,-name",
                       "-weight", "group,size,-name", "color,createdAt"])  # fmt: skip
    return text, by(*(text or "-id").replace("createdAt", "id").split(","))


def walk(parameters: dict[str, str], limit: int) -> Iterator[list[Row]]:
    cursor: dict[str, str] = {}
    while True:
        found = page(ACME, query.parse(PARTS, {**parameters, **cursor, "limit": str(limit)}))
        yield [row.document for row in found.rows]
        if found.next_cursor is None:
            return
        assert len(found.rows) == limit, "a page is full until the end"
        cursor = {"cursor": found.next_cursor}


@pytest.fixture
def names(sheaf: world.World) -> world.World:
    """Secrets for cursors."""
    return sheaf


def test_the_memory_is_as_the_port_is(names: world.World) -> None:
    rng, memory = random.Random(1), Memory()
    fill(memory, rng, 120)
    for key, item in memory.items.items():
        table.put(config().records_table, key, {name: value for name, value in item.items() if name not in ("pk", "sk")})
    records, live = config().records_table, keys.record(ACME, "parts", "").pk
    places = sorted(item["sk"] for item in memory.items.values() if item["pk"] == live)
    sizes = sorted(item["os2"] for item in memory.items.values() if item.get("or2") == keys.ordered(ACME, "parts", "size"))
    for _ in range(60):
        if rng.random() < 0.5:
            span, known = Span(live), places
        else:
            span, known = Span(keys.ordered(ACME, "parts", "size"), "or2", "os2"), sizes
        low, high = sorted(rng.sample(known, 2))
        bounds = {"low": rng.choice(["", low]), "high": rng.choice(["", high])}
        asked = Span(span.pk, span.index, span.sort, **bounds)
        more: dict[str, Any] = {
            "newest_first": rng.random() < 0.5,
            "page": rng.choice([1, 7, 500]),
            "after": rng.choice(["", rng.choice(known)]),
        }
        wanted = [item["sk"] for item in memory.query(records, asked, **more)]
        within = [place for place in known if (not asked.low or place >= asked.low) and (not asked.high or place <= asked.high)]
        if more["after"] and more["after"] not in within:
            continue  # a position lies inside its own span
        assert [item["sk"] for item in table.query(records, asked, **more)] == wanted
        assert table.count(records, asked, 100) == memory.count(records, asked, 100)
    some = rng.sample(list(memory.items), 110)
    absent = keys.record(ACME, "parts", ids.new("prt"))
    assert set(table.get_many(records, [*some, absent])) == set(memory.get_many(records, [*some, absent]))


@pytest.mark.parametrize("seed", range(3))
def test_pages_and_totals_are_those_of_brute_force(names: world.World, seed: int) -> None:
    """Ten thousand rows, sixteen random lists each seed: every page of each, in both ways of paging, and the total."""
    check(seed, rows=10_000, lists=16)


@pytest.mark.soak
def test_listing(names: world.World) -> None:
    """Soak: 1,000 lists."""
    for seed in range(100, 105):
        check(seed, rows=10_000, lists=200)
        print(f"seed {seed}: 200 lists over 10,000 rows equal brute force", flush=True)


def check(seed: int, *, rows: int, lists: int) -> None:
    rng, memory = random.Random(seed), Memory()
    everything = fill(memory, rng, rows)
    with memory.instead():
        for _ in range(lists):
            one, two = a_filter(rng), a_filter(rng)
            parameters = {**one.parameters, **({} if one.parameters.keys() & two.parameters.keys() else two.parameters)}
            holds = [one.holds] if one.parameters.keys() & two.parameters.keys() else [one.holds, two.holds]
            text, ordered = a_sort(rng)
            expected = [row["id"] for row in ordered([row for row in everything if all(each(row) for each in holds)])]
            asked = {**parameters, **({"sort": text} if text else {})}
            limit = rng.choice([1, 3, 10, 99, 100])
            most = 8 if limit < 10 else 400
            found, pages = [], 0
            for rows_of_page in walk(asked, limit):
                found += [row["id"] for row in rows_of_page]
                if (pages := pages + 1) == most:
                    break
            assert found == expected[: len(found)], asked
            assert len(found) == len(expected) or pages == most, asked
            number = rng.randrange(1, 2 + len(expected) // limit)
            there = page(ACME, query.parse(PARTS, {**asked, "page": str(number), "limit": str(limit)}))
            assert there.total == len(expected), asked
            assert [row.id for row in there.rows] == expected[(number - 1) * limit : number * limit], asked
            [counted] = aggregate(ACME, query.parse(PARTS, {**parameters, "aggregate": "count"}))
            assert counted == {"count": len(expected)}, parameters


def test_sums_are_those_of_brute_force(names: world.World) -> None:
    rng, memory = random.Random(9), Memory()
    everything = fill(memory, rng, 2_000)
    with memory.instead():
        asked = {"aggregate": "count,sum(size),avg(size),min(name),max(made)", "groupBy": "color,group", "color[ne]": "blue"}
        found = aggregate(ACME, query.parse(PARTS, asked))
        rows = [row for row in everything if row["color"] != "blue"]
        groups = sorted(
            {(row["color"], row["group"]) for row in rows}, key=lambda each: (each[0], each[1] is not None, each[1] or "")
        )
        assert [(each["color"], each["group"]) for each in found] == groups
        for each in found:
            mine = [row for row in rows if (row["color"], row["group"]) == (each["color"], each["group"])]
            sizes = [row["size"] for row in mine if row["size"] is not None]
            assert (each["count"], each["sum"]["size"], each["avg"]["size"]) == (len(mine), sum(sizes), sum(sizes) / len(sizes))
            assert each["min"]["name"] == min(row["name"] for row in mine)
        [alone] = aggregate(ACME, query.parse(PARTS, {"aggregate": "avg(size),min(size),count", "name": "nobody"}))
        assert alone == {"avg": {"size": None}, "min": {"size": None}, "count": 0}


def test_what_no_index_serves_is_refused_over_its_budget_and_served_below(
    names: world.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory()
    fill(memory, random.Random(3), 500)
    monkeypatch.setattr("sheaf.records.plan.SCANNED_ROWS", 300)
    with memory.instead():
        for parameters, line in (
            ({"weight": "7"}, ""), ({"sort": "weight"}, "weight = field(…, sort=True)"), ({"note": "nothing"}, "note = field(…, index=True)"),
            ({"tags[contains]": "nothing"}, ""), ({"weight[gt]": "1000"}, "weight = field(…, sort=True)"),
        ):  # fmt: skip
            with pytest.raises(IndexRequired) as caught:
                page(ACME, query.parse(PARTS, parameters))
            if line:
                assert caught.value.extra["index"] == line
        memory.reads = 0
        assert len(page(ACME, query.parse(PARTS, {"weight[ge]": "-1000"})).rows) == 20
        assert memory.reads < 300
        # An index or a key serves these, however many rows there are.
        for parameters in (
            {"color": "red"},
            {"sort": "name"},
            {"sort": "-size"},
            {"size[lt]": "0", "sort": "size"},
            {"createdAt[gt]": iso(START)},
            {},
        ):
            page(ACME, query.parse(PARTS, parameters), strict=True)
        for parameters in ({"note": "note"}, {"sort": "weight"}, {"filter": '{"or": [{"color": "red"}, {"color": "blue"}]}'}):
            with pytest.raises(IndexRequired, match="strict"):
                page(ACME, query.parse(PARTS, parameters), strict=True)


def test_a_stale_index_entry_neither_shows_nor_shortens_a_page(names: world.World) -> None:
    """The rows of half of the entries have moved on: the page is full of those that match."""
    rng, memory = random.Random(4), Memory()
    everything = fill(memory, rng, 400)
    reds = [row for row in everything if row["color"] == "red"]
    for row in reds[::2]:
        item = memory.items[keys.record(ACME, "parts", row["id"])]
        item["d"] = item["d"].replace('"color":"red"', '"color":"blue"').replace('"name":"', '"name":"moved ')
    with memory.instead():
        expected = [row["id"] for row in reversed(reds) if row not in reds[::2]]
        assert [row["id"] for rows in walk({"color": "red"}, 7) for row in rows] == expected
        moved = {row["id"] for row in reds[::2]}
        by_name = [row["id"] for rows in walk({"sort": "name"}, 7) for row in rows]
        assert moved.isdisjoint(by_name) and len(by_name) == len(everything) - len(moved)
