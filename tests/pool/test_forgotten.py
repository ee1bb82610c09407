"""Connections that are not given back, processes that fork, loops that end before their pool."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from aiomysql_core import Connection, InterfaceError, OperationalError
from aiomysql_pool import Pool, PoolTimeout, create_pool
from tests.pool.conftest import MakePool, alive, one, wait_until
from tests.servers import Server


@contextlib.contextmanager
def unclosed() -> Any:
    """Takes the warning that a connection issues when it is garbage-collected while open."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Unclosed connection", ResourceWarning)
        yield


@pytest.mark.parametrize("debug", [False, True])
async def test_place_of_a_forgotten_connection_becomes_free(
    make_pool: MakePool, server: Server, caplog: pytest.LogCaptureFixture, debug: bool
) -> None:
    pool = await make_pool(maxsize=1, debug=debug)

    async def forget() -> int:
        connection = await pool.acquire()
        return connection.thread_id()

    with unclosed():
        number = await forget()
        waiting = asyncio.ensure_future(pool.acquire())
        gc.collect()
        connection = await asyncio.wait_for(waiting, 3)
    assert connection.thread_id() != number
    assert alive(server, {number}) == set()
    assert pool.get_stats()["closed_forgotten"] == 1
    assert "garbage-collected without having been released" in caplog.text
    assert ("in forget" in caplog.text) is debug
    assert ("test_forgotten.py" in caplog.text) is debug
    pool.release(connection)
    assert (pool.size, pool.freesize) == (1, 1)


async def test_cursor_keeps_its_connection(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1)

    async def cursor_only() -> Any:
        connection = await pool.acquire()
        return await connection.cursor()

    cursor = await cursor_only()
    gc.collect()
    await cursor.execute("SELECT 3")
    assert await cursor.fetchone() == (3,)
    assert pool.get_stats()["acquired"] == 1
    pool.release(cursor.connection)


async def test_closing_does_not_wait_for_a_forgotten_connection(make_pool: MakePool) -> None:
    pool = await make_pool()
    with unclosed():
        await pool.acquire()
        gc.collect()
    pool.close()
    async with asyncio.timeout(3):
        await pool.wait_closed()
    with pytest.raises(InterfaceError, match="is not lent by"):
        pool.release(Connection())


async def test_terminated_and_forgotten(make_pool: MakePool) -> None:
    pool = await make_pool()
    connection = await pool.acquire()
    pool.terminate()
    assert len(pool._shutdown.terminated) == 1
    del connection
    gc.collect()
    await wait_until(lambda: not pool._shutdown.terminated)
    await pool.wait_closed()


async def test_acquired_for_too_long(make_pool: MakePool, caplog: pytest.LogCaptureFixture) -> None:
    pool = await make_pool(report_lent_after=0.05, debug=True)
    async with pool.acquire() as connection:
        await wait_until(lambda: "has been lent for" in caplog.text)
        await asyncio.sleep(0.1)
        assert await one(connection, "SELECT 1") == 1
    assert caplog.text.count("has been lent for") == 1
    assert "in test_acquired_for_too_long" in caplog.text


async def test_debug_mode_of_the_loop(connect_args: dict[str, Any]) -> None:
    loop = asyncio.get_running_loop()
    for debug in (True, False):
        loop.set_debug(debug)
        try:
            async with create_pool(**connect_args) as pool:
                assert pool._options.debug is debug
        finally:
            loop.set_debug(False)


def said_in_a_child(*attempts: Callable[[], object]) -> list[str]:
    """The error of each attempt when it is made in a process that is forked for it."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # From Python 3.12 on, where a thread of earlier tests is left.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        # Nothing of the test framework may run here.
        said = []
        for attempt in attempts:
            try:
                attempt()
                said.append("nothing")
            except BaseException as error:
                said.append(f"{type(error).__name__} {error}")
        os.write(writing, "\n".join(said).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with open(reading, "rb") as pipe:
        return pipe.read().decode().splitlines()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")
async def test_forked_process(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=2)
    acquired = await pool.acquire()
    lines = said_in_a_child(
        lambda: pool._acquire().send(None),
        lambda: pool.acquire().__await__().send(None),
        lambda: pool.release(acquired),
        pool.close,
        pool.terminate,
    )
    assert len(lines) == 5
    for line in lines:
        assert line.startswith("InterfaceError <Pool open")
        assert f"was made in process {os.getpid()}, before this one was forked" in line
    # In this process all goes on.
    assert await one(acquired, "SELECT 1") == 1
    pool.release(acquired)
    async with pool.acquire() as connection:
        assert await one(connection, "SELECT 2") == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")
async def test_forked_process_that_drops_the_pool(connect_args: dict[str, Any]) -> None:
    """Its parent's connections still hear the server."""
    pools = [await create_pool(minsize=2, maxsize=2, **connect_args)]

    def drop() -> None:
        pools.clear()
        gc.collect()

    assert said_in_a_child(drop) == ["nothing"]
    async with asyncio.timeout(3):
        async with pools[0].acquire() as first, pools[0].acquire() as second:
            assert [await one(first, "SELECT 1"), await one(second, "SELECT 2")] == [1, 2]
        pools[0].close()
        await pools[0].wait_closed()


async def _made(server: Server) -> Pool:
    return await create_pool(**server.connect_args)


def test_another_loop(server: Server) -> None:
    loop = asyncio.new_event_loop()
    pool = loop.run_until_complete(_made(server))
    try:
        for use in (pool.acquire, pool.clear, pool.drain):

            async def elsewhere(use: Any = use) -> None:
                await use()

            with pytest.raises(InterfaceError, match="belongs to another event loop"):
                asyncio.run(elsewhere())
        pool.close()
        with pytest.raises(InterfaceError, match="belongs to another event loop"):
            asyncio.run(pool.wait_closed())
        loop.run_until_complete(pool.wait_closed())
        assert pool.closed
    finally:
        loop.close()


@pytest.mark.parametrize("acquire", [False, True])
def test_pool_that_outlives_its_loop(server: Server, acquire: bool) -> None:
    """Its end, and that of its connections, raises nothing and needs no garbage collector."""
    trouble: list[Any] = []
    loop = asyncio.new_event_loop()

    async def use() -> Pool:
        pool = await create_pool(minsize=2, maxsize=2, max_lifetime=100, **server.connect_args)
        connection = await pool.acquire()
        with pytest.raises(PoolTimeout):
            await asyncio.gather(pool.acquire(), pool.acquire(timeout=0.01))
        if not acquire:
            pool.release(connection)
        return pool

    hook, sys.unraisablehook = sys.unraisablehook, trouble.append
    gc.disable()
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            pool = loop.run_until_complete(use())
            loop.close()
            watched = weakref.ref(pool)
            del pool
            alive_still = watched() is not None
            gc.collect()
    finally:
        gc.enable()
        sys.unraisablehook = hook
    assert not alive_still
    assert trouble == []
    assert {warning.category for warning in warned} <= {ResourceWarning}
    assert server.settled_sessions() == []


async def test_closed_pool_leaves_no_cycle(connect_args: dict[str, Any]) -> None:
    gc.collect()
    gc.disable()
    try:
        pool = await create_pool(
            minsize=0, maxsize=1, max_idle=5, reset_session="full", **connect_args
        )
        async with pool.acquire():
            for error in (PoolTimeout, TimeoutError):
                with pytest.raises(error):
                    await pool.acquire(timeout=0.01)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(pool.acquire(), 0.01)
        pool._conn_kwargs["db"] = "no_such_database"
        await pool.clear()
        with pytest.raises(OperationalError):
            await pool.acquire()
        await pool.drain()
        pool.close()
        await pool.wait_closed()
        watched = weakref.ref(pool)
        del pool, error
        await asyncio.sleep(0)
        assert watched() is None
    finally:
        gc.enable()


class Session:
    """Gives its connection back when it is forgotten."""

    def __init__(self, pool: Pool) -> None:
        self.pool, self.me = pool, self
        self.connection: Connection | None = None

    def __del__(self) -> None:
        if self.connection is not None:
            self.pool.release(self.connection)


@pytest.mark.slow
@pytest.mark.parametrize("waiting", [0, 2])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_given_back_while_it_is_collected(make_pool: MakePool, waiting: int) -> None:
    """Nobody gets a connection that goes at the same time, and none is counted twice."""
    pool = await make_pool(minsize=0, maxsize=1)
    session: Session | None = Session(pool)  # older than the connection: its finalizer comes first
    assert session is not None
    session.connection = await pool.acquire()

    async def ask() -> Any:
        async with pool.acquire() as connection:
            return await one(connection, "SELECT 7")

    asking = [asyncio.ensure_future(ask()) for _ in range(waiting)]
    await asyncio.sleep(0.01)
    session = None
    gc.collect()
    await asyncio.sleep(0.01)
    asking += [asyncio.ensure_future(ask()) for _ in range(2)]
    assert await asyncio.wait_for(asyncio.gather(*asking), 5) == [7] * len(asking)
    await wait_until(lambda: (pool.size, pool.freesize) == (1, 1))
    assert pool.get_stats()["acquired"] == 0
