"""The end of a pool: what must be over before it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from aiomysql_pool.holder import ConnectionHolder
from aiomysql_pool.lease_queue import LeaseQueue

T = TypeVar("T")


class Shutdown:
    """Knows how far the closing of a pool is, and the tasks that it has to wait for."""

    def __init__(self, loop: asyncio.AbstractEventLoop, leases: LeaseQueue) -> None:
        self._loop = loop
        self._leases = leases
        self._is_over = asyncio.Event()
        #: Whether no connection is left, and somebody has waited for that.
        self.is_closed = False
        #: Everything under way: connects, resets and goodbyes.
        self.tasks: set[asyncio.Task[Any]] = set()
        #: Acquired connections that `Pool.terminate` closed under their callers, by id.
        self.terminated: dict[int, ConnectionHolder] = {}

    @property
    def is_closing(self) -> bool:
        """Whether nobody gets a connection any more."""
        return not self._leases.is_open

    def start(
        self,
        coro: Coroutine[Any, Any, T],
        finished: Callable[[asyncio.Task[T]], None] | None = None,
    ) -> asyncio.Task[T]:
        """Run something in a task that `wait` waits for; `finished` is always called."""

        def done(task: asyncio.Task[T]) -> None:
            self.tasks.discard(task)
            if finished is not None:
                finished(task)
            self.check()

        task = self._loop.create_task(coro)
        self.tasks.add(task)
        task.add_done_callback(done)
        return task

    def cancel(self, tasks: Iterable[asyncio.Task[T]]) -> None:
        """Cancel tasks, where there is a loop to run them."""
        if not self._loop.is_closed():
            for task in tasks:
                task.cancel()

    def check(self) -> None:
        """Look whether all is over: to be called where the last connection may have gone."""
        if self.is_closing and not self._leases.holders and not self.tasks:
            self._is_over.set()

    async def wait(self) -> None:
        """Wait until no connection and no task is left."""
        await self._is_over.wait()
