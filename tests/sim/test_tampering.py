"""Whoever can write to the tables changes the audit log: each change is found, by us and by the offline verifier."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sheaf_audit
from pydantic_core import from_json, to_json

from sheaf.features.audit import chain, sealer, verifying
from sheaf.store import keys, table
from sheaf.store.keys import Key
from sheaf.store.table import Item
from world import Tenant, World

Places = dict[Key, Item]


@pytest.fixture
def sealed(sheaf: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    """A tenant with a log of several small segments: rows with and without personal values, keys, a refusal."""
    monkeypatch.setattr(verifying, "_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(sealer, "SEGMENT_ENTRIES", 7)
    for number in range(4):
        lead = {"first_name": "Ann", "last_name": f"Lee {number}", "email": f"ann{number}@example.com"}
        made = sheaf.http("POST", "/v1/leads", lead, key=acme.key).data
        sheaf.http("PATCH", f"/v1/leads/{made['id']}", {"last_name": "Ray"}, key=acme.key)
        task = sheaf.http("POST", "/v1/tasks", {"title": f"Task {number}"}, key=acme.key).data
        sheaf.http("DELETE", f"/v1/tasks/{task['id']}", key=acme.key)
        sheaf.http("POST", "/v1/api-keys", {"name": f"Key {number}"}, key=acme.key)
        sheaf.seal(acme)
    assert sheaf.http("GET", "/v1/api-keys", key=sheaf.key(acme, "user")).status == 403
    sheaf.seal(acme)
    return acme


def test_the_log_as_it_is_holds(sheaf: World, sealed: Tenant) -> None:
    report = verifying.verify(sealed.setup, 1, 60).shown()
    assert report["valid"] and report["complete"] and report["unsealed"] == 0, report
    assert report["segments"] >= 4 and report["entries"] == sum(sealed_numbers(sealed)) >= 22


def test_random_tampering_is_always_found(sheaf: World, sealed: Tenant) -> None:
    found = tamper(sheaf, sealed, random.Random(9), 100)
    assert found == 100


@pytest.mark.soak
def test_tampering(sheaf: World, sealed: Tenant) -> None:
    """make soak PART=tampering"""
    found = tamper(sheaf, sealed, random.Random(2026), 1_000)
    print(f"{found} of 1,000 changes of the stored log were found")
    assert found == 1_000


def test_random_tampering_with_an_export_is_always_found(sheaf: World, sealed: Tenant) -> None:
    lines = exported(sheaf, sealed)
    assert tamper_with_lines(lines, random.Random(3), 300) == 300


@pytest.mark.soak
def test_tampering_offline(sheaf: World, sealed: Tenant) -> None:
    """make soak PART=tampering_offline"""
    found = tamper_with_lines(exported(sheaf, sealed), random.Random(2026), 1_000)
    print(f"{found} of 1,000 changes of an exported log were found")
    assert found == 1_000


# ---- the stored log ----


def tamper(sheaf: World, tenant: Tenant, rng: random.Random, times: int) -> int:
    found = 0
    for number in range(times):
        manipulation = WAYS[number % len(WAYS)]
        with undone(tenant) as places:
            what = manipulation(places, rng)
            report = verifying.verify(tenant.setup, 1, 60)
            assert report.problems, f"{manipulation.__name__} was not found: {what}"
        found += bool(report.problems)
    assert not verifying.verify(tenant.setup, 1, 60).problems, "and what was undone is as it was"
    return found


class Stored:
    """What lies in the tables of a tenant's log, and ways to write there as whoever has got in."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant.id
        self.entries = {key: item for key, item in _all("EventsTable", tenant) if "track" in item}
        self.segments = dict(sorted((key, item) for key, item in _all("AuditTable", tenant)))
        self.heads = dict(_all("EventsTable", tenant, "#tracks"))

    def put(self, name: str, key: Key, item: Item) -> None:
        table.put(name, key, {field: value for field, value in item.items() if field not in ("pk", "sk")})

    def take(self, name: str, key: Key) -> None:
        table.take(name, key)


def edit_entry(stored: Stored, rng: random.Random) -> Any:
    key = rng.choice(sorted(stored.entries))
    item = dict(stored.entries[key])
    field = rng.choice([name for name in ("id", "ty", "pa", "u", "a", "q", "d", "b", "tg", "ip", "cm", "sl") if name in item])
    item[field] = _other(item[field], field, rng)
    stored.put("EventsTable", key, item)
    return key, field


def edit_value_and_commitment(stored: Stored, rng: random.Random) -> Any:
    """A clever one: the personal value, its salt and its commitment fit each other again."""
    from sheaf.records import commitments

    key = rng.choice(sorted(key for key, item in stored.entries.items() if "ip" in item))
    item = dict(stored.entries[key])
    salts, made = commitments.made({"address": "198.51.100.66"})
    item |= {"ip": "198.51.100.66", "sl": to_json({**from_json(item["sl"]), **salts}).decode(),
             "cm": to_json({**from_json(item["cm"]), **made}).decode()}  # fmt: skip
    stored.put("EventsTable", key, item)
    return key


def delete_entry(stored: Stored, rng: random.Random) -> Any:
    key = rng.choice(sorted(stored.entries))
    stored.take("EventsTable", key)
    return key


def delete_and_close_the_gap(stored: Stored, rng: random.Random) -> Any:
    key = rng.choice(sorted(stored.entries))
    gone = stored.entries[key]
    stored.take("EventsTable", key)
    for other, item in stored.entries.items():
        if item["track"] == gone["track"] and int(item["nr"]) > int(gone["nr"]):
            stored.put("EventsTable", other, {**item, "nr": keys.on_track(int(item["nr"]) - 1)})
    return key


def insert_entry(stored: Stored, rng: random.Random) -> Any:
    key = rng.choice(sorted(stored.entries))
    forged = Key(key.pk.rpartition("#")[0] + f"#tsk_{rng.randrange(10**9)}", key.sk)
    stored.put("EventsTable", forged, {**stored.entries[key], "id": f"evt_{rng.randrange(10**9)}"})
    return key


def swap_entries(stored: Stored, rng: random.Random) -> Any:
    one, other = rng.sample(sorted(stored.entries), 2)
    first, second = stored.entries[one], stored.entries[other]
    stored.put("EventsTable", one, {**first, "nr": second["nr"], "track": second["track"]})
    stored.put("EventsTable", other, {**second, "nr": first["nr"], "track": first["track"]})
    return one, other


def cut_off_entries(stored: Stored, rng: random.Random) -> Any:
    """The newest entries of a track, its head lowered as if there had never been more."""
    place, head = rng.choice(sorted((key, item) for key, item in stored.heads.items() if item["n"]))
    left = rng.randrange(head["n"])
    stored.put("EventsTable", place, {**head, "n": left})
    track = keys.tracked(_scope(stored.tenant), int(place.sk))
    for key, item in stored.entries.items():
        if item["track"] == track and int(item["nr"]) > left:
            stored.take("EventsTable", key)
    return place, left


def cut_off_everything(stored: Stored, rng: random.Random) -> Any:
    """The newest segments, and whatever they held."""
    kept = rng.randrange(len(stored.segments))
    for key in list(stored.segments)[kept:]:
        stored.take("AuditTable", key)
    ends = list(stored.segments.values())[kept - 1]["t"] if kept else [0, 0, 0, 0]
    for place, head in stored.heads.items():
        stored.put("EventsTable", place, {**head, "n": ends[int(place.sk)]})
    for key, item in stored.entries.items():
        if int(item["nr"]) > ends[int(item["track"].rpartition("#")[2])]:
            stored.take("EventsTable", key)
    return kept


def edit_segment(stored: Stored, rng: random.Random) -> Any:
    key = rng.choice(sorted(stored.segments))
    item = dict(stored.segments[key])
    field = rng.choice(("f", "t", "l", "p", "u", "h"))
    item[field] = _other(item[field], field, rng)
    stored.put("AuditTable", key, item)
    return key, field


def delete_segment(stored: Stored, rng: random.Random) -> Any:
    key = rng.choice(sorted(stored.segments))
    stored.take("AuditTable", key)
    return key


def rewrite_the_chain(stored: Stored, rng: random.Random) -> Any:
    """The cleverest: an entry is changed, and its segment and all those after it are computed anew."""
    key = rng.choice(sorted(stored.entries))
    changed = {**stored.entries[key], "a": "usr_somebody_else"}
    stored.put("EventsTable", key, changed)
    wanted = chain.leaf(stored.tenant, chain.entry(keys.changed_row(key.pk), stored.entries[key]))
    forged = chain.leaf(stored.tenant, chain.entry(keys.changed_row(key.pk), changed))
    before: chain.Segment | None = None
    for place, item in stored.segments.items():
        old = chain.from_item(item)
        leaves = [forged if leaf == wanted else leaf for leaf in old.leaves]
        before = chain.joined(before, old.end, leaves, stored.tenant, old.at_ms)
        stored.put("AuditTable", place, chain.to_item(before))
    return key


WAYS: tuple[Callable[[Stored, random.Random], Any], ...] = (
    edit_entry, edit_value_and_commitment, delete_entry, delete_and_close_the_gap, insert_entry, swap_entries, cut_off_entries,
    cut_off_everything, edit_segment, delete_segment, rewrite_the_chain,
)  # fmt: skip


@contextmanager
def undone(tenant: Tenant) -> Iterator[Stored]:
    """What lies there, and afterwards again."""
    before = Stored(tenant)
    yield before
    after = Stored(tenant)
    for name, old, new in (("EventsTable", {**before.entries, **before.heads}, {**after.entries, **after.heads}),
                           ("AuditTable", before.segments, after.segments)):  # fmt: skip
        for key in new.keys() - old.keys():
            table.take(name, key)
        for key, item in old.items():
            if new.get(key) != item:
                before.put(name, key, item)


def _all(name: str, tenant: Tenant, end: str = "") -> Iterator[tuple[Key, Item]]:
    answer = table.call("scan", TableName=name)
    for raw in answer["Items"]:
        item = table.decode(raw)
        if item["pk"].startswith(tenant.id) and item["pk"].endswith(end):
            yield Key(item["pk"], item["sk"]), item


def _scope(tenant: str) -> Any:
    from sheaf.access.caller import worker

    return worker(tenant, "test", "req_1")


def _other(value: Any, field: str, rng: random.Random) -> Any:
    """Something else of the same kind."""
    if isinstance(value, int):
        return value + rng.randrange(1, 1_000)
    if isinstance(value, list):
        place = rng.randrange(len(value))
        return [each + (number == place) for number, each in enumerate(value)]
    if field in ("d", "b", "cm", "sl"):
        document = from_json(value)
        name = rng.choice(sorted(document)) if document else "x"
        document[name] = f"{document.get(name)} and more"
        return json.dumps(document)
    place = rng.randrange(len(value))
    return value[:place] + ("0" if value[place] != "0" else "1") + value[place + 1 :]


def sealed_numbers(tenant: Tenant) -> tuple[int, ...]:
    last = sealer.newest(tenant.setup)
    assert last is not None
    return last.end


# ---- an export ----


def exported(sheaf: World, tenant: Tenant) -> list[str]:
    job = sheaf.http("POST", "/v1/audit/export", {"chain": True}, key=tenant.key).data
    sheaf.settle()
    lines = sheaf.download(sheaf.http("GET", f"/v1/jobs/{job['id']}", key=tenant.key).data["result"]["url"]).splitlines()
    assert sheaf_audit.verify(lines).problems == []
    return lines


def tamper_with_lines(lines: list[str], rng: random.Random, times: int) -> int:
    head = sheaf_audit.verify(lines).head
    body = [number for number, line in enumerate(lines) if '"kind":"log"' not in line and '"kind":"anchor"' not in line]
    found = 0
    for number in range(times):
        changed = list(lines)
        match number % 5:
            case 0:
                place = rng.choice(body)
                changed[place] = _edited(changed[place], rng)
            case 1:
                del changed[rng.choice(body)]
            case 2:
                place = rng.choice(body)
                changed.insert(rng.choice(body), changed[place])
            case 3:
                one, other = rng.sample(body, 2)
                changed[one], changed[other] = changed[other], changed[one]
            case _:
                changed = changed[: rng.randrange(1, len(changed) - 1)]
        try:
            result = sheaf_audit.verify(changed, head)
        except ValueError:
            found += 1
            continue
        assert result.problems, f"way {number % 5} was not found"
        found += 1
    return found


def _edited(line: str, rng: random.Random) -> str:
    document = json.loads(line)
    where, key = rng.choice([(holder, name) for holder, name in _leaves(document) if name not in ("kind",)])
    value = where[key]
    where[key] = value + 1 if isinstance(value, int) and not isinstance(value, bool) else f"{value}!"
    return json.dumps(document)


def _leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    for key, each in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(each, dict | list):
            yield from _leaves(each)
        else:
            yield value, key
