"""The requests of an atomicity group: one transaction, or nothing."""

import random
import time
from collections.abc import Callable, Sequence

from sheaf.base.errors import SheafError, Unavailable, ValidationFailed
from sheaf.edge import rows
from sheaf.edge.batch.places import Place
from sheaf.edge.envelope import Reply
from sheaf.edge.request import Request
from sheaf.edge.router import Verb
from sheaf.entity import registry
from sheaf.features.batch.request import Call
from sheaf.records import write
from sheaf.records.commit import TRIES, KeyTaken, RowMoved
from sheaf.records.once import Once
from sheaf.records.options import Options
from sheaf.records.relations import Beside
from sheaf.records.together import Blamed, commit_all
from sheaf.records.write import Planned

Enter = Callable[[Call], tuple[Place, Request]]  # the place of a request, and the request with what it refers to
Tell = Callable[[Call, Request, Reply], None]


class GroupRefused(Exception):
    """Nothing of the group was written; `call` is the request that was to blame, None where that is all of them."""

    def __init__(self, call: Call | None, error: SheafError) -> None:
        super().__init__(error.message)
        self.call = call
        self.error = error


def run(calls: Sequence[Call], enter: Enter, tell: Tell, key: Once | None) -> None:
    """Write what all the requests ask for, in their order, and tell each one's reply; raises GroupRefused.

    `tell` is called while the transaction is made up, so that one request can refer to another; only the end makes it true.
    """
    for attempt in range(TRIES):
        plans = _plans(calls, enter, tell)
        pointer = " ".join(f"{plan.row.id}:{plan.row.version}" for plan in plans)
        try:
            commit_all(plans, Options(once=key), {"rows": pointer})
        except RowMoved as moved:
            if len(plans) == 1 and moved.old and write.is_ours(moved.old, plans[0].item):
                return  # a single write has no token of a transaction: it came through, and its answer was lost
            time.sleep(random.uniform(0.01, 0.04) * (attempt + 1))  # noqa: S311  # spreads writers, keeps no secret
            continue  # another writer came between our look and the transaction: look again
        except KeyTaken:
            raise GroupRefused(None, Unavailable("The Idempotency-Key has just expired; try again")) from None
        except Blamed as blamed:
            raise GroupRefused(calls[blamed.place], blamed.error) from None
        except SheafError as error:
            raise GroupRefused(None, error) from None
        return
    raise GroupRefused(None, Unavailable("Other writers keep changing these rows; try again"))


def replayed(calls: Sequence[Call], again: Enter, tell: Tell, key: Once) -> bool:
    """Tell what an earlier request under the key has made of the group; False where there was none. Raises GroupRefused.

    Nothing of it is looked up anew: what the requests refer to may have moved on.
    """
    try:
        first = key.found()
        if first is None:
            return False
        for call, made in zip(calls, first["rows"].split(" "), strict=True):
            place, request = again(call)
            place.admit(request)
            entity = registry.find(place.segments[0])
            row_id, _, version = made.partition(":")
            row = write.replayed(request.caller, entity, {"row": row_id, "v": int(version)})
            tell(call, request, rows.told(request, entity, _verb(place, request), row))
    except SheafError as error:
        raise GroupRefused(None, error) from None
    return True


def _plans(calls: Sequence[Call], enter: Enter, tell: Tell) -> list[Planned]:
    plans: list[Planned] = []
    beside = Beside()
    for call in calls:
        try:
            place, request = enter(call)
            verb, parameters = _verb(place, request), place.admit(request)
            entity = registry.find(place.segments[0])
            planned = rows.plan(request, entity, verb, parameters.get("row_id", ""), beside)
            tell(call, request, rows.told(request, entity, verb, planned.row))
        except SheafError as error:
            raise GroupRefused(call, error) from None
        plans.append(planned)
        if verb in ("create", "restore"):
            beside.made.add(planned.row.id)
        elif verb == "delete":
            beside.gone.add(planned.row.id)
    return plans


def _verb(place: Place, request: Request) -> Verb:
    verb = place.verb(request)
    if verb in ("", "show"):
        what = f"{place.call.method} {place.call.path[:80]} is not possible in an atomicity group"
        raise ValidationFailed(f"{what}. POST, PUT, PATCH and DELETE of rows are, restore and revert; where a path has an older "
                               "shape of its own, under /v2 or with Prefer: profile=canonical")  # fmt: skip
    if "idempotency-key" in request.headers or request.prefer.dry_run:
        raise ValidationFailed("In an atomicity group neither Idempotency-Key nor Prefer: dry-run is possible; the batch's own "
                               "Idempotency-Key covers its groups")  # fmt: skip
    return verb
