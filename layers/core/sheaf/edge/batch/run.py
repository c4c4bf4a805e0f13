"""A batch at work.

What depends on nothing runs side by side, on threads: waiting for the tables dominates. Rows that are read by their ids at the
same time are read together.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Lock
from typing import Any

from sheaf.access import guard
from sheaf.base import ids
from sheaf.base.bounds import BATCH_BODY_BYTES, BATCH_READ_BYTES
from sheaf.base.clock import iso, now_ms
from sheaf.base.errors import FailedDependency, SheafError, TooLarge, unforeseen
from sheaf.base.log import log
from sheaf.edge import rows
from sheaf.edge.batch import group
from sheaf.edge.batch.done import Done, failed, told
from sheaf.edge.batch.group import GroupRefused
from sheaf.edge.batch.places import Place, placed
from sheaf.edge.envelope import Profile, Raw, Reply, json_text
from sheaf.edge.request import Request
from sheaf.edge.router import Router
from sheaf.edge.shapes import plain
from sheaf.edge.wire import names_of
from sheaf.entity import registry
from sheaf.features.batch import references
from sheaf.features.batch.order import Step, Touch, levels, steps_of
from sheaf.features.batch.request import Call, parse
from sheaf.records import write
from sheaf.records.once import Once
from sheaf.records.rows import Row, escaped_size, from_item
from sheaf.records.sources import by_id

_THREADS = 10


def answer(request: Request, router: Router) -> Reply:
    """The answers of all requests, or what would be done where `Prefer: plan` asks for that.

    Raises ValidationFailed for a batch that is wrong as a whole, RateLimited where not all of it can be paid for: nothing runs.
    """
    calls = parse(request.json(BATCH_BODY_BYTES))
    run = _Run(request, router, calls)
    if request.prefer.plan:
        request.applied.append("plan")
        return _shaped(request, "plan", json_text(run.plan()))
    if run.cost > 1:
        request.left = guard.charge(request.proven, run.cost - 1).headers()
    if key := request.once():
        key.claim("")  # raises where it is in flight; a batch that comes again finds what its writes have left
    if request.prefer.go_on is not None:
        request.applied.append(f"continue-on-error={str(request.prefer.go_on).lower()}")
    run.all()
    if key:
        key.complete("done")
    return _shaped(request, "responses", Raw.array(run.shown()).text)


def _shaped(request: Request, name: str, text: str) -> Reply:
    if plain(request):
        return Reply(Raw(f'{{"{name}":{text}}}'))
    # The older shape has no `data` around it.
    rest = f'"requestId":{json_text(request.id)},"timestamp":"{iso(now_ms())}"'
    return Reply(Raw(f'{{"success":true,"{name}":{text},{rest}}}'), bare=True)


class _Run:
    """The requests of one batch, and what they have answered so far."""

    def __init__(self, request: Request, router: Router, calls: Sequence[Call]) -> None:
        self._request = request
        self._calls = calls
        find = placed(request, router)
        self._places = {call.id: find(call) for call in calls}
        self._steps = steps_of(calls, self._touches)
        self._needed = {need for call in calls for need in call.needs}
        self._room, self._lock = BATCH_READ_BYTES, Lock()
        self._done: dict[str, Done] = {}
        self._known: dict[str, Mapping[str, Any]] = {}  # the answers as references see them
        self._read: dict[str, Row] = {}  # rows that were read together, by the request that wants them

    @property
    def cost(self) -> int:
        """What all requests take from the caller's window; one that no route takes still costs 1."""
        return sum(place.route.cost if isinstance(place, Place) else 1 for place in self._places.values())

    def plan(self) -> dict[str, Any]:
        """What would be done: the order, whether the caller may, the cost."""
        return {"order": levels(self._steps), "cost": self.cost, "requests": [self._planned(call) for call in self._calls]}

    def all(self) -> None:
        """Run every step."""
        if self._request.prefer.go_on is False:
            self._one_by_one()
        elif len(self._steps) == 1:
            self._take(self._steps[0])
        else:
            self._side_by_side()

    def shown(self) -> list[str]:
        """Each answer as JSON, in the order of the requests."""
        return [self._done[call.id].shown(call.id) for call in self._calls]

    def _planned(self, call: Call) -> dict[str, Any]:
        place = self._places[call.id]
        shown: dict[str, Any] = {"id": call.id, "method": call.method, "path": call.path, "dependsOn": list(call.needs)}
        if call.group:
            shown["atomicityGroup"] = call.group
        if isinstance(place, Place):
            shown |= {"permission": place.permission, "cost": place.route.cost}
        refusal = place.refusal(self._request) if isinstance(place, Place) else place
        shown["allowed"] = refusal is None
        if refusal:
            shown |= {"status": refusal.status, "error": refusal.message}
        return shown

    def _touches(self, call: Call) -> list[Touch]:
        place = self._places[call.id]
        return place.touches() if isinstance(place, Place) else []

    # ---- steps ----

    def _one_by_one(self) -> None:
        """In order, and after the first failure nothing more."""
        culprit = ""
        for step in self._steps:
            if culprit:
                self._put_off(step, f"It was not run: {culprit!r} has failed, and continue-on-error=false stops there")
                continue
            self._take(step)
            bad = [call.id for call in step.calls if not self._done[call.id].is_good]
            culprit = next((each for each in bad if self._done[each].status != FailedDependency.status), next(iter(bad), ""))

    def _side_by_side(self) -> None:
        waiting = dict(enumerate(self._steps))
        finished: set[int] = set()
        running: dict[Future[None], int] = {}
        with ThreadPoolExecutor(_THREADS) as threads:
            while waiting or running:
                ready = [place for place, step in waiting.items() if step.after <= finished]
                self._read_together(call for place in ready for call in waiting[place].calls)
                for place in ready:
                    running[threads.submit(self._take, waiting.pop(place))] = place
                over, _ = wait(running, return_when=FIRST_COMPLETED)
                for each in over:
                    finished.add(running.pop(each))
                    each.result()

    def _take(self, step: Step) -> None:
        if self._is_told_again(step):
            return
        needed = [need for call in step.calls for need in call.needs if need in self._done]
        if culprit := next((need for need in needed if not self._done[need].is_good), ""):
            self._put_off(step, f"It depends on {culprit!r}, which has failed")
        elif step.calls[0].group:
            self._take_group(step)
        else:
            self._finish(step.calls[0], self._answered(step.calls[0]))

    def _take_group(self, step: Step) -> None:
        key = self._request.part_of_key(f"group {step.calls[0].group}")

        def enter(call: Call) -> tuple[Place, Request]:
            place = self._place(call)
            return place, place.request(self._request, self._known, key)

        try:
            group.run(step.calls, enter, self._tell, key)
        except GroupRefused as refused:
            # A twin that was faster has changed what our own requests looked for, too.
            if not (key and self._is_group_told(step, key)):
                self._refuse(step, refused)
        except Exception:
            for call in step.calls:
                self._finish(call, self._unforeseen())

    def _refuse(self, step: Step, refused: GroupRefused) -> None:
        name, culprit = step.calls[0].group, refused.call.id if refused.call else ""
        others = FailedDependency(f"Nothing of the group {name!r} was written, since {culprit!r} has failed")
        for call in step.calls:
            error = refused.error if refused.call in (call, None) else others
            self._finish(call, failed(error, names=self._names(call)))

    def _names(self, call: Call) -> Mapping[str, str]:
        """How the version of a request calls the fields of its entity."""
        place = self._places[call.id]
        return names_of(registry.find(place.segments[0])) if isinstance(place, Place) and place.version > 1 else {}

    def _is_told_again(self, step: Step) -> bool:
        """Whether the batch came before and this step was done then: it answers as it did, whatever it depends on now."""
        first = step.calls[0]
        if self._request.key is None or not self._request.key.replayed:
            return False
        if first.group:
            key = self._request.part_of_key(f"group {first.group}")
            return key is not None and self._is_group_told(step, key)
        place, key = self._places[first.id], self._key_of(first)
        if key is None or not first.writes or not isinstance(place, Place):
            return False
        try:
            request = place.again(self._request, key)
            verb = place.verb(request)
            if verb in ("", "show") or (made := key.found()) is None:
                return False  # an endpoint that does more finds out by itself
            place.admit(request)
            entity = registry.find(place.segments[0])
            row = write.replayed(request.caller, entity, made)
            self._finish(first, told(request, rows.told(request, entity, verb, row), reads=False))
        except SheafError as error:
            self._finish(first, failed(error))
        return True

    def _is_group_told(self, step: Step, key: Once) -> bool:
        def again(call: Call) -> tuple[Place, Request]:
            place = self._place(call)
            return place, place.again(self._request, key)

        try:
            return group.replayed(step.calls, again, self._tell, key)
        except GroupRefused as refused:
            self._refuse(step, refused)
            return True

    def _tell(self, call: Call, request: Request, reply: Reply) -> None:
        self._finish(call, told(request, reply, reads=False))

    def _put_off(self, step: Step, why: str) -> None:
        for call in step.calls:
            self._finish(call, failed(FailedDependency(why)))

    def _finish(self, call: Call, done: Done) -> None:
        if done.reads or not done.is_good:
            # At once, and not when all is there: fifty lists would not fit into the process.
            size = escaped_size(done.text)
            with self._lock:
                fits = size <= self._room
                self._room -= size if fits else 0
            if not fits:
                reason = f"The reads of one batch may answer {BATCH_READ_BYTES:,} bytes; ask for this one by itself"
                done = failed(TooLarge(reason)) if done.is_good else Done(done.status, done.headers)
        if call.id in self._needed:
            self._known[call.id] = done.known()
        self._done[call.id] = done

    # ---- one request ----

    def _answered(self, call: Call) -> Done:
        request: Request | None = None
        profile: Profile | None = None
        try:
            place = self._place(call)
            profile, key = place.route.profile, self._key_of(call)
            request = place.request(self._request, self._known, key)
            parameters = place.admit(request)
            if row := self._read.get(call.id):
                return told(request, rows.shown(request, registry.find(place.segments[0]), row), reads=True)
            return told(request, place.route.endpoint(request, **parameters), reads=not call.writes)
        except SheafError as error:
            return failed(error, request, profile)
        except Exception:
            return self._unforeseen()

    def _place(self, call: Call) -> Place:
        place = self._places[call.id]
        if isinstance(place, SheafError):
            raise place
        return place

    def _key_of(self, call: Call) -> Once | None:
        """None where the request brings its own key, or there is none."""
        return None if "idempotency-key" in call.headers else self._request.part_of_key(f"request {call.id}")

    def _unforeseen(self) -> Done:
        log.exception("a part of a batch failed", extra={"requestId": self._request.id})
        return failed(unforeseen())

    def _read_together(self, calls: Iterable[Call]) -> None:
        """Read the rows that these requests ask for by their ids, where they are several of one entity."""
        wanted: dict[str, dict[str, str]] = {}
        for call in calls:
            place = self._places[call.id]
            if isinstance(place, Place) and place.reads_one and references.is_free(place.path):
                path, row_id = place.segments
                wanted.setdefault(path, {})[call.id] = row_id
        for path, asked in wanted.items():
            entity = registry.find(path)
            good = [row_id for row_id in asked.values() if ids.is_id(row_id, entity.prefix)]
            if len(good) > 1:
                try:
                    found = by_id(self._request.caller, entity, good)
                except SheafError:
                    continue  # each reads by itself, and has its own answer
                self._read |= {call_id: from_item(found[row_id]) for call_id, row_id in asked.items() if row_id in found}
