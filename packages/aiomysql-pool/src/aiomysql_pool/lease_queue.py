"""Which connections are available, who waits for one, and how the one comes to the other.

An available connection is acquired, a released one goes to the caller that has waited longest.
Each time its holder is examined, here and nowhere else; what is to be done by a verdict other than
LENDABLE is the pool's affair.
"""

from __future__ import annotations

import asyncio
import math
from asyncio import _get_running_loop as running_loop  # None where none runs
from collections import OrderedDict, deque
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import ref

from aiomysql_core import Connection
from aiomysql_core.engine.runner_state import hand_over, wake_next
from aiomysql_core.waiting.waiter import Waiter, done_future
from aiomysql_pool._accelerator import accelerator
from aiomysql_pool.holder import ConnectionHolder
from aiomysql_pool.verdict import LENDABLE, Verdict

#: A connection that was taken for a caller, after its holder, and what is to be done with it.
Taken = tuple[ConnectionHolder, Connection[Any], Verdict]


class PoolWaiter:
    """One caller in the queue, who awaits the `waiter` and then asks for the `outcome`.

    Made by `LeaseQueue.enqueue`.
    """

    __slots__ = ("_error", "connection", "holder", "ticket", "waiter")

    def __init__(self, waiter: Waiter, ticket: int) -> None:
        waiter.arm(None)
        self.waiter: Waiter = waiter
        #: Tickets grow with the time of asking.
        self.ticket: int = ticket
        #: What was given, and its holder; None before.
        self.connection: Connection[Any] | None = None
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

    def outcome(self) -> Connection[Any]:
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
        # The rules, which the pool sets.
        #: Whether the pool is open: it is not closing.
        self.is_open = False
        #: Whether nothing may change hands without the pool's methods.
        self.is_watched = False
        #: How many connections there may be; 0: any number.
        self.maxsize = 0
        #: So many connections there are when no more will be opened and a caller who finds none
        #: needs nothing but to wait; -1: ask the pool.
        self.capacity = -1
        #: Seconds after its opening when an available connection is too old.
        self.max_age: float = math.inf
        #: Seconds without a response after which a connection is to be pinged.
        self.ping_after: float = math.inf
        #: Whether there is a callback `check`.
        self.has_check = False
        #: Whether something is to be done with each session that is released.
        self.resets_sessions = False
        #: Whether `ConnectionHolder.acquired_at` is to be kept.
        self.records_times = False
        #: Whether `ConnectionHolder.acquired_by` is to be kept.
        self.records_tasks = False
        #: How few connections were available since this was set.
        self.least_available: int = 0
        #: How many connections were acquired.
        self.requests: int = 0
        #: How many callers had to wait, and for how long together, in seconds.
        self.waited: int = 0
        self.wait_time: float = 0.0
        #: The ticket given out last.
        self.newest_ticket: int = 0

    @property
    def waiting(self) -> int:
        """How many callers wait."""
        return len(self._waiters)

    def record_wait(self, seconds: float) -> None:
        """Count a wait that is over, well or badly."""
        self.waited += 1
        self.wait_time += seconds

    def is_direct(self) -> bool:
        """Whether callers are served without the pool's methods, here and now."""
        return self.is_open and not self.is_watched and running_loop() is self._loop

    # -- a connection is examined ----------------------------------------------------------------

    def examine_available(self, holder: ConnectionHolder, now: float) -> Verdict:
        """LENDABLE, LOST, EXPIRED, PING or CHECK; now: of time.monotonic, as all times here."""
        runner = holder.runner
        if not (hand_over(runner) or runner.is_reusable):
            return Verdict.LOST
        if now >= holder.expires_at or now - holder.opened_at > self.max_age:
            return Verdict.EXPIRED
        return self._examine_use(holder, now)

    def examine_handed_over(self, holder: ConnectionHolder, now: float) -> Verdict:
        """LENDABLE, LOST, PING or CHECK, of one that a waiter was given.

        It was young enough then.  Since then the pool may have been closed under its callers: what
        has left it is LOST, too.
        """
        runner = holder.runner
        has_left = not self.is_open and self.holders.get(holder.key) is not holder
        if has_left or not (hand_over(runner) or runner.is_reusable):
            return Verdict.LOST
        return self._examine_use(holder, now)

    def _examine_use(self, holder: ConnectionHolder, now: float) -> Verdict:
        if holder.never_acquired:  # it was checked when it was opened, just now
            return LENDABLE
        if now - holder.runner.last_usage >= self.ping_after:
            return Verdict.PING
        return Verdict.CHECK if self.has_check else LENDABLE

    def examine_released(self, holder: ConnectionHolder, now: float) -> Verdict:
        """LENDABLE, UNCLEAN, or why it can't be kept."""
        if not hand_over(holder.runner) or self.resets_sessions:
            return Verdict.UNCLEAN
        return self.examine_kept(holder, now)

    def examine_kept(self, holder: ConnectionHolder, now: float) -> Verdict:
        """LENDABLE, or why a connection that is at rest can't be kept: CLOSING, DRAINED, SURPLUS or
        EXPIRED.
        """
        if not self.is_open:
            return Verdict.CLOSING
        if holder.must_close:
            return Verdict.DRAINED
        if 0 < self.maxsize < len(self.holders):
            return Verdict.SURPLUS
        return Verdict.EXPIRED if now >= holder.expires_at else LENDABLE

    # -- connections -----------------------------------------------------------------------------

    def try_acquire(self) -> Taken | None:
        """Take the first available connection, whatever its verdict is; None: there is none."""
        available = self.available
        while available:
            holder = available.popleft()
            connection = holder.connection
            if connection is None:
                continue
            holder.never_acquired = False
            now = monotonic()
            try:
                verdict = self.examine_available(holder, now)
            except BaseException:
                available.appendleft(holder)
                raise
            if len(available) < self.least_available:
                self.least_available = len(available)
            self._record_acquired(holder, now)
            if self.records_tasks:
                self._record_task(holder)
            return holder, connection, verdict
        return None

    def collect(self, waiter: PoolWaiter) -> Taken:
        """What a waiter was given.  Raises what its `outcome` raises."""
        connection, holder = waiter.outcome(), waiter.holder
        if holder is None:
            raise RuntimeError("nothing was given yet")
        verdict = self.examine_handed_over(holder, monotonic())
        if verdict is not Verdict.LOST:  # that a new one is lost is an error
            holder.never_acquired = False
            if self.records_tasks:
                self._record_task(holder)
        return holder, connection, verdict

    def _record_acquired(self, holder: ConnectionHolder, now: float) -> None:
        holder.connection = None
        self.requests += 1
        if self.records_times:
            holder.acquired_at, holder.is_reported = now, False

    def _record_task(self, holder: ConnectionHolder) -> None:
        """The task that runs has it now."""
        task = asyncio.current_task(self._loop)
        try:
            holder.acquired_by = None if task is None else ref(task)
        except TypeError:  # a task of another's that can't be referred to so
            holder.acquired_by = None

    def try_release(self, connection: Connection[Any]) -> Verdict:
        """Make an acquired connection available again if it is LENDABLE.

        UNKNOWN: it is not acquired, or the pool has to look at it.
        """
        direct = self.is_open and not self.is_watched
        holder = self.holders.get(id(connection)) if direct else None
        if holder is None or holder.connection is not None:
            return Verdict.UNKNOWN
        verdict = self.examine_released(holder, monotonic())
        if verdict is LENDABLE:
            holder.never_acquired = False
            self.make_available(holder, connection)
        return verdict

    def make_available(self, holder: ConnectionHolder, connection: Connection[Any]) -> bool:
        """Give a connection to the oldest waiter or keep it; returns whether it was given."""
        waiter = self.pop_waiter() if self._waiters else None
        if waiter is None:
            holder.connection = connection
            self.available.append(holder)
            return False
        self._record_acquired(holder, monotonic())
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

        That is when not all connections are open that may be, or one is available.  To be asked
        where the queue `is_direct`.
        """
        if self.available or not self._is_complete():
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

    def tickets(self) -> list[int]:
        """Those of the callers that wait, in the order in which they will be served."""
        return [waiter.ticket for waiter in self._waiters]

    def _is_complete(self) -> bool:
        """Whether all connections are open that will be, and change hands without the pool."""
        return self.is_open and not self.is_watched and len(self.holders) == self.capacity


PyLeaseQueue = LeaseQueue
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    PoolWaiter = _c.PoolWaiter
    LeaseQueue = _c.LeaseQueue
