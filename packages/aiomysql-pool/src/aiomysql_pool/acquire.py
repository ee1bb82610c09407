"""What `create_pool()`, `Pool.acquire()` and `await pool` return."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from aiomysql_core import Connection
from aiomysql_core.log import logger
from aiomysql_core.type_variables import Row
from aiomysql_core.waiting.awaitable import AwaitableContextManager
from aiomysql_core.waiting.ready import DONE
from aiomysql_core.waiting.unawaited import Unawaited
from aiomysql_pool._accelerator import accelerator
from aiomysql_pool.holder import ConnectionHolder
from aiomysql_pool.lease_queue import LeaseQueue, PoolWaiter, Taken
from aiomysql_pool.verdict import LENDABLE, Verdict

if TYPE_CHECKING:
    from aiomysql_pool.pool import Pool

__all__ = ["PoolAcquireContextManager", "PoolConnectionContextManager", "PoolContextManager"]

T = TypeVar("T")


class PoolContextManager(AwaitableContextManager[T], Generic[T]):
    """`await` gives an open pool; `async with` also closes it and waits until it is closed."""

    __slots__ = ()


class PoolFunctions(NamedTuple):
    """What an AcquireContext asks of its pool, the first argument, in less simple cases."""

    #: With a time-out in seconds or None: gives an open connection.
    acquire: Callable[[Any, float | None], Awaitable[Connection[Any]]]
    #: With the same time-out, a holder and its connection that was taken, and its verdict, which is
    #: not LENDABLE: gives that connection or another.
    accept: Callable[
        [Any, float | None, ConnectionHolder, Connection[Any], Verdict], Awaitable[Connection[Any]]
    ]
    #: Takes a connection back, which has this verdict.
    release: Callable[[Any, Connection[Any], Verdict], Coroutine[Any, Any, None]]


_AWAITED = "this connection is being awaited already"


class _Progress:
    """How far the awaiting of an AcquireContext has come.

    The steps hold this and not the context, which holds them: no reference cycle.
    """

    is_under_way = False
    waiter: PoolWaiter | None = None


class AcquireContext(
    Unawaited[Connection[Row]], Coroutine[Any, Any, Connection[Row]], Generic[Row]
):
    """`await` gives a connection that the caller releases; `async with` releases it itself.

    What `Pool.acquire` returns.  Awaiting raises what the functions raise and what
    `PoolWaiter.fail` was called with; RuntimeError while another task awaits the same object.  It
    doesn't suspend when a connection is available.
    """

    __slots__ = (
        "_connection",
        "_functions",
        "_leases",
        "_pool",
        "_progress",
        "_steps",
        "_timeout",
    )

    def __init__(
        self, leases: LeaseQueue, functions: PoolFunctions, pool: Any, timeout: float | None, /
    ) -> None:
        self._leases = leases
        self._functions = functions
        self._pool = pool
        self._timeout = timeout
        self._progress: _Progress | None = None
        self._connection: Connection[Row] | None = None
        self._steps: Generator[Any, Any, Connection[Row]] | None = None

    def __await__(self) -> Generator[Any, None, Connection[Row]]:
        if self._progress is None:
            self._progress = _Progress()
        return _acquire(self._leases, self._functions, self._pool, self._timeout, self._progress)

    async def __aenter__(self) -> Connection[Row]:
        # The first step of `_acquire`, written out: nearly always it is all that is to be done.
        leases = self._leases
        taken = None
        if self._progress is None and leases.available and leases.is_direct():
            taken = leases.try_acquire()
        if taken is None:
            connection = await self
        elif taken[2] is LENDABLE:
            connection = taken[1]
        else:
            connection = await self._accept(taken)
        self._connection = connection
        return connection

    async def _accept(self, taken: Taken) -> Connection[Row]:
        self._progress = progress = _Progress()
        progress.is_under_way = True
        try:
            return await self._functions.accept(self._pool, self._timeout, *taken)
        finally:
            progress.is_under_way = False

    if TYPE_CHECKING:
        # As the protocols of `contextlib` have it.
        async def __aexit__(
            self,
            exc_type: type[BaseException] | None,
            exc: BaseException | None,
            traceback: TracebackType | None,
            /,
        ) -> None: ...

    else:

        def __aexit__(self, exc_type, exc, traceback, /) -> Coroutine[Any, Any, None]:
            connection, self._connection = self._connection, None
            if connection is None:
                raise RuntimeError("no connection was acquired")
            verdict = self._leases.try_release(connection)
            if verdict is LENDABLE:
                return DONE
            if exc_type is not None:  # it tells that work was given up: no warning needs to
                connection.runner.forget_changes()
            return self._functions.release(self._pool, connection, verdict)

    def send(self, value: Any, /) -> Any:
        """Part of the coroutine protocol: tasks run what they are given by it."""
        progress = self._progress
        if progress is not None and progress.waiter is not None and progress.waiter.is_waiting:
            raise RuntimeError(_AWAITED)  # it is not the task that waits that goes on
        if self._steps is None:
            self._steps = self.__await__()
        steps = self._steps
        try:
            return steps.send(value)
        except BaseException:
            self._end(steps)
            raise

    def throw(self, typ: Any, val: Any = None, tb: TracebackType | None = None, /) -> Any:
        """Part of the coroutine protocol."""
        steps = self._steps
        try:
            error = typ if val is None else val
            if tb is not None and isinstance(error, BaseException):
                error = error.with_traceback(tb)
            if steps is None:  # a generator that has not begun lets StopIteration through
                DONE.throw(error)
            return steps.throw(error)
        except BaseException:
            self._end(steps)
            raise
        finally:
            del typ, val, error  # an error must not be held by a frame that it holds

    def _end(self, steps: Generator[Any, Any, Connection[Row]] | None) -> None:
        """These steps are over: who awaits once more begins anew."""
        if self._steps is steps:
            self._steps = None

    def close(self) -> None:
        """Part of the coroutine protocol: nobody will await this."""
        steps, self._steps = self._steps, None
        if steps is not None:
            steps.close()


def _acquire(
    leases: LeaseQueue,
    functions: PoolFunctions,
    pool: Any,
    timeout: float | None,
    progress: _Progress,
) -> Generator[Any, None, Connection[Any]]:
    if progress.is_under_way:
        raise RuntimeError(_AWAITED)
    progress.is_under_way = True
    try:
        is_direct = leases.is_direct()
        taken = leases.try_acquire() if is_direct else None
        if taken is None:
            waiter = leases.try_enqueue() if is_direct and timeout is None else None
            if waiter is None:
                return (yield from functions.acquire(pool, timeout).__await__())
            progress.waiter = waiter
            began = monotonic()
            try:
                yield from waiter.waiter.__await__()
                taken = leases.collect(waiter)
            except BaseException:
                leases.discard(waiter)
                if waiter.connection is not None:
                    pass_on(
                        lambda given: functions.release(pool, given, Verdict.UNKNOWN),
                        waiter.connection,
                    )
                raise
            finally:
                progress.waiter = None
                leases.record_wait(monotonic() - began)
        holder, connection, verdict = taken
        if verdict is LENDABLE:
            return connection
        accepting = functions.accept(pool, timeout, holder, connection, verdict)
        return (yield from accepting.__await__())
    finally:
        progress.is_under_way = False


def pass_on(release: Callable[[Connection[Any]], object], connection: Connection[Any]) -> None:
    """Release a connection that a caller was given who is told of an error or a cancellation.

    That it can't be released is logged: the caller must get what it is told.
    """
    try:
        release(connection)
    except Exception as error:
        logger.warning("could not release %r: %r", connection, error)


PyAcquireContext = AcquireContext
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    AcquireContext = _c.AcquireContext

# The classic class was derived from that.
AwaitableContextManager.register(PyAcquireContext)
AwaitableContextManager.register(AcquireContext)

#: The classic name of what `Pool.acquire` returns.
PoolAcquireContextManager = AcquireContext


class PoolConnectionContextManager(Generic[Row]):
    """`with await pool as connection:`, the form from before there was `async with`."""

    __slots__ = ("_connection", "_pool")

    def __init__(self, pool: Pool[Row], connection: Connection[Row]) -> None:
        self._pool = pool
        self._connection = connection

    def __enter__(self) -> Connection[Row]:
        return self._connection

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.release(self._connection)
