"""Changes of rows become events, words to search by and mails; accepted jobs begin: the consumer of two streams."""

from typing import Any

from sheaf.edge.changes import Batch
from sheaf.edge.consume import Failures
from sheaf.edge.start import start

start()


def handler(event: dict[str, Any], context: Any) -> Failures:
    """A batch of a stream, or of the queue of changes that were set aside."""
    return Batch().follow_all(event)
