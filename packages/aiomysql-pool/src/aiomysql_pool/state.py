"""The state of a pool, and what can be read of it."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections import deque
from threading import get_ident
from time import monotonic
from typing import Any, cast

from aiomysql_core import Connection, InterfaceError
from aiomysql_core.engine.lending import Shelf
from aiomysql_core.engine.runner_state import RunnerState, nothing_to_end
from aiomysql_core.options.options import address_text
from aiomysql_core.waiting.waiter import done_future
from aiomysql_pool.backoff import Backoff
from aiomysql_pool.options import PoolOptions
from aiomysql_pool.places import Place
from aiomysql_pool.statistics import REASONS, Counters

_all: weakref.WeakSet[PoolState] = weakref.WeakSet()

# The connections of the parent process, in a process that was forked. They must never be
# garbage-collected: that would take their sockets out of an epoll object that both share.
_inherited: list[Connection | None] = []


class PoolState:
    """Base of Pool: its fields and its figures."""

    def __init__(self, options: PoolOptions, conn_kwargs: dict[str, Any]) -> None:
        self._loop = asyncio.get_running_loop()
        if options.debug is None:
            options.debug = self._loop.get_debug()
        self._options = options
        self._conn_kwargs = conn_kwargs
        # (Thirty attributes at most: the interpreter is slower with more.)
        #
        # Every open connection that is not being closed has a place, by its id. Those of idle ones
        # are in `_idle` besides; those being reset have a task in `_cleaning`; others are lent.
        self._shelf: Shelf[Connection, Place] = Shelf(
            self._loop,
            asyncio.CancelledError,
            done_future(self._loop),
            get_ident=get_ident,
            fit=nothing_to_end,
            wake=cast(Any, RunnerState.wake_next),
            # Asked for when they are needed: a tracer may replace them.
            borrow=lambda pool, timeout: pool._ask(timeout),
            accept=lambda pool, connection: pool._accept_or_ask(connection),
            give_back=lambda pool, connection: pool.release(connection),
        )
        self._loan = self._shelf.loan
        self._places = self._shelf.items
        self._idle = self._shelf.idle
        self._cleaning: set[asyncio.Task[None]] = set()
        # Lent ones that `terminate` closed under their borrowers.
        self._terminated: dict[int, Place] = {}
        self._connects: set[asyncio.Task[tuple[Connection, Place]]] = set()
        self._backoff = Backoff()
        # The retry after a failed connect, and the regular check of the idle connections.
        self._retry: asyncio.TimerHandle | None = None
        self._rounds: asyncio.TimerHandle | None = None
        # How often all connections were to be replaced (`drain`).
        self._generation = 0
        # Everything under way: connects, resets and goodbyes.
        self._tasks: set[asyncio.Task[Any]] = set()
        # How few connections were idle since the last look (option `max_idle`), and when that was.
        self._least_free = 0
        self._last_look = self._last_round = monotonic()
        # Does a tracer wrap what is left out where all is simple?
        self._traced = False
        self._closing = False
        self._closed = False
        self._drained = asyncio.Event()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._done.set_result(None)
        self._counters = Counters()
        # Together they tell cheaply that this loop is the one that runs here.
        self._loop_runs = self._loop.is_running
        self._thread = get_ident()
        # The process that was forked, in the other one.
        self._forked_from = 0
        _all.add(self)

    def __repr__(self) -> str:
        options = self._conn_kwargs
        state = "closed" if self._closed else "closing" if self._closing else "open"
        return (
            f"<{type(self).__name__} {state} {self._where} db={options.get('db')!r} "
            f"user={options.get('user')!r} used={self._lent} free={len(self._idle)} "
            f"size={self.size} minsize={self.minsize} maxsize={self._options.maxsize} "
            f"waiting={self._shelf.waiting}>"
        )

    @property
    def _where(self) -> str:
        """The server's address, for messages."""
        given = self._conn_kwargs
        if path := given.get("read_default_file"):
            return f"the server in {path}"
        host = str(given.get("host") or "localhost")
        return address_text(host, given.get("port", 3306), given.get("unix_socket"))

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
        """How many connections there are: lent, idle, being opened and being reset."""
        return len(self._places) + len(self._connects)

    @property
    def freesize(self) -> int:
        """How many connections are idle."""
        return len(self._idle)

    @property
    def closed(self) -> bool:
        """Whether the pool is closed and has no connection left."""
        return self._closed

    @property
    def _lent(self) -> int:
        return len(self._places) - len(self._idle) - len(self._cleaning)

    @property
    def _free(self) -> deque[Connection]:
        return deque(place.held for place in self._idle if place.held is not None)

    @property
    def _used(self) -> set[Connection]:
        places = self._places.values()
        return {found for place in places if place.lent and (found := place()) is not None}

    def get_stats(self) -> dict[str, float]:
        """Figures for monitoring; times are in seconds.

        Gauges: minsize, maxsize (0: no limit), size, free, lent, connecting, resetting, waiting
        (callers without a connection).  All others only grow: requests (connections handed out),
        waited and wait_time (requests that had to wait, failed ones too), usage_time (summed over
        all connections, how long they were lent; sampled once a second), timeouts (PoolTimeout),
        refused (TooManyWaiters), connects, connect_time, connect_errors, pings, resets, and
        closed_... by reason.
        """
        counters = self._counters
        stats: dict[str, float] = {
            "minsize": self._options.minsize,
            "maxsize": self._options.maxsize,
            "size": self.size,
            "free": len(self._idle),
            "lent": self._lent,
            "connecting": len(self._connects),
            "resetting": len(self._cleaning),
            "waiting": self._shelf.waiting,
            "requests": self._shelf.lent,
            "waited": self._shelf.waited,
            "wait_time": self._shelf.wait_time,
        }
        for name in (
            "usage_time",
            "timeouts",
            "refused",
            "connects",
            "connect_time",
            "connect_errors",
            "pings",
            "resets",
        ):
            stats[name] = getattr(counters, name)
        return stats | {f"closed_{reason}": counters.closed[reason] for reason in REASONS}

    def _check_home(self) -> None:
        """Raise InterfaceError in a forked process, and on another event loop."""
        if self._forked_from:
            raise InterfaceError(
                f"{self!r} was made in process {self._forked_from}, before this one was forked: "
                "two processes can't share a connection, make a pool in each"
            )
        at_home = get_ident() == self._thread and self._loop_runs()
        if not at_home and asyncio.get_running_loop() is not self._loop:
            raise InterfaceError(
                f"{self!r} belongs to another event loop than the one that runs: make one in each"
            )

    def _update_plain(self) -> None:
        """May sound connections be lent and taken back without any ado?"""
        options = self._options
        maxsize = options.maxsize
        self._shelf.capacity = maxsize if options.plain_wait else -1
        self._shelf.open = (
            options.plain
            and not self._traced
            and not self._closing
            and not self._forked_from
            and (not maxsize or len(self._places) <= maxsize)
            and not any(place.doomed for place in self._places.values())
        )


def _after_fork() -> None:
    # Marked once, so that nobody needs to ask for the process id at each `acquire`.
    for pool in _all:
        pool._forked_from = os.getppid()
        pool._shelf.open = False
        _inherited.extend(place() for place in pool._places.values())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
