"""Messages to open WebSockets, by the management API of API Gateway."""

import random
import time

from botocore.exceptions import BotoCoreError, ClientError

from sheaf.base.errors import Unavailable
from sheaf.store.aws import client

_TRIES = 4


class SocketGone(Exception):
    """The other side of the socket is not there any more."""


def post(connection: str, text: str) -> None:
    """Send one message; raises SocketGone, or Unavailable where it was tried several times in vain."""
    for attempt in range(1, _TRIES + 1):
        try:
            client("apigatewaymanagementapi").post_to_connection(ConnectionId=connection, Data=text.encode())
        except ClientError as error:
            if _is_gone(error):
                raise SocketGone(connection) from None
        except BotoCoreError:
            pass  # no answer in time: tried again, as what is below
        else:
            return
        time.sleep(random.uniform(0.02, 0.05) * attempt)  # noqa: S311  # spreads senders, keeps no secret
    raise Unavailable(f"The socket {connection} takes no messages")


def close(connection: str) -> None:
    """Close a socket; nothing where it is closed. Raises Unavailable."""
    try:
        client("apigatewaymanagementapi").delete_connection(ConnectionId=connection)
    except ClientError as error:
        if not _is_gone(error):
            raise Unavailable(f"The socket {connection} cannot be closed") from error
    except BotoCoreError as error:
        raise Unavailable(f"The socket {connection} cannot be closed") from error


def _is_gone(error: ClientError) -> bool:
    return error.response["Error"]["Code"] in ("GoneException", "410", "BadRequestException")
