"""What a borrower finds of the one before: `reset_session`."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from typing import Any

import pytest

from aiomysql_pool import create_pool
from tests.pool.conftest import MakePool, frozen, one, wait_until
from tests.servers import Server

STATE = """SELECT CONVERT(
    CONCAT_WS(' ', @@sql_mode, @@collation_connection, @@autocommit, @given, @left) USING utf8mb4
)"""


async def test_full_reset(make_pool: MakePool, server: Server, table_name: str) -> None:
    server.execute(f"CREATE TABLE {table_name} (a INT) ENGINE=InnoDB")
    pool = await make_pool(
        maxsize=1,
        reset_session="full",
        sql_mode="ANSI_QUOTES",
        charset="utf8mb4",
        collation="utf8mb4_bin",
        init_command="SET @given = 5",
        autocommit=True,
    )
    async with pool.acquire() as first:
        number = first.thread_id()
        before = await one(first, STATE)
        assert before.startswith("ANSI_QUOTES utf8mb4_bin ")
        await first.query("SET @left = 1, @given = 2, sql_mode = 'NO_BACKSLASH_ESCAPES'")
        await first.set_charset("latin1")
        await first.query("CREATE TEMPORARY TABLE temporary_one (a INT)")
        await first.query("DO GET_LOCK('pool', 0)")
        await first.autocommit(False)
        await first.query(f"INSERT INTO {table_name} VALUES (1)")
    async with pool.acquire() as second:
        assert second is first
        assert second.thread_id() == number
        assert await one(second, STATE) == before
        assert second.charset == "utf8mb4"
        assert await one(second, "SELECT IS_FREE_LOCK('pool')") == 1
        with pytest.raises(second.ProgrammingError):
            await second.query("SELECT * FROM temporary_one")
    assert server.execute(f"SELECT * FROM {table_name}") == []


@pytest.mark.parametrize(("reset", "hours"), [("full", 2), (None, -3)])
async def test_time_zones(make_pool: MakePool, reset: str | None, hours: int) -> None:
    """The one that was asked for again, or the one before's; the values are right in either."""
    pool = await make_pool(maxsize=1, reset_session=reset, time_zone="+02:00", autocommit=True)
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    async with pool.acquire() as first:
        await first.query("SET time_zone = '-03:00'")
    async with pool.acquire() as second:
        assert second is first
        await second.query("CREATE TEMPORARY TABLE behind_it (at TIMESTAMP)")
        await second.execute("INSERT INTO behind_it VALUES (%s)", (now,))
        at = await second.fetchval("SELECT at FROM behind_it")
        assert (at, at.utcoffset()) == (now, datetime.timedelta(hours=hours))


async def test_without_a_reset_the_session_stays(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1)
    async with pool.acquire() as connection:
        await connection.query("SET @left = 1")
    async with pool.acquire() as connection:
        assert await one(connection, "SELECT @left") == 1


async def test_waiters_get_a_session_that_was_reset(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=2, reset_session="full")

    async def borrow(number: int) -> Any:
        async with pool.acquire() as connection:
            found = await one(connection, "SELECT @left")
            await connection.query(f"SET @left = {number}")
            return found

    assert set(await asyncio.gather(*(borrow(number) for number in range(12)))) == {None}
    assert pool.size == pool.freesize <= 2
    assert pool.get_stats()["resets"] == 12


async def test_reset_of_a_session_that_was_killed(make_pool: MakePool, server: Server) -> None:
    pool = await make_pool(maxsize=1, reset_session="full")
    acquired = await pool.acquire()
    number = acquired.thread_id()
    server.execute(f"KILL {number}")
    await pool.release(acquired)
    await wait_until(lambda: acquired.closed)
    async with asyncio.timeout(3), pool.acquire() as connection:
        assert connection.thread_id() != number


async def test_closing_does_not_wait_for_a_reset_on_a_frozen_server(
    server: Server, connect_args: dict[str, Any]
) -> None:
    pool = await create_pool(reset_session="full", **connect_args)
    acquired = await pool.acquire()
    with frozen(server):
        pool.release(acquired)
        pool.close()
        async with asyncio.timeout(5):
            await pool.wait_closed(timeout=0.1)
    assert (pool.closed, acquired.closed, pool.size) == (True, True, 0)


# The user


@pytest.mark.parametrize("reset_session", [None, "rollback", "full"])
@pytest.mark.parametrize("how", ["at rest", "in a transaction", "cancelled"])
async def test_a_connection_whose_user_was_changed_is_not_lent_again(
    server: Server,
    make_user: Callable[[str, str], dict[str, Any]],
    reset_session: Any,
    how: str,
) -> None:
    plugin = "caching_sha2_password" if server.kind == "mysql" else "mysql_native_password"
    account = make_user(plugin, "secret")
    options = {**server.connect_args, "ssl_mode": "REQUIRED", "on_cancel": "kill"}
    async with create_pool(
        **options, maxsize=1, autocommit=True, reset_session=reset_session
    ) as pool:
        async with pool.acquire() as connection:
            await connection.change_user(**account, db=server.database)
            if how == "in a transaction":
                await connection.begin()
            elif how == "cancelled":
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await connection.query("SELECT SLEEP(30)")
            else:
                await connection.commit()
        async with pool.acquire() as other, other.cursor() as cursor:
            assert other is not connection
            await cursor.execute("SELECT CURRENT_USER()")
            assert account["user"] not in (await cursor.fetchall())[0][0]
        assert connection.closed
