"""Erasure (GDPR, article 17): the personal values of one person go, everywhere and for good, and the audit log stays valid.

Which values are personal is said by the entities (`personal=True`): what is exported for a person and what is erased follow from
the same declarations. A value is noted as erased before it is taken away, so that no restore brings it back, whoever dies when.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from itertools import islice

from pydantic_core import from_json, to_json

from sheaf.access.caller import Caller
from sheaf.base.bounds import EXPORT_STEP_SECONDS
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import NotFound, Unavailable, ValidationFailed
from sheaf.entity import registry
from sheaf.entity.body import object_of
from sheaf.entity.registry import EntityType
from sheaf.features.privacy import subject
from sheaf.features.privacy.subject import Subject
from sheaf.jobs import machine
from sheaf.jobs.machine import Status
from sheaf.jobs.runner import Result, Task
from sheaf.jobs.shapes import Steps
from sheaf.records import days, erasures, past, receipts, write
from sheaf.records.once import Once
from sheaf.records.options import Options
from sheaf.records.rows import Stamp, fields_of, is_stamped
from sheaf.store import blobs, keys, table
from sheaf.store.keys import Key
from sheaf.store.table import ConditionFailed, Item

Remove = Callable[[Caller, str], None]
_LOOKED = 2_000  # rows, or entries of the log, of one step
_LOG = "the log"


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
    if whom.user == caller.principal:
        raise ValidationFailed.naming({name: "is your own; another admin can erase you"})
    plan = {**whom.plan(), "at_ms": now_ms(), "format": "json"}
    return machine.accept(caller, "erase", job_id=machine.new_id(), entity="*", chunks=1, total=0, plan=plan, once=once)


class EraseWork(Steps):
    """The entities in their order, then the log; step n goes on behind the last row of step n-1."""

    def __init__(self, remove: Remove) -> None:
        self._remove = remove  # how a person leaves: accounts know

    def run(self, task: Task) -> Result:
        """Erase until the time or the rows of a step run out."""
        before = machine.chunk(task.caller, task.job["sk"], task.number - 1) if task.number else None
        places = [*registry.paths(), _LOG]
        place, after = (int(before["place"]), str(before["after"])) if before else (0, "")
        if places[place] == _LOG:
            values, after, ended = _of_log(task, after)
            return {"place": place, "after": after, "values": values, "more": int(not ended)}
        rows, after, ended = self._of_rows(task, registry.find(places[place]), after)
        return {"place": place + 1 if ended else place, "after": "" if ended else after, "rows": rows, "updated": rows, "more": 1}

    def finalise(self, caller: Caller, job: Item, done: Sequence[Item], status: Status) -> Result:
        """A proof: what was erased, signed, without a word of whom."""
        if status != "succeeded":
            return {}
        rows = [{"id": row_id, "fields": sorted(names)} for row_id, names in erasures.of_job(caller, job["sk"])]
        told = {"subject": _subject(job), "rows": len(rows), "values": sum(step.get("values", 0) for step in done),
                "job": job["sk"], "at": iso(now_ms())}  # fmt: skip
        proof = to_json({**told, "erased": rows, "receipt": receipts.signed(caller, told)})
        blobs.put(config().jobs_bucket, keys.job_object(caller, job["sk"], "proof.json"), proof, "application/json")
        return {"file": "proof.json", "rows": len(rows), "bytes": len(proof), "sha256": sha256(proof).hexdigest(),
                "email": ""}  # fmt: skip  # nor does the job know any more

    def _of_rows(self, task: Task, entity: EntityType, after: str) -> tuple[int, str, bool]:
        """Erase the rows of one entity that are about the person; how many, and whether those were all."""
        names = entity.personal & entity.model.model_fields.keys()
        if not names:
            return 0, "", True
        whom, found, deadline = Subject.of(task.job), 0, time.monotonic() + EXPORT_STEP_SECONDS
        for looked, item in enumerate(past.items(task.caller, entity.path, after), 1):
            after = item["sk"]
            if whom.is_in(entity, item):
                self._erase(task, entity, item, names)
                found += 1
            if looked == _LOOKED or time.monotonic() > deadline:
                return found, after, False
        return found, after, True

    def _erase(self, task: Task, entity: EntityType, item: Item, names: frozenset[str]) -> None:
        caller, row_id = task.caller, str(item["sk"])
        erasures.note(caller, row_id, names, task.job["sk"])
        if entity.path == "users" and not keys.is_trash(item["pk"]):
            self._remove(caller, row_id)
        if entity.path == "users" or keys.is_trash(item["pk"]):
            table.take(config().records_table, keys.trash(caller, entity.path, row_id))
            return
        stamp = Stamp(task.job["sk"], 0, quiet=True)
        if is_stamped(item, stamp):
            return  # by an earlier try
        fields = fields_of(item)
        blanked = {**fields, **{name: erasures.blank(entity, name, row_id) for name in names}}
        try:
            write.put_back(caller, entity, row_id, blanked, Options(), stamp=stamp)
        except NotFound:
            table.take(config().records_table, keys.trash(caller, entity.path, row_id))  # deleted this very moment


def _of_log(task: Task, after: str) -> tuple[int, str, bool]:
    """Take the values out of the log, the oldest entries first; how many, and whether that was the end of it."""
    erased = dict(erasures.of_job(task.caller, task.job["sk"]))
    if not after:
        _require_recorded(task.caller, erased)
    values, looked, deadline = 0, 0, time.monotonic() + EXPORT_STEP_SECONDS
    source = days.changes(task.caller, 0, now_ms() + days.DAY_MS, after)
    while found := list(islice(source, 100)):
        items = table.get_many(config().events_table, [key for _, key in found])
        for event_id, key in found:
            after = event_id
            if key in items:
                values += _strip(
                    key, items[key], _places(items[key], task.job, erased.get(keys.changed_row(key.pk), frozenset()))
                )
        looked += len(found)
        if looked >= _LOOKED or time.monotonic() > deadline:
            return values, after, False
    return values, after, True


def _require_recorded(caller: Caller, erased: Mapping[str, frozenset[str]]) -> None:
    """Raise Unavailable until the log knows that the values are gone: that change still tells what was before."""
    for row_id in erased:
        last = past.last(caller, row_id)
        if last is None or not (last.verb == "deleted" or last.quiet):
            raise Unavailable(f"The erasure of {row_id} is still being recorded; try again")


def _places(item: Item, job: Item, names: frozenset[str]) -> set[str]:
    """What of an entry is about the person: the erased fields of a row, the address of who did it, an address in a note."""
    known = from_json(item.get("sl", "{}")).keys()
    found = {f"{part}.{name}" for part in ("data", "before") for name in names}
    if job.get("user") and item["a"] == job["user"]:
        found.add("address")
    for part, text in (("data", item["d"]), ("before", item.get("b"))):
        document = from_json(text) if text and not names else {}
        found |= {f"{part}.{name}" for name, value in document.items() if value == job["email"]}
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
