"""When a pool opens a connection, and who is told that it could not."""

from __future__ import annotations

import asyncio
import copy
import math
import random
from time import monotonic
from typing import Any

from aiomysql_core import Connection
from aiomysql_pool.holder import ConnectionHolder
from aiomysql_pool.lease_queue import LeaseQueue
from aiomysql_pool.options import PoolOptions

#: Seconds of the first and of the longest pause.
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 2.0

#: Up to this part of `max_lifetime` is taken off at random, so that connections which were opened
#: together are not replaced together.
JITTER = 0.1


class Backoff:
    """Pauses that double with each round of failures, up to `LONGEST_PAUSE`.

    Each pause is cut by a random part of up to one half, so that the clients of a server that
    comes back don't come all at once.
    """

    __slots__ = ("_resume", "_since", "failures")

    def __init__(self) -> None:
        #: Rounds of attempts that failed since the last success.
        self.failures: int = 0
        self._since = self._resume = 0.0

    def failed(self, began: float) -> None:
        """An attempt that began at `began` (time.monotonic) failed."""
        if self.failures and began < self._since:
            return  # it went along with one that has been counted
        self.failures += 1
        pause = min(FIRST_PAUSE * 2.0 ** min(self.failures - 1, 16), LONGEST_PAUSE)
        self._since = monotonic()
        self._resume = self._since + pause * random.uniform(0.5, 1.0)

    def succeeded(self) -> None:
        """An attempt succeeded: the next failure is a first one."""
        self.failures = 0

    @property
    def pause(self) -> float:
        """Seconds until the next attempt may begin."""
        return max(self._resume - monotonic(), 0.0) if self.failures else 0.0


class Opener:
    """Decides when the pool is to connect: for those who wait, and up to `minsize`.

    After a connect has failed, they go one at a time and with growing pauses.
    """

    def __init__(self, options: PoolOptions, leases: LeaseQueue) -> None:
        self._options = options
        self._leases = leases
        #: The connects under way.
        self.connects: set[asyncio.Task[tuple[Connection[Any], ConnectionHolder]]] = set()
        #: How many of them are just being started.
        self.starting = 0
        self.backoff: Backoff = Backoff()
        #: The timer of the next attempt after one that failed.
        self.retry: asyncio.TimerHandle | None = None

    def next_attempt_in(self) -> float | None:
        """Seconds until the next connect is to begin; None: there is none to begin.

        It is None as well while a connect after a failed one is under way, or has its timer.
        """
        options = self._options
        opened, under_way = len(self._leases.holders), len(self.connects) + self.starting
        if 0 < options.maxsize <= opened + under_way:
            return None
        if under_way >= max(self._leases.waiting, options.minsize - opened):
            return None
        if self.backoff.failures and (under_way or self.retry is not None):
            return None
        return self.backoff.pause

    def count_coming(self) -> int:
        """How many of those who wait may count on a connection that is being or may be opened."""
        coming = len(self.connects)
        if self.backoff.failures:
            return coming
        maxsize = self._options.maxsize
        if not maxsize:
            return coming + self._leases.waiting + 1
        return maxsize - len(self._leases.holders)

    def tell_waiters(self, error: BaseException, ticket: int) -> bool:
        """Give the error of a connect to who waits for it; returns whether anybody did.

        ticket: the one given out last when the connect began.
        That is the oldest waiter: the next one has hope.  Once connects keep failing and no
        connection is there that may be released, it is everybody who waited when this one began,
        or the last of them would wait for ever.
        """
        is_failing = self.backoff.failures > 0
        is_hopeless = is_failing and not self._leases.holders
        waiter = self._leases.pop_waiter(ticket if is_failing else None)
        was_told = waiter is not None
        while waiter is not None:
            waiter.fail(error)
            waiter = self._leases.pop_waiter(ticket) if is_hopeless else None
            error = _copied(error)
        return was_told


def random_expiry(opened_at: float, max_lifetime: float | None) -> float:
    """When a connection that was opened at `opened_at` (time.monotonic) is to be replaced."""
    if max_lifetime is None:
        return math.inf
    return opened_at + max_lifetime * (1.0 - JITTER * random.random())


def _copied(error: BaseException) -> BaseException:
    """The same error for another task: each adds its own frames to what it raises."""
    try:
        copied = copy.copy(error)
    except Exception:  # an exception class with a constructor of its own
        return error
    copied.__cause__ = error.__cause__
    return copied
