"""Pools for tests, and what is asked of the server about them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from aiomysql_core import Connection
from aiomysql_pool import Pool, create_pool
from tests.servers import Server
from tests.servers.instance import frozen as stopped

MakePool = Callable[..., Awaitable[Pool]]


@pytest.fixture
async def make_pool(connect_args: dict[str, Any]) -> AsyncIterator[MakePool]:
    """Makes pools, which are closed after the test and must then leave no task behind."""
    pools = []

    async def make(**options: Any) -> Pool:
        pool = await create_pool(**{**connect_args, **options})
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        pool.terminate()
        await asyncio.wait_for(pool.wait_closed(), 10)
        assert (pool.size, pool.freesize) == (0, 0)
    assert driver_tasks() == []


def driver_tasks() -> list[str]:
    """The driver's own tasks that are under way in this loop."""
    names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    return [name for name in names if name in ("Pool._connect", "clean", "goodbye")]


async def one(connection: Connection, sql: str) -> Any:
    """The first column of the first row."""
    async with connection.cursor() as cursor:
        await cursor.execute(sql)
        ((value, *_),) = await cursor.fetchall()
    return value


def thread_ids(pool: Pool) -> set[int]:
    """The server's numbers of all sessions of the pool."""
    return {connection.thread_id() for connection in (*pool._free, *pool._used)}


def alive(server: Server, threads: set[int]) -> set[int]:
    """Those of the sessions that the server still has; it gets a moment to end them."""
    end = time.monotonic() + 3
    while True:
        rows = server.execute("SHOW PROCESSLIST")
        left = threads & {row[0] for row in rows}
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.02)


def aborted_clients(server: Server) -> int:
    """How many sessions ended without a goodbye since the server was started."""
    ((_, value),) = server.execute("SHOW GLOBAL STATUS LIKE 'Aborted_clients'")
    return int(value)


async def wait_until(condition: Callable[[], bool], timeout: float = 3.0) -> None:
    """Let the loop run until something is so."""
    async with asyncio.timeout(timeout):
        turns = 0
        while not condition():
            turns += 1
            # What takes many turns takes time: leave the processor to the server then.
            await asyncio.sleep(0 if turns < 100 else 0.002)


@contextlib.contextmanager
def frozen(server: Server) -> Iterator[None]:
    """Within the block the server's process stands still: it takes bytes and answers nothing."""
    if server.log is None:
        pytest.skip("only a server that this run started can be stopped")
    pid = int((server.log.parent / "server.pid").read_text())
    with stopped(pid):
        yield


#: Takes a number of allocations, and what is to be done then.
Lay = Callable[[int, Callable[[], object]], None]


class Trap:
    """Garbage once it is made; does something when it is found."""

    def __init__(self, deed: Callable[[], object]) -> None:
        self.cycle, self.deed = self, deed

    def __del__(self) -> None:
        self.deed()


@contextlib.contextmanager
def small_thresholds() -> Iterator[Lay]:
    """A function that has something done by a finalizer, so many allocations later."""
    before = gc.get_threshold()
    gc.collect()

    def lay(number: int, deed: Callable[[], object]) -> None:
        gc.set_threshold(0)
        gc.collect()
        Trap(deed)
        gc.set_threshold(number)

    try:
        yield lay
    finally:
        gc.set_threshold(*before)
