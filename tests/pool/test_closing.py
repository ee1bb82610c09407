"""Closing pools, and connections that are lost."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import pytest

from aiomysql_core import OperationalError, UncommittedWarning
from aiomysql_pool import PoolClosed, create_pool
from tests.pool.conftest import (
    MakePool,
    aborted_clients,
    alive,
    one,
    thread_ids,
    wait_until,
)
from tests.servers import Server


async def test_close_leaves_no_session_and_says_goodbye(
    server: Server, connect_args: dict[str, Any]
) -> None:
    before = aborted_clients(server)
    async with create_pool(minsize=5, **connect_args) as pool:
        threads = thread_ids(pool)
        assert len(threads) == 5
    assert alive(server, threads) == set()
    assert (pool.size, pool.freesize, pool.closed) == (0, 0, True)
    assert aborted_clients(server) == before


async def test_nothing_can_be_acquired_from_a_closed_pool(make_pool: MakePool) -> None:
    pool = await make_pool()
    pool.close()
    for error in (PoolClosed, RuntimeError):
        with pytest.raises(error, match="Cannot acquire connection after closing pool"):
            await pool.acquire()
    await pool.wait_closed()
    with pytest.raises(PoolClosed):
        await pool.acquire()


async def test_close_and_wait_closed_may_be_repeated(make_pool: MakePool) -> None:
    pool = await make_pool()
    with pytest.raises(RuntimeError, match="after .close"):
        await pool.wait_closed()
    pool.close()
    pool.close()
    await asyncio.gather(pool.wait_closed(), pool.wait_closed())
    await pool.wait_closed()
    pool.terminate()
    assert pool.closed


async def test_wait_closed_waits_for_acquired_ones(make_pool: MakePool, server: Server) -> None:
    pool = await make_pool(minsize=3)
    threads = thread_ids(pool)
    first, second = await pool.acquire(), await pool.acquire()
    pool.close()
    events = []

    async def give_back() -> None:
        await asyncio.sleep(0.05)
        assert await one(first, "SELECT 1") == 1  # still usable
        pool.release(first)
        await second.begin()
        pool.release(second)
        events.append("released")

    async def wait() -> None:
        await pool.wait_closed()
        events.append("closed")

    await asyncio.gather(wait(), give_back())
    assert events == ["released", "closed"]
    assert alive(server, threads) == set()


async def test_wait_closed_may_be_cancelled_half_way(make_pool: MakePool) -> None:
    pool = await make_pool(minsize=2)
    acquired = await pool.acquire()
    pool.close()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pool.wait_closed(), 0.05)
    assert not pool.closed
    assert await one(acquired, "SELECT 1") == 1
    pool.release(acquired)
    await pool.wait_closed()
    assert pool.closed


async def test_waiters_of_a_closing_pool_get_an_error(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1)
    acquired = await pool.acquire()
    waiting = asyncio.ensure_future(pool.acquire())
    await wait_until(lambda: pool._leases.waiting == 1)
    pool.close()
    with pytest.raises(PoolClosed):
        await waiting
    pool.release(acquired)
    async with asyncio.timeout(3):
        await pool.wait_closed()


async def test_terminate_closes_acquired_connections(make_pool: MakePool, server: Server) -> None:
    pool = await make_pool(minsize=2)
    threads = thread_ids(pool)
    acquired = await pool.acquire()
    pool.terminate()
    assert acquired.closed
    assert not pool._used
    await pool.wait_closed()
    pool.release(acquired)
    assert pool.size == 0
    assert alive(server, threads) == set()


async def test_terminate_just_after_the_hand_over(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1)
    acquired = await pool.acquire()
    waiting = asyncio.ensure_future(pool.acquire())
    await wait_until(lambda: pool._leases.waiting == 1)
    pool.release(acquired)
    pool.terminate()
    with pytest.raises(PoolClosed):
        await waiting
    assert acquired.closed
    assert not pool._shutdown.terminated


async def test_terminate_within_the_block(make_pool: MakePool) -> None:
    pool = await make_pool()
    async with pool.acquire() as connection:
        pool.terminate()
        assert connection.closed
    await pool.wait_closed()
    assert pool.closed


@pytest.mark.parametrize(
    ("how", "is_handled"), [("terminate", False), ("terminate", True), ("wait_closed", False)]
)
async def test_what_borrowers_have_not_committed(
    make_pool: MakePool, server: Server, table_name: str, how: str, is_handled: bool
) -> None:
    """The line that ends the pool is warned, once, but not when it is told of something else."""
    server.execute(f"CREATE TABLE {table_name} (id INT) ENGINE=InnoDB")
    pool = await make_pool(maxsize=3)
    acquired = [await pool.acquire() for _ in range(3)]
    for connection in acquired[:2]:
        await connection.execute(f"INSERT INTO {table_name} VALUES (1)")

    async def end() -> None:
        if how == "terminate":
            pool.terminate()
        else:
            pool.close()
            await pool.wait_closed(timeout=0)

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            if is_handled:
                raise LookupError
            await end()
        except LookupError:
            await end()
    await pool.wait_closed()
    assert [(one.category, one.filename) for one in told] == (
        [] if is_handled else [(UncommittedWarning, __file__)]
    )
    assert all(connection.closed for connection in acquired)
    for connection in acquired:
        pool.release(connection)  # which tells nothing more
    assert server.execute(f"SELECT COUNT(*) FROM {table_name}") == [(0,)]


async def test_terminate_that_is_refused_by_a_filter(
    make_pool: MakePool, server: Server, table_name: str
) -> None:
    """The pool is closed even so."""
    server.execute(f"CREATE TABLE {table_name} (id INT) ENGINE=InnoDB")
    pool = await make_pool(maxsize=1)
    connection = await pool.acquire()
    await connection.execute(f"INSERT INTO {table_name} VALUES (1)")
    with pytest.raises(UncommittedWarning, match="closed by its pool"):
        pool.terminate()
    assert connection.closed
    await pool.wait_closed()


async def test_killed_idle_connection_is_replaced(make_pool: MakePool, server: Server) -> None:
    pool = await make_pool(maxsize=1)
    (idle,) = pool._free
    server.execute(f"KILL {idle.thread_id()}")
    await wait_until(lambda: idle.closed)
    async with pool.acquire() as connection:
        assert connection is not idle
        assert await one(connection, "SELECT 1") == 1
    assert (pool.size, pool.freesize) == (1, 1)


async def test_lost_idle_connections_are_opened_again_in_the_background(
    make_pool: MakePool, server: Server
) -> None:
    pool = await make_pool(minsize=3, maxsize=3)
    lost, *_, last = pool._free
    server.execute(f"KILL {lost.thread_id()}")
    await wait_until(lambda: lost.closed)
    async with pool.acquire() as connection:
        assert connection is not lost
        await wait_until(lambda: pool.freesize == 2)
        assert last in pool._free


async def test_killed_acquired_connection_is_dropped(make_pool: MakePool, server: Server) -> None:
    pool = await make_pool(maxsize=1)
    async with pool.acquire() as connection:
        server.execute(f"KILL {connection.thread_id()}")
        with pytest.raises(OperationalError):
            await one(connection, "SELECT 1")
    assert connection.closed
    assert not pool._free  # another one is on its way
    async with pool.acquire() as other:
        assert await one(other, "SELECT 1") == 1


async def test_cancelled_query_drops_its_connection(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), pool.acquire() as connection:
            await one(connection, "SELECT SLEEP(0.5)")
    assert connection.closed
    async with pool.acquire() as other:
        assert await one(other, "SELECT 7") == 7
