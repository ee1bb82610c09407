"""How a pool changes its size, replaces its connections and is closed."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from aiomysql_pool.errors import PoolClosed
from aiomysql_pool.options import check_seconds, check_sizes
from aiomysql_pool.supply import Supply

T = TypeVar("T")


class Closing(Supply):
    """Base of Pool: its changes and its end."""

    async def clear(self) -> None:
        """Close all idle connections."""
        self._check_home()
        self._dismiss_idle("clear")
        await self._goodbyes()

    async def drain(self) -> None:
        """Replace all connections: idle ones now, lent ones when they come back."""
        self._check_home()
        self._generation += 1
        for place in self._places.values():
            place.doomed = True
        self._dismiss_idle("drain")
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
            self._dismiss_place(self._idle.popleft(), "surplus")
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
        self._shelf.open = False
        while (turn := self._shelf.next()) is not None:
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
        for place in [place for place in self._places.values() if place.lent]:
            connection = place()
            if connection is None:
                continue  # garbage-collected: the news of that is on its way
            self._terminated[place.key] = place
            if not gently or connection.busy or not connection.idle:
                connection.close()
            self._dismiss(connection, "close")
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
        self._dismiss_idle("close")
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
