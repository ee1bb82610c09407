"""What a pool raises beside the errors of its connections."""

from __future__ import annotations

from aiomysql_core import OperationalError

__all__ = ["PoolClosed", "PoolTimeout", "TooManyWaiters"]


class PoolClosed(RuntimeError):
    """No connection can be had from a pool that is closing or closed."""

    def __init__(self, message: str = "Cannot acquire connection after closing pool") -> None:
        """message: what the error says."""
        super().__init__(message)


class PoolTimeout(OperationalError, TimeoutError):
    """No connection became free within the time-out of `acquire`."""


class TooManyWaiters(OperationalError):
    """`max_waiting` callers wait for a connection already."""
