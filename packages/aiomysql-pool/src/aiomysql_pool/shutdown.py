"""How a pool changes its size, replaces its connections and is closed."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from aiomysql_pool.errors import PoolClosed
from aiomysql_pool.opening import Supply
from aiomysql_pool.options import check_seconds, check_sizes

T = TypeVar("T")


class Closing(Supply):
    """Base of Pool: its changes and its end."""

    async def clear(self) -> None:
        """Close all idle connections."""
        self._check_home()
        self._remove_available("clear")
        await self._goodbyes()

    async def drain(self) -> None:
        """Replace all connections: idle ones now, lent ones when they come back."""
        self._check_home()
        self._generation += 1
        for holder in self._holders.values():
            holder.must_close = True
        self._remove_available("drain")
        self._update_plain()
        self._open_missing()
        await self._goodbyes()

    async def _goodbyes(self) -> None:
        """Wait until the connections that are being closed are closed."""
        under_way = self._tasks - self._connects - self._cleaning
        if under_way:
            await asyncio.wait(under_way)

    def resize(self, minsize: int, maxsize: int | None = None) -> None:
        """Change the sizes; `maxsize` stays as it is when it is None.

        Connections that are too many are closed, lent ones when they come back.  Raises TypeError
        or ValueError for impossible sizes, PoolClosed when the pool is closing.
        """
        self._check_home()
        options = self._options
        check_sizes(minsize, options.maxsize if maxsize is None else maxsize)
        if self._closing:
            raise PoolClosed
        options.minsize = minsize
        if maxsize is not None:
            options.maxsize = maxsize
        while self._idle and 0 < options.maxsize < self.size:
            self._remove_holder(self._idle.popleft(), "surplus")
        self._update_plain()
        self._open_missing()

    def close(self) -> None:
        """Begin to close: nobody gets a connection any more, and those who wait get PoolClosed.

        Lent connections stay usable until they are released.  `wait_closed` does the rest.
        """
        if self._forked_from:
            self._check_home()
        if self._closing:
            return
        self._closing = True
        self._leases.is_open = False
        while (turn := self._leases.pop_waiter()) is not None:
            turn.fail(PoolClosed())
        for timer in (self._retry, self._rounds):
            if timer is not None:
                timer.cancel()
        self._cancel(self._connects)

    def _cancel(self, tasks: set[asyncio.Task[T]]) -> None:
        if not self._loop.is_closed():
            for task in tasks:
                task.cancel()

    def terminate(self) -> None:
        """Begin to close, and close lent connections at once under their borrowers."""
        self._end_lending(gently=False)

    def _end_lending(self, *, gently: bool) -> None:
        self.close()
        self._cancel(self._connects)
        self._cancel(self._cleaning)
        for holder in [holder for holder in self._holders.values() if holder.is_acquired]:
            connection = holder.find()
            if connection is None:
                continue  # garbage-collected: the news of that is on its way
            self._terminated[holder.key] = holder
            if not gently or connection.busy or not connection.idle:
                connection.close()
            self._remove(connection, "close")
        self._check_drained()

    async def wait_closed(self, timeout: float | None = None) -> None:
        """Wait until all lent connections are released and all connections are closed.

        timeout: seconds after which lent connections are closed under their borrowers (None:
        never).  May be called several times, also after it was cancelled.  Raises RuntimeError
        unless `close` or `terminate` was called before.
        """
        if timeout is not None:
            check_seconds("timeout", timeout, zero=True)
        if self._closed:
            return
        if not self._closing:
            raise RuntimeError(".wait_closed() should be called after .close()")
        self._check_home()
        self._remove_available("close")
        self._check_drained()
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                await self._drained.wait()
        except TimeoutError:
            if not limit.expired():
                raise
            self._end_lending(gently=True)
            await self._drained.wait()
        self._closed = True
