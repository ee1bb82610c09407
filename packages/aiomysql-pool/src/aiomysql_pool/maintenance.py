"""What a pool looks after while nobody asks: lost and old connections, and forgotten ones."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from time import monotonic

from aiomysql_pool.holder import ConnectionHolder
from aiomysql_pool.lease_queue import LeaseQueue
from aiomysql_pool.options import PoolOptions
from aiomysql_pool.statistics import Counters
from aiomysql_pool.verdict import LENDABLE, Verdict

#: Seconds between two rounds; fewer if an option is more exact than that.
INTERVAL = 1.0


class Maintenance:
    """Finds the connections to be replaced, closed or reported, once per `interval`."""

    def __init__(self, options: PoolOptions, leases: LeaseQueue, counters: Counters) -> None:
        self._options = options
        self._leases = leases
        self._counters = counters
        #: The timer of the next round; None before the first `minsize` connections are open.
        self.timer: asyncio.TimerHandle | None = None
        self._last_look = self._last_sample = monotonic()
        #: The newest ticket at the times of the last rounds, and of the waits reported last.
        self._tickets: deque[tuple[float, int]] = deque()
        self._reported_ticket = 0

    @property
    def interval(self) -> float:
        """Seconds until the next round."""
        options = self._options
        times = (
            options.max_lifetime,
            options.max_idle,
            options.report_lent_after,
            options.report_wait_after,
        )
        return min([INTERVAL, *(max(time / 4, 0.01) for time in times if time is not None)])

    def sample_usage(self, acquired: int, now: float) -> None:
        """Count for how long connections were acquired.

        Sampled: two readings of the clock for each lease would cost more than all else.
        """
        self._counters.usage_time += acquired * (now - self._last_sample)
        self._last_sample = now

    def take_unusable(self, now: float) -> Iterator[tuple[ConnectionHolder, Verdict]]:
        """Take out the available connections that are lost or too old, with the verdict of each."""
        leases = self._leases
        for holder in [*leases.available]:
            is_lost = holder.runner.closed
            verdict = Verdict.LOST if is_lost else leases.examine_kept(holder, now)
            if verdict is LENDABLE:
                continue
            try:
                leases.available.remove(holder)
            except ValueError:
                # A finalizer that ran meanwhile took it out: who does that has examined it.
                continue
            yield holder, verdict

    def take_unneeded(self, now: float, size: int) -> Iterator[ConnectionHolder]:
        """Take out as many connections as nobody needed in `max_idle` seconds, down to `minsize`.

        Available connections are acquired in turn, so each of them is used now and then: what
        counts is how many were available at the busiest moment.
        """
        options, leases = self._options, self._leases
        available = leases.available
        if options.max_idle is None or now - self._last_look < options.max_idle:
            return
        for _ in range(min(leases.least_available, size - options.minsize)):
            if not available:  # a finalizer may take some out between two of them
                break
            yield available.popleft()
        leases.least_available = len(available)
        self._last_look = now

    def count_long_waits(self, now: float) -> int:
        """How many callers have waited for too long, which were not counted before.

        By the tickets that were given out until then: nothing is noted of each wait.
        """
        limit, leases = self._options.report_wait_after, self._leases
        if limit is None or not leases.waiting:
            self._tickets.clear()
            return 0
        seen = self._tickets
        seen.append((now, leases.newest_ticket))
        while len(seen) > 1 and seen[1][0] <= now - limit:
            seen.popleft()
        since, ticket = seen[0]
        if since > now - limit:
            return 0
        before, self._reported_ticket = self._reported_ticket, max(self._reported_ticket, ticket)
        return sum(before < each <= ticket for each in leases.tickets())

    def find_overdue(self, now: float) -> Iterator[tuple[ConnectionHolder, float]]:
        """Those acquired for too long, which were not found before, and for how many seconds."""
        limit = self._options.report_lent_after
        if limit is None:
            return
        for holder in [*self._leases.holders.values()]:
            seconds = now - holder.acquired_at
            if holder.is_acquired and not holder.is_reported and seconds > limit:
                holder.is_reported = True
                yield holder, seconds
