"""What is to be done with a connection that was released and can't be lent as it is."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from aiomysql_core import Connection
from aiomysql_pool.lifecycle import is_cleanable
from aiomysql_pool.options import PoolOptions


class ReleaseAction(Enum):
    """What is to be done with a released connection whose verdict is UNCLEAN."""

    #: Read what is left of results and reset the session; the caller may wait for that.
    RESET = auto()
    #: The same, but its statement is being stopped: who was cancelled is not to wait for that.
    RESET_UNAWAITED = auto()
    #: Close it: it can't be used again.
    CLOSE = auto()


def action_after_release(connection: Connection[Any], options: PoolOptions) -> ReleaseAction:
    """See ReleaseAction."""
    if connection.cancelling and not connection.closed:
        return ReleaseAction.RESET_UNAWAITED
    return ReleaseAction.RESET if is_cleanable(connection, options) else ReleaseAction.CLOSE
