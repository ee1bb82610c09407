"""What a borrower leaves behind: results that nobody has read, and transactions nobody tells of."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymysql.constants import SERVER_STATUS

from aiomysql_core import Connection, SSCursor
from aiomysql_pool import create_pool
from tests.flags import FlagProxy
from tests.pool.conftest import MakePool, one, wait_until
from tests.servers import Server


@pytest.fixture
def table(server: Server, table_name: str) -> str:
    server.execute(f"CREATE TABLE {table_name} (n INT PRIMARY KEY) ENGINE=InnoDB")
    return table_name


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[FlagProxy]:
    """Never says that a transaction is open."""
    async with FlagProxy(
        server.host, server.port, lambda flags: flags & ~SERVER_STATUS.SERVER_STATUS_IN_TRANS
    ) as proxy:
        yield proxy


@pytest.fixture
def through(proxy: FlagProxy) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": proxy.port, "unix_socket": None}


def sent(proxy: FlagProxy) -> list[bytes]:
    """What was sent since this was asked last."""
    commands = [command[1:] for command in proxy.commands]
    proxy.commands.clear()
    return commands


SETTINGS: list[dict[str, Any]] = [
    {},
    {"reset_session": "rollback"},
    {"reset_session": "full"},
    {"ping_after": 60.0},
    {"reset": Connection.ping},
]


@pytest.mark.parametrize("options", SETTINGS)
@pytest.mark.parametrize("pause", ["", "DO SLEEP(0.1);"], ids=["there", "coming"])
async def test_errors_that_nobody_has_read(
    make_pool: MakePool,
    server: Server,
    table: str,
    caplog: pytest.LogCaptureFixture,
    options: dict[str, Any],
    pause: str,
) -> None:
    """They are logged, and the connection goes on, without what was half done."""
    pool = await make_pool(minsize=1, maxsize=1, **options)
    insert = f"INSERT INTO {table} VALUES (1)"
    connection = await pool.acquire()
    await connection.query(f"{insert}; {pause} {insert}")
    if not pause:
        await asyncio.sleep(0.05)
    with caplog.at_level(logging.WARNING, "aiomysql"):
        await pool.release(connection)
    assert "1062" in caplog.text
    async with pool.acquire() as again:
        keeps = options.get("reset_session") is not None  # or else a transaction closes it
        assert (again is connection) is keeps
        assert await one(again, f"SELECT COUNT(*) FROM {table}") == 0
        await again.rollback()
    assert server.execute(f"SELECT * FROM {table}") == []


@pytest.mark.parametrize("mode", [True, False])
async def test_errors_cost_no_connection(make_pool: MakePool, table: str, mode: bool) -> None:
    """They have no flags: a ROLLBACK makes sure that no transaction is open."""
    pool = await make_pool(minsize=1, maxsize=1, autocommit=mode)
    for _ in range(3):
        async with pool.acquire() as connection:
            for statement in ("SELECT", f"SELECT * FROM {table}_none"):
                with pytest.raises(Connection.ProgrammingError):
                    await connection.query(statement)
    assert pool.get_stats()["connects"] == 1


async def test_other_results_are_dropped(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    pool = await make_pool(minsize=1, maxsize=1, autocommit=True)
    for pause in ("DO SLEEP(0.05)", "DO 1"):
        connection = await pool.acquire()
        await connection.query(f"SELECT 1; {pause}; SELECT 2")
        await pool.release(connection)
        async with pool.acquire() as again:
            assert again is connection
            assert await one(again, "SELECT 7") == 7
    assert not caplog.records


async def test_streamed_rows_that_nobody_reads(make_pool: MakePool) -> None:
    """There may be any number of them: the connection is closed."""
    pool = await make_pool(minsize=1, maxsize=1, autocommit=True)
    connection = await pool.acquire()
    cursor = await connection.cursor(SSCursor)
    await cursor.execute("SELECT REPEAT('x', 100000) FROM information_schema.columns LIMIT 200")
    await pool.release(connection)
    assert connection.closed
    assert pool.get_stats()["closed_unusable"] == 1


@pytest.mark.parametrize("options", SETTINGS)
@pytest.mark.parametrize("mode", [True, False])
async def test_transactions_that_nobody_tells_of(
    make_pool: MakePool,
    through: dict[str, Any],
    proxy: FlagProxy,
    table: str,
    options: dict[str, Any],
    mode: bool,
) -> None:
    pool = await make_pool(minsize=1, maxsize=1, autocommit=mode, **through, **options)
    async with pool.acquire() as connection:
        if mode:
            await connection.begin()
        await connection.query(f"INSERT INTO {table} VALUES (1)")
    async with pool.acquire() as again:
        assert again is connection
        assert await one(again, f"SELECT COUNT(*) FROM {table}") == 0
        assert await one(again, "SELECT @@autocommit") == int(mode)
        await again.rollback()
    assert pool.get_stats()["connects"] == 1


async def test_round_trips_of_a_release(
    make_pool: MakePool, through: dict[str, Any], proxy: FlagProxy, table: str
) -> None:
    """In autocommit mode there are none, but once after statements that may have changed that."""
    pool = await make_pool(minsize=1, maxsize=1, autocommit=True, **through)
    select = f"SELECT * FROM {table}".encode()
    sent(proxy)
    for statements, after in (
        ([], []),
        (["SET @a = 1"], [b"ROLLBACK", b"SET AUTOCOMMIT = 1"]),
        ([], []),
        (["BEGIN", "COMMIT"], [b"ROLLBACK", b"SET AUTOCOMMIT = 1"]),
        ([], []),
    ):
        async with pool.acquire() as connection:
            for statement in statements:
                await connection.query(statement)
            await connection.query(select)
        await wait_until(lambda: pool.freesize == 1)
        assert sent(proxy) == [*(text.encode() for text in statements), select, *after]
    async with pool.acquire() as connection:
        await connection.begin()
        await connection.query(select)
        await connection.commit()
    assert pool.freesize == 1  # nothing was run since
    assert sent(proxy) == [b"BEGIN", select, b"COMMIT"]


async def test_connections_that_were_configured(
    make_pool: MakePool, through: dict[str, Any], proxy: FlagProxy, table: str
) -> None:
    """What `configure` has begun, and nobody tells of, is not the first borrower's."""

    async def configure(connection: Connection) -> None:
        await connection.query("BEGIN")
        await connection.query("SET @mine = 5; DO 1")

    pool = await make_pool(minsize=1, maxsize=1, autocommit=True, configure=configure, **through)
    sent(proxy)
    async with pool.acquire() as connection:
        assert await one(connection, "SELECT @mine") == 5
    assert pool.freesize == 1
    assert sent(proxy) == [b"SELECT @mine"]


async def test_configure_that_is_half_done(connect_args: dict[str, Any], table: str) -> None:
    insert = f"INSERT INTO {table} VALUES (1)"

    async def configure(connection: Connection) -> None:
        await connection.query(f"{insert}; DO SLEEP(0.05); {insert}")

    with pytest.raises(Connection.IntegrityError, match="1062"):
        await create_pool(minsize=1, configure=configure, **connect_args)


async def test_closing_pools_log_it(
    make_pool: MakePool, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    pool = await make_pool(minsize=1, maxsize=1, autocommit=True)
    connection = await pool.acquire()
    insert = f"INSERT INTO {table} VALUES (1)"
    await connection.query(f"{insert}; DO SLEEP(0.05); {insert}")
    pool.close()
    pool.release(connection)
    await pool.wait_closed()
    assert "1062" in caplog.text
