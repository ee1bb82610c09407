"""Connections that come back while a cancelled statement is being stopped on them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from aiomysql_core import Connection
from aiomysql_pool import Pool, create_pool
from tests.servers import Server


async def number(connection: Connection) -> int:
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT CONNECTION_ID()")
        ((found,),) = await cursor.fetchall()
    assert found == connection.thread_id()
    return int(found)


async def cancelled_use(pool: Pool, *statements: str) -> int:
    """Borrow a connection, run the statements and be cancelled in the last of them."""
    ids = []

    async def use() -> None:
        async with pool.acquire() as connection:
            ids.append(connection.thread_id())
            for statement in statements:
                await connection.query(statement)

    task = asyncio.ensure_future(use())
    await asyncio.sleep(0.15)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 1.5, "the cancelled task had to wait"
    return ids[0]


@pytest.mark.parametrize("reset_session", [None, "rollback", "full"])
async def test_acquired_when_it_is_clean(
    connect_args: dict[str, Any], reset_session: str | None
) -> None:
    options: dict[str, Any] = {"maxsize": 1, "on_cancel": "kill", "reset_session": reset_session}
    async with create_pool(**connect_args, **options) as pool:
        before = await cancelled_use(pool, "SELECT SLEEP(20)")
        assert (pool.size, pool.freesize) == (1, 0)
        async with asyncio.timeout(4), pool.acquire() as connection:
            assert await number(connection) == before
        assert (pool.size, pool.freesize) == (1, 1)


@pytest.mark.parametrize("reset_session", [None, "rollback", "full"])
async def test_in_a_transaction(
    connect_args: dict[str, Any], table_name: str, reset_session: str | None
) -> None:
    """It is rolled back, or, where the pool may not do that, the connection is replaced."""
    options: dict[str, Any] = {"maxsize": 1, "on_cancel": "kill", "reset_session": reset_session}
    async with create_pool(**connect_args, **options) as pool:
        async with pool.acquire() as connection:
            await connection.query(f"CREATE TABLE {table_name} (n INT) ENGINE = InnoDB")
        insert = f"INSERT INTO {table_name} VALUES (1)"
        before = await cancelled_use(pool, insert, "SELECT SLEEP(20)")
        async with asyncio.timeout(4), pool.acquire() as connection:
            assert (await number(connection) == before) == (reset_session is not None)
            assert not connection.get_transaction_status()
            async with connection.cursor() as cursor:
                await cursor.execute(f"SELECT * FROM {table_name}")
                assert await cursor.fetchall() == ()
            await connection.rollback()
        async with pool.acquire() as connection:
            await connection.query(f"DROP TABLE {table_name}")


async def test_not_stopped_in_time(connect_args: dict[str, Any]) -> None:
    """The connection is replaced, and whoever waits gets the new one."""
    options: dict[str, Any] = {"maxsize": 1, "on_cancel": "kill", "kill_timeout": 0.001}
    async with create_pool(**connect_args, **options) as pool:
        before = await cancelled_use(pool, "SELECT SLEEP(2)")
        async with asyncio.timeout(4), pool.acquire() as connection:
            assert await number(connection) != before
        assert pool.size == 1


@pytest.mark.slow
@pytest.mark.parametrize("how", ["close", "terminate", "drain"])
async def test_pool_is_closed_meanwhile(
    server: Server, connect_args: dict[str, Any], how: str
) -> None:
    """What is being stopped is waited for: no session is left, and no statement runs on."""
    async with create_pool(**connect_args, on_cancel="kill") as pool:
        await cancelled_use(pool, "SELECT SLEEP(20)")
        if how == "drain":
            await pool.drain()
        if how == "terminate":
            pool.terminate()
        else:
            pool.close()
        async with asyncio.timeout(5):
            await pool.wait_closed()
        assert pool.size == 0
        assert server.settled_sessions() == []
