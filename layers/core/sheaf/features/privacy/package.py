"""A person's complete data (GDPR, articles 15 and 20): one archive of JSON, CSV and files, with a manifest of all of it.

In it are the profile, the sessions, every row that is theirs, names them or has their address in a personal field, what they
have done, and the files that they have sent. A step looks through some of one kind; the last one makes the archive.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain, groupby, islice
from typing import Any

from pydantic_core import to_json

from sheaf.access import roles, sessions
from sheaf.access.caller import Caller
from sheaf.base.bounds import EXPORT_STEP_SECONDS, PACKAGE_FILES_BYTES
from sheaf.base.clock import iso, now_ms
from sheaf.base.config import config
from sheaf.base.errors import NotFound, ValidationFailed
from sheaf.entity import registry
from sheaf.entity.body import object_of
from sheaf.entity.registry import EntityType
from sheaf.features.privacy import subject
from sheaf.features.privacy.subject import Actors, Subject
from sheaf.formats import csv, ndjson
from sheaf.formats.archive import Archive
from sheaf.jobs import files, machine
from sheaf.jobs.machine import Status
from sheaf.jobs.runner import Result, Task
from sheaf.jobs.shapes import Steps
from sheaf.records import days, events, past, read
from sheaf.records.once import Once
from sheaf.records.rows import fields_of, from_item
from sheaf.store import blobs, keys, table
from sheaf.store.table import Item

_READ = 500
_DONE = "activity"  # what the person has done, from the log
_DONE_COLUMNS = ("id", "at", "action", "target", "address", "requestId")
_NAME = "package.zip"
_TRASH = "inTrash"  # a row that was deleted and can still be taken back

Found = Iterator[tuple[str, Mapping[str, Any] | None]]  # positions, each with what belongs to the package


def accept(caller: Caller, body: object, once: Once | None = None) -> Item:
    """Put a person's data down as a job: one's own (`{}`), or as an admin anybody's (`{"userId"}` or `{"email"}`).

    Raises ValidationFailed, NotFound, PermissionDenied.
    """
    if once and (first := once.found()):
        return machine.find(caller, first["job"])
    fields = object_of(body, "userId", "email")
    mine = caller.principal if caller.kind == "user" else None
    if not fields:
        if mine is None:
            raise ValidationFailed.naming({"userId": "is required: an API key is no person"})
        fields = {"userId": mine}
    wrong: dict[str, str] = {}
    name = subject.named_in(fields, wrong)
    if wrong:
        raise ValidationFailed.naming(wrong)
    if is_of_another(caller, fields):
        roles.require(caller, "members:read", roles.FIXED["members:read"])
    whom = subject.of_request(caller, fields, name)
    # One's own package has those rows of others in which one is mentioned that one may read.
    hidden = [] if whom.user != mine else [path for path in registry.paths() if not _may_read(caller, registry.find(path))]
    plan = {**whom.plan(caller), "format": "zip", "at_ms": now_ms(), "hidden": hidden}
    return machine.accept(caller, "package", job_id=machine.new_id(), entity="users", chunks=1, total=0, plan=plan, once=once)


def is_of_another(caller: Caller, body: object) -> bool:
    """Whether a request names somebody, and that is not the user who sends it; a key is nobody."""
    named = isinstance(body, dict) and bool({"userId", "email"} & body.keys())
    return named and (caller.kind != "user" or body != {"userId": caller.principal})


class PackageWork(Steps):
    """Step n goes on behind the last position of step n-1; what it finds lies in a file of its own."""

    def run(self, task: Task) -> Result:
        """Look until one kind or the time runs out."""
        before = machine.chunk(task.caller, task.job["sk"], task.number - 1) if task.number else None
        places = [_DONE, *registry.paths(), *registry.PRIVATE, registry.FILES]  # what they did tells by which keys
        place, after = (before["place"], before["after"]) if before else (0, "")
        found: list[Mapping[str, Any]] = []
        deadline, full = time.monotonic() + EXPORT_STEP_SECONDS, False
        actors = Actors(task.job, before)
        for position, line in _look(task, places[place], after, actors):
            after = position
            if line is not None:
                found.append(line)
            if time.monotonic() > deadline:
                full = True
                break
        blobs.put(config().jobs_bucket, _part(task.caller, task.job, task.number), ndjson.dump(found), "application/x-ndjson")
        following = place if full else place + 1
        return {"place": following, "path": places[place], "after": after if full else "", "rows": len(found),
                "actors": actors.told(), "more": int(following < len(places))}  # fmt: skip

    def finalise(self, caller: Caller, job: Item, done: Sequence[Item], status: Status) -> Result:
        """Write the archive, whole or not at all."""
        if status != "succeeded":
            return {}
        whom, at = Subject.of(job), iso(job["at_ms"])
        with (
            blobs.Writer(config().jobs_bucket, keys.job_object(caller, job["sk"], _NAME), "application/zip") as writer,
            Archive(writer.write, job["at_ms"]) as archive,
        ):
            kinds = [_Kind(path, list(steps)) for path, steps in groupby(done, key=lambda step: str(step["path"]))]
            told = [_put(archive, name, pieces) for name, pieces in _members(caller, job, whom, kinds)]
            sent = [line for kind in kinds if kind.path == registry.FILES for line in kind.lines(caller, job)]
            content, omitted = _put_files(archive, caller, sent)
            manifest = {"version": 1, "createdAt": at, "userId": whom.user or None, "email": whom.email,
                        "files": [*told, *content], "omitted": omitted}  # fmt: skip
            _put(archive, "manifest.json", iter([to_json(manifest, indent=2)]))
        return {**files.ended(caller, job, _NAME, sum(step["rows"] for step in done)), "email": ""}  # the job need not know it


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the steps have found of one kind."""

    path: str
    steps: Sequence[Item]

    @property
    def rows(self) -> int:
        return sum(int(step["rows"]) for step in self.steps)

    @property
    def columns(self) -> Sequence[str]:
        return _DONE_COLUMNS if self.path == _DONE else (*(registry.known(self.path) or registry.find(self.path)).columns, _TRASH)

    def lines(self, caller: Caller, job: Item) -> Iterator[dict[str, Any]]:
        for step in self.steps:
            yield from ndjson.load(blobs.get(config().jobs_bucket, _part(caller, job, int(step["sk"]))))


def _look(task: Task, path: str, after: str, actors: Actors) -> Found:
    whom = Subject.of(task.job)
    if path == _DONE:
        return _done_by(task, actors, after) if whom.user else iter(())
    entity = registry.known(path) or registry.find(path)
    if path == registry.FILES:
        return _sent_by(task, entity, actors, after) if whom.user else iter(())
    return _theirs(task, entity, whom, after)


def _theirs(task: Task, entity: EntityType, whom: Subject, after: str) -> Found:
    """The rows that a person has made, that name them, or have their address in a personal field; those in the trash as well."""
    ones = [name for name, relation in entity.relations.items() if relation.path == "users" and not relation.many]
    lists = [name for name, relation in entity.relations.items() if relation.path == "users" and relation.many]
    ones += [entity.model.owner] if entity.model.owner and entity.model.owner not in ones else []
    mentions = entity.personal if entity.path not in task.job["hidden"] else frozenset()
    if not (mentions or (whom.user and (ones or lists))):
        return
    for item in past.items(task.caller, entity.path, after):
        fields = fields_of(item)
        mine = whom.user and (any(fields.get(name) == whom.user for name in ones)
                              or any(whom.user in (fields.get(name) or ()) for name in lists))  # fmt: skip
        if mine or (entity.path != "users" and any(fields.get(name) == whom.email for name in mentions)):
            yield item["sk"], {**from_item(item).document, **({_TRASH: True} if keys.is_trash(item["pk"]) else {})}
        else:
            yield item["sk"], None


def _sent_by(task: Task, entity: EntityType, actors: Actors, after: str) -> Found:
    """The rows of files whose first change was the person's."""
    rows = past.items(task.caller, entity.path, after)
    while some := list(islice(rows, 100)):
        first = events.load_many(task.caller, [(item["sk"], 1) for item in some])
        for item in some:
            sent = first.get((item["sk"], 1))
            yield item["sk"], from_item(item).document if sent and sent.actor in actors.ids else None


def _done_by(task: Task, actors: Actors, after: str) -> Found:
    changes = days.changes(task.caller, 0, task.job["at_ms"] + 1, after)
    while some := list(islice(changes, 100)):
        items = table.get_many(config().events_table, [key for _, key in some])
        for event_id, key in some:
            item = items.get(key)
            yield event_id, _shown(item) if item and actors.did(item) else None


def _shown(item: Item) -> dict[str, Any]:
    target = item.get("tg") or keys.changed_row(item["pk"])
    return {"id": item["id"], "at": iso(item["u"]), "action": item["ty"], "target": target, "address": item.get("ip"),
            "requestId": item["q"]}  # fmt: skip


def _members(caller: Caller, job: Item, whom: Subject, kinds: Sequence[_Kind]) -> Iterator[tuple[str, Iterator[bytes]]]:
    if whom.user:
        with suppress(NotFound):  # removed meanwhile
            yield "profile.json", iter([read.one(caller, registry.find("users"), whom.user).text.encode()])
        person = Caller(caller.tenant, whom.user, "user", caller.request_id)
        yield "sessions.json", iter([to_json(sessions.listing(person))])
    for kind in kinds:
        if kind.rows:
            name = kind.path if kind.path == _DONE else f"rows/{kind.path}"
            yield f"{name}.json", _as_json(kind.lines(caller, job))
            yield f"{name}.csv", _as_csv(kind.columns, kind.lines(caller, job))


def _as_json(lines: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    yield b"["
    for number, line in enumerate(lines):
        yield (b",\n" if number else b"\n") + to_json(line)
    yield b"\n]\n"


def _as_csv(columns: Sequence[str], lines: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    yield csv.lines(columns, (), header=True)
    while some := list(islice(lines, _READ)):
        yield csv.lines(columns, some, header=False)


def _put_files(archive: Archive, caller: Caller, sent: Sequence[Mapping[str, Any]]) -> tuple[list[Item], list[Item]]:
    """Put in the files that are ready, as many as there is room for; what was put in, and what was not and why."""
    told, omitted, room = [], [], PACKAGE_FILES_BYTES
    items = table.get_many(config().records_table, [keys.record(caller, registry.FILES, each["id"]) for each in sent])
    for row in sent:
        about = {"id": row["id"], "filename": row["filename"], "size": row["size"]}
        item = items.get(keys.record(caller, registry.FILES, row["id"]))
        if item is None or row["status"] != "ready":
            omitted.append({**about, "reason": "not there" if item is None else f"{row['status']}, not ready"})
        elif row["size"] > room:
            omitted.append({**about, "reason": f"more than the archive holds; GET /v1/upload/{row['id']} has a link to it"})
        else:
            place, version = keys.upload_object(caller, row["id"]), fields_of(item)["object_version"]
            source = blobs.stream(config().uploads_bucket, place, version)
            try:
                first = next(source, b"")
            except blobs.Missing:
                omitted.append({**about, "reason": "deleted this very moment"})
                continue
            room -= row["size"]
            told.append(_put(archive, f"files/{row['id']}-{row['filename']}", chain([first], source)))
    return told, omitted


def _put(archive: Archive, name: str, pieces: Iterator[bytes]) -> Item:
    """Add a member; what the manifest says of it."""
    digest, size = sha256(), 0
    with archive.member(name) as write:
        for piece in pieces:
            digest.update(piece)
            size += len(piece)
            write(piece)
    return {"name": name, "bytes": size, "sha256": digest.hexdigest()}


def _may_read(caller: Caller, entity: EntityType) -> bool:
    return roles.may(caller, f"{entity.path}:read", entity.model.access)


def _part(caller: Caller, job: Item, number: int) -> str:
    return keys.job_object(caller, job["sk"], f"rows-{number:06d}.ndjson")
