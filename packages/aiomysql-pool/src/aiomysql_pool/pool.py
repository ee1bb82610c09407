"""A pool of connections.

The pool has no lock. Its state changes only between two suspensions of the event loop, and whatever
takes time (connecting, rolling back, saying goodbye) runs in a task of its own, which changes the
state when it is done. Whoever finds no connection waits in one queue: a connection that becomes
free or is newly opened always goes to the oldest waiter, no matter who caused it.
"""

from __future__ import annotations

import asyncio
import inspect
import warnings
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, KeysView
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar, overload

from aiomysql_core import Connection, InterfaceError, connect
from aiomysql_core.dsn import is_dsn, parse_dsn
from aiomysql_core.log import logger
from aiomysql_pool.awaitable import (
    PoolAcquireContextManager,
    PoolConnectionContextManager,
    PoolContextManager,
)

T = TypeVar("T")

_PoolContextManager = PoolContextManager  # the classic name

# Seconds that the rollback of a released connection may take. Then the connection is dropped: a
# dead peer must not bind a place in the pool.
ROLLBACK_TIMEOUT = 10.0


class PoolClosed(InterfaceError, RuntimeError):
    """No connection can be had from a pool that is closing or closed."""

    def __init__(self) -> None:
        super().__init__("Cannot acquire connection after closing pool")


async def _create_pool(
    minsize: int = 1,
    maxsize: int = 10,
    echo: bool = False,
    pool_recycle: float = -1,
    loop: asyncio.AbstractEventLoop | None = None,
    *,
    reset_session: str | None = None,
    **kwargs: Any,
) -> Pool:
    pool = Pool(minsize, maxsize, echo, pool_recycle, loop, reset_session=reset_session, **kwargs)
    try:
        await pool._fill()
    except BaseException:
        pool.terminate()
        await pool.wait_closed()
        raise
    return pool


_SIGNATURE = inspect.signature(_create_pool)


@overload
def create_pool(
    minsize: int = 1,
    maxsize: int = 10,
    echo: bool = False,
    pool_recycle: float = -1,
    loop: asyncio.AbstractEventLoop | None = None,
    *,
    reset_session: str | None = None,
    **kwargs: Any,
) -> PoolContextManager[Pool]: ...
@overload
def create_pool(
    dsn: str,
    /,
    *,
    minsize: int = 1,
    maxsize: int = 10,
    echo: bool = False,
    pool_recycle: float = -1,
    reset_session: str | None = None,
    **kwargs: Any,
) -> PoolContextManager[Pool]: ...
def create_pool(*args: Any, **kwargs: Any) -> PoolContextManager[Pool]:
    """Open a pool; to be awaited or used with `async with`, which also closes it.

    `minsize` connections are opened at once, at most `maxsize` (0: any number) exist at a time.
    `echo` logs the statements. A connection that was idle for more than `pool_recycle` seconds is
    replaced when it would be handed out (-1: never). A connection that is released in a transaction
    is closed; with `reset_session="rollback"` it is rolled back and kept. `loop` is ignored and
    deprecated. All other keywords go to `aiomysql_core.connect`. A data source name,
    `mysql://user:password@host:port/database?minsize=2`, may stand in the first place; other
    arguments, which must be named then, override its parts.

    Raises ValueError for impossible sizes and what `connect` raises; then nothing stays open.
    """
    if args and is_dsn(args[0]):
        if len(args) > 1:
            raise TypeError("with a data source name the other arguments must be named")
        kwargs = parse_dsn(args[0], pool=True) | kwargs
        args = ()
    options = _SIGNATURE.bind(*args, **kwargs).arguments
    options |= options.pop("kwargs", {})
    warn_of_loop(options.pop("loop", None))
    return PoolContextManager(_create_pool(**options))


create_pool.__signature__ = _SIGNATURE  # type: ignore[attr-defined]


def warn_of_loop(loop: object) -> None:
    """Warn the caller's caller, if it gave an event loop."""
    if loop is not None:
        warnings.warn(
            "the 'loop' argument is ignored: a pool belongs to the loop that runs when it is made",
            DeprecationWarning,
            stacklevel=3,
        )


def _check_sizes(minsize: int, maxsize: int) -> None:
    if minsize < 0:
        raise ValueError(f"minsize should be zero or greater, not {minsize!r}")
    if maxsize < 0:
        raise ValueError(f"maxsize should be zero (no limit) or greater, not {maxsize!r}")
    if 0 < maxsize < minsize:
        raise ValueError(f"maxsize should be not less than minsize {minsize!r}, not {maxsize!r}")


class Pool:
    """Lends open connections; made by `create_pool`.

    Must be made while the event loop runs, and belongs to that loop.
    """

    def __init__(
        self,
        minsize: int,
        maxsize: int,
        echo: bool,
        pool_recycle: float,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        reset_session: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Take the options of `create_pool`, but open no connection yet."""
        _check_sizes(minsize, maxsize)
        if reset_session not in (None, "rollback"):
            raise ValueError(f"reset_session should be None or 'rollback', not {reset_session!r}")
        warn_of_loop(loop)
        self._minsize = minsize
        self._maxsize = maxsize
        self._echo = echo
        self._recycle = pool_recycle
        self._reset_session = reset_session
        self._loop = asyncio.get_running_loop()
        self._conn_kwargs = kwargs
        self._free: deque[Connection] = deque()
        # Key and value are the same: what comes back may be a tracer's proxy that only equals the
        # connection, and the pool wants its own object.
        self._lent: dict[Connection, Connection] = {}
        self._terminated: set[Connection] = set()
        # A queue from which those who give up can be taken out quickly.
        self._waiters: OrderedDict[asyncio.Future[Connection], None] = OrderedDict()
        self._connects: set[asyncio.Task[Connection]] = set()
        self._rollbacks = 0
        # Everything under way: connects, rollbacks and goodbyes.
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = False
        self._closed = False
        self._drained = asyncio.Event()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._done.set_result(None)

    def __repr__(self) -> str:
        options = self._conn_kwargs
        where = options.get("unix_socket") or (
            f"{options.get('host', 'localhost')}:{options.get('port', 3306)}"
        )
        state = "closed" if self._closed else "closing" if self._closing else "open"
        return (
            f"<{type(self).__name__} {state} {where} db={options.get('db')!r} "
            f"user={options.get('user')!r} used={len(self._lent)} free={len(self._free)} "
            f"size={self.size} minsize={self._minsize} maxsize={self._maxsize} "
            f"waiting={len(self._waiters)}>"
        )

    @property
    def echo(self) -> bool:
        """Whether the connections log their statements."""
        return self._echo

    @property
    def minsize(self) -> int:
        """How many connections the pool keeps at least."""
        return self._minsize

    @property
    def maxsize(self) -> int | None:
        """How many connections there may be at a time; None: any number."""
        return self._maxsize or None

    @property
    def size(self) -> int:
        """How many connections there are: lent, idle, being opened and being rolled back."""
        return len(self._free) + len(self._lent) + len(self._connects) + self._rollbacks

    @property
    def freesize(self) -> int:
        """How many connections are idle."""
        return len(self._free)

    @property
    def closed(self) -> bool:
        """Whether the pool is closed and has no connection left."""
        return self._closed

    @property
    def _used(self) -> KeysView[Connection]:
        return self._lent.keys()

    def acquire(self) -> PoolAcquireContextManager:
        """Borrow a connection: `await pool.acquire()` or `async with pool.acquire() as conn`.

        Awaiting gives an open connection. It doesn't suspend when one is idle; else the caller gets
        the first that is released or newly opened, in the order of asking. Raises PoolClosed, and
        what `aiomysql_core.connect` raises.
        """
        return PoolAcquireContextManager(self._acquire(), self)

    async def _acquire(self) -> Connection:
        if self._closing:
            raise PoolClosed
        connection = self._take_free()
        if connection is None:
            connection = await self._wait_for_connection()
        return connection

    def _take_free(self) -> Connection | None:
        # When connections were lost, the next caller gets one of those that are opened in their
        # place, so that the pool is filled up again before its idle ones are used up.
        if self.size < self._minsize:
            return None
        connection = self._take_usable()
        if connection is not None:
            self._lent[connection] = connection
        return connection

    def _take_usable(self) -> Connection | None:
        while self._free:
            connection = self._free.popleft()
            if self._usable(connection):
                return connection
            self._retire(connection)
            self._open_for(self._missing())
        return None

    def _usable(self, connection: Connection) -> bool:
        if connection.closed:
            return False
        return self._recycle < 0 or self._loop.time() - connection.last_usage <= self._recycle

    async def _wait_for_connection(self) -> Connection:
        first = False
        while not self._closing:
            waiter = self._loop.create_future()
            self._waiters[waiter] = None
            if first:
                self._waiters.move_to_end(waiter, last=False)
            self._open_for(max(len(self._waiters), self._missing()))
            try:
                connection: Connection = await waiter
            except BaseException:
                self._abandon(waiter)
                raise
            if not connection.closed:
                return connection
            # Lost between the hand-over and now: ask again, but don't queue again.
            self.release(connection)
            first = True
        raise PoolClosed

    def _abandon(self, waiter: asyncio.Future[Connection]) -> None:
        """Forget a waiter that was cancelled or got an error, and pass on what it was given."""
        self._waiters.pop(waiter, None)
        if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            self.release(waiter.result())

    def _next_waiter(self) -> asyncio.Future[Connection] | None:
        while self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():
                return waiter
        return None

    def _missing(self) -> int:
        """How many connects must be under way to come to `minsize` connections."""
        return self._minsize - self.size + len(self._connects)

    def _open_for(self, wanted: int) -> None:
        """Have `wanted` connects under way, as far as `maxsize` allows."""
        while (
            not self._closing
            and len(self._connects) < wanted
            and (not self._maxsize or self.size < self._maxsize)
        ):
            self._connects.add(self._start(self._connect(), self._connected))

    async def _connect(self) -> Connection:
        return await connect(echo=self._echo, **self._conn_kwargs)

    def _connected(self, task: asyncio.Task[Connection]) -> None:
        self._connects.discard(task)
        if task.cancelled():
            # By someone else than `close`, perhaps together with some of those who wait.
            self._open_for(sum(not waiter.done() for waiter in self._waiters))
        elif (error := task.exception()) is None:
            self._offer(task.result())
        else:
            self._report(error)

    def _report(self, error: BaseException) -> None:
        """Give the error of a connect to the oldest waiter, if there is no idle connection."""
        waiter = self._next_waiter()
        if waiter is None:
            logger.debug("%r: connect failed with nobody waiting: %r", self, error)
        elif (connection := self._take_usable()) is not None:
            logger.warning("%r: could not replace a lost connection: %r", self, error)
            self._lend(connection, waiter)
        else:
            waiter.set_exception(error)
        self._open_for(len(self._waiters))

    def _lend(self, connection: Connection, waiter: asyncio.Future[Connection]) -> None:
        self._lent[connection] = connection
        waiter.set_result(connection)

    def _offer(self, connection: Connection) -> None:
        """Give an open connection to the oldest waiter or keep it."""
        if self._closing:
            self._retire(connection)
        elif (waiter := self._next_waiter()) is not None:
            self._lend(connection, waiter)
        else:
            self._free.append(connection)

    def release(self, conn: Connection) -> Awaitable[None]:
        """Give a borrowed connection back.

        Takes effect at once; what is returned need not be awaited. A connection that is in a
        transaction is closed, or, with `reset_session="rollback"`, rolled back first (awaiting
        waits for it). A closed connection leaves the pool. Raises InterfaceError for a connection
        that isn't lent.
        """
        if conn in self._terminated:
            self._terminated.discard(conn)
            return self._done
        own = self._lent.pop(conn, None)
        if own is None:
            raise InterfaceError(f"{conn!r} is not lent by {self!r}")
        in_transaction = not own.closed and own.get_transaction_status()
        usable = own.idle and not own.busy  # no answer is half read, and no task waits for one
        if usable and in_transaction and self._reset_session == "rollback" and not self._closing:
            return self._start_rollback(own)
        if in_transaction or not usable:
            own.close()
        if own.closed:
            self._open_for(len(self._waiters))
        else:
            self._offer(own)
        self._check_drained()
        return self._done

    def _start_rollback(self, connection: Connection) -> Awaitable[None]:
        def finished(task: asyncio.Task[None]) -> None:
            self._rollbacks -= 1
            if connection.closed or connection.get_transaction_status():
                self._retire(connection)
                self._open_for(len(self._waiters))
            else:
                self._offer(connection)

        self._rollbacks += 1
        # Shielded: a caller that is cancelled while it waits must not break off the rollback.
        return asyncio.shield(self._start(self._rollback(connection), finished))

    async def _rollback(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(ROLLBACK_TIMEOUT):
                await connection.rollback()
        except Exception as error:
            logger.warning("%r: dropping %r, rollback failed: %r", self, connection, error)

    def _retire(self, connection: Connection) -> None:
        """Say goodbye to the server in the background, so that it logs no aborted connection."""
        if connection.closed:
            return
        if self._loop.is_closed():
            connection.close()
            return
        self._start(_goodbye(connection), lambda task: connection.close())

    def _start(
        self,
        coro: Coroutine[Any, Any, T],
        finished: Callable[[asyncio.Task[T]], None],
    ) -> asyncio.Task[T]:
        """Run something in a task that `wait_closed` waits for; `finished` is always called."""

        def done(task: asyncio.Task[T]) -> None:
            self._tasks.discard(task)
            finished(task)
            self._check_drained()

        task = self._loop.create_task(coro)
        self._tasks.add(task)
        task.add_done_callback(done)
        return task

    async def _fill(self) -> None:
        """Open `minsize` connections; raises the first error."""
        self._open_for(self._missing())
        if self._connects:
            tasks, _ = await asyncio.wait(self._connects, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:
                task.result()

    async def clear(self) -> None:
        """Close all idle connections."""
        while self._free:
            self._retire(self._free.popleft())
        goodbyes = self._tasks - self._connects
        if goodbyes:
            await asyncio.wait(goodbyes)

    def close(self) -> None:
        """Begin to close: nobody gets a connection any more, and those who wait get PoolClosed.

        Lent connections stay usable until they are released. `wait_closed` does the rest.
        """
        if self._closing:
            return
        self._closing = True
        while (waiter := self._next_waiter()) is not None:
            waiter.set_exception(PoolClosed())
        for task in self._connects:
            task.cancel()

    def terminate(self) -> None:
        """Begin to close, and close lent connections at once under their borrowers."""
        self.close()
        for connection in self._lent:
            connection.close()
            self._terminated.add(connection)
        self._lent.clear()

    async def wait_closed(self) -> None:
        """Wait until all lent connections are released and all connections are closed.

        May be called several times, also after it was cancelled. Raises RuntimeError unless
        `close` or `terminate` was called before.
        """
        if self._closed:
            return
        if not self._closing:
            raise RuntimeError(".wait_closed() should be called after .close()")
        while self._free:
            self._retire(self._free.popleft())
        self._check_drained()
        await self._drained.wait()
        self._closed = True

    def _check_drained(self) -> None:
        if self._closing and not self._lent and not self._free and not self._tasks:
            self._drained.set()

    def __await__(self) -> Generator[Any, None, PoolConnectionContextManager]:
        warnings.warn(
            "`with await pool as conn` is deprecated, use `async with pool.acquire() as conn`",
            DeprecationWarning,
            stacklevel=2,
        )
        connection = yield from self._acquire().__await__()
        return PoolConnectionContextManager(self, connection)

    def __enter__(self) -> NoReturn:
        raise RuntimeError("use `async with pool.acquire() as conn`")

    def __exit__(self, *args: object) -> None:
        """Only there so that `with pool` reaches the message of `__enter__`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        await self.wait_closed()


async def _goodbye(connection: Connection) -> None:
    try:
        await connection.ensure_closed()
    except Exception as error:
        logger.debug("%r: goodbye failed: %r", connection, error)
