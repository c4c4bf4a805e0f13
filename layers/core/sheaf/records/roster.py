"""Rosters: which things of a kind a tenant has, in one row, so that it never has more than it may."""

from contextlib import suppress

from sheaf.base.config import config
from sheaf.base.errors import Conflict
from sheaf.records.once import Once, put_once
from sheaf.store import keys
from sheaf.store.keys import Key, Scope
from sheaf.store.table import ConditionFailed, Item, Write


def join(scope: Scope, kind: str, key: Key, item: Item, once: Once | None, *, most: int, noted: Write,
         **pointer: str) -> Item | None:  # fmt: skip
    """Put a new thing of a `kind` (webhooks) at a key drawn for it, and its note; what an earlier request has left, if any.

    Raises Conflict where the tenant has `most` of them.
    """
    put = Write(config().control_table, "put", key, item=item, condition="attribute_not_exists(#pk)")
    listed = Write(config().control_table, "update", keys.roster(scope, kind), expression="ADD #ids :joining",
                   condition="attribute_not_exists(#ids) OR contains(#ids, :member) OR size(#ids) < :most",
                   values={"joining": {key.sk}, "member": key.sk, "most": most})  # fmt: skip
    try:
        return put_once([put, listed, noted], once, **pointer)
    except ConditionFailed as failure:
        if failure.position == 1:
            raise Conflict(f"This tenant has {most} {kind}, which is the most") from None
        return None  # the key is new: a row that is there is this one, its answer lost on the way


def leave(scope: Scope, kind: str, key: Key, once: Once | None, *, noted: Write, **pointer: str) -> None:
    """Remove a thing; nothing where somebody else was faster, or our own first call was and its answer is lost."""
    gone = Write(config().control_table, "delete", key, condition="attribute_exists(#pk)")
    struck = Write(config().control_table, "update", keys.roster(scope, kind), expression="DELETE #ids :leaving",
                   values={"leaving": {key.sk}})  # fmt: skip
    with suppress(ConditionFailed):
        put_once([gone, struck, noted], once, **pointer)
