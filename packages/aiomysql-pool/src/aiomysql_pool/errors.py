"""What a pool raises beside the errors of its connections."""

from __future__ import annotations

from aiomysql_core import InterfaceError, OperationalError

__all__ = ["PoolClosed", "PoolTimeout", "TooManyWaiters"]


class PoolClosed(InterfaceError, RuntimeError):
    """No connection can be had from a pool that is closing or closed."""

    def __init__(self) -> None:
        super().__init__("Cannot acquire connection after closing pool")


class PoolTimeout(OperationalError, TimeoutError):
    """No connection became free within the time-out of `acquire`."""


class TooManyWaiters(OperationalError):
    """`max_waiting` callers wait for a connection already."""
