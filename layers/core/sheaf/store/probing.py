"""Whether a part of AWS answers."""

from collections.abc import Callable
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from sheaf.base.errors import Unavailable

T = TypeVar("T")


class NoAnswer(Exception):
    """A part did not answer, or refused; the message says how."""


def asked(call: Callable[[], T]) -> T:
    """What a call of `store` answers; raises NoAnswer."""
    try:
        return call()
    except ClientError as error:
        raise NoAnswer(str(error.response["Error"]["Code"])) from error
    except (BotoCoreError, Unavailable) as error:
        raise NoAnswer(type(error).__name__) from error
