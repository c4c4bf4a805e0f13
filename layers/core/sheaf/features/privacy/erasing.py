"""Erasure (GDPR, article 17): the personal values of one person go, everywhere and for good, and the audit log stays valid.

Which values are personal is said by the entities (`personal=True`): what is exported for a person and what is erased follow from
the same declarations. A value is noted as erased before it is taken away, so that no restore brings it back, whoever dies when.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import islice

from pydantic_core import from_json, to_json

from sheaf.access import persons
from sheaf.access.caller import Caller
from sheaf.base.bounds import EXPORT_STEP_SECONDS
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import LastAdmin, NotFound, Unavailable, ValidationFailed
from sheaf.entity import registry
from sheaf.entity.body import object_of
from sheaf.entity.registry import EntityType
from sheaf.features.privacy import subject
from sheaf.features.privacy.subject import Actors, Subject
from sheaf.jobs import machine
from sheaf.jobs.machine import Status
from sheaf.jobs.runner import JobFailed, Result, Task
from sheaf.jobs.shapes import Steps
from sheaf.records import days, erasures, past, read, receipts, write
from sheaf.records.once import Once
from sheaf.records.options import Options
from sheaf.records.rows import Stamp, fields_of, is_stamped, stamped
from sheaf.store import blobs, keys, table
from sheaf.store.keys import Key
from sheaf.store.table import ConditionFailed, Item

Remove = Callable[[Caller, str], None]
_LOOKED = 2_000  # rows, or entries of the log, of one step
_KEYS, _LOG = "the keys", "the log"


def accept(caller: Caller, body: object, once: Once | None) -> Item:
    """Put `{"userId" or "email", "confirmation"}` down as a job; the confirmation says the same again, for there is no way back.

    Raises ValidationFailed, NotFound.
    """
    if once and (first := once.found()):
        return machine.find(caller, first["job"])
    fields = object_of(body, "userId", "email", "confirmation")
    wrong: dict[str, str] = {}
    name = subject.named_in(fields, wrong)
    if name and fields.get("confirmation") != fields[name]:
        wrong["confirmation"] = f"must be the same as {name}: what is erased does not come back"
    if wrong:
        raise ValidationFailed.naming(wrong)
    whom = subject.of_request(caller, fields, name)
    if whom.user and whom.user == persons.person_of(caller):
        raise ValidationFailed.naming({name: "is your own; another admin can erase you"})
    if whom.user and _is_last_admin(caller, whom.user):
        raise LastAdmin("This is the last admin of the tenant; make somebody else one first")
    plan = {**whom.plan(caller), "at_ms": now_ms(), "format": "json"}
    return machine.accept(caller, "erase", job_id=machine.new_id(), entity="*", chunks=1, total=0, plan=plan, once=once)


def _is_last_admin(caller: Caller, user_id: str) -> bool:
    person = fields_of(read.item(caller, registry.find("users"), user_id))
    tenant = table.get(config().control_table, keys.tenant(caller))
    return (person["role"], person["status"]) == ("admin", "active") and tenant is not None and tenant.get("ad", 0) <= 1


class EraseWork(Steps):
    """Which keys they had, the users, the other entities, then the log; step n goes on behind the last position of step n-1."""

    def __init__(self, remove: Remove) -> None:
        self._remove = remove  # how a person leaves: accounts know

    def run(self, task: Task) -> Result:
        """Erase until the time or the rows of a step run out."""
        before = machine.chunk(task.caller, task.job["sk"], task.number - 1) if task.number else None
        places = [_KEYS, *sorted(registry.paths(), key=lambda path: path != "users"), _LOG]
        place, after = (int(before["place"]), str(before["after"])) if before else (0, "")
        if before is None:
            erasures.note_person(task.caller, task.job["email"])
        actors = Actors(task.job, before)
        if places[place] == _LOG:
            values, after, ended = _of_log(task, after, actors)
            return {"place": place, "after": after, "values": values, "actors": actors.told(), "more": int(not ended)}
        if places[place] == _KEYS:
            rows, (after, ended) = 0, _find_keys(task, after, actors)
        else:
            rows, after, ended = self._of_rows(task, registry.find(places[place]), after, actors)
        return {"place": place + 1 if ended else place, "after": "" if ended else after, "rows": rows, "updated": rows,
                "actors": actors.told(), "more": 1}  # fmt: skip

    def finalise(self, caller: Caller, job: Item, done: Sequence[Item], status: Status) -> Result:
        """A proof: what was erased, signed, without a word of whom."""
        if status != "succeeded":
            return {}
        rows = [{"id": row_id, "fields": sorted(names)} for row_id, names, _ in erasures.of_person(caller, job["email"])]
        told = {"subject": _subject(job), "rows": len(rows), "values": sum(step.get("values", 0) for step in done),
                "job": job["sk"], "at": iso(now_ms())}  # fmt: skip
        proof = to_json({**told, "erased": rows, "receipt": receipts.signed(caller, told)})
        blobs.put(config().jobs_bucket, keys.job_object(caller, job["sk"], "proof.json"), proof, "application/json")
        return {"file": "proof.json", "rows": len(rows), "bytes": len(proof), "sha256": sha256(proof).hexdigest(),
                "email": ""}  # fmt: skip  # nor does the job know any more

    def _of_rows(self, task: Task, entity: EntityType, after: str, actors: Actors) -> tuple[int, str, bool]:
        """Erase the rows of one entity that are about the person; how many, and whether those were all."""
        names = entity.personal & entity.model.model_fields.keys()
        whom, found, deadline = Subject.of(task.job), 0, time.monotonic() + EXPORT_STEP_SECONDS
        for looked, item in enumerate(past.items(task.caller, entity.path, after), 1):
            after = item["sk"]
            if names and whom.is_in(entity, item):
                self._erase(task, entity, item, names)
                found += 1
            elif "ip" in item and item["a"] in actors.ids:
                _forget_address(item)
            if looked == _LOOKED or time.monotonic() > deadline:
                return found, after, False
        return found, after, True

    def _erase(self, task: Task, entity: EntityType, item: Item, names: frozenset[str]) -> None:
        caller, row_id, email = task.caller, str(item["sk"]), task.job["email"]
        stamp = Stamp(task.job["sk"], 0, quiet=True)
        if is_stamped(item, stamp) and not keys.is_trash(item["pk"]):  # by an earlier try
            erasures.note(caller, row_id, names, email, stamped(item).version)
            return
        erasures.note(caller, row_id, names, email)
        if entity.path == "users" and not keys.is_trash(item["pk"]):
            try:
                self._remove(caller, row_id)
            except LastAdmin as error:
                raise JobFailed(error.message) from None
        if entity.path == "users" or keys.is_trash(item["pk"]):
            table.take(config().records_table, keys.trash(caller, entity.path, row_id))
            return
        fields = fields_of(item)
        blanked = {**fields, **{name: erasures.blank(entity, name, row_id) for name in names}}
        try:
            row = write.put_back(caller, entity, row_id, blanked, Options(), stamp=stamp)
            erasures.note(caller, row_id, names, email, row.version)
        except NotFound:
            table.take(config().records_table, keys.trash(caller, entity.path, row_id))  # deleted this very moment


def _forget_address(item: Item) -> None:
    """Take away from where a row was last written; nothing else of it changes, so nobody is told."""
    with suppress(ConditionFailed):  # somebody has written it meanwhile
        table.update(config().records_table, Key(item["pk"], item["sk"]), table.setting({"ip": None}), condition="#v = :v",
                     values={"v": item["v"]})  # fmt: skip


def _of_log(task: Task, after: str, actors: Actors) -> tuple[int, str, bool]:
    """Take the values out of the log, the oldest entries first; how many, and whether that was the end of it."""
    erased = {row_id: version for row_id, _, version in erasures.of_person(task.caller, task.job["email"])}
    if not after:
        _require_recorded(task.caller, erased)
    values, deadline = 0, time.monotonic() + EXPORT_STEP_SECONDS
    for looked, (event_id, key, item) in enumerate(_entries(task, after), 1):
        after = event_id
        values += _strip(key, item, _places(item, task.job["email"], actors, erased)) if item else 0
        if looked == _LOOKED or time.monotonic() > deadline:
            return values, after, False
    return values, after, True


def _find_keys(task: Task, after: str, actors: Actors) -> tuple[str, bool]:
    """Look through the log for the keys that the person once had; how far, and whether that was the end of it."""
    deadline = time.monotonic() + EXPORT_STEP_SECONDS
    for event_id, _, item in _entries(task, after) if task.job.get("user") else ():
        after = event_id
        if item:
            actors.did(item)
        if time.monotonic() > deadline:
            return after, False
    return after, True


def _entries(task: Task, after: str) -> Iterator[tuple[str, Key, Item | None]]:
    """The entries of the log behind one, the oldest first."""
    source = days.changes(task.caller, 0, now_ms() + days.DAY_MS, after)
    while found := list(islice(source, 100)):
        items = table.get_many(config().events_table, [key for _, key in found])
        yield from ((event_id, key, items.get(key)) for event_id, key in found)


def _require_recorded(caller: Caller, erased: Mapping[str, int | None]) -> None:
    """Raise Unavailable until the log knows that the values are gone: that change still tells what was before."""
    for row_id, version in erased.items():
        last = past.last(caller, row_id)
        if last is None or (last.sequence < version if version else last.verb != "deleted"):
            raise Unavailable(f"The erasure of {row_id} is still being recorded; try again")


def _places(item: Item, email: str, actors: Actors, erased: Mapping[str, int | None]) -> set[str]:
    """What of an entry is about the person: personal fields of a row that is theirs or was, and the address of who did it."""
    known, row_id = from_json(item.get("sl", "{}")).keys(), keys.changed_row(item["pk"])
    entity = registry.known(item["pa"])
    whole = row_id in erased and int(item["sk"]) <= (erased[row_id] or int(item["sk"]))
    found = {"address"} if actors.did(item) else set()
    for part, text in (("data", item["d"]), ("before", item.get("b"))):
        document = from_json(text) if text else {}
        holding = {name for name, value in document.items() if isinstance(value, str) and value.lower() == email}
        theirs = whole or (entity is not None and not holding.isdisjoint(entity.personal))
        found |= {f"{part}.{name}" for name in (entity.personal if entity and theirs else holding)}
    return found & set(known)


def _strip(key: Key, item: Item, places: set[str]) -> int:
    """Take values and their salts out of an entry; what was committed to stays. How many values."""
    if not places:
        return 0
    salts = {place: salt for place, salt in from_json(item["sl"]).items() if place not in places}
    values: Item = {"d": _without(item["d"], "data", places), "sl": to_json(salts).decode() if salts else None}
    if item.get("b"):
        values["b"] = _without(item["b"], "before", places)
    if "address" in places:
        values["ip"] = None
    try:
        table.update(config().events_table, key, table.setting(values), condition="#sl = :was",
                     values={**values, "was": item["sl"]})  # fmt: skip
    except ConditionFailed:
        raise Unavailable("Another erasure of the same entry is under way; try again") from None
    return len(places)


def _without(text: str, part: str, places: set[str]) -> str:
    document = {name: value for name, value in from_json(text).items() if f"{part}.{name}" not in places}
    return to_json(document).decode()


def _subject(job: Item) -> str:
    """Who was erased, for somebody who knows the address already."""
    return sha256(f"{job['sk']}\0{job['email']}".encode()).hexdigest()
