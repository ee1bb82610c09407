"""A pool of connections.

The pool has no lock. Its state changes only between two suspensions of the event loop, and whatever
takes time (connecting, resetting, saying goodbye) runs in a task of its own, which changes the
state when it is done. Whoever finds no connection waits in one queue: a connection that becomes
free or is newly opened always goes to the oldest waiter, no matter who caused it.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import warnings
from collections.abc import Awaitable, Generator
from dataclasses import fields
from threading import get_ident
from time import monotonic
from types import TracebackType
from typing import Any, NoReturn, Self, overload

from aiomysql_core import Connection, InterfaceError, OperationalError, connect
from aiomysql_core.dsn import is_dsn, parse_dsn
from aiomysql_core.log import logger
from aiomysql_pool.awaitable import (
    PoolAcquireContextManager,
    PoolConnectionContextManager,
    PoolContextManager,
)
from aiomysql_pool.closing import Closing
from aiomysql_pool.errors import PoolClosed as PoolClosed
from aiomysql_pool.errors import PoolTimeout as PoolTimeout
from aiomysql_pool.errors import TooManyWaiters as TooManyWaiters
from aiomysql_pool.lifecycle import PingTimeout, borrower, clean, prepare, verify
from aiomysql_pool.options import Callback, PoolOptions, check_seconds
from aiomysql_pool.places import Place
from aiomysql_pool.waiters import Turn

_PoolContextManager = PoolContextManager  # the classic name


async def _create_pool(
    minsize: int = 1,
    maxsize: int = 10,
    echo: bool = False,
    pool_recycle: float = -1,
    loop: asyncio.AbstractEventLoop | None = None,
    **kwargs: Any,
) -> Pool:
    pool = Pool(minsize, maxsize, echo, pool_recycle, loop, **kwargs)
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
    return signature.replace(parameters=[*named, *further, keywords])


_SIGNATURE = _signature()


@overload
def create_pool(
    minsize: int = 1,
    maxsize: int = 10,
    echo: bool = False,
    pool_recycle: float = -1,
    loop: asyncio.AbstractEventLoop | None = None,
    *,
    timeout: float | None = None,
    max_waiting: int = 0,
    max_lifetime: float | None = None,
    max_idle: float | None = None,
    ping_after: float | None = None,
    reset_session: str | None = None,
    configure: Callback | None = None,
    check: Callback | None = None,
    reset: Callback | None = None,
    report_lent_after: float | None = None,
    debug: bool | None = None,
    **kwargs: Any,
) -> PoolContextManager[Pool]: ...
@overload
def create_pool(dsn: str, /, **kwargs: Any) -> PoolContextManager[Pool]: ...
def create_pool(*args: Any, **kwargs: Any) -> PoolContextManager[Pool]:
    """Open a pool; to be awaited or used with `async with`, which also closes it.

    minsize, maxsize: connections that are opened at once and kept, and that may exist at a time (0:
    any number).  echo: log the statements.  loop: ignored, deprecated.
    timeout: seconds that `acquire` waits at most (None: for ever).  max_waiting: callers that may
    wait for a connection to be released (0: any number).
    pool_recycle: seconds after which a connection is replaced when it would be lent (-1: never).
    max_lifetime: the same, up to 10 % earlier and also while it is idle.  max_idle: seconds after
    which connections above `minsize` that nobody needed are closed.  ping_after: seconds without an
    answer from the server after which a connection is pinged before it is lent.
    reset_session: None closes a connection that is released in a transaction; "rollback" rolls back
    and keeps it; "full" resets the session after each release (see `Connection.reset`).
    configure: called with each new connection; check: before a connection is lent, an error or
    False replaces it; reset: after a release.  All may be coroutine functions.
    report_lent_after: seconds after which a connection that is still lent is logged; debug: also
    tell where it was asked for (None: as the event loop's debug mode).

    All other keywords go to `aiomysql_core.connect`.  A data source name,
    `mysql://user:password@host:port/database?minsize=2`, may stand in the first place; other
    arguments, which must be named then, override its parts.

    Raises TypeError or ValueError for an impossible option and what `connect` and `configure`
    raise; then nothing stays open.
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


class Pool(Closing):
    """Lends open connections; made by `create_pool`.

    Must be made while the event loop runs, and belongs to that loop and this process.
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
        super().__init__(
            *PoolOptions.split({**kwargs, **sizes, "echo": echo, "pool_recycle": pool_recycle})
        )
        self._traced = type(self)._acquire is not _acquire
        self._waiters.simple = self._options.timeout is None and not self._options.max_waiting
        self._update_plain()

    async def _fill(self) -> None:
        """Open `minsize` connections; raises the first error."""
        self._open_missing()
        if self._connects:
            tasks, _ = await asyncio.wait(self._connects, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:
                task.result()
        if not self._closing:
            self._next_round()

    async def _connect(self) -> tuple[Connection, Place]:
        connection = await connect(echo=self._options.echo, **self._conn_kwargs)
        await prepare(connection, self._options)
        try:
            return connection, self._new_place(connection)
        except BaseException:  # a tracer's proxy that can't be referred to weakly
            connection.close()
            raise

    # -- borrowing -------------------------------------------------------------------------------

    def acquire(self, timeout: float | None = None) -> PoolAcquireContextManager:
        """Borrow a connection: `await pool.acquire()` or `async with pool.acquire() as conn`.

        Awaiting gives an open connection.  It doesn't suspend when one is idle; else the caller
        gets the first that is released or newly opened, in the order of asking.  timeout: seconds
        that this may take (None: as the pool's option `timeout` says; math.inf: no limit).

        Raises PoolClosed, PoolTimeout, TooManyWaiters, and what `aiomysql_core.connect` and the
        callbacks raise; InterfaceError in a forked process and on another event loop.
        """
        if timeout is not None:
            check_seconds("timeout", timeout, zero=True)
        manager = PoolAcquireContextManager()
        manager._pool = self
        manager._timeout = timeout
        return manager

    def _take(self) -> Connection | None:
        """Borrow an idle connection if nothing is to be done for that; None otherwise."""
        idle = self._idle
        if idle and self._plain and get_ident() == self._thread and self._loop_runs():
            place = idle.popleft()
            connection = place.held
            if connection is not None and place.link.at_rest():
                place.held = None
                self._requests += 1
                return connection
            self._dismiss_place(place, "lost")
        return None

    def _ask(self, timeout: float | None) -> Awaitable[Connection]:
        return self._acquire() if timeout is None else self._acquire(timeout)

    def _queue_up(self) -> Turn | None:
        """A place in the queue, if all there is to do is to wait; None otherwise."""
        waiters = self._waiters
        if (
            not (self._plain and waiters.simple)
            or len(self._places) != self._options.maxsize
            or get_ident() != self._thread
        ):
            return None
        turn = waiters.spare.pop() if waiters.spare else Turn(self._loop)
        waiters.newest += 1
        waiters[turn] = waiters.newest
        return turn

    def _note_wait(self, began: float) -> None:
        self._counters.waited += 1
        self._counters.wait_time += monotonic() - began

    async def _accept_or_ask(self, connection: Connection) -> Connection:
        """What came from the queue if it can be lent, or else another one."""
        return connection if self._accept(connection) else await self._acquire(first=True)

    def _accept(self, connection: Connection) -> bool:
        """Can a connection that was handed over be lent?  If not it is given up.

        Raises PoolClosed after `terminate`, OperationalError when a new one is closed already.
        """
        place = self._places.get(id(connection))
        if place is None:  # `terminate` closed it between the hand-over and now
            self._terminated.pop(id(connection), None)
            raise PoolClosed
        fresh, place.fresh = place.fresh, False
        if place.link.at_rest():
            return True
        self._give_up(connection, "lost")
        if fresh:
            raise OperationalError("the server closed a new connection at once")
        return False

    async def _acquire(self, timeout: float | None = None, *, first: bool = False) -> Connection:
        """Borrow a connection; `first`: who waited already doesn't queue again."""
        self._check_home()
        options = self._options
        seconds = options.timeout if timeout is None else timeout
        deadline = None
        if seconds is not None and not math.isinf(seconds):
            deadline = self._loop.time() + seconds
        where = borrower() if options.debug else ""
        while True:
            if self._closing:
                raise PoolClosed
            connection = self._take_idle() if self._idle else None
            if connection is None:
                connection = await self._wait(deadline, seconds, first)
            place = self._places.get(id(connection))
            fresh = place is not None and place.fresh
            # Lost between the hand-over and now: ask again, but don't queue again.
            first = True
            if (
                self._accept(connection)
                and place is not None
                and (
                    fresh
                    or not (self._needs_ping(connection) or options.check is not None)
                    or await self._verified(connection, deadline, seconds)
                )
            ):
                place.where = where
                return connection

    def _take_idle(self) -> Connection | None:
        now = monotonic()
        options = self._options
        found = None
        while self._idle and found is None:
            place = self._idle.popleft()
            if not place.link.at_rest():
                self._dismiss_place(place, "lost")
            elif now >= place.expires or 0 <= options.pool_recycle < now - place.opened:
                self._dismiss_place(place, "expired")
            else:
                found = place.held
                place.fresh = False
                self._lend(place)
        if len(self._idle) < self._least_free:
            self._least_free = len(self._idle)
        if len(self._places) < options.minsize:
            self._open_missing()
        return found

    async def _wait(self, deadline: float | None, seconds: float | None, first: bool) -> Connection:
        """Wait in the queue (`first`: at its head) until `deadline`, a time of the loop's clock."""
        options = self._options
        if options.max_waiting and not first:
            self._refuse_if_crowded()
        turn = Turn(self._loop)
        self._waiters.add(turn, first=first)
        if len(self._places) != options.maxsize:  # or else it would do nothing
            self._open_missing()
        timer = None
        if deadline is not None and seconds is not None:
            timer = self._loop.call_at(deadline, self._time_out, turn, seconds)
        began = monotonic()
        try:
            await turn.waiter
            return turn.outcome()
        except BaseException:
            self._abandon(turn)
            raise
        finally:
            self._note_wait(began)
            if timer is not None:
                timer.cancel()
            del turn, timer  # they hold the error, which holds this frame

    def _refuse_if_crowded(self) -> None:
        limit, maxsize = self._options.max_waiting, self._options.maxsize
        # Those for whom a connection is on its way or may be opened don't count.
        coming = len(self._connects)
        if not self._backoff.failures:
            coming += maxsize - self.size if maxsize else len(self._waiters) + 1
        if len(self._waiters) + 1 - coming > limit:
            self._counters.refused += 1
            raise TooManyWaiters(
                f"{limit} callers wait for a connection already, option 'max_waiting': "
                + self._situation()
            )

    def _time_out(self, turn: Turn, seconds: float) -> None:
        if turn.waiting:
            turn.fail(self._timed_out(seconds))

    def _timed_out(self, seconds: float) -> PoolTimeout:
        self._counters.timeouts += 1
        return PoolTimeout(f"no connection within {seconds} s: {self._situation()}")

    def _situation(self) -> str:
        stats = self.get_stats()
        names = ("size", "maxsize", "lent", "free", "connecting", "resetting", "waiting")
        figures = ", ".join(f"{name} {stats[name]}" for name in names)
        failures = self._backoff.failures
        return f"{figures}; {failures} failed attempts to connect" if failures else figures

    def _abandon(self, turn: Turn) -> None:
        """Forget a caller that was cancelled or got an error, and pass on what it was given."""
        self._waiters.pop(turn, None)
        if turn.connection is not None:
            self.release(turn.connection)

    def _needs_ping(self, connection: Connection) -> bool:
        limit = self._options.ping_after
        return limit is not None and monotonic() - connection.last_usage >= limit

    async def _verified(
        self, connection: Connection, deadline: float | None, seconds: float | None
    ) -> bool:
        """Whether a connection that is to be lent passes the ping and the callback `check`."""
        options = self._options
        ping = self._needs_ping(connection)
        self._counters.pings += ping
        reason = "ping" if ping else "check"
        limit = asyncio.timeout_at(deadline)
        try:
            async with limit:
                await verify(connection, options, ping=ping)
                if connection.reusable:
                    return True
        except Exception as error:
            logger.warning("%r: dropping %r: %r", self, connection, error)
            self._give_up(connection, reason)
            if isinstance(error, PingTimeout):
                # Where one peer is dead the others are as well; a new connect will tell.
                self._dismiss_idle(reason)
            if limit.expired() and seconds is not None:
                raise self._timed_out(seconds) from error
            return False
        except BaseException:
            self._give_up(connection, reason)
            raise
        finally:
            del limit  # it holds the task, a task holds its error, and that holds this frame
        self._give_up(connection, reason)
        return False

    def _give_up(self, connection: Connection, reason: str) -> None:
        """Close a connection that was about to be lent."""
        self._requests -= 1
        self._dismiss(connection, reason)
        self._open_missing()
        self._check_drained()

    # -- giving back -----------------------------------------------------------------------------

    def release(self, conn: Connection) -> Awaitable[None]:
        """Give a borrowed connection back.

        Takes effect at once; what is returned need not be awaited: it waits until a rollback or
        reset of the session, if one is due, is over.  A closed connection leaves the pool, and so
        does one with an answer unread, or, without `reset_session`, in a transaction.  Raises
        InterfaceError for a connection that isn't lent, and in a forked process.
        """
        place = self._places.get(id(conn))
        if place is not None and place.held is None and self._plain and place.link.at_rest():
            turn = self._waiters.next() if self._waiters else None
            if turn is None:
                place.held = conn
                self._idle.append(place)
            else:
                place.fresh = False
                self._requests += 1
                turn.connection = conn
                try:
                    place.link.wake(turn.waiter)
                except RuntimeError:
                    turn.connection = None
                    if not self._loop.is_closed():
                        raise
                    return self._take_back(conn)
            return self._done
        return self._take_back(conn)

    def _take_back(self, conn: Connection) -> Awaitable[None]:
        if self._forked_from:
            self._check_home()
        if self._loop.is_closed():
            conn.close()  # its borrower was left in the middle, and is collected now
            return self._done
        place = self._places.get(id(conn))
        own: Connection | None = conn
        if place is None or place.held is not None or place() is not conn:
            place, own = self._find(conn)
        if own is None:
            self._terminated.pop(place.key, None)
            return self._done
        place.held = own
        place.where = ""
        place.fresh = False
        options = self._options
        reusable = place.link.at_rest()
        # Sound, but in a transaction.
        in_transaction = not reusable and own.idle and not own.busy and not own.closed
        rolls_back = options.reset_session is not None and in_transaction
        if not (reusable or rolls_back):
            own.close()
            self._dismiss(own, "unusable")
        elif rolls_back or options.reset_session == "full" or options.reset is not None:
            if (reason := self._why_not_kept(place)) is None:
                return self._start_cleaning(own, place)
            self._dismiss(own, reason)
        else:
            self._offer(own, place)
        if self._waiters or len(self._places) < options.minsize:
            self._open_missing()
        if self._closing:
            self._check_drained()
        return self._done

    def _find(self, conn: Connection) -> tuple[Place, Connection | None]:
        """The place of a lent connection and the pool's own object for it.

        What comes back may be a tracer's proxy that only equals the connection.  None for the
        object: `terminate` closed it.  Raises InterfaceError for a connection that isn't lent.
        """
        for place in self._places.values():
            if place.lent and (own := place()) is not None and conn == own:
                return place, own
        for place in self._terminated.values():
            if conn == place():
                return place, None
        raise InterfaceError(f"{conn!r} is not lent by {self!r}")

    def _start_cleaning(self, connection: Connection, place: Place) -> Awaitable[None]:
        # Not the task: a caller that is cancelled while it waits must not break off the reset.
        over: asyncio.Future[None] = self._loop.create_future()

        def finished(task: asyncio.Task[None]) -> None:
            self._cleaning.discard(task)
            if connection.reusable:
                self._offer(connection, place)
            else:
                self._dismiss(connection, "reset")
            self._open_missing()
            if not over.done():
                over.set_result(None)

        self._counters.resets += 1
        self._cleaning.add(self._start(clean(connection, self._options), finished))
        return over

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


_acquire = Pool._acquire
