"""A server that refuses, is full, or is not there: what callers get, and what the server sees."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from aiomysql_core import Connection, OperationalError
from aiomysql_pool import Pool
from aiomysql_pool.opening import FIRST_PAUSE, LONGEST_PAUSE, Backoff
from tests.pool.conftest import MakePool, one, wait_until
from tests.scripted import error, frame, scripted_server
from tests.servers import Server

MakeUser = Callable[[str, str], dict[str, Any]]


@pytest.mark.slow
async def test_connects_to_a_failing_server_are_few(make_pool: MakePool) -> None:
    """However many ask, and nobody is left waiting."""
    attempts = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        writer.write(frame(error(1040, "Too many connections", "08004"), 0))

    outcomes: list[str] = []

    async def ask(pool: Pool, until: float) -> None:
        while asyncio.get_running_loop().time() < until:
            try:
                await pool.acquire()
            except OperationalError as refused:
                outcomes.append(str(refused.args[0]))

    async with scripted_server(refuse) as port:
        pool = await make_pool(minsize=0, maxsize=8, host="127.0.0.1", port=port)
        until = asyncio.get_running_loop().time() + 1.0
        async with asyncio.timeout(1.0 + 2 * LONGEST_PAUSE):
            await asyncio.gather(*(ask(pool, until) for _ in range(100)))
        assert set(outcomes) == {"1040"}
        assert len(outcomes) >= 100
        # Eight at once, then one after each pause of at least 25, 50, 100, 200, 400, 800 ms.
        assert 8 <= attempts <= 8 + 7
        assert attempts == pool.get_stats()["connects"]
        pool.close()
        await pool.wait_closed()


async def test_first_attempt_is_immediate_and_pauses_grow() -> None:
    backoff = Backoff()
    assert backoff.pause == 0
    pauses = []
    for _ in range(12):
        backoff.failed(began=float("inf"))
        pauses.append(backoff.pause)
    for number, pause in enumerate(pauses):
        whole = min(FIRST_PAUSE * 2**number, LONGEST_PAUSE)
        assert whole * 0.45 <= pause <= whole
    backoff.succeeded()
    assert (backoff.pause, backoff.failures) == (0, 0)


async def test_attempts_that_went_along_count_once() -> None:
    backoff = Backoff()
    for _ in range(10):
        backoff.failed(began=0.0)
    assert backoff.failures == 1


async def test_account_that_is_locked_for_a_while(
    make_pool: MakePool, make_user: MakeUser, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = "caching_sha2_password" if server.kind == "mysql" else "mysql_native_password"
    account = make_user(plugin, "secret")
    pool = await make_pool(minsize=2, maxsize=2, **account)
    server.execute(f"ALTER USER {account['user']} ACCOUNT LOCK")
    for connection in pool._free:
        server.execute(f"KILL {connection.thread_id()}")
    await wait_until(lambda: all(connection.closed for connection in pool._free))
    for _ in range(3):
        with pytest.raises(OperationalError, match="locked"):
            await pool.acquire()
    assert caplog.text.count("could not open a connection") <= 1
    server.execute(f"ALTER USER {account['user']} ACCOUNT UNLOCK")
    # It comes back by itself, without anyone asking.
    await wait_until(lambda: pool.freesize == 2, timeout=2 * LONGEST_PAUSE)
    async with pool.acquire() as connection:
        assert await one(connection, "SELECT 1") == 1


async def test_freed_connection_serves_while_connects_fail(
    make_pool: MakePool, server: Server
) -> None:
    pool = await make_pool(minsize=0, maxsize=2)
    acquired = await pool.acquire()
    pool._conn_kwargs["db"] = "no_such_database"
    with pytest.raises(OperationalError, match="no_such_database"):
        await pool.acquire()
    waiting = asyncio.ensure_future(pool.acquire())
    await asyncio.sleep(0)
    pool.release(acquired)
    assert await waiting is acquired
    pool.release(acquired)


async def test_more_connections_than_the_server_allows(
    make_pool: MakePool, make_user: MakeUser, server: Server
) -> None:
    plugin = "caching_sha2_password" if server.kind == "mysql" else "mysql_native_password"
    account = make_user(plugin, "secret")
    server.execute(f"ALTER USER {account['user']} WITH MAX_USER_CONNECTIONS 3")
    pool = await make_pool(minsize=0, maxsize=10, **account)

    async def borrow(number: int) -> Any:
        async with pool.acquire() as connection:
            found = await one(connection, f"SELECT {number}")
            await asyncio.sleep(0.01)
            return found

    async with asyncio.timeout(10):
        outcomes = await asyncio.gather(*map(borrow, range(60)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, OperationalError)]
    assert all(error.args[0] == 1226 for error in refused)
    assert all(found in (number, *refused) for number, found in enumerate(outcomes))
    # Those who come back serve the others, whatever the connects come to.
    assert len(refused) <= 30
    assert pool.size == pool.freesize <= 3


async def test_cancelled_connects_are_made_again(make_pool: MakePool) -> None:
    pool = await make_pool(minsize=0, maxsize=1)
    waiting = asyncio.ensure_future(pool.acquire())
    await wait_until(lambda: len(pool._opener.connects) == 1)
    for task in pool._opener.connects:
        task.cancel()
    connection = await asyncio.wait_for(waiting, 3)
    assert isinstance(connection, Connection)
    pool.release(connection)
