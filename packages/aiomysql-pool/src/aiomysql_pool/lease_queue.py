"""Which connections are available, who waits for one, and how the one comes to the other.

Here is what happens nearly always: an available connection is acquired, a released one goes to the
caller that has waited longest.  Whatever takes more than that is the pool's affair.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from aiomysql_core import Connection
from aiomysql_core.engine.runner_state import nothing_to_end, wake_next
from aiomysql_core.waiting.waiter import Waiter, done_future
from aiomysql_pool._accelerator import accelerator
from aiomysql_pool.holder import ConnectionHolder


class PoolWaiter:
    """One caller in the queue, who awaits the `waiter` and then asks for the `outcome`.

    Made by `LeaseQueue.enqueue`.
    """

    __slots__ = ("_error", "connection", "holder", "ticket", "waiter")

    def __init__(self, waiter: Waiter, ticket: int) -> None:
        waiter.arm(None)
        self.waiter = waiter
        #: Tickets grow with the time of asking.
        self.ticket = ticket
        #: What was given, and its holder; None before.
        self.connection: Connection | None = None
        self.holder: ConnectionHolder | None = None
        self._error: BaseException | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether nothing was given yet, neither a connection nor an error nor a cancellation."""
        return self.waiter.armed

    def fail(self, error: BaseException) -> None:
        """Let the caller get `error`, unless it got something already."""
        if self.waiter.armed:
            self._error = error
            self.waiter.fire(False)

    def outcome(self) -> Connection:
        """What was given.  Raises the error that was given instead, RuntimeError before either."""
        if self.connection is not None:
            return self.connection
        error, self._error = self._error, None
        if error is None:
            raise RuntimeError("nothing was given yet")
        try:
            raise error
        finally:
            del error  # it holds the frame that holds this


PyPoolWaiter = PoolWaiter


class LeaseQueue:
    """The connections of a pool, and the queue of those who wait for one.

    It belongs to the event loop `loop`.  A finalizer may release a connection wherever memory is
    allocated: no step here leaves behind what such a release could not go on with.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._done_future = done_future(loop)
        self._waiters: OrderedDict[PoolWaiter, None] = OrderedDict()
        #: The holder of every open connection that is not being closed, by the connection's id.
        self.holders: dict[int, ConnectionHolder] = {}
        #: Those of the available ones, longest available first.
        self.available: deque[ConnectionHolder] = deque()
        #: Whether connections may change hands without the pool.
        self.is_open = False
        #: So many connections there are when no more will be opened and a caller who finds none
        #: needs nothing but to wait; -1: ask the pool.
        self.capacity = -1
        #: How many connections were acquired.
        self.requests = 0
        #: How many callers had to wait, and for how long together, in seconds.
        self.waited = 0
        self.wait_time = 0.0
        #: The ticket given out last.
        self.newest_ticket = 0

    @property
    def waiting(self) -> int:
        """How many callers wait."""
        return len(self._waiters)

    def record_wait(self, seconds: float) -> None:
        """Count a wait that is over, well or badly."""
        self.waited += 1
        self.wait_time += seconds

    # -- connections -----------------------------------------------------------------------------

    def try_acquire(self) -> Connection | None:
        """Take the first available connection; None if more is to be done than that."""
        if not (self.available and self.is_open and self._is_at_home()):
            return None
        holder = self.available.popleft()
        connection = holder.connection
        if connection is None or not nothing_to_end(holder.runner):
            self.available.appendleft(holder)
            return None
        holder.connection = None
        holder.never_acquired = False
        self.requests += 1
        return connection

    def try_release(self, connection: Connection) -> bool:
        """Make an acquired connection available again; False: more is to be done than that."""
        holder = self.holders.get(id(connection)) if self.is_open else None
        if holder is None or holder.connection is not None or not nothing_to_end(holder.runner):
            return False
        holder.never_acquired = False
        self.make_available(holder, connection)
        return True

    def make_available(self, holder: ConnectionHolder, connection: Connection) -> bool:
        """Give a connection to the oldest waiter or keep it; returns whether it was given."""
        waiter = self.pop_waiter() if self._waiters else None
        if waiter is None:
            holder.connection = connection
            self.available.append(holder)
            return False
        holder.connection = None
        self.requests += 1
        waiter.holder, waiter.connection = holder, connection
        wake_next(holder.runner, waiter.waiter)
        return True

    # -- the queue -------------------------------------------------------------------------------

    def enqueue(self, *, first: bool = False) -> PoolWaiter:
        """A new waiter, the last in the queue or the first."""
        waiter = PyPoolWaiter(
            Waiter(self._loop, asyncio.CancelledError, self._done_future), self.newest_ticket + 1
        )
        self.newest_ticket += 1
        self._waiters[waiter] = None
        if first:
            self._waiters.move_to_end(waiter, last=False)
        if self.available:
            self._serve_waiters()
        return waiter

    def try_enqueue(self) -> PoolWaiter | None:
        """The same if a caller has nothing to do but to wait; None if the pool is to be asked.

        That is when not all connections are open that may be, or one is available.
        """
        if self.available or not self._is_complete() or not self._is_at_home():
            return None
        waiter = self.enqueue()
        # While the waiter was made a finalizer may have closed a connection, or the pool.
        if self._is_complete() or not waiter.waiter.armed:
            return waiter
        self.discard(waiter)
        return None

    def _serve_waiters(self) -> None:
        """Somebody has come into the queue: what a finalizer released just before found nobody."""
        while self.available and self._waiters:
            holder = self.available.popleft()
            if (connection := holder.connection) is not None:
                self.make_available(holder, connection)

    def pop_waiter(self, ticket: int | None = None) -> PoolWaiter | None:
        """Take out the oldest waiter; None if there is none, or its ticket is above `ticket`."""
        waiters = self._waiters
        while waiters:
            waiter, _ = waiters.popitem(last=False)
            if waiter.waiter.armed:
                if ticket is None or waiter.ticket <= ticket:
                    return waiter
                waiters[waiter] = None
                waiters.move_to_end(waiter, last=False)
                self._serve_waiters()
                break
        return None

    def discard(self, waiter: PoolWaiter) -> None:
        """Take out a waiter, if it is in the queue."""
        self._waiters.pop(waiter, None)

    def _is_complete(self) -> bool:
        """Whether all connections are open that will be, and change hands without the pool."""
        return self.is_open and len(self.holders) == self.capacity

    def _is_at_home(self) -> bool:
        """Whether the queue's event loop runs, in this thread."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False


PyLeaseQueue = LeaseQueue
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    PoolWaiter = _c.PoolWaiter
    LeaseQueue = _c.LeaseQueue
