"""A picture is ready: make the smaller ones of it."""

from typing import Any

from sheaf.edge import consume
from sheaf.edge.start import start
from sheaf.features import images

start()


def handler(event: dict[str, Any], context: Any) -> consume.Failures:
    """Messages that name a file; one that fails comes again."""
    return consume.messages(event, lambda message, _: images.work(message))
