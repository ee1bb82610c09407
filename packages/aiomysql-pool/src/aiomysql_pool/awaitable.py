"""What `create_pool()`, `Pool.acquire()` and `await pool` return."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from aiomysql_core import Connection
from aiomysql_core.awaitable import AwaitableContextManager

if TYPE_CHECKING:
    from aiomysql_pool.pool import Pool

T = TypeVar("T")


class PoolContextManager(AwaitableContextManager[T], Generic[T]):
    """`await` gives an open pool; `async with` also closes it and waits until it is closed."""

    __slots__ = ()


class PoolAcquireContextManager(Coroutine[Any, Any, Connection]):
    """`await` gives a connection to be released by the caller; `async with` releases it itself.

    An idle connection is taken right here: a coroutine more would cost as much as all the rest.
    """

    __slots__ = ("_borrowed", "_pool", "_steps", "_timeout")

    # Set by `Pool.acquire`: a constructor would be one more call.
    _pool: Pool
    _timeout: float | None
    _borrowed: Connection

    def __await__(self) -> Generator[Any, None, Connection]:
        return _borrow(self._pool, self._timeout)

    async def __aenter__(self) -> Connection:
        pool = self._pool
        connection = pool._take()
        if connection is None:
            turn = pool._queue_up() if self._timeout is None else None
            if turn is None:
                connection = await pool._ask(self._timeout)
            else:
                began = monotonic()
                try:
                    await turn.waiter
                    connection = turn.connection or turn.outcome()
                except BaseException as error:
                    pool._abandon(turn)
                    if isinstance(error, Exception):
                        pool._check_home()  # on another event loop nobody can wait
                    raise
                finally:
                    counters = pool._counters
                    counters.waited += 1
                    counters.wait_time += monotonic() - began
                pool._waiters.reuse(turn)
                place = pool._places.get(id(connection))
                if place is None or place.fresh or not place.link.at_rest():
                    connection = await pool._accept_or_ask(connection)
        self._borrowed = connection
        return connection

    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> Awaitable[None]:
        return self._pool.release(self._borrowed)

    def send(self, value: Any) -> Any:
        """Part of the coroutine protocol: tasks run what they are given by it."""
        return self._running().send(value)

    def throw(self, typ: Any, val: Any = None, tb: TracebackType | None = None) -> Any:
        """Part of the coroutine protocol."""
        try:
            error = typ if val is None else val
            if tb is not None and isinstance(error, BaseException):
                error = error.with_traceback(tb)
            return self._running().throw(error)
        finally:
            del typ, val, error  # an error must not be held by a frame that it holds

    def _running(self) -> Generator[Any, Any, Connection]:
        steps: Generator[Any, Any, Connection] | None = getattr(self, "_steps", None)
        if steps is None:
            self._steps = steps = self.__await__()
        return steps

    def close(self) -> None:
        """Part of the coroutine protocol: nobody will await this."""
        self._running().close()


def _borrow(pool: Pool, timeout: float | None) -> Generator[Any, None, Connection]:
    # Not a method: kept by the object that it refers to, it would be a reference cycle.
    connection = pool._take()
    if connection is None:
        connection = yield from pool._ask(timeout).__await__()
    return connection


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
