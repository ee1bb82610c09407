"""Connections that become old, idle or dead."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

import pytest

from aiomysql_core import Connection, OperationalError
from aiomysql_pool import create_pool
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


async def test_max_lifetime_of_idle_connections(make_pool: MakePool, server: Server) -> None:
    pool = await make_pool(minsize=2, max_lifetime=0.3)
    aborted = aborted_clients(server)
    old = thread_ids(pool)
    await wait_until(lambda: pool.freesize == 2 and not old & thread_ids(pool))
    assert alive(server, old) == set()
    assert pool.get_stats()["closed_expired"] >= 2
    assert aborted_clients(server) == aborted


async def test_max_lifetime_of_acquired_connections(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1, max_lifetime=0.1)
    async with pool.acquire() as connection:
        await asyncio.sleep(0.15)
        assert await one(connection, "SELECT 1") == 1  # it is not taken away
        waiting = asyncio.ensure_future(pool.acquire())
        await asyncio.sleep(0)
    assert await waiting is not connection
    pool.release(await waiting)


async def test_lifetimes_differ(make_pool: MakePool) -> None:
    pool = await make_pool(minsize=4, max_lifetime=1000)
    lifetimes = {holder.expires_at - holder.opened_at for holder in pool._leases.holders.values()}
    assert len(lifetimes) == 4
    assert all(900 <= lifetime <= 1000 for lifetime in lifetimes)


async def test_pool_recycle_counts_from_the_opening(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1, pool_recycle=0.2)
    (connection,) = pool._free
    found = connection
    async with asyncio.timeout(3):
        while found is connection:  # in use all the time
            async with pool.acquire() as found:
                await one(found, "SELECT SLEEP(0.01)")
    assert connection.closed
    assert pool.get_stats()["closed_expired"] == 1


async def test_max_idle(make_pool: MakePool, server: Server) -> None:
    pool = await make_pool(minsize=1, maxsize=6, max_idle=0.1)
    acquired = [await pool.acquire() for _ in range(5)]
    for connection in acquired:
        pool.release(connection)
    assert pool.size == 5
    threads = thread_ids(pool)
    await wait_until(lambda: pool.size == 1)
    assert pool.get_stats()["closed_idle"] == 4
    await asyncio.sleep(0.3)
    assert pool.size == 1
    assert len(alive(server, threads - thread_ids(pool))) == 0


async def test_what_is_needed_is_not_idle(make_pool: MakePool) -> None:
    pool = await make_pool(minsize=0, maxsize=3, max_idle=0.1)
    for _ in range(12):
        acquired = [await pool.acquire() for _ in range(3)]
        for connection in acquired:
            pool.release(connection)
        await asyncio.sleep(0.03)
    assert pool.get_stats()["connects"] == 3


async def test_ping_after(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1, ping_after=0.1)
    (connection,) = pool._free
    for idle, pings in ((0, 0), (0.15, 1), (0, 1)):
        await asyncio.sleep(idle)
        async with pool.acquire() as acquired:
            assert acquired is connection
            assert pool.get_stats()["pings"] == pings
            await one(acquired, "SELECT 1")


async def test_frozen_server_is_found_out_by_a_ping(
    make_pool: MakePool, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiomysql_pool.lifecycle.PING_TIMEOUT", 0.1)
    pool = await make_pool(minsize=3, maxsize=3, ping_after=0, connect_timeout=0.3)
    old = set(pool._free)
    loop = asyncio.get_running_loop()
    with frozen(server):
        began = loop.time()
        with pytest.raises(OperationalError, match="timed out"):
            await pool.acquire()
        assert loop.time() - began < 2
        # The others are not tried one by one.
        assert pool.get_stats()["pings"] == 1
        assert pool.get_stats()["closed_ping"] == 3
    async with asyncio.timeout(5), pool.acquire() as connection:
        assert connection not in old
        assert await one(connection, "SELECT 1") == 1


async def test_acquire_times_out_while_a_frozen_server_is_pinged(
    make_pool: MakePool, server: Server
) -> None:
    pool = await make_pool(maxsize=1, ping_after=0, timeout=0.1, connect_timeout=0.3)
    loop = asyncio.get_running_loop()
    with frozen(server):
        began = loop.time()
        with pytest.raises(TimeoutError, match="no connection to '.*' within 0.1 s"):
            await pool.acquire()
        assert loop.time() - began < 1.5
        assert not pool._used
    async with asyncio.timeout(5), pool.acquire(timeout=5) as connection:
        assert await one(connection, "SELECT 1") == 1


async def test_a_cancelled_ping_costs_its_connection_and_no_place(
    make_pool: MakePool, server: Server
) -> None:
    pool = await make_pool(maxsize=1, ping_after=0)
    with frozen(server):
        pinging = asyncio.ensure_future(pool.acquire())
        await asyncio.sleep(0.02)
        waiting = asyncio.ensure_future(pool.acquire())
        await asyncio.sleep(0)
        assert (pool.get_stats()["pings"], pool.get_stats()["waiting"]) == (1, 1)
        pinging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pinging
    connection = await asyncio.wait_for(waiting, 5)
    assert await one(connection, "SELECT 1") == 1
    stats = pool.get_stats()
    assert (stats["closed_ping"], stats["requests"], stats["size"]) == (1, 1, 1)
    pool.release(connection)


def fine(connection: Connection) -> None:
    assert not connection.closed


EXAMINED: list[dict[str, Any]] = [
    {},
    {"max_lifetime": 1000, "ping_after": 1000},
    {"pool_recycle": 1000, "max_idle": 1000, "report_lent_after": 1000},
    {"check": fine, "ping_after": 0},
    {"debug": True},
]


@pytest.mark.parametrize("options", EXAMINED, ids="+".join)
async def test_lost_while_idle(make_pool: MakePool, options: dict[str, Any]) -> None:
    """It is not acquired, and who asked first gets the next one or a new one."""
    pool = await make_pool(minsize=2, maxsize=2, **options)
    first, second = pool._free
    first.close()
    async with pool.acquire() as connection:
        assert connection is second
        assert pool.get_stats()["closed_lost"] == 1
    await wait_until(lambda: pool.freesize == 2)
    for connection in pool._free:
        connection.close()
    async with asyncio.timeout(5), pool.acquire() as connection:
        assert await one(connection, "SELECT 1") == 1
    stats = pool.get_stats()
    assert (stats["closed_lost"], stats["requests"]) == (3, 2)


@pytest.mark.parametrize("options", EXAMINED, ids="+".join)
async def test_expired_between_two_rounds(make_pool: MakePool, options: dict[str, Any]) -> None:
    pool = await make_pool(minsize=2, maxsize=2, **options)
    first, second = pool._leases.available
    first.expires_at = monotonic()
    old = first.find()
    connection = await pool.acquire()  # (its holder is the second one)
    assert connection is not old
    assert pool.get_stats()["closed_expired"] == 1
    await wait_until(lambda: pool.freesize == 1)
    second.expires_at = monotonic()
    waiting = [asyncio.ensure_future(pool.acquire()) for _ in range(2)]
    await wait_until(lambda: pool.freesize == 0)
    pool.release(connection)
    assert pool.get_stats()["closed_expired"] == 2
    for found in await asyncio.wait_for(asyncio.gather(*waiting), 5):
        assert found not in (old, connection)
        pool.release(found)
    assert pool.get_stats()["requests"] == 3


@pytest.mark.slow
async def test_wait_timeout_of_the_server(make_pool: MakePool) -> None:
    """What the server has closed is replaced in the background, and never acquired."""
    pool = await make_pool(minsize=2, maxsize=2)
    async with pool.acquire() as first, pool.acquire() as second:
        for connection in (first, second):
            await connection.query("SET SESSION wait_timeout = 1")
    old = thread_ids(pool)
    await wait_until(lambda: not old & thread_ids(pool) and pool.freesize == 2, timeout=10)
    async with pool.acquire() as first, pool.acquire() as second:
        assert [await one(first, "SELECT 1"), await one(second, "SELECT 2")] == [1, 2]
    assert pool.get_stats()["closed_lost"] == 2


@pytest.mark.slow
async def test_killed_idle_connections_come_back_without_anyone_asking(
    make_pool: MakePool, server: Server
) -> None:
    pool = await make_pool(minsize=3, maxsize=3)
    old = thread_ids(pool)
    for thread in old:
        server.execute(f"KILL {thread}")
    await wait_until(lambda: not old & thread_ids(pool) and pool.freesize == 3)
    assert pool.get_stats()["closed_lost"] == 3


async def test_new_connection_lost_at_once(connect_args: dict[str, Any], server: Server) -> None:
    """Its loss is an error for who waits, not a reason to connect again and again."""
    async with create_pool(minsize=0, **connect_args) as pool:

        class Lost:
            """The oldest waiter's hand: the connection dies just before it is taken."""

            def __init__(self) -> None:
                self.opened = 0

            def __call__(self, connection: Any) -> None:
                self.opened += 1
                asyncio.get_running_loop().call_soon(connection.close)

        pool._options.configure = lost = Lost()
        with pytest.raises(OperationalError, match="closed a new connection at once"):
            await pool.acquire()
        assert lost.opened == 1
        assert pool.size == 0
