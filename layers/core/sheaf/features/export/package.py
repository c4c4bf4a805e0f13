"""A person's complete data (GDPR, article 15 and 20): the profile, the sessions, and every row that is theirs or names them."""

import time
from collections.abc import Iterator, Sequence
from itertools import groupby

from pydantic_core import to_json

from sheaf.access import sessions
from sheaf.access.caller import Caller
from sheaf.base.bounds import EXPORT_STEP_SECONDS
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.entity import registry
from sheaf.entity.filters import Group, Test
from sheaf.entity.registry import EntityType
from sheaf.features.export.work import file_name
from sheaf.formats import ndjson
from sheaf.jobs import files, machine
from sheaf.jobs.machine import Status
from sheaf.jobs.runner import Result, Task
from sheaf.jobs.shapes import Steps
from sheaf.records import page, read
from sheaf.store import blobs, keys
from sheaf.store.table import Item

_READ_ROWS = 500


class PackageWork(Steps):
    """Step n looks through some rows of one entity, the entities in their order."""

    def run(self, task: Task) -> Result:
        """Look until the entity or the time runs out; what a step finds lies in a file of its own."""
        before = machine.chunk(task.caller, task.job["sk"], task.number - 1) if task.number else None
        paths = [*registry.paths(), *registry.PRIVATE]
        place, after = (before["place"], before["after"]) if before else (0, "")
        entity = registry.known(paths[place]) or registry.find(paths[place])
        found: list[str] = []
        deadline, full = time.monotonic() + EXPORT_STEP_SECONDS, False
        condition = _theirs(entity, task.job["subject"])
        for position, row in page.candidates(task.caller, entity, condition, after, _READ_ROWS) if condition.parts else ():
            after = position
            if row is not None:
                found.append(row.text)
            if time.monotonic() > deadline:
                full = True
                break
        blobs.put(config().jobs_bucket, _part(task.caller, task.job, task.number), "\n".join(found).encode(),
                  "application/x-ndjson")  # fmt: skip
        following = place if full else place + 1
        return {"place": following, "path": paths[place], "after": after if full else "", "rows": len(found),
                "more": int(following < len(paths))}  # fmt: skip

    def finalise(self, caller: Caller, job: Item, done: Sequence[Item], status: Status) -> Result:
        """Join everything to one JSON file."""
        if status != "succeeded":
            return {}
        name = keys.job_object(caller, job["sk"], "users.json")
        with blobs.Writer(config().jobs_bucket, name, "application/json") as writer:
            for text in _whole(caller, job, done):
                writer.write(text)
        return files.ended(caller, job, file_name(job), sum(step["rows"] for step in done))


def _whole(caller: Caller, job: Item, done: Sequence[Item]) -> Iterator[bytes]:
    subject = Caller(caller.tenant, job["subject"], "user", caller.request_id)
    profile = read.one(caller, registry.find("users"), job["subject"])
    head = {"createdAt": iso(now_ms()), "userId": job["subject"], "sessions": sessions.listing(subject)}
    yield to_json(head)[:-1] + b',"profile":' + profile.text.encode() + b',"rows":{'
    for number, (path, steps) in enumerate(groupby(done, key=lambda step: str(step["path"]))):
        yield (b"," if number else b"") + to_json(path) + b":["
        some = False
        for step in steps:
            for row in ndjson.load(blobs.get(config().jobs_bucket, _part(caller, job, int(step["sk"])))):
                yield (b"," if some else b"") + to_json(row)
                some = True
        yield b"]"
    yield b"}}"


def _theirs(entity: EntityType, subject: str) -> Group:
    """The rows that a person has made, or that name them."""
    names = [name for name, relation in entity.relations.items() if relation.path == "users" and not relation.many]
    lists = [name for name, relation in entity.relations.items() if relation.path == "users" and relation.many]
    owner = [entity.model.owner] if entity.model.owner and entity.model.owner not in names else []
    kinds = entity.kinds
    equal = [Test(name, "eq", subject, kinds[name]) for name in (*names, *owner) if name in kinds]
    holding = [Test(name, "contains", subject, kinds[name]) for name in lists if name in kinds]
    return Group("and", (Group("or", (*equal, *holding)),)) if equal or holding else Group("and")


def _part(caller: Caller, job: Item, number: int) -> str:
    return keys.job_object(caller, job["sk"], f"rows-{number:06d}.ndjson")
