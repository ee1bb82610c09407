"""How connections are borrowed from a pool."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from time import monotonic

from aiomysql_core import Connection, OperationalError
from aiomysql_core.log import logger
from aiomysql_pool.acquire import AcquireContext, PoolFunctions
from aiomysql_pool.errors import PoolClosed, PoolTimeout, TooManyWaiters
from aiomysql_pool.lease_queue import PoolWaiter
from aiomysql_pool.lifecycle import PingTimeout, borrower, verify
from aiomysql_pool.options import check_seconds
from aiomysql_pool.release import Returning


class Borrowing(Returning):
    """Base of Pool: hands connections out.

    Where there is nothing else to do the shelf does it by itself.
    """

    def acquire(self, timeout: float | None = None) -> AcquireContext:
        """Borrow a connection: `await pool.acquire()` or `async with pool.acquire() as conn`.

        Awaiting gives an open connection.  It doesn't suspend when one is idle; else the caller
        gets the first that is released or newly opened, in the order of asking.  timeout: seconds
        that this may take (None: as the pool's option `timeout` says; math.inf: no limit).

        Raises PoolClosed, PoolTimeout, TooManyWaiters, and what `aiomysql_core.connect` and the
        callbacks raise; InterfaceError in a forked process and on another event loop.
        """
        if timeout is not None:
            check_seconds("timeout", timeout, zero=True)
        return AcquireContext(self._leases, _FUNCTIONS, self, timeout)

    def _ask(self, timeout: float | None) -> Awaitable[Connection]:
        return self._acquire() if timeout is None else self._acquire(timeout)

    def _note_wait(self, began: float) -> None:
        self._leases.record_wait(monotonic() - began)

    async def _accept_or_ask(self, connection: Connection) -> Connection:
        """What came from the queue if it can be lent, or else another one."""
        return connection if self._accept(connection) else await self._acquire(first=True)

    def _accept(self, connection: Connection) -> bool:
        """Can a connection that was handed over be lent?  If not it is given up.

        Raises PoolClosed after `terminate`, OperationalError when a new one is closed already.
        """
        holder = self._holders.get(id(connection))
        if holder is None:
            # Between the hand-over and now `terminate` closed it, or it was collected with the
            # object whose finalizer gave it back.
            self._terminated.pop(id(connection), None)
            if self._closing:
                raise PoolClosed
            return False
        fresh, holder.never_acquired = holder.never_acquired, False
        if holder.runner.at_rest():
            return True
        self._give_up(connection, "lost")
        if fresh:
            raise OperationalError(
                f"the server closed a new connection at once (connecting to {self._where})"
            )
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
            holder = self._holders.get(id(connection))
            fresh = holder is not None and holder.never_acquired
            # Lost between the hand-over and now: ask again, but don't queue again.
            first = True
            if (
                self._accept(connection)
                and holder is not None
                and (
                    fresh
                    or not (self._needs_ping(connection) or options.check is not None)
                    or await self._verified(connection, deadline, seconds)
                )
            ):
                holder.acquired_where = where
                return connection

    def _take_idle(self) -> Connection | None:
        now = monotonic()
        options = self._options
        found = None
        while self._idle and found is None:
            holder = self._idle.popleft()
            if not holder.runner.at_rest():
                self._remove_holder(holder, "lost")
            elif now >= holder.expires_at or 0 <= options.pool_recycle < now - holder.opened_at:
                self._remove_holder(holder, "expired")
            else:
                found, holder.connection = holder.connection, None
                holder.never_acquired = False
                holder.record_acquired()
                self._leases.requests += 1
        if len(self._idle) < self._least_free:
            self._least_free = len(self._idle)
        if len(self._holders) < options.minsize:
            self._open_missing()
        return found

    async def _wait(self, deadline: float | None, seconds: float | None, first: bool) -> Connection:
        """Wait in the queue (`first`: at its head) until `deadline`, a time of the loop's clock."""
        options = self._options
        if options.max_waiting and not first:
            self._refuse_if_crowded()
        turn = self._leases.enqueue(first=first)
        timer = None
        began = monotonic()
        try:
            if self._closing:  # since it was looked at
                raise PoolClosed
            if not options.maxsize or len(self._holders) != options.maxsize:  # or it does nothing
                self._open_missing()
            if deadline is not None and seconds is not None:
                timer = self._loop.call_at(deadline, self._time_out, turn, seconds)
            await turn.waiter
            return turn.outcome()
        except BaseException:
            self._on_waiter_cancelled(turn)
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
            coming += maxsize - self.size if maxsize else self._leases.waiting + 1
        if self._leases.waiting + 1 - coming > limit and not self._idle:
            self._counters.refused += 1
            raise TooManyWaiters(
                f"{limit} callers wait for a connection already, option 'max_waiting': "
                + self._situation()
            )

    def _time_out(self, turn: PoolWaiter, seconds: float) -> None:
        if turn.is_waiting:
            turn.fail(self._timed_out(seconds))

    def _timed_out(self, seconds: float) -> PoolTimeout:
        self._counters.timeouts += 1
        return PoolTimeout(
            f"no connection to {self._where!r} within {seconds} s: {self._situation()}"
        )

    def _situation(self) -> str:
        stats = self.get_stats()
        names = ("size", "maxsize", "lent", "free", "connecting", "resetting", "waiting")
        figures = ", ".join(f"{name} {stats[name]}" for name in names)
        failures = self._backoff.failures
        return f"{figures}; {failures} failed attempts to connect" if failures else figures

    def _on_waiter_cancelled(self, turn: PoolWaiter) -> None:
        """Forget a caller that was cancelled or got an error, and pass on what it was given."""
        self._leases.discard(turn)
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
                if connection.is_reusable:
                    return True
        except Exception as error:
            logger.warning("%r: dropping %r: %r", self, connection, error)
            self._give_up(connection, reason)
            if isinstance(error, PingTimeout):
                # Where one peer is dead the others are as well; a new connect will tell.
                self._remove_available(reason)
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
        self._leases.requests -= 1
        self._remove(connection, reason)
        self._open_missing()
        self._check_drained()


# Asked for when they are needed: a tracer may replace them.
_FUNCTIONS = PoolFunctions(
    acquire=lambda pool, timeout: pool._ask(timeout),
    accept=lambda pool, connection: pool._accept_or_ask(connection),
    release=lambda pool, connection: pool.release(connection),
)
