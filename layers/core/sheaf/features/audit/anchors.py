"""The heads of the chain, each an object that nobody can take away (S3 Object Lock): who has one knows what was there."""

from collections.abc import Iterator
from typing import NamedTuple

from pydantic_core import to_json

from sheaf.base.clock import iso
from sheaf.base.config import config
from sheaf.features.audit.chain import Segment
from sheaf.store import blobs, keys
from sheaf.store.keys import Scope


class Anchor(NamedTuple):
    """That a segment had a hash. Both stand in the object's key, so that a list of keys is enough to read."""

    segment: int
    hash: str


def put(scope: Scope, segment: Segment) -> None:
    """Anchor a segment; a second time the same object is there."""
    said = {"segment": segment.number, "hash": segment.hash, "sealedAt": iso(segment.at_ms)}
    blobs.put(config().audit_bucket, keys.head(scope, segment.number, segment.hash), to_json(said), "application/json")


def is_there(scope: Scope, segment: Segment) -> bool:
    """Whether a segment is anchored."""
    return Anchor(segment.number, segment.hash) in list(since(scope, segment.number, 1))


def since(scope: Scope, segment: int, count: int | None = None) -> Iterator[Anchor]:
    """The anchors from a segment on (`count` segments), in order; more than one of a segment where there were two chains."""
    for name in blobs.names(config().audit_bucket, keys.heads(scope), after=keys.head(scope, segment, "")):
        found = Anchor(*keys.headed(name))
        if count is not None and found.segment >= segment + count:
            return
        yield found
