"""Messages to several sockets at a time."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from sheaf.base.errors import Unavailable
from sheaf.base.log import log
from sheaf.store import sockets

_THREADS = 16


def send(sent: Mapping[str, Sequence[str]]) -> set[str]:
    """Send each socket its messages, one after the other; those that are gone, or do not take them."""
    wanted = [(connection, texts) for connection, texts in sent.items() if texts]
    if len(wanted) < 2:
        return {connection for connection, texts in wanted if not _sent(connection, texts)}
    with ThreadPoolExecutor(min(_THREADS, len(wanted))) as threads:
        done = list(threads.map(lambda each: _sent(*each), wanted))
    return {connection for (connection, _), good in zip(wanted, done, strict=True) if not good}


def _sent(connection: str, texts: Sequence[str]) -> bool:
    try:
        for each in texts:
            sockets.post(connection, each)
    except sockets.SocketGone:
        return False
    except Unavailable:
        log.warning("a socket takes no messages", extra={"connection": connection})
        return False
    return True
