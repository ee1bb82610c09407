"""A pool of connections.

The life of a connection, in the order of the methods of `Pool`: it is opened, becomes available, is
acquired, is released, perhaps its session is reset, and it is available again or closed.

The pool has no lock.  Its state changes only between two suspensions of the event loop, and
whatever takes time (connecting, resetting, saying goodbye) runs in a task of its own, which changes
the state when it is done.  Whoever finds no connection waits in one queue: a connection that is
released or newly opened always goes to the oldest waiter, no matter who caused it.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import os
import weakref
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable, Generator, Iterable, Sequence
from dataclasses import fields
from functools import partial
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, Self, Unpack, overload

from aiomysql_core import Connection, Cursor, InterfaceError, OperationalError, RowFactory, connect
from aiomysql_core.log import logger, warn_caller, warn_of_lost_changes
from aiomysql_core.options.dsn import is_dsn, parse_dsn
from aiomysql_core.options.keywords import unknown_option, without_aliases
from aiomysql_core.options.options import address_text
from aiomysql_core.options.signatures import declares
from aiomysql_core.type_variables import OtherRow, Row
from aiomysql_core.waiting.waiter import done_future
from aiomysql_pool.acquire import (
    AcquireContext,
    PoolConnectionContextManager,
    PoolContextManager,
    PoolFunctions,
    pass_on,
)
from aiomysql_pool.blocks import PoolRowStream, PoolTransaction
from aiomysql_pool.errors import PoolClosed as PoolClosed
from aiomysql_pool.errors import PoolTimeout as PoolTimeout
from aiomysql_pool.errors import TooManyWaiters as TooManyWaiters
from aiomysql_pool.holder import (
    ConnectionHolder,
    OnCollected,
    Reference,
    describe_task,
    find_acquired,
)
from aiomysql_pool.implementation import announce
from aiomysql_pool.lease_queue import LeaseQueue, PoolWaiter, Taken
from aiomysql_pool.lifecycle import PingTimeout, caller_frames, clean, goodbye, prepare, verify
from aiomysql_pool.maintenance import Maintenance
from aiomysql_pool.opening import Opener, random_expiry
from aiomysql_pool.options import (
    POOL_KEYWORDS,
    Callback,
    PoolOptions,
    check_seconds,
    check_sizes,
)
from aiomysql_pool.release import ReleaseAction, action_after_release
from aiomysql_pool.shutdown import Shutdown
from aiomysql_pool.statistics import Counters
from aiomysql_pool.verdict import LENDABLE, Verdict

if TYPE_CHECKING:
    from aiomysql_core.typing import ConnectOptions

_PoolContextManager = PoolContextManager  # the classic name

#: Connections of which one message tells who has them.
_MOST_HOLDERS = 20


async def _create_pool(
    minsize: int = 1,
    maxsize: int = 10,
    echo: bool = False,
    pool_recycle: float = -1,
    loop: asyncio.AbstractEventLoop | None = None,
    **kwargs: Any,
) -> Pool[Any]:
    announce()
    pool: Pool[Any] = Pool(minsize, maxsize, echo, pool_recycle, loop, **kwargs)
    try:
        await pool._fill()
    except BaseException:
        pool.terminate()
        await pool.wait_closed()
        raise
    return pool


def _signature() -> inspect.Signature:
    """That of `_create_pool`, with the further options by name."""
    signature = inspect.signature(_create_pool)
    *named, keywords = signature.parameters.values()
    further = [
        keywords.replace(
            name=option.name,
            kind=inspect.Parameter.KEYWORD_ONLY,
            default=option.default,
            annotation=option.type,
        )
        for option in fields(PoolOptions)
        if option.name not in signature.parameters
    ]
    returned = "PoolContextManager[Pool[Row]]"
    return signature.replace(parameters=[*named, *further, keywords], return_annotation=returned)


_SIGNATURE = _signature()


def _create_pool_checked(*args: Any, **kwargs: Any) -> PoolContextManager[Pool[Any]]:
    kwargs = without_aliases(kwargs)
    if args and is_dsn(args[0]):
        if len(args) > 1:
            raise TypeError("with a data source name the other arguments must be named")
        kwargs = parse_dsn(args[0], POOL_KEYWORDS) | kwargs
        args = ()
    elif args and isinstance(args[0], (str, bytes, bytearray)):
        # It is not shown: a password may stand in it.
        raise (ValueError if isinstance(args[0], str) else TypeError)(
            "the first argument must be minsize, an int, or a data source name, "
            "a str that begins with mysql://"
        )
    elif is_dsn(dsn := kwargs.get("host")):  # as `connect` takes it; messages must not show it
        kwargs = parse_dsn(dsn) | {name: kwargs[name] for name in kwargs if name != "host"}
    options = _SIGNATURE.bind(*args, **kwargs).arguments
    options |= options.pop("kwargs", {})
    warn_of_loop(options.pop("loop", None))
    return PoolContextManager(_create_pool(**options))


@declares(_create_pool_checked, _SIGNATURE)
def create_pool(
    minsize_or_dsn: int | str = 1,
    /,
    maxsize: int = 10,
    echo: bool = False,
    pool_recycle: float = -1,
    loop: asyncio.AbstractEventLoop | None = None,
    *,
    minsize: int = 1,
    timeout: float | None = None,
    max_waiting: int = 0,
    max_lifetime: float | None = None,
    max_idle: float | None = None,
    ping_after: float | None = None,
    reset_session: Literal["rollback", "full"] | None = None,
    configure: Callback | None = None,
    check: Callback | None = None,
    reset: Callback | None = None,
    report_lent_after: float | None = None,
    report_wait_after: float | None = 10.0,
    debug: bool | None = None,
    row_factory: RowFactory[Row] | None = None,
    cursorclass: type[Cursor | Cursor[Row]] = Cursor,
    **kwargs: Unpack[ConnectOptions],
) -> PoolContextManager[Pool[Row]]:
    """Open a pool; to be awaited or used with `async with`, which also closes it.

    - minsize: connections that are opened at once and kept.
    - maxsize: connections that may exist at a time (0: any number).
    - echo: log the statements.
    - pool_recycle: seconds after which a connection is replaced when it would be lent (-1: never).
    - loop: ignored, deprecated.
    - timeout: seconds that `acquire` waits at most (None: for ever).
    - max_waiting: callers that may wait for a connection to be released (0: any number).
    - max_lifetime: as pool_recycle, up to 10 % earlier and also while it is idle (None: never).
    - max_idle: seconds after which connections above `minsize` that nobody needed are closed (None:
      never).
    - ping_after: seconds without an answer from the server after which a connection is pinged
      before it is lent (None: never).
    - reset_session: None closes a connection that is released in a transaction; "rollback" rolls
      back and keeps it; "full" resets the session after each release (see `Connection.reset`).
    - configure: called with each new connection.
    - check: called before a connection is lent; an error or False replaces it.
    - reset: called after a release.  These three may be coroutine functions.
    - report_lent_after: seconds after which a connection that is still lent is logged (None:
      never).
    - report_wait_after: seconds after which it is logged that a caller still waits for a
      connection, or the end of the pool for one that is lent, and which tasks have them (None:
      never).
    - debug: tell where connections were asked for (None: as the event loop's debug mode).

    All other keywords go to `aiomysql_core.connect`.  A data source name,
    `mysql://user:password@host:port/database?minsize=2`, may stand in the first place; other
    arguments, which must be named then, override its parts.  As `host` it may have no options of
    the pool.

    Raises TypeError or ValueError for an impossible option and what `connect` and `configure`
    raise; then nothing stays open.
    """
    raise NotImplementedError


def _check_connect_options(given: dict[str, Any]) -> None:
    """Raise what `connect` would raise for impossible options, before anybody waits for it."""
    known = inspect.signature(connect).parameters
    if unknown := given.keys() - known.keys():
        names = [*_SIGNATURE.parameters, *known]
        raise unknown_option("create_pool", min(unknown), names)
    if not is_dsn(given.get("host")):
        Connection(**given)


def warn_of_loop(loop: object) -> None:
    """Warn the program, if it gave an event loop."""
    if loop is not None:
        warn_caller(
            "the 'loop' argument is ignored: a pool belongs to the loop that runs when it is made",
            DeprecationWarning,
        )


class Pool(Generic[Row]):
    """Lends open connections; made by `create_pool`.

    Must be made while the event loop runs, and belongs to that loop and this process.  For type
    checkers it is generic in the type of the rows that its connections' cursors have.
    """

    def __init__(
        self,
        minsize: int,
        maxsize: int,
        echo: bool,
        pool_recycle: float,
        loop: asyncio.AbstractEventLoop | None = None,
        **kwargs: Any,
    ) -> None:
        """Take the options of `create_pool`, but open no connection yet."""
        warn_of_loop(loop)
        sizes = {"minsize": minsize, "maxsize": maxsize}
        options, self._conn_kwargs = PoolOptions.split(
            {**kwargs, **sizes, "echo": echo, "pool_recycle": pool_recycle}
        )
        self._options = options
        _check_connect_options(self._conn_kwargs)
        self._loop = asyncio.get_running_loop()
        if options.debug is None:
            options.debug = self._loop.get_debug()
        self._counters = Counters()
        # The parts.  None of them knows the pool: it would be a reference cycle.
        self._leases = LeaseQueue(self._loop)
        self._opener = Opener(options, self._leases)
        self._maintenance = Maintenance(options, self._leases, self._counters)
        self._shutdown = Shutdown(self._loop, self._leases)
        # The resets under way.
        self._resets: set[asyncio.Task[None]] = set()
        # How often all connections were to be replaced (`drain`).
        self._generation = 0
        # The process that was forked, in the other one.
        self._forked_from = 0
        self._done = done_future(self._loop)
        _all.add(self)
        self._set_rules()
        self._leases.is_open = True

    def __repr__(self) -> str:
        options = self._conn_kwargs
        shutdown = self._shutdown
        state = "closed" if shutdown.is_closed else "closing" if shutdown.is_closing else "open"
        return (
            f"<{type(self).__name__} {state} {self._address} db={options.get('db')!r} "
            f"user={options.get('user')!r} used={self._acquired} free={self.freesize} "
            f"size={self.size} minsize={self.minsize} maxsize={self._options.maxsize} "
            f"waiting={self._leases.waiting}>"
        )

    # -- what can be seen ------------------------------------------------------------------------

    @property
    def echo(self) -> bool:
        """Whether the connections log their statements."""
        return self._options.echo

    @property
    def minsize(self) -> int:
        """How many connections the pool keeps at least."""
        return self._options.minsize

    @property
    def maxsize(self) -> int | None:
        """How many connections there may be at a time; None: any number."""
        return self._options.maxsize or None

    @property
    def size(self) -> int:
        """How many connections there are: acquired, available, being opened and being reset."""
        return len(self._leases.holders) + len(self._opener.connects)

    @property
    def freesize(self) -> int:
        """How many connections are available."""
        return len(self._leases.available)

    @property
    def closed(self) -> bool:
        """Whether the pool is closed and has no connection left."""
        return self._shutdown.is_closed

    @property
    def _acquired(self) -> int:
        return len(self._leases.holders) - len(self._leases.available) - len(self._resets)

    @property
    def _address(self) -> str:
        """The server's address, for messages."""
        given = self._conn_kwargs
        if path := given.get("read_default_file"):
            return f"the server in {path}"
        host = str(given.get("host") or "localhost")
        return address_text(host, given.get("port") or 3306, given.get("unix_socket"))

    # Classic names that libraries and their tests read: these, and the attributes `_loop` and
    # `_conn_kwargs`; tracers wrap `_acquire`.

    @property
    def _minsize(self) -> int:
        return self._options.minsize

    @property
    def _echo(self) -> bool:
        return self._options.echo

    @property
    def _recycle(self) -> float:
        return self._options.pool_recycle

    @property
    def _acquiring(self) -> int:
        return len(self._opener.connects)

    @property
    def _closing(self) -> bool:
        return self._shutdown.is_closing

    @property
    def _closed(self) -> bool:
        return self._shutdown.is_closed

    @property
    def _terminated(self) -> set[Connection[Any]]:
        holders = [*self._shutdown.terminated.values()]
        return {found for holder in holders if (found := holder.find()) is not None}

    @property
    def _free(self) -> deque[Connection[Any]]:
        held = [holder.connection for holder in self._leases.available]
        return deque(connection for connection in held if connection is not None)

    @property
    def _used(self) -> set[Connection[Any]]:
        acquired = [holder for holder in [*self._leases.holders.values()] if holder.is_acquired]
        return {found for holder in acquired if (found := holder.find()) is not None}

    def get_stats(self) -> dict[str, float]:
        """Figures for monitoring; times are in seconds.

        Gauges: minsize, maxsize (0: no limit), size, free, acquired (also under its old name,
        lent), connecting, resetting, waiting (callers without a connection).  All others only grow:
        requests (connections acquired), waited and wait_time (requests that had to wait, failed
        ones too), usage_time (summed over all connections, how long they were acquired; sampled
        once a second), timeouts (PoolTimeout), refused (TooManyWaiters), connects, connect_time,
        connect_errors, pings, resets, and those that begin with `closed_`, by reason.
        """
        leases = self._leases
        return {
            "minsize": self._options.minsize,
            "maxsize": self._options.maxsize,
            "size": self.size,
            "free": self.freesize,
            "acquired": self._acquired,
            "lent": self._acquired,
            "connecting": len(self._opener.connects),
            "resetting": len(self._resets),
            "waiting": leases.waiting,
            "requests": leases.requests,
            "waited": leases.waited,
            "wait_time": leases.wait_time,
            **self._counters.figures(),
        }

    # -- a connection is opened ------------------------------------------------------------------

    async def _fill(self) -> None:
        """Open `minsize` connections; raises the first error."""
        self._open_missing()
        connects = self._opener.connects
        if connects:
            tasks, _ = await asyncio.wait(connects, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:
                task.result()
        if not self._shutdown.is_closing:
            self._schedule_maintenance()

    def _open_missing(self) -> None:
        """Have connects under way for those who wait and up to `minsize`."""
        opener = self._opener
        while not self._shutdown.is_closing and (seconds := opener.next_attempt_in()) is not None:
            if seconds > 0:
                opener.retry = self._later(seconds, self._retry)
                break
            self._open_one()

    def _retry(self) -> None:
        self._opener.retry = None
        self._open_missing()

    def _open_one(self) -> None:
        self._counters.connects += 1
        ticket = self._leases.newest_ticket
        finished = partial(self._on_connected, monotonic(), ticket, self._generation)
        opener = self._opener
        # Whatever allocates may run a finalizer, which may come here: it is counted before.
        opener.starting += 1
        try:
            opener.connects.add(self._shutdown.start(self._connect(), finished))
        finally:
            opener.starting -= 1

    async def _connect(self) -> tuple[Connection[Any], ConnectionHolder]:
        connection = await connect(echo=self._options.echo, **self._conn_kwargs)
        await prepare(connection, self._options)
        now = monotonic()
        expires_at = random_expiry(now, self._options.max_lifetime)
        try:
            holder = ConnectionHolder(connection, _collected(weakref.ref(self)), now, expires_at)
        except BaseException:  # a tracer's proxy that can't be referred to weakly
            connection.close()
            raise
        return connection, holder

    def _on_connected(
        self,
        began: float,
        ticket: int,
        generation: int,
        task: asyncio.Task[tuple[Connection[Any], ConnectionHolder]],
    ) -> None:
        opener = self._opener
        opener.connects.discard(task)
        self._counters.connect_time += monotonic() - began
        if task.cancelled():
            # By `close`, or by someone else, perhaps together with some of those who wait.
            opener.backoff.failed(began)
        elif (error := task.exception()) is not None:
            self._counters.connect_errors += 1
            if not opener.tell_waiters(error, ticket) and self._maintenance.timer is not None:
                level = logging.DEBUG if opener.backoff.failures else logging.WARNING
                logger.log(level, "%r: could not open a connection: %r", self, error)
            opener.backoff.failed(began)
        else:
            opener.backoff.succeeded()
            connection, holder = task.result()
            holder.must_close = generation != self._generation
            self._leases.holders[holder.key] = holder
            self._hand_out(connection, holder)
        self._open_missing()

    # -- it becomes available --------------------------------------------------------------------

    def _hand_out(self, connection: Connection[Any], holder: ConnectionHolder) -> None:
        """Give an open connection to the oldest waiter or keep it, unless it is to be closed."""
        verdict = self._leases.examine_kept(holder, monotonic())
        if verdict is LENDABLE:
            self._leases.make_available(holder, connection)
        else:
            self._remove(connection, verdict.value)

    # -- it is acquired --------------------------------------------------------------------------

    def acquire(self, timeout: float | None = None) -> AcquireContext[Row]:
        """Acquire a connection: `await pool.acquire()` or `async with pool.acquire() as conn`.

        Awaiting gives an open connection.  It doesn't suspend when one is available; else the
        caller gets the first that is released or newly opened, in the order of asking.  timeout:
        seconds that this may take (None: as the pool's option `timeout` says; math.inf: no limit).

        Raises PoolClosed, PoolTimeout, TooManyWaiters, and what `aiomysql_core.connect` and the
        callbacks raise; InterfaceError in a forked process and on another event loop.
        """
        if timeout is not None:
            check_seconds("timeout", timeout, zero=True)
        return AcquireContext(self._leases, _FUNCTIONS, self, timeout)

    # -- one statement, on a connection acquired for it ------------------------------------------

    async def execute(
        self, query: str | bytes | bytearray, args: object = None, *, timeout: float | None = None
    ) -> int:
        """Run a statement and commit it; returns the number of rows found or changed.

        query, args, timeout: as for `aiomysql_core.Connection.execute`.  Raises what that and
        `acquire` raise.
        """
        async with self.acquire() as connection:
            found = await connection.execute(query, args, timeout=timeout)
            await connection.commit()
            return found

    async def executemany(
        self,
        query: str,
        args: Iterable[object] | AsyncIterable[object],
        *,
        timeout: float | None = None,
    ) -> int | None:
        """Run a statement for each of `args` and commit, as `Connection.executemany` does."""
        async with self.acquire() as connection:
            changed = await connection.executemany(query, args, timeout=timeout)
            await connection.commit()
            return changed

    @overload
    async def fetchall(
        self,
        query: str | bytes | bytearray,
        args: object = None,
        *,
        row_factory: None = None,
        timeout: float | None = None,
    ) -> Sequence[Row]: ...
    @overload
    async def fetchall(
        self,
        query: str | bytes | bytearray,
        args: object = None,
        *,
        row_factory: RowFactory[OtherRow],
        timeout: float | None = None,
    ) -> Sequence[OtherRow]: ...
    async def fetchall(
        self,
        query: str | bytes | bytearray,
        args: object = None,
        *,
        row_factory: RowFactory[Any] | None = None,
        timeout: float | None = None,
    ) -> Sequence[Any]:
        """Run a statement and commit; returns its rows, as `Connection.fetchall` does."""
        async with self.acquire() as connection:
            rows = await connection.fetchall(query, args, row_factory=row_factory, timeout=timeout)
            await connection.commit()
            return rows

    @overload
    async def fetchone(
        self,
        query: str | bytes | bytearray,
        args: object = None,
        *,
        row_factory: None = None,
        timeout: float | None = None,
    ) -> Row | None: ...
    @overload
    async def fetchone(
        self,
        query: str | bytes | bytearray,
        args: object = None,
        *,
        row_factory: RowFactory[OtherRow],
        timeout: float | None = None,
    ) -> OtherRow | None: ...
    async def fetchone(
        self,
        query: str | bytes | bytearray,
        args: object = None,
        *,
        row_factory: RowFactory[Any] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """As `fetchall`: the first row; None when there is none."""
        async with self.acquire() as connection:
            row = await connection.fetchone(query, args, row_factory=row_factory, timeout=timeout)
            await connection.commit()
            return row

    async def fetchval(
        self, query: str | bytes | bytearray, args: object = None, *, timeout: float | None = None
    ) -> Any:
        """As `fetchall`: the first value of the first row; None when there is no row."""
        async with self.acquire() as connection:
            value = await connection.fetchval(query, args, timeout=timeout)
            await connection.commit()
            return value

    @overload
    def iterate(
        self,
        query: str | bytes | bytearray,
        args: object = None,
        *,
        row_factory: None = None,
    ) -> PoolRowStream[Row]: ...
    @overload
    def iterate(
        self,
        query: str | bytes | bytearray,
        args: object = None,
        *,
        row_factory: RowFactory[OtherRow],
    ) -> PoolRowStream[OtherRow]: ...
    def iterate(
        self,
        query: str | bytes | bytearray,
        args: object = None,
        *,
        row_factory: RowFactory[Any] | None = None,
    ) -> PoolRowStream[Any]:
        """The rows of a statement, one by one as the server sends them: for `async for`.

        query, args, row_factory: as for `aiomysql_core.Connection.iterate`.  The connection is
        acquired for the first row and released behind the last, with a commit.  Use it with `async
        with` if the loop may be left early: then, if rows are still to come, the connection is
        closed and what the statement changed is undone.
        """
        return PoolRowStream(self, query, args, row_factory)

    def transaction(
        self,
        isolation: Literal["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
        | None = None,
        *,
        readonly: bool = False,
        consistent_snapshot: bool = False,
    ) -> PoolTransaction[Row]:
        """A transaction on a connection acquired for it, which the block is given.

        `async with pool.transaction() as connection:`; the parameters, and what becomes of the
        transaction, are those of `aiomysql_core.Connection.transaction`.
        """
        options = {
            "isolation": isolation,
            "readonly": readonly,
            "consistent_snapshot": consistent_snapshot,
        }
        return PoolTransaction(self, options)

    # -- a connection is found for a caller ------------------------------------------------------

    async def _acquire(
        self, timeout: float | None = None, taken: Taken | None = None
    ) -> Connection[Any]:
        """Acquire a connection.

        taken: what was taken for the caller already and is not LENDABLE.  Where a connection is, an
        AcquireContext gets it from the LeaseQueue without coming here.
        """
        self._check_home()
        options = self._options
        seconds = options.timeout if timeout is None else timeout
        deadline = None
        if seconds is not None and not math.isinf(seconds):
            deadline = self._loop.time() + seconds
        where = caller_frames() if options.debug else ""
        # Whoever was given a connection that is of no use asks again, but doesn't queue again.
        first = taken is not None
        while True:
            if taken is None:
                if self._shutdown.is_closing:
                    raise PoolClosed
                taken = self._leases.try_acquire() or await self._wait(deadline, seconds, first)
            holder, connection, verdict = taken
            if verdict in (Verdict.LOST, Verdict.EXPIRED):
                self._lose(holder, connection, verdict)
            elif verdict is LENDABLE or await self._verified(
                connection, verdict, deadline, seconds
            ):
                holder.acquired_where = where
                return connection
            taken, first = None, True

    async def _wait(self, deadline: float | None, seconds: float | None, first: bool) -> Taken:
        """Wait in the queue (`first`: at its head) until `deadline`, a time of the loop's clock."""
        options = self._options
        if options.max_waiting and not first:
            self._refuse_if_crowded()
        waiter = self._leases.enqueue(first=first)
        timer = None
        began = monotonic()
        try:
            if self._shutdown.is_closing:  # since it was looked at
                raise PoolClosed
            # (With all connections open it would do nothing.)
            if not options.maxsize or len(self._leases.holders) != options.maxsize:
                self._open_missing()
            if deadline is not None and seconds is not None:
                timer = self._loop.call_at(deadline, self._time_out, waiter, seconds)
            await waiter.waiter
            return self._leases.collect(waiter)
        except BaseException:
            self._on_waiter_cancelled(waiter)
            raise
        finally:
            self._leases.record_wait(monotonic() - began)
            if timer is not None:
                timer.cancel()
            del waiter, timer  # they hold the error, which holds this frame

    def _refuse_if_crowded(self) -> None:
        limit, leases = self._options.max_waiting, self._leases
        # Those for whom a connection is on its way or may be opened don't count.
        if leases.waiting + 1 - self._opener.count_coming() > limit and not leases.available:
            self._counters.refused += 1
            raise TooManyWaiters(
                f"{limit} callers wait for a connection already, option 'max_waiting': "
                + self._situation()
            )

    def _time_out(self, waiter: PoolWaiter, seconds: float) -> None:
        if waiter.is_waiting:
            waiter.fail(self._timed_out(seconds))

    def _timed_out(self, seconds: float) -> PoolTimeout:
        self._counters.timeouts += 1
        return PoolTimeout(
            f"no connection to {self._address!r} within {seconds} s: {self._situation()}"
        )

    def _situation(self) -> str:
        stats = self.get_stats()
        names = ("size", "maxsize", "acquired", "free", "connecting", "resetting", "waiting")
        figures = ", ".join(f"{name} {stats[name]}" for name in names)
        failures = self._opener.backoff.failures
        return f"{figures}; {failures} failed attempts to connect" if failures else figures

    def _on_waiter_cancelled(self, waiter: PoolWaiter) -> None:
        """Forget a caller that was cancelled or got an error, and pass on what it was given."""
        self._leases.discard(waiter)
        if waiter.connection is not None:
            pass_on(self.release, waiter.connection)

    def _lose(
        self, holder: ConnectionHolder, connection: Connection[Any], verdict: Verdict
    ) -> None:
        """Close a connection that was taken for a caller and is LOST or EXPIRED.

        Raises PoolClosed after `terminate`, OperationalError for one that was opened just now.
        """
        if self._leases.holders.get(holder.key) is not holder:
            # Between the hand-over and now `terminate` closed it, or it was collected with the
            # object whose finalizer released it.
            self._shutdown.terminated.pop(holder.key, None)
            if self._shutdown.is_closing:
                raise PoolClosed
            return
        self._give_up(connection, verdict.value)
        if holder.never_acquired:
            raise OperationalError(
                f"the server closed a new connection at once (connecting to {self._address})"
            )

    async def _verified(
        self,
        connection: Connection[Any],
        verdict: Verdict,
        deadline: float | None,
        seconds: float | None,
    ) -> bool:
        """Whether a connection that is to be acquired passes the ping and the callback `check`."""
        ping = verdict is Verdict.PING
        self._counters.pings += ping
        limit = asyncio.timeout_at(deadline)
        try:
            async with limit:
                await verify(connection, self._options, ping=ping)
                if connection.is_reusable:
                    return True
        except Exception as error:
            logger.warning("%r: dropping %r: %r", self, connection, error)
            self._give_up(connection, verdict.value)
            if isinstance(error, PingTimeout):
                # Where one peer is dead the others are as well; a new connect will tell.
                self._remove_available(verdict.value)
            if limit.expired() and seconds is not None:
                raise self._timed_out(seconds) from error
            return False
        except BaseException:
            self._give_up(connection, verdict.value)
            raise
        finally:
            del limit  # it holds the task, a task holds its error, and that holds this frame
        self._give_up(connection, verdict.value)
        return False

    def _give_up(self, connection: Connection[Any], reason: str) -> None:
        """Close a connection that was about to be acquired."""
        self._leases.requests -= 1
        self._remove(connection, reason)
        self._open_missing()
        self._shutdown.check()

    # -- it is released --------------------------------------------------------------------------

    def release(self, conn: Connection[Any]) -> Awaitable[None]:
        """Give an acquired connection back.

        Takes effect at once; what is returned need not be awaited: it waits until a rollback or
        reset of the session, if one is due, is over.  A closed connection leaves the pool, and so
        does one with rows of a streamed result unread, or, without `reset_session`, in a
        transaction.  Other results that nobody has read are read and dropped before; an error of
        the server in them is logged.  Changes that were not committed are lost, with a warning
        (option `warn_uncommitted` of `connect`).  Cursors of the connection send nothing any more.
        Raises InterfaceError for a connection that isn't acquired, and in a forked process.
        """
        verdict = self._leases.try_release(conn)
        return self._done if verdict is LENDABLE else self._release(conn, verdict)

    def _release(self, conn: Connection[Any], verdict: Verdict) -> Awaitable[None]:
        if self._forked_from:
            self._check_home()
        if self._loop.is_closed():
            conn.close()  # its caller was left in the middle, and is collected now
            return self._done
        found = find_acquired(self._leases.holders, conn)
        if found is None:
            self._forget_terminated(conn)
            return self._done
        holder, connection = found
        loses_changes = connection.loses_changes()
        is_over = self._take_back(holder, connection, verdict)
        if loses_changes:  # after that: the warning may be an error
            warn_of_lost_changes(connection, "given back to its pool")
        return is_over

    def _take_back(
        self, holder: ConnectionHolder, connection: Connection, verdict: Verdict
    ) -> Awaitable[None]:
        holder.connection = connection
        holder.acquired_where = ""
        holder.never_acquired = False
        leases = self._leases
        action = None
        if verdict is Verdict.UNKNOWN:
            verdict = leases.examine_released(holder, monotonic())
        if verdict is Verdict.UNCLEAN:
            action = action_after_release(connection, self._options)
            if action is ReleaseAction.RESET:
                verdict = leases.examine_kept(holder, monotonic())
        if action is ReleaseAction.CLOSE:
            connection.close()
        if action is ReleaseAction.RESET_UNAWAITED:
            self._reset(connection, holder)
        elif verdict is not LENDABLE:
            self._remove(connection, verdict.value)
        elif action is ReleaseAction.RESET:
            return self._reset(connection, holder)
        else:
            leases.make_available(holder, connection)
        if leases.waiting or len(leases.holders) < self._options.minsize:
            self._open_missing()
        self._shutdown.check()
        return self._done

    def _forget_terminated(self, conn: Connection[Any]) -> None:
        """Take note that a connection came back which `terminate` closed.

        Raises InterfaceError for one that isn't acquired.
        """
        terminated = self._shutdown.terminated
        for holder in [*terminated.values()]:  # comparing may be a proxy's
            if conn == holder.find():
                terminated.pop(holder.key, None)
                return
        raise InterfaceError(f"{conn!r} is not lent by {self!r}")

    # -- its session is reset --------------------------------------------------------------------

    def _reset(self, connection: Connection[Any], holder: ConnectionHolder) -> Awaitable[None]:
        # Not the task: a caller that is cancelled while it waits must not break off the reset.
        over: asyncio.Future[None] = self._loop.create_future()

        def finished(task: asyncio.Task[None]) -> None:
            self._resets.discard(task)
            if connection.is_reusable:
                self._hand_out(connection, holder)
            else:
                self._remove(connection, "reset")
            self._open_missing()
            if not over.done():
                over.set_result(None)

        self._counters.resets += 1
        self._resets.add(self._shutdown.start(clean(connection, self._options), finished))
        return over

    # -- it is closed ----------------------------------------------------------------------------

    def _remove(self, connection: Connection[Any], reason: str) -> None:
        """Take a connection that is neither available nor acquired out of the pool and close it.

        The goodbye to the server is said in the background, so that it logs no aborted connection.
        """
        self._leases.holders.pop(id(connection), None)
        self._counters.closed[reason] += 1
        if connection.closed and not connection.cancelling:
            return
        if self._loop.is_closed():
            connection.close()
        else:
            self._shutdown.start(goodbye(connection))

    def _remove_holder(self, holder: ConnectionHolder, reason: str) -> None:
        if holder.connection is not None:
            self._remove(holder.connection, reason)

    def _remove_available(self, reason: str) -> None:
        available = self._leases.available
        while available:
            self._remove_holder(available.popleft(), reason)

    def _on_collected(self, reference: Reference) -> None:
        """An acquired connection was garbage-collected (its own `__del__` closes it)."""
        key = reference.key
        holders, terminated = self._leases.holders, self._shutdown.terminated
        # Its id may be another one's already.
        if (holder := terminated.get(key)) is not None and holder.reference is reference:
            del terminated[key]
        elif (holder := holders.get(key)) is not None and holder.reference is reference:
            del holders[key]
            # A finalizer may have released it while it was collected, to be reset or available.
            if holder in self._leases.available:
                self._leases.available.remove(holder)
            self._counters.closed["forgotten"] += 1
            logger.warning(
                "%r: a connection was garbage-collected without having been released%s",
                self,
                _asked_at(holder),
            )
            self._open_missing()
            self._shutdown.check()

    # -- maintenance -----------------------------------------------------------------------------

    def _later(self, seconds: float, method: Callable[[], None]) -> asyncio.TimerHandle:
        """Call a method of this pool, if it is still there: a timer must not keep it alive."""
        return self._loop.call_later(seconds, _call, weakref.WeakMethod(method))

    def _schedule_maintenance(self) -> None:
        maintenance = self._maintenance
        maintenance.timer = self._later(maintenance.interval, self._run_maintenance)

    def _run_maintenance(self) -> None:
        """Replace available connections that are lost or old, report those acquired too long."""
        self._schedule_maintenance()
        now = monotonic()
        maintenance = self._maintenance
        maintenance.sample_usage(self._acquired, now)
        for holder, verdict in maintenance.take_unusable(now):
            self._remove_holder(holder, verdict.value)
        for holder in maintenance.take_unneeded(now, self.size):
            self._remove_holder(holder, "idle")
        for holder, seconds in maintenance.find_overdue(now):
            where = _asked_at(holder)
            if holder.acquired_by is not None:
                where = f", to {describe_task(holder)}{where}"
            logger.warning("%r: %r has been lent for %.1f s%s", self, holder.find(), seconds, where)
        if count := maintenance.count_long_waits(now):
            callers = "a caller has" if count == 1 else f"{count} callers have"
            self._report_wait(f"{callers} waited for a connection")
        self._open_missing()

    def _report_wait(self, what: str = "its end has been waited for") -> None:
        """Log a wait that is longer than option `report_wait_after`, and who has connections."""
        acquired = [holder for holder in [*self._leases.holders.values()] if holder.is_acquired]
        lines = [
            f"\n  {holder.find()!r} is acquired by {describe_task(holder)}"
            + (f"; it was asked for at:\n{holder.acquired_where}" * bool(holder.acquired_where))
            for holder in acquired[:_MOST_HOLDERS]
        ]
        if len(acquired) > _MOST_HOLDERS:
            lines.append(f"\n  and {len(acquired) - _MOST_HOLDERS} more")
        logger.warning(
            "%r: %s for more than %g s: %s%s",
            self,
            what,
            self._options.report_wait_after,
            self._situation(),
            "".join(lines),
        )

    async def clear(self) -> None:
        """Close all available connections."""
        self._check_home()
        self._remove_available("clear")
        await self._wait_for_goodbyes()

    async def drain(self) -> None:
        """Replace all connections: available ones now, acquired ones when they are released."""
        self._check_home()
        self._generation += 1
        for holder in [*self._leases.holders.values()]:
            holder.must_close = True
        self._remove_available("drain")
        self._open_missing()
        await self._wait_for_goodbyes()

    async def _wait_for_goodbyes(self) -> None:
        """Wait until the connections that are being closed are closed."""
        under_way = self._shutdown.tasks - self._opener.connects - self._resets
        if under_way:
            await asyncio.wait(under_way)

    def resize(self, minsize: int, maxsize: int | None = None) -> None:
        """Change the sizes; `maxsize` stays as it is when it is None.

        Connections that are too many are closed, acquired ones when they are released.  Raises
        TypeError or ValueError for impossible sizes, PoolClosed when the pool is closing.
        """
        self._check_home()
        options = self._options
        check_sizes(minsize, options.maxsize if maxsize is None else maxsize)
        if self._shutdown.is_closing:
            raise PoolClosed
        options.minsize = minsize
        if maxsize is not None:
            options.maxsize = maxsize
        self._set_rules()
        available = self._leases.available
        while available and 0 < options.maxsize < self.size:
            self._remove_holder(available.popleft(), "surplus")
        self._open_missing()

    # -- the pool is closed ----------------------------------------------------------------------

    def close(self) -> None:
        """Begin to close: nobody gets a connection any more, and those who wait get PoolClosed.

        Acquired connections stay usable until they are released.  `wait_closed` does the rest.
        """
        if self._forked_from:
            self._check_home()
        if self._shutdown.is_closing:
            return
        self._leases.is_open = False
        while (waiter := self._leases.pop_waiter()) is not None:
            waiter.fail(PoolClosed())
        for timer in (self._opener.retry, self._maintenance.timer):
            if timer is not None:
                timer.cancel()
        self._shutdown.cancel(self._opener.connects)

    def terminate(self) -> None:
        """Begin to close, and close acquired connections at once under their callers.

        Warns of changes in them that are not committed (option `warn_uncommitted`).
        """
        self._close_acquired(gently=False)

    def _close_acquired(self, *, gently: bool) -> None:
        """gently: with a goodbye where no statement is under way."""
        self.close()
        shutdown = self._shutdown
        shutdown.cancel(self._opener.connects)
        shutdown.cancel(self._resets)
        loses_changes = False
        for holder in [*self._leases.holders.values()]:
            connection = holder.find() if holder.is_acquired else None
            if connection is None:
                continue  # available, or garbage-collected: the pool is about to be told
            shutdown.terminated[holder.key] = holder
            loses_changes |= connection.loses_changes()
            if not gently or connection.busy or not connection.idle:
                connection.close()
            self._remove(connection, "close")
        shutdown.check()
        if loses_changes:  # in the end: the warning may be an error
            warn_of_lost_changes(self, "closed by its pool")

    async def wait_closed(self, timeout: float | None = None) -> None:
        """Wait until all acquired connections are released and all connections are closed.

        timeout: seconds after which acquired connections are closed under their callers (None:
        never).  May be called several times, also after it was cancelled.  Raises RuntimeError
        unless `close` or `terminate` was called before.
        """
        if timeout is not None:
            check_seconds("timeout", timeout, zero=True)
        shutdown = self._shutdown
        if shutdown.is_closed:
            return
        if not shutdown.is_closing:
            raise RuntimeError(".wait_closed() should be called after .close()")
        self._check_home()
        self._remove_available("close")
        shutdown.check()
        limit = asyncio.timeout(timeout)
        seconds = self._options.report_wait_after
        timer = None if seconds is None else self._later(seconds, self._report_wait)
        try:
            try:
                async with limit:
                    await shutdown.wait()
            except TimeoutError:
                if not limit.expired():
                    raise
            if limit.expired():
                self._close_acquired(gently=True)
                await shutdown.wait()
        finally:
            if timer is not None:
                timer.cancel()
        shutdown.is_closed = True

    # -- rules -----------------------------------------------------------------------------------

    def _set_rules(self) -> None:
        """Tell the LeaseQueue the rules; after each change of the options."""
        options, leases = self._options, self._leases
        leases.maxsize = options.maxsize
        leases.capacity = options.maxsize if options.needs_only_waiting else -1
        leases.max_age = math.inf if options.pool_recycle < 0 else options.pool_recycle
        leases.ping_after = math.inf if options.ping_after is None else options.ping_after
        leases.has_check = options.check is not None
        leases.resets_sessions = options.reset_session == "full" or options.reset is not None
        leases.records_times = options.report_lent_after is not None
        leases.records_tasks = options.report_wait_after is not None
        # A tracer wraps what is left out where callers are served without the pool.
        is_traced = (type(self)._acquire, type(self).release) != (_OWN_ACQUIRE, _OWN_RELEASE)
        leases.is_watched = bool(options.debug) or is_traced

    def _check_home(self) -> None:
        """Raise InterfaceError in a forked process, and on another event loop."""
        if self._forked_from:
            raise InterfaceError(
                f"{self!r} was made in process {self._forked_from}, before this one was forked: "
                "two processes can't share a connection, make a pool in each"
            )
        if asyncio.get_running_loop() is not self._loop:
            raise InterfaceError(
                f"{self!r} belongs to another event loop than the one that runs: make one in each"
            )

    def _on_forked(self) -> None:
        # Marked once, so that nobody needs to ask for the process id at each `acquire`.
        self._forked_from = os.getppid()
        self._leases.is_watched = True
        _inherited.extend(holder.find() for holder in [*self._leases.holders.values()])

    # -- `with` and `await` ----------------------------------------------------------------------

    def __await__(self) -> Generator[Any, None, PoolConnectionContextManager[Row]]:
        warn_caller(
            "`with await pool as conn` is deprecated, use `async with pool.acquire() as conn`",
            DeprecationWarning,
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


_OWN_ACQUIRE, _OWN_RELEASE = Pool._acquire, Pool.release

# Looked up when they are needed: a tracer may replace them.
_FUNCTIONS = PoolFunctions(
    acquire=lambda pool, timeout: pool._acquire() if timeout is None else pool._acquire(timeout),
    accept=lambda pool, timeout, *taken: pool._acquire(timeout, taken),
    release=lambda pool, connection, verdict: (
        pool.release(connection)
        if verdict is Verdict.UNKNOWN
        else pool._release(connection, verdict)
    ),
)


def _asked_at(holder: ConnectionHolder) -> str:
    if holder.acquired_where:
        return f"; it was asked for at:\n{holder.acquired_where}"
    return " (with debug=True the pool tells where it was asked for)"


def _collected(pool: weakref.ref[Pool[Any]]) -> OnCollected:
    def collected(reference: weakref.ref[Connection[Any]]) -> None:
        owner = pool()
        if owner is not None and isinstance(reference, Reference) and not owner._loop.is_closed():
            try:
                owner._loop.call_soon_threadsafe(owner._on_collected, reference)
            except RuntimeError:  # closed by another thread just now
                return

    return collected


def _call(method: weakref.WeakMethod[Callable[[], None]]) -> None:
    found = method()
    if found is not None:
        found()


_all: weakref.WeakSet[Pool[Any]] = weakref.WeakSet()

# The connections of the parent process, in a process that was forked. They must never be
# garbage-collected: that would take their sockets out of an epoll object that both share.
_inherited: list[Connection[Any] | None] = []


def _after_fork() -> None:
    for pool in _all:
        pool._on_forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
