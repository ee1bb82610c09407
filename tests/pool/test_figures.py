"""get_stats, resize, drain, and closing within a time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aiomysql_core import OperationalError
from aiomysql_pool import PoolClosed, create_pool
from aiomysql_pool.statistics import REASONS
from tests.pool.conftest import (
    MakePool,
    aborted_clients,
    alive,
    frozen,
    one,
    thread_ids,
    wait_until,
)
from tests.servers import Server


async def test_figures(make_pool: MakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiomysql_pool.maintenance.INTERVAL", 0.02)
    pool = await make_pool(minsize=1, maxsize=2)
    quick = await pool.acquire()
    slow = await pool.acquire()
    stats = pool.get_stats()
    gauges = (
        *("minsize", "maxsize", "size", "free"),
        *("acquired", "connecting", "resetting", "waiting"),
    )
    assert stats["lent"] == stats["acquired"]  # its old name
    assert [stats[name] for name in gauges] == [1, 2, 2, 0, 2, 0, 0, 0]
    assert (stats["requests"], stats["waited"], stats["connects"]) == (2, 1, 2)
    assert 0 < stats["connect_time"] < 5
    assert 0 < stats["wait_time"] < 5
    waiting = asyncio.ensure_future(pool.acquire())
    await wait_until(lambda: pool.get_stats()["waiting"] == 1)
    await asyncio.sleep(0.25)  # event loops round what they sleep
    pool.release(quick)
    pool.release(await waiting)
    slow.close()
    pool.release(slow)
    stats = pool.get_stats()
    assert [stats[name] for name in gauges] == [1, 2, 1, 1, 0, 0, 0, 0]
    assert (stats["requests"], stats["waited"]) == (3, 2)
    assert stats["wait_time"] >= 0.2
    assert 0.2 <= stats["usage_time"] <= 10  # two connections, 0.2 s and more
    assert stats["closed_unusable"] == 1
    assert {name for name in stats if name.startswith("closed_")} == {
        f"closed_{reason}" for reason in REASONS
    }


async def test_every_closed_connection_is_counted_once(make_pool: MakePool) -> None:
    pool = await make_pool(minsize=2, maxsize=4, reset_session="full")
    for _ in range(3):
        acquired = [await pool.acquire() for _ in range(4)]
        acquired[0].close()
        for connection in acquired:
            await pool.release(connection)
        await pool.drain()
    await wait_until(lambda: not pool._opener.connects)
    stats = pool.get_stats()
    closed = sum(stats[f"closed_{reason}"] for reason in REASONS)
    assert closed == stats["connects"] - stats["connect_errors"] - stats["size"]
    assert stats["closed_unusable"] == 3


async def test_resize(make_pool: MakePool, server: Server) -> None:
    pool = await make_pool(minsize=1, maxsize=1)
    acquired = await pool.acquire()
    waiting = [asyncio.ensure_future(pool.acquire()) for _ in range(3)]
    await wait_until(lambda: pool._leases.waiting == 3)
    pool.resize(2, 4)
    more = [await asyncio.wait_for(task, 3) for task in waiting]
    assert (pool.minsize, pool.maxsize, pool.size) == (2, 4, 4)
    threads = thread_ids(pool)
    aborted = aborted_clients(server)
    pool.release(acquired)
    pool.resize(0, 1)
    assert (pool.size, pool.freesize) == (3, 0)  # the idle one is closed
    pool.release(more[0])
    pool.release(more[1])
    assert pool.size == 1
    pool.release(more[2])
    async with pool.acquire() as connection:
        assert connection is more[2]
    assert (pool.size, pool.freesize) == (1, 1)
    assert pool.get_stats()["closed_surplus"] == 3
    await wait_until(lambda: not pool._shutdown.tasks)
    assert alive(server, threads - {connection.thread_id()}) == set()
    assert aborted_clients(server) == aborted
    pool.resize(1)
    assert (pool.minsize, pool.maxsize) == (1, 1)
    for sizes in ((2, 1), (-1, 3), (2,)):
        with pytest.raises(ValueError, match="size should be"):
            pool.resize(*sizes)
    assert (pool.minsize, pool.maxsize) == (1, 1)
    pool.close()
    with pytest.raises(PoolClosed):
        pool.resize(1, 2)


async def test_resize_opens_what_is_missing(make_pool: MakePool) -> None:
    pool = await make_pool(minsize=0, maxsize=3)
    pool.resize(3)
    await wait_until(lambda: pool.freesize == 3)


async def test_drain(make_pool: MakePool, server: Server) -> None:
    pool = await make_pool(minsize=2, maxsize=3)
    aborted = aborted_clients(server)
    acquired = await pool.acquire()
    old = thread_ids(pool)
    await pool.drain()
    assert alive(server, old - {acquired.thread_id()}) == set()
    assert await one(acquired, "SELECT 1") == 1
    await pool.release(acquired)
    await wait_until(lambda: pool.freesize == 2 and not pool._shutdown.tasks)
    assert alive(server, old) == set()
    assert not old & thread_ids(pool)
    assert pool.get_stats()["closed_drain"] == 2
    assert aborted_clients(server) == aborted
    async with pool.acquire() as connection:  # the new ones stay
        pass
    assert connection in pool._free


async def test_drain_while_connecting(make_pool: MakePool) -> None:
    pool = await make_pool(minsize=0, maxsize=1)
    waiting = asyncio.ensure_future(pool.acquire())
    await wait_until(lambda: len(pool._opener.connects) == 1)
    await pool.drain()
    connection = await asyncio.wait_for(waiting, 3)
    assert await one(connection, "SELECT 1") == 1
    assert pool.get_stats()["closed_drain"] == 1
    await pool.release(connection)
    assert pool.freesize == 1


async def test_closing_within_a_time(server: Server, connect_args: dict[str, Any]) -> None:
    aborted = aborted_clients(server)
    pool = await create_pool(minsize=3, **connect_args)
    threads = thread_ids(pool)
    acquired, used = await pool.acquire(), await pool.acquire()
    await used.begin()
    assert await one(used, "SELECT 1") == 1
    pool.close()
    async with asyncio.timeout(3):
        await pool.wait_closed(timeout=0.05)
    assert (pool.closed, pool.size, acquired.closed, used.closed) == (True, 0, True, True)
    assert alive(server, threads) == set()
    assert aborted_clients(server) == aborted
    pool.release(acquired)  # says nothing
    await pool.wait_closed(timeout=1)


async def test_closing_within_a_time_while_a_query_runs(
    server: Server, connect_args: dict[str, Any]
) -> None:
    pool = await create_pool(**connect_args)

    async def borrow() -> None:
        async with pool.acquire() as connection:
            await one(connection, "SELECT SLEEP(2)")

    task = asyncio.create_task(borrow())
    await asyncio.sleep(0.05)
    pool.close()
    async with asyncio.timeout(1):
        await pool.wait_closed(timeout=0.05)
    with pytest.raises(OperationalError):
        await task
    assert pool.closed


@pytest.mark.slow
async def test_closing_on_a_frozen_server(server: Server, connect_args: dict[str, Any]) -> None:
    pool = await create_pool(minsize=3, **connect_args)
    acquired = await pool.acquire()
    with frozen(server):
        pool.close()
        async with asyncio.timeout(4):  # a goodbye takes two seconds at most, all go at once
            await pool.wait_closed(timeout=0.05)
    assert (pool.closed, acquired.closed) == (True, True)
