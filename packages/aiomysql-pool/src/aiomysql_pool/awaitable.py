"""What `create_pool()`, `Pool.acquire()` and `await pool` return."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Generic, TypeVar

from aiomysql_core import Connection
from aiomysql_core.engine.lending import Loan
from aiomysql_core.waiting.awaitable import AwaitableContextManager

if TYPE_CHECKING:
    from aiomysql_pool.pool import Pool

T = TypeVar("T")


class PoolContextManager(AwaitableContextManager[T], Generic[T]):
    """`await` gives an open pool; `async with` also closes it and waits until it is closed."""

    __slots__ = ()


#: What `Pool.acquire` returns.
PoolAcquireContextManager = Loan[Connection]


class PoolConnectionContextManager:
    """`with await pool as connection:`, the form from before there was `async with`."""

    __slots__ = ("_connection", "_pool")

    def __init__(self, pool: Pool, connection: Connection) -> None:
        self._pool = pool
        self._connection = connection

    def __enter__(self) -> Connection:
        return self._connection

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.release(self._connection)
