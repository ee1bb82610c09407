"""How connections come into a pool and leave it."""

from __future__ import annotations

import asyncio
import copy
import logging
import random
import weakref
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from aiomysql_core import Connection
from aiomysql_core.log import logger
from aiomysql_pool.holder import ConnectionHolder, OnCollected, Reference
from aiomysql_pool.lifecycle import goodbye
from aiomysql_pool.state import PoolState

T = TypeVar("T")

#: Seconds between two looks at the idle connections; fewer if an option is more exact than that.
ROUND = 1.0

#: Up to this part of `max_lifetime` is taken off at random, so that connections which were opened
#: together are not replaced together.
JITTER = 0.1


class Supply(PoolState):
    """Base of Pool: opens what is wanted, replaces what is lost, closes what is too much."""

    @abstractmethod
    async def _connect(self) -> tuple[Connection, ConnectionHolder]: ...

    # -- opening ---------------------------------------------------------------------------------

    def _open_missing(self) -> None:
        """Have connects under way for those who wait and up to `minsize`.

        After a connect has failed, they go one at a time and with growing pauses.
        """
        options = self._options
        backoff = self._backoff
        while not self._closing and (not options.maxsize or self.size < options.maxsize):
            under_way = len(self._connects)
            missing = options.minsize - len(self._holders)
            if under_way >= max(self._leases.waiting, missing):
                break
            if backoff.failures:
                if under_way or self._retry is not None:
                    break
                if (pause := backoff.pause) > 0:
                    self._retry = self._later(pause, self._try_again)
                    break
            self._open_one()

    def _try_again(self) -> None:
        self._retry = None
        self._open_missing()

    def _open_one(self) -> None:
        self._counters.connects += 1
        ticket = self._leases.newest_ticket
        connected = partial(self._connected, monotonic(), ticket, self._generation)
        self._connects.add(self._start(self._connect(), connected))

    def _connected(
        self,
        began: float,
        ticket: int,
        generation: int,
        task: asyncio.Task[tuple[Connection, ConnectionHolder]],
    ) -> None:
        self._connects.discard(task)
        self._counters.connect_time += monotonic() - began
        if task.cancelled():
            # By `close`, or by someone else, perhaps together with some of those who wait.
            self._backoff.failed(began)
        elif (error := task.exception()) is not None:
            self._counters.connect_errors += 1
            self._report(error, ticket)
            self._backoff.failed(began)
        else:
            self._backoff.succeeded()
            connection, holder = task.result()
            holder.must_close = generation != self._generation
            self._holders[holder.key] = holder
            self._hand_out(connection, holder)
        self._open_missing()

    def _report(self, error: BaseException, ticket: int) -> None:
        """Give the error of a connect to who waits for it.

        That is the oldest waiter: the next one has hope. Once connects keep failing and no
        connection is there that may come back, it is everybody who waited when this one began, or
        the last of them would wait for ever.
        """
        failing = self._backoff.failures > 0
        hopeless = failing and not self._holders
        turn = self._leases.pop_waiter(ticket) if failing else self._leases.pop_waiter()
        if turn is None and self._rounds is not None:
            level = logging.DEBUG if failing else logging.WARNING
            logger.log(level, "%r: could not open a connection: %r", self, error)
        while turn is not None:
            turn.fail(error)
            turn = self._leases.pop_waiter(ticket) if hopeless else None
            error = _another(error)

    def _new_holder(self, connection: Connection) -> ConnectionHolder:
        opened = monotonic()
        lifetime = self._options.max_lifetime
        expires = (
            float("inf")
            if lifetime is None
            else opened + lifetime * (1.0 - JITTER * random.random())
        )
        return ConnectionHolder(connection, _collected(weakref.ref(self)), opened, expires)

    def _hand_out(self, connection: Connection, holder: ConnectionHolder) -> None:
        """Give an open connection to the oldest waiter or keep it."""
        reason = self._why_not_kept(holder)
        if reason is not None:
            self._remove(connection, reason)
        else:
            holder.record_acquired()
            self._leases.make_available(holder, connection)

    def _why_not_kept(self, holder: ConnectionHolder) -> str | None:
        maxsize = self._options.maxsize
        if self._closing:
            return "close"
        if holder.must_close:
            return "drain"
        if 0 < maxsize < len(self._holders):
            return "surplus"
        return "expired" if monotonic() >= holder.expires_at else None

    # -- closing ---------------------------------------------------------------------------------

    def _remove_holder(self, holder: ConnectionHolder, reason: str) -> None:
        if holder.connection is not None:
            self._remove(holder.connection, reason)

    def _remove(self, connection: Connection, reason: str) -> None:
        """Take a connection that is neither idle nor lent out of the pool and close it."""
        self._holders.pop(id(connection), None)
        self._counters.closed[reason] += 1
        if not self._leases.is_open:
            self._update_plain()
        self._retire(connection)

    def _retire(self, connection: Connection) -> None:
        """Say goodbye to the server in the background, so that it logs no aborted connection."""
        if connection.closed and not connection.stopping:
            return
        if self._loop.is_closed():
            connection.close()
        else:
            self._start(goodbye(connection), _ignore)

    def _remove_available(self, reason: str) -> None:
        while self._idle:
            self._remove_holder(self._idle.popleft(), reason)

    def _lost_sight_of(self, reference: Reference) -> None:
        """A lent connection was garbage-collected (its own `__del__` closes it)."""
        key = reference.key
        # Its id may be another one's already.
        if (holder := self._terminated.get(key)) is not None and holder.reference is reference:
            del self._terminated[key]
        elif (holder := self._holders.get(key)) is not None and holder.reference is reference:
            del self._holders[key]
            if holder.connection is not None:  # a finalizer released it while it was collected
                self._idle.remove(holder)
            self._counters.closed["forgotten"] += 1
            logger.warning(
                "%r: a connection was garbage-collected without having been released%s",
                self,
                _asked_at(holder),
            )
            self._update_plain()
            self._open_missing()
            self._check_drained()

    # -- in the background -----------------------------------------------------------------------

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

    def _check_drained(self) -> None:
        if self._closing and not self._holders and not self._tasks:
            self._drained.set()

    def _later(self, seconds: float, method: Callable[[], None]) -> asyncio.TimerHandle:
        """Call a method of this pool, if it is still there: a timer must not keep it alive."""
        return self._loop.call_later(seconds, _call, weakref.WeakMethod(method))

    def _next_round(self) -> None:
        options = self._options
        times = (options.max_lifetime, options.max_idle, options.report_lent_after)
        seconds = min([ROUND, *(max(time / 4, 0.01) for time in times if time is not None)])
        self._rounds = self._later(seconds, self._run_maintenance)

    def _run_maintenance(self) -> None:
        """Replace idle connections that are lost or too old; report those lent for too long."""
        self._next_round()
        # Sampled: two readings of the clock for each lease would cost more than all else.
        now = monotonic()
        self._counters.usage_time += self._lent * (now - self._last_round)
        self._last_round = now
        for holder in [*self._idle]:
            lost = holder.runner.closed
            if lost or now >= holder.expires_at:
                self._idle.remove(holder)
                self._remove_holder(holder, "lost" if lost else "expired")
        options = self._options
        if options.max_idle is not None and now - self._last_look >= options.max_idle:
            self._shrink()
            self._last_look = now
        if options.report_lent_after is not None:
            for holder in self._holders.values():
                if holder.is_acquired and not holder.is_reported:
                    self._report_lent(holder, now - holder.acquired_at)
        self._open_missing()

    def _shrink(self) -> None:
        """Close as many connections as nobody wanted since the last look, down to `minsize`.

        Idle connections are lent in turn, so each of them is used now and then: what counts is how
        many were idle at the busiest moment.
        """
        surplus = min(self._least_free, len(self._idle), self.size - self._options.minsize)
        for _ in range(surplus):
            self._remove_holder(self._idle.popleft(), "idle")
        self._least_free = len(self._idle)

    def _report_lent(self, holder: ConnectionHolder, seconds: float) -> None:
        limit = self._options.report_lent_after
        if limit is not None and seconds > limit:
            holder.is_reported = True
            logger.warning(
                "%r: %r has been lent for %.1f s%s", self, holder.find(), seconds, _asked_at(holder)
            )


def _asked_at(holder: ConnectionHolder) -> str:
    if holder.acquired_where:
        return f"; it was asked for at:\n{holder.acquired_where}"
    return " (with debug=True the pool tells where it was asked for)"


def _another(error: BaseException) -> BaseException:
    """The same error for another task: each adds its own frames to what it raises."""
    try:
        copied = copy.copy(error)
    except Exception:  # an exception class with a constructor of its own
        return error
    copied.__cause__ = error.__cause__
    return copied


def _collected(pool: weakref.ref[Supply]) -> OnCollected:
    def collected(reference: weakref.ref[Connection]) -> None:
        owner = pool()
        if owner is not None and isinstance(reference, Reference) and not owner._loop.is_closed():
            try:
                owner._loop.call_soon_threadsafe(owner._lost_sight_of, reference)
            except RuntimeError:  # closed by another thread just now
                return

    return collected


def _call(method: weakref.WeakMethod[Callable[[], None]]) -> None:
    found = method()
    if found is not None:
        found()


def _ignore(task: asyncio.Task[None]) -> None:
    pass
